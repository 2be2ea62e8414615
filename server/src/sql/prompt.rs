//! The prompt of `lakerun sql`: statements over several lines, and the commands that begin with a backslash.
//!
//! Editing, a history that is kept and completion by Tab are `rlwrap`'s, where the machine has it: the prompt begins again under it, with
//! the names of the catalog and the keywords as its words.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

use super::{SqlArgs, Tables, ask, catalog, describe, show};
use crate::client::Client;
use crate::info::complain;

/// Where it remembers its statements, and the words that it completes: below the folder of what the user's programs remember.
const REMEMBERED: &str = "lakerun";
/// Statements that are remembered.
const MOST: &str = "2000";

const HELP: &str = "  a statement   ends with ; and may have several lines
  \\d            tables, with how many columns each has
  \\d NAME       a table's columns, or a database's tables
  \\l            databases
  \\c DATABASE   the database of names without one
  \\q            leave (Ctrl-D does too)
  With rlwrap on the PATH, Tab completes keywords and the catalog's names, and arrows and Ctrl-R go through the history.";

/// Keywords that are completed. Source: Athena's user guide, "SQL reference for Athena".
const KEYWORDS: &str = "ALTER ANALYZE AND AS ASC BETWEEN BY CASE CAST CREATE CROSS DATABASE DATABASES DELETE DESC DESCRIBE DISTINCT DROP \
    ELSE END EXCEPT EXECUTE EXISTS EXPLAIN EXTERNAL FALSE FROM FULL GROUP HAVING IN INNER INSERT INTERSECT INTERVAL INTO IS JOIN LATERAL \
    LEFT LIKE LIMIT LOCATION MERGE MSCK NOT NULL OFFSET ON OR ORDER OUTER OVER PARTITION PARTITIONED PARTITIONS PREPARE REPAIR RIGHT \
    ROW SELECT SET SHOW STORED TABLE TABLES TBLPROPERTIES THEN TO TRUE UNION UNLOAD UNNEST UPDATE USING VALUES VIEW VIEWS WHEN WHERE \
    WINDOW WITH";

/// Statements and commands, one after the other, until it is left.
pub(super) async fn run(client: &Client, asked: &SqlArgs) -> Result<ExitCode> {
    let mut asked = asked.clone();
    if !asked.plain {
        wrapped(&catalog(client).await.unwrap_or_default());
    }
    complain("Statements end with ;  \\? shows the commands, \\q leaves.");
    let mut statement = String::new();
    loop {
        let _ = write!(std::io::stderr(), "{}", if statement.is_empty() { "sql> " } else { "...> " });
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line)? == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        statement.push_str(&line);
        if !is_whole(&statement) {
            continue;
        }
        match command(client, &mut asked, std::mem::take(&mut statement).trim()).await {
            Ok(Done::Leave) => return Ok(ExitCode::SUCCESS),
            Ok(Done::Next) => {}
            Err(error) => complain(&format!("{error:#}")),
        }
    }
}

/// Begins this program again under `rlwrap`; comes back where that cannot be.
fn wrapped(tables: &Tables) {
    let Ok(program) = std::env::current_exe() else { return };
    if !has_width() {
        return;
    }
    // Without a history there is completion all the same, and the other way round.
    let files = remembered().and_then(|folder| {
        let words = folder.join("sql_words");
        std::fs::write(&words, words_of(tables)).ok()?;
        Some((folder.join("sql_history"), words))
    });
    let mut command = Command::new("rlwrap");
    command.args(["--no-warnings", "--case-insensitive", "--histsize", MOST, "--remember"]);
    if let Some((history, words)) = files {
        command.arg("--history-filename").arg(history).arg("--file").arg(words);
    }
    // It comes back only where it fails: most have no rlwrap, and a line that the terminal edits is as good.
    let _ = command.arg(program).args(std::env::args_os().skip(1)).arg("--plain").exec();
}

/// Whether the terminal says how wide it is: rlwrap ends where it does not.
fn has_width() -> bool {
    let size = Command::new("stty").arg("size").stdin(std::process::Stdio::inherit()).output();
    let text = size.map(|size| String::from_utf8_lossy(&size.stdout).into_owned()).unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|width| width.parse::<u32>().ok()).is_some_and(|width| width > 0)
}

/// A word a line.
fn words_of(tables: &Tables) -> String {
    let mut words: Vec<String> = KEYWORDS.split_whitespace().map(str::to_owned).collect();
    for (table, columns) in tables {
        words.extend(table.split_once('.').map(|(_, short)| short.to_owned()));
        words.push(table.clone());
        words.extend(columns.iter().map(|(column, _)| column.clone()));
    }
    words.sort_unstable();
    words.dedup();
    words.retain(|word| !word.contains(char::is_whitespace));
    words.join("\n") + "\n"
}

/// Its folder, which only its user reads. Source: XDG Base Directory Specification, `XDG_STATE_HOME`.
fn remembered() -> Option<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    let state = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let state = state.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")))?;
    let folder = state.join(REMEMBERED);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    Some(folder)
}

/// A command, the word that leaves, or a statement up to its semicolon.
fn is_whole(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || text.starts_with('\\') || ["quit", "exit"].contains(&text) || text.ends_with(';')
}

/// What comes after a line.
enum Done {
    Leave,
    Next,
}

async fn command(client: &Client, asked: &mut SqlArgs, text: &str) -> Result<Done> {
    let Some(line) = text.strip_prefix('\\') else {
        match text.trim_end_matches(';').trim_end() {
            "" => {}
            "quit" | "exit" => return Ok(Done::Leave),
            _ => show(&ask(client, asked, text).await?, asked.output)?,
        }
        return Ok(Done::Next);
    };
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim().trim_end_matches(';').trim_end();
    match (name.trim_end_matches(';'), rest) {
        ("q", _) => return Ok(Done::Leave),
        ("?" | "h" | "help", _) => complain(HELP),
        ("d" | "dt", _) => describe(&catalog(client).await?, rest, &asked.database)?,
        ("l", _) => show(&ask(client, asked, "SHOW DATABASES").await?, asked.output)?,
        ("c", "") => complain(&format!("names without a database are of {}", asked.database)),
        ("c", database) => {
            let named = client.json("glue", "AWSGlue.GetDatabase", &serde_json::json!({ "Name": database })).await;
            named.with_context(|| format!("there is no database {database}"))?;
            database.clone_into(&mut asked.database);
        }
        (other, _) => bail!("there is no command \\{other}: \\? shows those that there are"),
    }
    Ok(Done::Next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_catalog_are_words() {
        let column = |name: &str| (name.to_owned(), "string".to_owned());
        let tables = vec![("shop.orders".to_owned(), vec![column("city"), column("two words"), column("city")])];
        let words = words_of(&tables);
        let own: Vec<&str> = words.lines().filter(|word| word.chars().all(|c| !c.is_uppercase())).collect();
        assert_eq!(own, ["city", "orders", "shop.orders"]);
        assert!(words.lines().any(|word| word == "SELECT"));
    }

    #[test]
    fn a_statement_is_whole_at_its_semicolon() {
        let whole = ["", "\\d", "quit", "SELECT 1", "SELECT 1\n", "SELECT\n1;", "SELECT 1; "].map(is_whole);
        assert_eq!(whole, [true, true, true, false, false, true, true]);
    }
}
