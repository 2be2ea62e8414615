//! DELETE, UPDATE and MERGE by Trino's grammar (`SqlBase.g4`: `delete`, `update`, `merge`), kept as the texts of which queries are made.
//!
//! Expressions are kept as they stand in the statement. sqlparser's own printing of them is no SQL again where a text has an apostrophe
//! beside another or behind a backslash, and its statements have clauses that Trino's lack (LIMIT, TABLESAMPLE, `DELETE WHERE`).

use datafusion::sql::sqlparser::ast::TableFactor;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::ddl::Cursor;
use super::dialect::Trino;
use super::{Delete, Merge, MergeAction, MergeClause, Source, Statement, Update, grammar};
use crate::error::{Error, Result};

pub(super) fn statement(source: &Source<'_>) -> Result<Statement> {
    let mut c = Cursor { source, at: 0 };
    let statement = match c.word().as_deref() {
        Some("DELETE") => delete(&mut c)?,
        Some("UPDATE") => update(&mut c)?,
        _ => merge(&mut c)?,
    };
    c.end(statement)
}

fn delete(c: &mut Cursor<'_, '_>) -> Result<Statement> {
    c.expect("DELETE")?;
    c.expect("FROM")?;
    let table = c.name()?;
    let condition = condition(c, "WHERE")?;
    Ok(Statement::Delete(Box::new(Delete { table, condition })))
}

fn update(c: &mut Cursor<'_, '_>) -> Result<Statement> {
    c.expect("UPDATE")?;
    let table = c.name()?;
    c.expect("SET")?;
    let assignments = assignments(c)?;
    let condition = condition(c, "WHERE")?;
    Ok(Statement::Update(Box::new(Update { table, assignments, condition })))
}

fn merge(c: &mut Cursor<'_, '_>) -> Result<Statement> {
    c.expect("MERGE")?;
    c.expect("INTO")?;
    let table = c.name()?;
    let alias =
        if c.accept("AS") || c.word().as_deref() != Some("USING") { Some(quoted(&c.identifier()?)) } else { None };
    c.expect("USING")?;
    let (source, source_name) = relation(c)?;
    c.expect("ON")?;
    let on = expression(c)?;
    let mut clauses = vec![clause(c)?];
    while c.word().is_some() {
        clauses.push(clause(c)?);
    }
    Ok(Statement::Merge(Box::new(Merge { table, alias, source, source_name, on, clauses })))
}

fn clause(c: &mut Cursor<'_, '_>) -> Result<MergeClause> {
    c.expect("WHEN")?;
    let matched = !c.accept("NOT");
    c.expect("MATCHED")?;
    let condition = condition(c, "AND")?;
    c.expect("THEN")?;
    let action = if !matched {
        insert(c)?
    } else if c.accept("DELETE") {
        MergeAction::Delete
    } else {
        c.expect("UPDATE")?;
        c.expect("SET")?;
        MergeAction::Update(assignments(c)?)
    };
    Ok(MergeClause { matched, condition, action })
}

fn insert(c: &mut Cursor<'_, '_>) -> Result<MergeAction> {
    c.expect("INSERT")?;
    let mut columns = Vec::new();
    if c.accept_token(&Token::LParen) {
        columns = listed(c, column)?;
        c.expect_token(&Token::RParen)?;
    }
    c.expect("VALUES")?;
    c.expect_token(&Token::LParen)?;
    let values = listed(c, expression)?;
    c.expect_token(&Token::RParen)?;
    Ok(MergeAction::Insert { columns, values })
}

fn column(c: &mut Cursor<'_, '_>) -> Result<String> {
    c.identifier()
}

/// `column = value, …`; a column is one name, none of a row's members.
fn assignments(c: &mut Cursor<'_, '_>) -> Result<Vec<(String, String)>> {
    listed(c, |c| {
        let name = column(c)?;
        c.expect_token(&Token::Eq)?;
        Ok((name, expression(c)?))
    })
}

fn listed<T>(c: &mut Cursor<'_, '_>, mut item: impl FnMut(&mut Cursor<'_, '_>) -> Result<T>) -> Result<Vec<T>> {
    let mut items = vec![item(c)?];
    while c.accept_token(&Token::Comma) {
        items.push(item(c)?);
    }
    Ok(items)
}

fn condition(c: &mut Cursor<'_, '_>, keyword: &str) -> Result<Option<String>> {
    if c.accept(keyword) { expression(c).map(Some) } else { Ok(None) }
}

/// The text of an expression, which stands at the cursor.
pub(super) fn expression(c: &mut Cursor<'_, '_>) -> Result<String> {
    Ok(read(c, Parser::parse_expr)?.0)
}

/// What MERGE takes rows from: its text, and the name under which its columns are known.
fn relation(c: &mut Cursor<'_, '_>) -> Result<(String, String)> {
    let (text, factor) = read(c, Parser::parse_table_factor)?;
    let name = match &factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(&alias.name.value)
        }
        TableFactor::Table { name, alias: None, .. } => {
            name.0.last().and_then(|part| part.as_ident()).map(|ident| &ident.value)
        }
        _ => None,
    };
    let name = name.ok_or_else(|| Error::not_supported("line 1:1: this form of MERGE"))?;
    Ok((text, quoted(name)))
}

