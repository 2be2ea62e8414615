//! From the text of a statement to what it asks for. Athena has two parsers, and so has this: Trino's language for
//! queries (sqlparser with a dialect of ours, then [`rewrite`]), Hive's for everything about tables ([`ddl`]).

mod aliases;
mod checks;
mod ddl;
mod dialect;
mod dml;
mod forms;
mod grammar;
mod hidden;
mod json_forms;
mod lower;
mod named;
pub(crate) mod rewrite;
mod routine_body;
mod routines;
mod row_pattern;
mod stars;
mod text;

pub(crate) use aliases::NAMES;
pub(crate) use ddl::{CreateTable, PartitionSpec};
pub(crate) use forms::AS_OF;
pub(crate) use forms::like_pattern;
pub(crate) use hidden::hide;
pub(crate) use lower::{in_session, without_catalogs};
pub(crate) use rewrite::{INTERNAL, SHARED, shares};
pub(crate) use routines::{ARGUMENT, RETURNED, ROUTINE};
pub(crate) use row_pattern::ANY;
pub(crate) use stars::{COLUMNS_OF, FIELDS_OF};
pub(crate) use text::{Source, with_parameters};

use datafusion::sql::sqlparser::ast::Query;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Error, Result};
use dialect::Trino;

/// A table or view as written: parts are lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) catalog: Option<String>,
    pub(crate) database: Option<String>,
    #[expect(clippy::struct_field_names, reason = "a qualified name ends with a name")]
    pub(crate) name: String,
    /// Line and column of its first part.
    pub(crate) at: (u64, u64),
}

impl Name {
    /// As it stands in a query's text.
    pub(crate) fn quoted(&self) -> String {
        let parts = self.catalog.iter().chain(&self.database).chain(std::iter::once(&self.name));
        let parts: Vec<_> = parts.map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
        parts.join(".")
    }
}

/// One statement, understood.
#[derive(Debug)]
pub(crate) enum Statement {
    Select(Box<Select>),
    Explain {
        statement: Box<Statement>,
        analyze: bool,
        form: PlanForm,
    },
    /// `UNLOAD (query) TO 's3://…' WITH (…)`
    Unload {
        select: Box<Select>,
        to: String,
        properties: Vec<(String, Property)>,
    },
    /// PREPARE and DEALLOCATE PREPARE: who started the statement has done what it asks.
    Prepared,
    Delete(Box<Delete>),
    Update(Box<Update>),
    Merge(Box<Merge>),
    Optimize {
        table: Name,
        condition: Option<String>,
    },
    Vacuum {
        table: Name,
    },
    CreateView {
        name: Name,
        or_replace: bool,
        sql: String,
        select: Box<Select>,
    },
    DropView {
        name: Name,
        if_exists: bool,
    },
    Ctas(Box<Ctas>),
    Insert {
        table: Name,
        columns: Vec<String>,
        select: Box<Select>,
    },
    CreateTable(Box<CreateTable>),
    DropTable {
        name: Name,
        if_exists: bool,
    },
    /// The names of databases have no `database`; their `catalog` is what stands before the dot.
    CreateDatabase {
        name: Name,
        if_not_exists: bool,
        comment: Option<String>,
        location: Option<String>,
        properties: Vec<(String, String)>,
    },
    DropDatabase {
        name: Name,
        if_exists: bool,
        cascade: bool,
    },
    ShowTables {
        database: Option<Name>,
        pattern: Option<String>,
    },
    ShowViews {
        database: Option<Name>,
        pattern: Option<String>,
    },
    ShowDatabases {
        pattern: Option<String>,
    },
    ShowColumns {
        table: Name,
    },
    ShowPartitions {
        table: Name,
    },
    ShowCreateTable {
        table: Name,
    },
    ShowCreateView {
        table: Name,
    },
    ShowProperties {
        table: Name,
        key: Option<String>,
    },
    Describe {
        table: Name,
        extended: bool,
    },
    Repair {
        table: Name,
    },
    AddPartitions {
        table: Name,
        if_not_exists: bool,
        partitions: Vec<PartitionSpec>,
    },
    DropPartitions {
        table: Name,
        if_exists: bool,
        partitions: Vec<Vec<(String, String)>>,
    },
    SetLocation {
        table: Name,
        partition: Option<Vec<(String, String)>>,
        location: String,
    },
    SetProperties {
        table: Name,
        properties: Vec<(String, String)>,
    },
    UnsetProperties {
        table: Name,
        keys: Vec<String>,
    },
    SetDatabaseProperties {
        name: Name,
        properties: Vec<(String, String)>,
    },
    RenameTable {
        table: Name,
        to: Name,
    },
    RenamePartition {
        table: Name,
        from: Vec<(String, String)>,
        to: Vec<(String, String)>,
    },
    ChangeColumn {
        table: Name,
        old: String,
        new: crate::catalog::Column,
        place: Option<ColumnPosition>,
    },
    DropColumn {
        table: Name,
        column: String,
    },
    AddColumns {
        table: Name,
        columns: Vec<crate::catalog::Column>,
    },
    ReplaceColumns {
        table: Name,
        columns: Vec<crate::catalog::Column>,
    },
}

