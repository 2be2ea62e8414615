//! Hive's statements, and the heads of Trino's that hold a query: CREATE, DROP, ALTER, SHOW, DESCRIBE, MSCK, INSERT,
//! EXPLAIN. Read straight down over the tokens.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{ColumnPosition, Ctas, Name, PlanForm, Property, Source, Statement, dml, select};
use crate::catalog::Column;
use crate::error::{Error, Result};

/// `CREATE EXTERNAL TABLE`, as written.
#[derive(Debug, Default)]
pub(crate) struct CreateTable {
    pub(crate) name: Option<Name>,
    pub(crate) external: bool,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<Column>,
    pub(crate) partition_keys: Vec<Column>,
    /// `day(ts)` and names of columns, as Iceberg partitions.
    pub(crate) partitioning: Vec<String>,
    pub(crate) comment: Option<String>,
    pub(crate) serde: Option<String>,
    pub(crate) serde_properties: Vec<(String, String)>,
    pub(crate) delimited: bool,
    pub(crate) stored_as: Option<String>,
    pub(crate) input_format: Option<String>,
    pub(crate) output_format: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) bucketed_by: Vec<String>,
    pub(crate) buckets: i64,
}

/// `PARTITION (k = v, …) [LOCATION '…']`
#[derive(Debug)]
pub(crate) struct PartitionSpec {
    pub(crate) values: Vec<(String, String)>,
    pub(crate) location: Option<String>,
}

pub(super) fn statement(source: &Source<'_>) -> Result<Statement> {
    let mut c = Cursor { source, at: 0 };
    match c.word().as_deref() {
        Some("SELECT" | "WITH" | "VALUES" | "TABLE") => Ok(Statement::Select(Box::new(select(source, 0)?))),
        None if matches!(c.peek(), Some(Token::LParen)) => Ok(Statement::Select(Box::new(select(source, 0)?))),
        Some("EXPLAIN") => explain(&mut c),
        Some("CREATE") => create(&mut c),
        Some("DROP") => drop_statement(&mut c),
        Some("SHOW") => show(&mut c),
        Some("DESCRIBE" | "DESC") => {
            c.at += 1;
            let extended = c.accept("EXTENDED") || c.accept("FORMATTED");
            c.accept("TABLE");
            let table = c.name()?;
            c.end(Statement::Describe { table, extended })
        }
        Some("MSCK") => {
            c.at += 1;
            c.expect("REPAIR")?;
            c.expect("TABLE")?;
            let table = c.name()?;
            c.end(Statement::Repair { table })
        }
        Some("ALTER") => alter(&mut c),
        Some("INSERT") => insert(&mut c),
        Some("MERGE" | "UPDATE" | "DELETE") => dml::statement(source),
        Some("OPTIMIZE") => optimize(&mut c),
        Some("VACUUM") => {
            c.at += 1;
            let table = c.name()?;
            c.end(Statement::Vacuum { table })
        }
        Some("UNLOAD") => unload(&mut c),
        Some("PREPARE") => {
            c.at += 1;
            c.identifier()?;
            c.expect("FROM")?;
            Ok(Statement::Prepared)
        }
        Some("DEALLOCATE") => {
            c.at += 1;
            c.expect("PREPARE")?;
            c.identifier()?;
            c.end(Statement::Prepared)
        }
        _ => Err(c.mismatch()),
    }
}

fn explain(c: &mut Cursor<'_, '_>) -> Result<Statement> {
    c.at += 1;
    let analyze = c.accept("ANALYZE");
    if analyze {
        c.accept("VERBOSE");
    }
    let mut form = PlanForm::Text;
    if c.peek() == Some(&Token::LParen) && matches!(c.word_at(1).as_deref(), Some("TYPE" | "FORMAT")) {
        c.at += 1;
        loop {
            let option = c.identifier()?;
            let value = c.identifier()?;
            form = match (option.as_str(), value.as_str()) {
                ("type", "logical" | "distributed") | ("format", "text") => form,
                ("format", "json") => PlanForm::Json,
                ("format", "graphviz") => PlanForm::Graphviz,
                ("type", "validate") => PlanForm::Valid,
                ("type", "io") => PlanForm::Io,
                _ => return Err(c.mismatch()),
            };
            if !c.accept_token(&Token::Comma) {
                break;
            }
        }
        c.expect_token(&Token::RParen)?;
    }
    let text = c.source.text_from(c.at);
    let inner = Source::new(text)?;
    let statement = statement(&inner)?;
    match statement {
        Statement::Explain { .. } => Err(c.mismatch()),
        statement => Ok(Statement::Explain { statement: Box::new(statement), analyze, form }),
    }
}

