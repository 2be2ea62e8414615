//! What kind of statement a text is: enough to say where its result goes and to refuse at once what nobody can read. The
//! worker parses it.

/// `StatementType`, `SubstatementType` and where the result goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) statement: &'static str,
    pub(crate) substatement: &'static str,
    pub(crate) output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Csv,
    Text,
    /// `tables/<id>`
    Tables,
    Plain,
}

impl Output {
    pub(crate) fn file(self, folder: &str, id: &str) -> String {
        let slash = if folder.ends_with('/') { "" } else { "/" };
        match self {
            Self::Csv => format!("{folder}{slash}{id}.csv"),
            Self::Text => format!("{folder}{slash}{id}.txt"),
            Self::Tables => format!("{folder}{slash}tables/{id}"),
            Self::Plain => format!("{folder}{slash}{id}"),
        }
    }
}

/// The kind of a statement; the error is a text with its place.
pub(crate) fn classify(sql: &str) -> Result<Kind, String> {
    let (line, column, body) = skip_blank(sql);
    let words: Vec<String> = body
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .take(40)
        .map(str::to_uppercase)
        .collect();
    let word = |i: usize| words.get(i).map_or("", String::as_str);
    let of = |statement, substatement, output| Ok(Kind { statement, substatement, output });
    let ddl = |substatement| of("DDL", substatement, Output::Text);
    let utility = |substatement| of("UTILITY", substatement, Output::Text);
    match (word(0), word(1)) {
        ("SELECT" | "WITH" | "VALUES" | "TABLE" | "EXECUTE", _) => of("DML", "SELECT", Output::Csv),
        _ if body.starts_with('(') => of("DML", "SELECT", Output::Csv),
        ("EXPLAIN", _) => of("DML", "EXPLAIN", Output::Text),
        ("INSERT", _) => of("DML", "INSERT", Output::Plain),
        ("UPDATE", _) => of("DML", "UPDATE", Output::Plain),
        ("DELETE", _) => of("DML", "DELETE", Output::Plain),
        ("MERGE", _) => of("DML", "MERGE", Output::Plain),
        ("UNLOAD", _) => of("DML", "UNLOAD", Output::Plain),
        ("CREATE", "EXTERNAL") => ddl("CREATE_TABLE"),
        ("CREATE", "TABLE") => {
            // CTAS has its query where a Hive table has its columns.
            let head = body.split_once('(').map_or(body, |(head, _)| head).to_uppercase();
            let ctas = head.split_whitespace().any(|word| word == "AS") || head.trim_end().ends_with(" WITH");
            if ctas { of("DDL", "CREATE_TABLE_AS_SELECT", Output::Tables) } else { ddl("CREATE_TABLE") }
        }
        ("CREATE", "DATABASE" | "SCHEMA") => ddl("CREATE_DATABASE"),
        ("CREATE", "VIEW" | "OR") => ddl("CREATE_VIEW"),
        ("DROP", "TABLE") => ddl("DROP_TABLE"),
        ("DROP", "VIEW") => ddl("DROP_VIEW"),
        ("DROP", "DATABASE" | "SCHEMA") => ddl("DROP_DATABASE"),
        ("ALTER", "DATABASE" | "SCHEMA") => ddl("ALTER_DATABASE_SET_DBPROPERTIES"),
        ("ALTER", _) => ddl("ALTER_TABLE"),
        ("MSCK", _) => ddl("MSCK_REPAIR_TABLE"),
        ("PREPARE" | "DEALLOCATE", _) => ddl("PREPARE"),
        ("SHOW", "CREATE") => utility(if word(2) == "VIEW" { "SHOW_CREATE_VIEW" } else { "SHOW_CREATE_TABLE" }),
        ("SHOW", "DATABASES" | "SCHEMAS") => utility("SHOW_DATABASES"),
        ("SHOW", "COLUMNS") => utility("SHOW_COLUMNS"),
        ("SHOW", "PARTITIONS") => utility("SHOW_PARTITIONS"),
        ("SHOW", "TBLPROPERTIES") => utility("SHOW_TBLPROPERTIES"),
        ("SHOW", "VIEWS") => utility("SHOW_VIEWS"),
        ("SHOW", _) => utility("SHOW_TABLES"),
        ("DESCRIBE" | "DESC", _) => utility("DESCRIBE_TABLE"),
        ("OPTIMIZE", _) => utility("OPTIMIZE"),
        ("VACUUM", _) => utility("VACUUM_TABLE"),
        _ => {
            let end = body.find(char::is_whitespace).unwrap_or(body.len());
            let found = if body.is_empty() { "<EOF>" } else { &body[..end] };
            Err(format!(
                "line {line}:{column}: mismatched input '{found}'. Expecting: 'ALTER', 'ANALYZE', 'CALL', 'COMMENT', 'COMMIT', 'CREATE', 'DEALLOCATE', \
                 'DELETE', 'DENY', 'DESC', 'DESCRIBE', 'DROP', 'EXECUTE', 'EXPLAIN', 'GRANT', 'INSERT', 'MERGE', 'PREPARE', 'REFRESH', 'RESET', \
                 'REVOKE', 'ROLLBACK', 'SET', 'SHOW', 'START', 'TRUNCATE', 'UNLOAD', 'UPDATE', 'USE', <query>"
            ))
        }
    }
}