/// What sqlparser reads at the cursor, and its text as it stands in the statement.
fn read<T>(
    c: &mut Cursor<'_, '_>,
    parse: impl FnOnce(&mut Parser<'static>) -> std::result::Result<T, ParserError>,
) -> Result<(String, T)> {
    let start = c.at;
    let tokens = grammar::readable(c.source.tokens_from(start).to_vec());
    let mut parser = Parser::new(&Trino).with_recursion_limit(100).with_tokens_with_locations(tokens);
    let parsed = parse(&mut parser).map_err(|error| c.source.parse_error(&error))?;
    let next = parser.peek_token();
    // The tokens that sqlparser reads are others than the statement's; their places are the same.
    c.at = match next.token {
        Token::EOF => c.source.tokens.len(),
        _ => c.source.tokens.partition_point(|token| token.span.start < next.span.start),
    };
    if c.at <= start {
        return Err(c.mismatch());
    }
    Ok((c.source.text_between(start, c.at).to_owned(), parsed))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.to_lowercase().replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::super::{MergeAction, Statement, parse};

    #[test]
    fn texts_are_kept_as_they_are_written() {
        let sql = "UPDATE q SET sql = 'WHERE name = ''''', p = 'C:\\''s' -- why\n WHERE x = 1 OR id = 1_000";
        let Statement::Update(update) = parse(sql).unwrap() else { panic!("no UPDATE") };
        assert_eq!(
            update.assignments,
            [("sql".to_owned(), "'WHERE name = '''''".to_owned()), ("p".to_owned(), "'C:\\''s'".to_owned())]
        );
        assert_eq!(update.condition.as_deref(), Some("x = 1 OR id = 1_000"));
        let sql = "MERGE INTO t AS x USING (SELECT 1 AS i, 'a''''b' AS s) AS \"S s\" ON x.s = '5''''x3' \
                   WHEN MATCHED AND x.s = '''' THEN UPDATE SET a = '''' || CAST(s.i AS varchar), b = 2 \
                   WHEN NOT MATCHED THEN INSERT (a, b) VALUES ('''', TRIM(BOTH FROM 'x'))";
        let Statement::Merge(merge) = parse(sql).unwrap() else { panic!("no MERGE") };
        assert_eq!(merge.source, "(SELECT 1 AS i, 'a''''b' AS s) AS \"S s\"");
        assert_eq!((merge.source_name.as_str(), merge.alias.as_deref()), ("\"s s\"", Some("\"x\"")));
        assert_eq!(merge.on, "x.s = '5''''x3'");
        assert_eq!(merge.clauses[0].condition.as_deref(), Some("x.s = ''''"));
        let MergeAction::Update(assignments) = &merge.clauses[0].action else { panic!("no UPDATE") };
        assert_eq!(assignments[0].1, "'''' || CAST(s.i AS varchar)");
        let MergeAction::Insert { columns, values } = &merge.clauses[1].action else { panic!("no INSERT") };
        assert_eq!(columns, &["a", "b"]);
        assert_eq!(values, &["''''", "TRIM(BOTH FROM 'x')"]);
    }

    /// Each is a syntax error of Trino's.
    #[test]
    fn clauses_of_other_languages_are_refused() {
        for sql in [
            "UPDATE t SET state = 'x' WHERE state = 'new' LIMIT 100",
            "UPDATE t SET state = 'x' LIMIT 100",
            "UPDATE t SET a = 1 ORDER BY a",
            "UPDATE t SET a = 1 FROM s WHERE t.i = s.i",
            "UPDATE t SET a = 1 RETURNING a",
            "UPDATE OR REPLACE t SET a = 1",
            "UPDATE t AS x SET a = 1",
            "UPDATE t SET address.city = 'x'",
            "UPDATE t SET (a, b) = (1, 2)",
            "DELETE FROM t LIMIT 1",
            "DELETE FROM t WHERE a = 1 ORDER BY a",
            "DELETE FROM t USING s WHERE t.i = s.i",
            "DELETE FROM t AS x WHERE x.a = 1",
            "DELETE FROM t TABLESAMPLE BERNOULLI (1)",
            "DELETE FROM t PARTITION (p2023)",
            "DELETE FROM t FOR VERSION AS OF 123",
            "DELETE FROM t, u",
            "DELETE t FROM t",
            "DELETE FROM t WHERE a = 1 RETURNING a",
            "DELETE FROM a.b.c.d",
            "MERGE INTO t TABLESAMPLE BERNOULLI (1) USING s ON t.i = s.i WHEN MATCHED THEN DELETE",
            "MERGE INTO t USING s ON t.i = s.i",
            "MERGE INTO t USING s ON t.i = s.i WHEN MATCHED THEN UPDATE SET v = s.v WHERE s.v > t.v",
            "MERGE INTO t USING s ON t.i = s.i WHEN MATCHED THEN UPDATE SET v = s.v DELETE WHERE s.gone",
            "MERGE INTO t USING s ON t.i = s.i WHEN MATCHED THEN UPDATE SET t.v = s.v",
            "MERGE INTO t USING s ON t.i = s.i WHEN NOT MATCHED THEN INSERT (i) VALUES (s.i) WHERE s.active",
            "MERGE INTO t USING s ON t.i = s.i WHEN NOT MATCHED THEN INSERT (i) VALUES (s.i), (2)",
            "MERGE INTO t USING s ON t.i = s.i WHEN NOT MATCHED THEN INSERT ROW",
            "MERGE INTO t USING s ON t.i = s.i WHEN NOT MATCHED BY SOURCE THEN DELETE",
            "MERGE INTO t USING s ON t.i = s.i WHEN NOT MATCHED THEN DELETE",
            "MERGE INTO t USING s ON t.i = s.i WHEN MATCHED THEN DELETE OUTPUT i",
            "OPTIMIZE t REWRITE DATA USING BIN_PACK WHERE a = 1 LIMIT 1",
            "OPTIMIZE t REWRITE DATA USING BIN_PACK WHERE a = 1 GROUP BY a",
        ] {
            let error = parse(sql).map(|read| format!("{read:?}")).unwrap_err();
            assert!(error.message.contains("mismatched input"), "{sql}: {}", error.message);
        }
    }
}