/// `UNLOAD (query) TO 's3://…' [WITH (…)]`
fn unload(c: &mut Cursor<'_, '_>) -> Result<Statement> {
    c.at += 1;
    let start = c.at;
    if c.peek() != Some(&Token::LParen) {
        return Err(c.mismatch());
    }
    c.skip_parentheses()?;
    let select = Box::new(super::parse_query(c.source.text_between(start + 1, c.at - 1))?);
    c.expect("TO")?;
    let to = c.string()?;
    let properties = if c.accept("WITH") { c.with_properties()? } else { Vec::new() };
    c.end(Statement::Unload { select, to, properties })
}

/// `OPTIMIZE table REWRITE DATA USING BIN_PACK [WHERE …]`
fn optimize(c: &mut Cursor<'_, '_>) -> Result<Statement> {
    c.at += 1;
    let table = c.name()?;
    for word in ["REWRITE", "DATA", "USING", "BIN_PACK"] {
        c.expect(word)?;
    }
    let condition = if c.accept("WHERE") { Some(dml::expression(c)?) } else { None };
    c.end(Statement::Optimize { table, condition })
}

fn create(c: &mut Cursor<'_, '_>) -> Result<Statement> {
    c.at += 1;
    let or_replace = c.accept("OR");
    if or_replace {
        c.expect("REPLACE")?;
    }
    if or_replace && c.word().as_deref() != Some("VIEW") {
        return Err(c.mismatch());
    }
    if c.accept("VIEW") {
        let name = c.name()?;
        c.expect("AS")?;
        let sql = c.source.text_from(c.at).to_owned();
        let select = Box::new(select(c.source, c.at)?);
        return Ok(Statement::CreateView { name, or_replace, sql, select });
    }
    if c.accept("DATABASE") || c.accept("SCHEMA") {
        let if_not_exists = c.if_not_exists()?;
        let name = c.database()?;
        let (mut comment, mut location, mut properties) = (None, None, Vec::new());
        loop {
            if c.accept("COMMENT") {
                comment = Some(c.string()?);
            } else if c.accept("LOCATION") {
                location = Some(c.string()?);
            } else if c.accept("WITH") {
                c.expect("DBPROPERTIES")?;
                properties = c.properties()?;
            } else {
                break;
            }
        }
        return c.end(Statement::CreateDatabase { name, if_not_exists, comment, location, properties });
    }
    let external = c.accept("EXTERNAL");
    c.expect("TABLE")?;
    let if_not_exists = c.if_not_exists()?;
    let name = c.name()?;
    if !external && matches!(c.word().as_deref(), Some("AS" | "WITH")) {
        return ctas(c, name, if_not_exists);
    }
    let mut table = CreateTable { name: Some(name), external, if_not_exists, ..CreateTable::default() };
    if c.peek() == Some(&Token::LParen) {
        table.columns = c.columns()?;
    }
    create_table(c, &mut table)?;
    c.end(Statement::CreateTable(Box::new(table)))
}

fn create_table(c: &mut Cursor<'_, '_>, table: &mut CreateTable) -> Result<()> {
    loop {
        if c.accept("COMMENT") {
            table.comment = Some(c.string()?);
        } else if c.accept("PARTITIONED") {
            c.expect("BY")?;
            c.partitioning(table)?;
        } else if c.accept("ROW") {
            c.expect("FORMAT")?;
            if c.accept("SERDE") {
                table.serde = Some(c.string()?);
            } else {
                c.expect("DELIMITED")?;
                table.delimited = true;
                delimited(c, table)?;
            }
        } else if c.word().as_deref() == Some("WITH") && c.word_at(1).as_deref() == Some("SERDEPROPERTIES") {
            c.at += 2;
            table.serde_properties.extend(c.properties()?);
        } else if c.accept("STORED") {
            c.expect("AS")?;
            if c.accept("INPUTFORMAT") {
                table.input_format = Some(c.string()?);
                c.expect("OUTPUTFORMAT")?;
                table.output_format = Some(c.string()?);
            } else {
                table.stored_as = Some(c.identifier()?.to_uppercase());
            }
        } else if c.accept("CLUSTERED") {
            c.expect("BY")?;
            c.expect_token(&Token::LParen)?;
            loop {
                table.bucketed_by.push(c.identifier()?);
                if !c.accept_token(&Token::Comma) {
                    break;
                }
            }
            c.expect_token(&Token::RParen)?;
            c.expect("INTO")?;
            table.buckets = c.literal()?.parse().map_err(|_| c.mismatch())?;
            c.expect("BUCKETS")?;
        } else if c.accept("LOCATION") {
            table.location = Some(c.string()?);
        } else if c.accept("TBLPROPERTIES") {
            table.properties = c.properties()?;
        } else {
            return Ok(());
        }
    }
}