/// Whether a statement does nothing but read: a query, also as EXPLAIN or EXECUTE IMMEDIATE names it. Trino runs what EXPLAIN ANALYZE
/// names. What is not understood here is taken for one that writes.
pub(crate) fn only_reads(sql: &str) -> bool {
    let body = skip_blank(sql).2;
    let after = |text: &'_ str, word: &str| {
        let head = text.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word))?;
        let rest = &text[head.len()..];
        (!rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')).then(|| skip_blank(rest).2.to_owned())
    };
    if let Some(rest) = after(body, "EXECUTE") {
        return after(&rest, "IMMEDIATE").and_then(|rest| quoted(&rest)).is_some_and(|text| only_reads(&text));
    }
    let Some(mut rest) = after(body, "EXPLAIN") else {
        return body.starts_with('(')
            || ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|word| after(body, word).is_some());
    };
    if let Some(analyzed) = after(&rest, "ANALYZE") {
        rest = after(&analyzed, "VERBOSE").unwrap_or(analyzed);
    } else if let Some(options) = rest.strip_prefix('(').map(|options| skip_blank(options).2)
        && (after(options, "TYPE").is_some() || after(options, "FORMAT").is_some())
    {
        let Some((_, statement)) = options.split_once(')') else { return false };
        rest = statement.to_owned();
    }
    // EXPLAIN of an EXPLAIN or EXECUTE is none.
    let rest = skip_blank(&rest).2;
    after(rest, "EXPLAIN").is_none() && after(rest, "EXECUTE").is_none() && only_reads(rest)
}

/// The text in single quotes at the head of another.
fn quoted(text: &str) -> Option<String> {
    let (mut found, mut rest) = (String::new(), text.strip_prefix('\'')?);
    loop {
        let (part, after) = rest.split_once('\'')?;
        found.push_str(part);
        match after.strip_prefix('\'') {
            Some(after) => {
                found.push('\'');
                rest = after;
            }
            None => return Some(found),
        }
    }
}

/// The text after white space and comments, and where it begins.
fn skip_blank(sql: &str) -> (usize, usize, &str) {
    let mut rest = sql;
    loop {
        rest = rest.trim_start();
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
        } else {
            break;
        }
    }
    let before = &sql[..sql.len() - rest.len()];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column, rest)
}

/// `PREPARE name FROM statement` → the name and the statement.
pub(crate) fn prepare(sql: &str) -> Option<(String, String)> {
    let (_, _, body) = skip_blank(sql);
    let body = body.trim_end().trim_end_matches(';').trim_end();
    let (name, rest) = name(strip_word(body, "PREPARE")?)?;
    Some((name, strip_word(rest, "FROM")?.to_owned()))
}

/// `DEALLOCATE PREPARE name` → the name.
pub(crate) fn deallocate(sql: &str) -> Option<String> {
    let (_, _, body) = skip_blank(sql);
    let body = body.trim_end().trim_end_matches(';').trim_end();
    let (name, rest) = name(strip_word(strip_word(body, "DEALLOCATE")?, "PREPARE")?)?;
    rest.is_empty().then_some(name)
}

/// A name, in double quotes or not, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    let (name, rest) = match text.strip_prefix('"') {
        Some(inner) => inner.split_once('"')?,
        None => text.split_at(text.find(char::is_whitespace).unwrap_or(text.len())),
    };
    (!name.is_empty()).then(|| (name.to_owned(), rest.trim()))
}