/// A query ready to plan.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    pub(crate) query: Query,
    /// Names of the result's columns as written.
    pub(crate) labels: rewrite::Labels,
    /// Aggregates over sorted rows, whose names say how.
    pub(crate) aggregates: Vec<String>,
    /// Hidden columns that the text names.
    pub(crate) hidden: Vec<&'static str>,
}

#[derive(Debug)]
pub(crate) struct Ctas {
    pub(crate) name: Name,
    pub(crate) if_not_exists: bool,
    pub(crate) properties: Vec<(String, Property)>,
    pub(crate) with_data: bool,
    pub(crate) select: Select,
}

/// The value of a property in `WITH (…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Property {
    Text(String),
    List(Vec<String>),
}

/// What EXPLAIN shows: `TYPE` and `FORMAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanForm {
    Text,
    Json,
    Graphviz,
    /// `TYPE VALIDATE`
    Valid,
    /// `TYPE IO`
    Io,
}

/// Where CHANGE COLUMN puts a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ColumnPosition {
    First,
    After(String),
}

/// `DELETE FROM table [WHERE condition]`; expressions are texts.
#[derive(Debug)]
pub(crate) struct Delete {
    pub(crate) table: Name,
    pub(crate) condition: Option<String>,
}

/// `UPDATE table SET a = x, … [WHERE condition]`
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) table: Name,
    pub(crate) assignments: Vec<(String, String)>,
    pub(crate) condition: Option<String>,
}

/// `MERGE INTO table [alias] USING source ON condition WHEN …`
#[derive(Debug)]
pub(crate) struct Merge {
    pub(crate) table: Name,
    pub(crate) alias: Option<String>,
    /// The source as a relation with its name.
    pub(crate) source: String,
    pub(crate) source_name: String,
    pub(crate) on: String,
    pub(crate) clauses: Vec<MergeClause>,
}

#[derive(Debug)]
pub(crate) struct MergeClause {
    pub(crate) matched: bool,
    pub(crate) condition: Option<String>,
    pub(crate) action: MergeAction,
}

#[derive(Debug)]
pub(crate) enum MergeAction {
    Delete,
    Update(Vec<(String, String)>),
    Insert { columns: Vec<String>, values: Vec<String> },
}

/// Reads one statement; a semicolon may end it.
pub(crate) fn parse(sql: &str) -> Result<Statement> {
    let source = Source::new(sql)?;
    if let Some(text) = immediate(&source) {
        return parse(&text?);
    }
    ddl::statement(&source)
}

/// The statement of `EXECUTE IMMEDIATE 'text' [USING value, …]`.
fn immediate(source: &Source<'_>) -> Option<Result<String>> {
    let word = |at: usize, word: &str| {
        matches!(source.tokens.get(at).map(|token| &token.token), Some(Token::Word(found))
            if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    };
    let Some(Token::SingleQuotedString(text)) = source.tokens.get(2).map(|token| &token.token) else { return None };
    if !word(0, "EXECUTE") || !word(1, "IMMEDIATE") {
        return None;
    }
    let mut parameters = Vec::new();
    if word(3, "USING") {
        let (mut from, mut depth) = (4, 0i32);
        for (at, token) in source.tokens.iter().enumerate().skip(4) {
            match token.token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket => depth -= 1,
                Token::Comma if depth == 0 => {
                    parameters.push(source.text_between(from, at).to_owned());
                    from = at + 1;
                }
                _ => {}
            }
        }
        parameters.push(source.text_between(from, source.tokens.len()).to_owned());
    } else if let Some(next) = source.tokens.get(3) {
        return Some(Err(source.mismatched(next)));
    }
    Some(text::exactly(text, &parameters))
}

/// Reads a query, as the text of a view or of a statement's tail.
pub(crate) fn parse_query(sql: &str) -> Result<Select> {
    let source = Source::new(sql)?;
    select(&source, 0)
}

/// Reads the tokens from `start` on as a query.
pub(crate) fn select(source: &Source<'_>, start: usize) -> Result<Select> {
    let (routines, start) = routines::read(source, start)?;
    // Names of fields in types keep their casing, other quoted names do not.
    let tokens = grammar::readable(source.tokens_from(start).to_vec());
    let dialect = Trino;
    let mut hidden = Vec::new();
    let tokens: Vec<TokenWithSpan> = tokens
        .into_iter()
        .map(|mut token| {
            if let Token::Word(word) = &mut token.token
                && word.quote_style.is_some()
            {
                word.value = word.value.to_lowercase();
                if let Some(name) = crate::scan::HIDDEN.iter().find(|name| **name == word.value)
                    && !hidden.contains(name)
                {
                    hidden.push(*name);
                }
            }
            token
        })
        .collect();
    if let Some(quoted) = tokens.iter().find(|t| matches!(&t.token, Token::Word(w) if w.quote_style == Some('`'))) {
        let at = quoted.span.start;
        return Err(Error::syntax(
            at.line,
            at.column,
            "backquoted identifiers are not supported; use double quotes to quote identifiers",
        ));
    }
    let mut parser = Parser::new(&dialect).with_recursion_limit(100).with_tokens_with_locations(tokens);
    let mut query = parser.parse_query().map_err(|error| source.parse_error(&error))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        return Err(source.mismatched(&next));
    }
    routines.inline(&mut query)?;
    rewrite::select(*query, source, hidden)
}