fn delimited(c: &mut Cursor<'_, '_>, table: &mut CreateTable) -> Result<()> {
    loop {
        if c.accept("FIELDS") {
            c.expect("TERMINATED")?;
            c.expect("BY")?;
            let delimiter = unescape(&c.string()?);
            table.serde_properties.push(("field.delim".to_owned(), delimiter.clone()));
            table.serde_properties.push(("serialization.format".to_owned(), delimiter));
        } else if c.accept("ESCAPED") {
            c.expect("BY")?;
            let escape = unescape(&c.string()?);
            table.serde_properties.push(("escape.delim".to_owned(), escape));
        } else if c.accept("LINES") {
            c.expect("TERMINATED")?;
            c.expect("BY")?;
            let end = unescape(&c.string()?);
            table.serde_properties.push(("line.delim".to_owned(), end));
        } else if c.accept("COLLECTION") {
            c.expect("ITEMS")?;
            c.expect("TERMINATED")?;
            c.expect("BY")?;
            let delimiter = unescape(&c.string()?);
            table.serde_properties.push(("collection.delim".to_owned(), delimiter));
        } else if c.accept("MAP") {
            c.expect("KEYS")?;
            c.expect("TERMINATED")?;
            c.expect("BY")?;
            let delimiter = unescape(&c.string()?);
            table.serde_properties.push(("mapkey.delim".to_owned(), delimiter));
        } else if c.accept("NULL") {
            c.expect("DEFINED")?;
            c.expect("AS")?;
            let null = c.string()?;
            table.serde_properties.push(("serialization.null.format".to_owned(), null));
        } else {
            return Ok(());
        }
    }
}

fn unescape(text: &str) -> String {
    match text {
        "\\t" => "\t".to_owned(),
        "\\n" => "\n".to_owned(),
        "\\r" => "\r".to_owned(),
        "\\\\" => "\\".to_owned(),
        other => match other
            .strip_prefix('\\')
            .and_then(|digits| u32::from_str_radix(digits, 8).ok())
            .and_then(char::from_u32)
        {
            Some(c) => c.to_string(),
            None => other.to_owned(),
        },
    }
}

fn ctas(c: &mut Cursor<'_, '_>, name: Name, if_not_exists: bool) -> Result<Statement> {
    let properties = if c.accept("WITH") { c.with_properties()? } else { Vec::new() };
    c.expect("AS")?;
    // WITH [NO] DATA stands behind the query.
    let mut end = c.source.tokens.len();
    let word = |back: usize| end.checked_sub(back).and_then(|at| c.word_of(at));
    let mut with_data = true;
    if word(1).as_deref() == Some("DATA") {
        if word(2).as_deref() == Some("NO") && word(3).as_deref() == Some("WITH") {
            with_data = false;
            end -= 3;
        } else if word(2).as_deref() == Some("WITH") {
            end -= 2;
        }
    }
    let select = if end == c.source.tokens.len() {
        select(c.source, c.at)?
    } else {
        super::parse_query(c.source.text_between(c.at, end))?
    };
    Ok(Statement::Ctas(Box::new(Ctas { name, if_not_exists, properties, with_data, select })))
}

fn drop_statement(c: &mut Cursor<'_, '_>) -> Result<Statement> {
    c.at += 1;
    if c.accept("VIEW") {
        let if_exists = c.if_exists()?;
        let name = c.name()?;
        return c.end(Statement::DropView { name, if_exists });
    }
    if c.accept("DATABASE") || c.accept("SCHEMA") {
        let if_exists = c.if_exists()?;
        let name = c.database()?;
        let cascade = c.accept("CASCADE");
        c.accept("RESTRICT");
        return c.end(Statement::DropDatabase { name, if_exists, cascade });
    }
    c.expect("TABLE")?;
    let if_exists = c.if_exists()?;
    let name = c.name()?;
    c.accept("PURGE");
    c.end(Statement::DropTable { name, if_exists })
}