/// `EXECUTE name [USING a, b]` → the name and the texts of its parameters.
pub(crate) fn execute(sql: &str) -> Option<(String, Vec<String>)> {
    let (_, _, body) = skip_blank(sql);
    let body = body.trim_end().trim_end_matches(';').trim_end();
    let rest = strip_word(body, "EXECUTE")?;
    let (name, rest) = name(rest)?;
    if rest.is_empty() {
        return Some((name, Vec::new()));
    }
    let (mut parameters, mut current, mut quoted, mut depth) = (Vec::new(), String::new(), false, 0);
    for c in strip_word(rest, "USING")?.chars() {
        match c {
            '\'' => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parameters.push(std::mem::take(&mut current).trim().to_owned());
                continue;
            }
            _ => {}
        }
        current.push(c);
    }
    parameters.push(current.trim().to_owned());
    Some((name, parameters))
}

fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.get(..word.len())?;
    let rest = &text[word.len()..];
    (head.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace)).then(|| rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart() {
        for (sql, statement, substatement) in [
            ("  select 1", "DML", "SELECT"),
            ("-- x\n/* y */ WITH a AS (SELECT 1) SELECT * FROM a", "DML", "SELECT"),
            ("CREATE OR REPLACE VIEW v AS SELECT 1", "DDL", "CREATE_VIEW"),
            ("create table t with (format='PARQUET') as select 1", "DDL", "CREATE_TABLE_AS_SELECT"),
            ("CREATE TABLE a.b AS\nSELECT (1)", "DDL", "CREATE_TABLE_AS_SELECT"),
            ("CREATE TABLE t (a int) LOCATION 's3://x/'", "DDL", "CREATE_TABLE"),
            ("SHOW COLUMNS IN t", "UTILITY", "SHOW_COLUMNS"),
        ] {
            let kind = classify(sql).unwrap();
            assert_eq!((kind.statement, kind.substatement), (statement, substatement), "{sql}");
        }
        assert!(classify("\n  THIS IS").unwrap_err().starts_with("line 2:3: mismatched input 'THIS'"));
    }

    #[test]
    fn what_writes_is_seen_in_what_names_it() {
        for sql in [
            "SELECT 1",
            "-- x\n(SELECT 1)",
            "with a as (select 1) select * from a",
            "VALUES(1)",
            "TABLE t",
            "EXPLAIN SELECT 1",
            "explain analyze verbose select 1",
            "EXPLAIN ANALYZE(SELECT 1)",
            "EXPLAIN (TYPE DISTRIBUTED, FORMAT JSON) SELECT 1",
            "EXPLAIN (SELECT 1)",
            "EXECUTE IMMEDIATE 'SELECT ''a'' WHERE ? = 1' USING 1",
            "execute /* x */ immediate'select 1'",
        ] {
            assert!(only_reads(sql), "{sql}");
        }
        for sql in [
            "DELETE FROM t",
            "EXPLAIN ANALYZE INSERT INTO t SELECT 1",
            "EXPLAIN /* x */ ANALYZE -- y\n VERBOSE DELETE FROM t",
            "EXPLAIN INSERT INTO t SELECT 1",
            "EXPLAIN (TYPE LOGICAL) UPDATE t SET a = 1",
            "EXECUTE IMMEDIATE 'DELETE FROM t'",
            "EXECUTE IMMEDIATE '/* SELECT */ INSERT INTO t VALUES 1'",
            "EXECUTE IMMEDIATE 'EXPLAIN ANALYZE DELETE FROM t'",
            "EXECUTE IMMEDIATE 'EXECUTE IMMEDIATE ''DROP TABLE t'''",
            "EXECUTE IMMEDIATE U&'SELECT 1'",
            "EXECUTE IMMEDIATE ?",
            "EXPLAIN ANALYZE EXECUTE q",
            "EXECUTE q",
            "SELECTED",
        ] {
            assert!(!only_reads(sql), "{sql}");
        }
    }

    #[test]
    fn execute_has_a_name_and_parameters() {
        assert_eq!(
            execute("EXECUTE \"q1\" USING 'a,b', 2;"),
            Some(("q1".to_owned(), vec!["'a,b'".to_owned(), "2".to_owned()]))
        );
        assert_eq!(execute("execute q"), Some(("q".to_owned(), Vec::new())));
        assert_eq!(prepare("PREPARE q FROM\nSELECT ?;"), Some(("q".to_owned(), "SELECT ?".to_owned())));
        assert_eq!(prepare("PREPARE q"), None);
        assert_eq!(deallocate("deallocate prepare \"q 1\""), Some("q 1".to_owned()));
        assert_eq!(execute("EXECUTED q"), None);
        assert_eq!(execute("SELECT 1"), None);
    }
}