fn show(c: &mut Cursor<'_, '_>) -> Result<Statement> {
    c.at += 1;
    if c.accept("DATABASES") || c.accept("SCHEMAS") {
        c.in_database()?;
        let pattern = c.pattern()?;
        return c.end(Statement::ShowDatabases { pattern });
    }
    if c.accept("TABLES") {
        let database = c.in_database()?;
        let pattern = c.pattern()?;
        return c.end(Statement::ShowTables { database, pattern });
    }
    if c.accept("VIEWS") {
        let database = c.in_database()?;
        let pattern = c.pattern()?;
        return c.end(Statement::ShowViews { database, pattern });
    }
    if c.accept("COLUMNS") {
        if !c.accept("IN") {
            c.expect("FROM")?;
        }
        let mut table = c.name()?;
        if let Some(database) = c.in_database()? {
            if database.catalog.is_some() {
                table.catalog = database.catalog;
            }
            table.database = Some(database.name);
        }
        return c.end(Statement::ShowColumns { table });
    }
    if c.accept("PARTITIONS") {
        let table = c.name()?;
        return c.end(Statement::ShowPartitions { table });
    }
    if c.accept("CREATE") {
        if c.accept("VIEW") {
            let table = c.name()?;
            return c.end(Statement::ShowCreateView { table });
        }
        c.expect("TABLE")?;
        let table = c.name()?;
        return c.end(Statement::ShowCreateTable { table });
    }
    if c.accept("TBLPROPERTIES") {
        let table = c.name()?;
        let key = if c.accept_token(&Token::LParen) {
            let key = c.string()?;
            c.expect_token(&Token::RParen)?;
            Some(key)
        } else {
            None
        };
        return c.end(Statement::ShowProperties { table, key });
    }
    Err(c.mismatch())
}

fn alter(c: &mut Cursor<'_, '_>) -> Result<Statement> {
    c.at += 1;
    if c.accept("DATABASE") || c.accept("SCHEMA") {
        let name = c.database()?;
        c.expect("SET")?;
        c.expect("DBPROPERTIES")?;
        let properties = c.properties()?;
        return c.end(Statement::SetDatabaseProperties { name, properties });
    }
    c.expect("TABLE")?;
    let table = c.name()?;
    if c.accept("ADD") {
        return add(c, table);
    }
    if c.accept("DROP") {
        return alter_drop(c, table);
    }
    if c.accept("REPLACE") {
        c.expect("COLUMNS")?;
        let columns = c.columns()?;
        return c.end(Statement::ReplaceColumns { table, columns });
    }
    if c.accept("CHANGE") {
        return change(c, table);
    }
    if c.accept("RENAME") {
        c.expect("TO")?;
        let to = c.name()?;
        return c.end(Statement::RenameTable { table, to });
    }
    if c.accept("UNSET") {
        c.expect("TBLPROPERTIES")?;
        c.expect_token(&Token::LParen)?;
        let mut keys = Vec::new();
        loop {
            keys.push(c.string()?);
            if !c.accept_token(&Token::Comma) {
                break;
            }
        }
        c.expect_token(&Token::RParen)?;
        return c.end(Statement::UnsetProperties { table, keys });
    }
    let partition = if c.accept("PARTITION") { Some(c.partition_values()?) } else { None };
    if let Some(from) = &partition
        && c.accept("RENAME")
    {
        c.expect("TO")?;
        c.expect("PARTITION")?;
        let to = c.partition_values()?;
        return c.end(Statement::RenamePartition { table, from: from.clone(), to });
    }
    // ADD and REPLACE COLUMNS of a partition change the table's columns: Athena reads partitions by the table's schema.
    if partition.is_some() && c.accept("ADD") {
        return add(c, table);
    }
    c.expect("SET")?;
    if c.accept("LOCATION") {
        let location = c.string()?;
        return c.end(Statement::SetLocation { table, partition, location });
    }
    if partition.is_some() {
        return Err(c.mismatch());
    }
    c.expect("TBLPROPERTIES")?;
    let properties = c.properties()?;
    c.end(Statement::SetProperties { table, properties })
}

fn add(c: &mut Cursor<'_, '_>, table: Name) -> Result<Statement> {
    if c.accept("COLUMNS") || c.accept("COLUMN") {
        let columns = c.columns()?;
        return c.end(Statement::AddColumns { table, columns });
    }
    let if_not_exists = c.if_not_exists()?;
    let mut partitions = Vec::new();
    while c.accept("PARTITION") {
        let values = c.partition_values()?;
        let location = if c.accept("LOCATION") { Some(c.string()?) } else { None };
        partitions.push(PartitionSpec { values, location });
        c.accept_token(&Token::Comma);
    }
    if partitions.is_empty() {
        return Err(c.mismatch());
    }
    c.end(Statement::AddPartitions { table, if_not_exists, partitions })
}

fn alter_drop(c: &mut Cursor<'_, '_>, table: Name) -> Result<Statement> {
    if c.accept("COLUMN") {
        let column = c.identifier()?;
        return c.end(Statement::DropColumn { table, column });
    }
    let if_exists = c.if_exists()?;
    let mut partitions = Vec::new();
    while c.accept("PARTITION") {
        partitions.push(c.partition_values()?);
        c.accept_token(&Token::Comma);
    }
    if partitions.is_empty() {
        return Err(c.mismatch());
    }
    c.accept("PURGE");
    c.end(Statement::DropPartitions { table, if_exists, partitions })
}

/// `CHANGE [COLUMN] old new type [COMMENT '…'] [FIRST | AFTER column]`
fn change(c: &mut Cursor<'_, '_>, table: Name) -> Result<Statement> {
    c.accept("COLUMN");
    let old = c.identifier()?;
    let name = c.identifier()?;
    let ty = c.hive_type()?;
    let comment = if c.accept("COMMENT") { Some(c.string()?) } else { None };
    let place = if c.accept("FIRST") {
        Some(ColumnPosition::First)
    } else if c.accept("AFTER") {
        Some(ColumnPosition::After(c.identifier()?))
    } else {
        None
    };
    c.end(Statement::ChangeColumn { table, old, new: Column { comment, ..Column::new(name, ty) }, place })
}

fn insert(c: &mut Cursor<'_, '_>) -> Result<Statement> {
    c.at += 1;
    c.expect("INTO")?;
    let table = c.name()?;
    let mut columns = Vec::new();
    let is_query = |word: Option<String>| matches!(word.as_deref(), Some("SELECT" | "WITH" | "VALUES"));
    if c.peek() == Some(&Token::LParen) && !is_query(c.word_at(1)) {
        c.at += 1;
        loop {
            columns.push(c.identifier()?);
            if !c.accept_token(&Token::Comma) {
                break;
            }
        }
        c.expect_token(&Token::RParen)?;
    }
    let select = Box::new(select(c.source, c.at)?);
    Ok(Statement::Insert { table, columns, select })
}

/// Where the reading of a statement's tokens stands.
pub(super) struct Cursor<'a, 't> {
    pub(super) source: &'a Source<'t>,
    pub(super) at: usize,
}

impl Cursor<'_, '_> {
    fn peek(&self) -> Option<&Token> {
        self.source.tokens.get(self.at).map(|token| &token.token)
    }

    /// The keyword at a position, upper case; `None` for anything else.
    fn word_of(&self, at: usize) -> Option<String> {
        match &self.source.tokens.get(at)?.token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
            _ => None,
        }
    }

    fn word_at(&self, ahead: usize) -> Option<String> {
        self.word_of(self.at + ahead)
    }

    pub(super) fn word(&self) -> Option<String> {
        self.word_at(0)
    }

    pub(super) fn mismatch(&self) -> Error {
        match self.source.tokens.get(self.at) {
            Some(token) => self.source.mismatched(token),
            None => self.source.mismatched(&TokenWithSpan::new_eof()),
        }
    }

    pub(super) fn accept(&mut self, keyword: &str) -> bool {
        let found = self.word().as_deref() == Some(keyword);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, keyword: &str) -> Result<()> {
        if self.accept(keyword) { Ok(()) } else { Err(self.mismatch()) }
    }

    pub(super) fn accept_token(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.accept_token(token) { Ok(()) } else { Err(self.mismatch()) }
    }

    pub(super) fn end(&self, statement: Statement) -> Result<Statement> {
        if self.at == self.source.tokens.len() { Ok(statement) } else { Err(self.mismatch()) }
    }

    fn if_not_exists(&mut self) -> Result<bool> {
        if !self.accept("IF") {
            return Ok(false);
        }
        self.expect("NOT")?;
        self.expect("EXISTS")?;
        Ok(true)
    }

    fn if_exists(&mut self) -> Result<bool> {
        if !self.accept("IF") {
            return Ok(false);
        }
        self.expect("EXISTS")?;
        Ok(true)
    }

    /// A name in backticks, double quotes or none, lower case.
    pub(super) fn identifier(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let name = word.value.to_lowercase();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.mismatch()),
        }
    }

    pub(super) fn name(&mut self) -> Result<Name> {
        let at = self.source.tokens.get(self.at).map_or((1, 1), |t| (t.span.start.line, t.span.start.column));
        let mut parts = vec![self.identifier()?];
        while self.accept_token(&Token::Period) {
            parts.push(self.identifier()?);
        }
        // `db.table` in one pair of backticks is what some clients write.
        if parts.len() == 1 && parts[0].contains('.') {
            parts = parts[0].split('.').map(str::to_owned).collect();
        }
        let name = parts.pop().unwrap_or_default();
        let database = parts.pop();
        let catalog = parts.pop();
        if parts.is_empty() { Ok(Name { catalog, database, name, at }) } else { Err(self.mismatch()) }
    }

    /// A database's name, its catalog before it.
    fn database(&mut self) -> Result<Name> {
        let Name { catalog, database, name, at } = self.name()?;
        if catalog.is_some() {
            return Err(self.mismatch());
        }
        Ok(Name { catalog: database, database: None, name, at })
    }

    fn in_database(&mut self) -> Result<Option<Name>> {
        if self.accept("IN") || self.accept("FROM") {
            return self.database().map(Some);
        }
        Ok(None)
    }

    fn pattern(&mut self) -> Result<Option<String>> {
        let like = self.accept("LIKE");
        match self.peek() {
            Some(Token::SingleQuotedString(_) | Token::DoubleQuotedString(_)) => Ok(Some(self.string()?)),
            _ if like => Err(self.mismatch()),
            _ => Ok(None),
        }
    }

    fn string(&mut self) -> Result<String> {
        let text = match self.peek() {
            Some(Token::SingleQuotedString(text) | Token::DoubleQuotedString(text)) => text.clone(),
            Some(Token::Word(word)) if word.quote_style == Some('"') => word.value.clone(),
            _ => return Err(self.mismatch()),
        };
        self.at += 1;
        Ok(text)
    }

    /// A literal as the text of its value.
    fn literal(&mut self) -> Result<String> {
        let text = match self.peek() {
            Some(Token::Number(text, _)) => text.clone(),
            Some(Token::Minus) => {
                self.at += 1;
                return Ok(format!("-{}", self.literal()?));
            }
            Some(Token::Word(word)) if word.quote_style.is_none() => {
                let word = word.value.clone();
                // DATE '2017-01-01', TIMESTAMP '…'
                if matches!(self.source.tokens.get(self.at + 1).map(|t| &t.token), Some(Token::SingleQuotedString(_))) {
                    self.at += 1;
                    return self.string();
                }
                word
            }
            _ => return self.string(),
        };
        self.at += 1;
        Ok(text)
    }

    fn array(&mut self) -> Result<Vec<String>> {
        self.expect_token(&Token::LBracket)?;
        let mut items = Vec::new();
        while !self.accept_token(&Token::RBracket) {
            items.push(self.string()?);
            self.accept_token(&Token::Comma);
        }
        Ok(items)
    }

    /// `(key = 'text', key = ARRAY['…'], …)` behind the WITH of CTAS and UNLOAD.
    fn with_properties(&mut self) -> Result<Vec<(String, Property)>> {
        self.expect_token(&Token::LParen)?;
        let mut properties = Vec::new();
        loop {
            let key = self.identifier()?;
            if properties.iter().any(|(known, _)| *known == key) {
                let text = format_args!("line 1:1: Duplicate property: {key}");
                return Err(Error::user(1006, "DUPLICATE_PROPERTY", text));
            }
            self.expect_token(&Token::Eq)?;
            let value =
                if self.accept("ARRAY") { Property::List(self.array()?) } else { Property::Text(self.literal()?) };
            properties.push((key, value));
            if !self.accept_token(&Token::Comma) {
                break;
            }
        }
        self.expect_token(&Token::RParen)?;
        Ok(properties)
    }

    /// `(dt string, …)` of Hive, or `(dt, bucket(16, id), …)` of Iceberg.
    fn partitioning(&mut self, table: &mut CreateTable) -> Result<()> {
        let bare = matches!(
            self.source.tokens.get(self.at + 2).map(|token| &token.token),
            Some(Token::Comma | Token::RParen | Token::LParen)
        );
        if !bare {
            table.partition_keys = self.columns()?;
            return Ok(());
        }
        self.expect_token(&Token::LParen)?;
        loop {
            let start = self.at;
            self.identifier()?;
            if self.peek() == Some(&Token::LParen) {
                self.skip_parentheses()?;
            }
            table.partitioning.push(self.source.text_between(start, self.at).replace(['`', '"'], "").to_lowercase());
            if !self.accept_token(&Token::Comma) {
                break;
            }
        }
        self.expect_token(&Token::RParen)
    }

    /// `('k' = 'v', …)`
    fn properties(&mut self) -> Result<Vec<(String, String)>> {
        self.expect_token(&Token::LParen)?;
        let mut properties = Vec::new();
        loop {
            let key = match self.peek() {
                Some(Token::Word(word)) if word.quote_style.is_none() => self.identifier()?,
                _ => self.string()?,
            };
            self.expect_token(&Token::Eq)?;
            properties.push((key, self.literal()?));
            if !self.accept_token(&Token::Comma) {
                break;
            }
        }
        self.expect_token(&Token::RParen)?;
        Ok(properties)
    }

    /// `(k = v, …)`
    fn partition_values(&mut self) -> Result<Vec<(String, String)>> {
        self.expect_token(&Token::LParen)?;
        let mut values = Vec::new();
        loop {
            let key = self.identifier()?;
            self.expect_token(&Token::Eq)?;
            values.push((key, self.literal()?));
            if !self.accept_token(&Token::Comma) {
                break;
            }
        }
        self.expect_token(&Token::RParen)?;
        Ok(values)
    }

    /// `(name type [COMMENT '…'], …)`
    fn columns(&mut self) -> Result<Vec<Column>> {
        self.expect_token(&Token::LParen)?;
        let mut columns = Vec::new();
        loop {
            let name = self.identifier()?;
            let ty = self.hive_type()?;
            let comment = if self.accept("COMMENT") { Some(self.string()?) } else { None };
            columns.push(Column { comment, ..Column::new(name, ty) });
            if !self.accept_token(&Token::Comma) {
                break;
            }
        }
        self.expect_token(&Token::RParen)?;
        Ok(columns)
    }

    /// The type's text up to the comma, parenthesis or COMMENT that ends it.
    fn hive_type(&mut self) -> Result<String> {
        let start = self.at;
        let mut depth = 0i32;
        while let Some(token) = self.peek() {
            match token {
                Token::LParen | Token::Lt => depth += 1,
                Token::RParen | Token::Comma if depth == 0 => break,
                Token::RParen | Token::Gt => depth -= 1,
                Token::ShiftRight => depth -= 2,
                Token::Word(_) if depth == 0 && self.at > start => break,
                _ => {}
            }
            self.at += 1;
        }
        let text = self.source.text_between(start, self.at);
        let ty: String = text.chars().filter(|c| !c.is_whitespace() && *c != '`').collect::<String>().to_lowercase();
        let ty = if ty == "integer" { "int".to_owned() } else { ty };
        if let Err(error) = crate::types::parse_hive_field("x", &ty) {
            let at = self.source.tokens.get(start).map_or((1, 1), |t| (t.span.start.line, t.span.start.column));
            return Err(Error::syntax(at.0, at.1, format_args!("mismatched input '{text}'. {error}")));
        }
        Ok(ty)
    }

    fn skip_parentheses(&mut self) -> Result<()> {
        let mut depth = 0;
        while let Some(token) = self.peek() {
            match token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
        Err(self.mismatch())
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn a_hive_table_with_everything() {
        let sql = "-- /* dbt */\nCREATE EXTERNAL TABLE IF NOT EXISTS `Db`.`T` (`A` INT COMMENT 'x', b struct<x:int,y:array<map<string,decimal(10,2)>>>)\n\
                   PARTITIONED BY (dt string) ROW FORMAT DELIMITED FIELDS TERMINATED BY '\\t' LINES TERMINATED BY '\\n' STORED AS TEXTFILE\n\
                   LOCATION 's3://b/p/' TBLPROPERTIES ('skip.header.line.count'='1', \"k\"=\"v\");";
        let Statement::CreateTable(table) = parse(sql).unwrap() else { unreachable!() };
        assert_eq!(table.name.as_ref().unwrap().database.as_deref(), Some("db"));
        assert_eq!(table.columns[1], Column::new("b", "struct<x:int,y:array<map<string,decimal(10,2)>>>"));
        assert_eq!(table.columns[0].comment.as_deref(), Some("x"));
        assert_eq!(table.serde_properties[0], ("field.delim".to_owned(), "\t".to_owned()));
        assert_eq!(table.properties[1], ("k".to_owned(), "v".to_owned()));
        assert_eq!(table.location.as_deref(), Some("s3://b/p/"));
    }

    #[test]
    fn statements_are_told_apart() {
        for (sql, expected) in [
            ("SELECT 1", "Select"),
            ("(SELECT 1)", "Select"),
            ("VALUES (1)", "Select"),
            ("EXPLAIN (TYPE LOGICAL) SELECT 1", "Explain"),
            ("create or replace view \"AwsDataCatalog\".\"d\".\"v\" as select 1 as a", "CreateView"),
            ("DROP VIEW IF EXISTS v;", "DropView"),
            (
                "CREATE TABLE a.b WITH (format='PARQUET', partitioned_by=ARRAY['x']) AS SELECT 1 AS x WITH NO DATA",
                "Ctas",
            ),
            ("INSERT INTO t (a, b) VALUES (1, 2)", "Insert"),
            ("insert into t (select 1);", "Insert"),
            ("DROP TABLE IF EXISTS `d`.`t` PURGE", "DropTable"),
            ("CREATE SCHEMA IF NOT EXISTS s LOCATION 's3://x/'", "CreateDatabase"),
            ("DROP DATABASE IF EXISTS s CASCADE", "DropDatabase"),
            ("SHOW TABLES IN d 'a*|b'", "ShowTables"),
            ("SHOW DATABASES LIKE 'x'", "ShowDatabases"),
            ("SHOW COLUMNS FROM t IN d", "ShowColumns"),
            ("SHOW PARTITIONS t", "ShowPartitions"),
            ("SHOW CREATE VIEW v", "ShowCreateView"),
            ("DESCRIBE EXTENDED `t`", "Describe"),
            ("MSCK REPAIR TABLE `t`;", "Repair"),
            (
                "ALTER TABLE t ADD IF NOT EXISTS PARTITION (a=1, b='x') LOCATION 's3://b/' PARTITION (a=2, b='y')",
                "AddPartitions",
            ),
            ("ALTER TABLE t DROP PARTITION (dt=DATE '2017-01-01', hour=1)", "DropPartitions"),
            ("ALTER TABLE t SET LOCATION 's3://b/'", "SetLocation"),
            ("ALTER TABLE t CHANGE COLUMN a b bigint COMMENT 'x' AFTER c", "ChangeColumn"),
            ("ALTER TABLE `d`.`t` RENAME TO `d`.`u`", "RenameTable"),
            ("ALTER TABLE t PARTITION (a=1) RENAME TO PARTITION (a=2)", "RenamePartition"),
            ("ALTER TABLE t UNSET TBLPROPERTIES ('a')", "UnsetProperties"),
            ("ALTER TABLE t DROP COLUMN a", "DropColumn"),
            ("ALTER DATABASE d SET DBPROPERTIES ('a'='b')", "SetDatabaseProperties"),
            (
                "CREATE DATABASE awsdatacatalog.d",
                "CreateDatabase { name: Name { catalog: Some(\"awsdatacatalog\"), database: None, name: \"d\"",
            ),
            ("UNLOAD (SELECT 1 AS a) TO 's3://b/x/' WITH (format='PARQUET', partitioned_by=ARRAY['a'])", "Unload"),
            ("PREPARE p FROM SELECT ?", "Prepared"),
            ("DEALLOCATE PREPARE p", "Prepared"),
            ("EXPLAIN (FORMAT JSON) INSERT INTO t SELECT 1", "Explain { statement: Insert"),
            ("DELETE FROM t WHERE a = 1", "Delete"),
            ("UPDATE t SET a = b + 1, c = 'x' WHERE d", "Update"),
            (
                "MERGE INTO t AS x USING (SELECT 1 AS i) AS s ON x.i = s.i WHEN MATCHED AND s.i > 0 THEN UPDATE SET a = s.i WHEN NOT MATCHED THEN INSERT (a) VALUES (s.i)",
                "Merge",
            ),
            ("OPTIMIZE t REWRITE DATA USING BIN_PACK WHERE a = 1", "Optimize"),
            ("VACUUM t", "Vacuum"),
        ] {
            let found = format!("{:?}", parse(sql).map_err(|e| format!("{sql}: {e}")).unwrap());
            assert!(found.starts_with(expected), "{sql}: {found}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        for (sql, expected) in [
            ("THIS IS NOT SQL", "line 1:1: mismatched input 'THIS'"),
            ("", "line 1:1: mismatched input '<EOF>'"),
            ("SELECT 1; SELECT 2", "line 1:9: mismatched input ';'. Only one sql statement is allowed"),
            ("DROP TABLE", "line 1:11: mismatched input '<EOF>'"),
            ("CREATE EXTERNAL TABLE t (a foo)", "line 1:28: mismatched input 'foo'"),
            ("CREATE OR REPLACE EXTERNAL TABLE t (a int)", "line 1:19: mismatched input 'EXTERNAL'"),
            ("CREATE OR VIEW v AS SELECT 1 AS a", "line 1:11: mismatched input 'VIEW'"),
            ("CREATE VIEW v SECURITY x AS SELECT 1 AS a", "line 1:15: mismatched input 'SECURITY'"),
            ("CREATE TABLE t WITH (format='ORC', format='ORC') AS SELECT 1 AS a", "DUPLICATE_PROPERTY: line 1:1"),
            ("EXPLAIN VERBOSE SELECT 1", "line 1:1: mismatched input 'VERBOSE'"),
        ] {
            let error = parse(sql).unwrap_err().message;
            assert!(error.starts_with(expected), "{sql}: {error}");
        }
        assert!(parse(&format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000))).is_err());
        assert!(parse("SELECT 'open").is_err());
    }
}
