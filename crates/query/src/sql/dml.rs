//! DELETE, UPDATE and MERGE: read by sqlparser, kept as the texts of which queries are made.

use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Delete as AstDelete, FromTable, Merge as AstMerge, MergeAction as AstAction,
    MergeClauseKind, MergeInsertKind, ObjectName, ObjectNamePart, Statement as AstStatement, TableFactor,
    TableWithJoins,
};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::dialect::Trino;
use super::{Delete, Merge, MergeAction, MergeClause, Name, Source, Statement, Update, grammar};
use crate::error::{Error, Result};

pub(super) fn statement(source: &Source<'_>) -> Result<Statement> {
    let tokens = grammar::readable(source.tokens_from(0).to_vec());
    let mut parser = Parser::new(&Trino).with_recursion_limit(100).with_tokens_with_locations(tokens);
    let parsed = parser.parse_statement().map_err(|error| source.parse_error(&error))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        return Err(source.mismatched(&next));
    }
    match parsed {
        AstStatement::Delete(delete) => self::delete(&delete),
        AstStatement::Update(update) => {
            let (table, _) = target(&update.table)?;
            if update.from.is_some() || update.returning.is_some() {
                return Err(unreadable("UPDATE"));
            }
            let condition = update.selection.as_ref().map(ToString::to_string);
            Ok(Statement::Update(Box::new(Update { table, assignments: assignments(&update.assignments)?, condition })))
        }
        AstStatement::Merge(merge) => self::merge(&merge),
        _ => Err(unreadable("this")),
    }
}

fn unreadable(what: &str) -> Error {
    Error::not_supported(format_args!("line 1:1: this form of {what}"))
}

fn delete(delete: &AstDelete) -> Result<Statement> {
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
    let [table] = tables.as_slice() else { return Err(unreadable("DELETE")) };
    if delete.using.is_some() || !delete.tables.is_empty() || delete.returning.is_some() || delete.limit.is_some() {
        return Err(unreadable("DELETE"));
    }
    let (table, _) = target(table)?;
    let condition = delete.selection.as_ref().map(ToString::to_string);
    Ok(Statement::Delete(Box::new(Delete { table, condition })))
}

fn merge(merge: &AstMerge) -> Result<Statement> {
    let (table, alias) = factor(&merge.table)?;
    let source_name = match &merge.source {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            alias.name.to_string()
        }
        TableFactor::Table { name, alias: None, .. } => {
            name.0.last().map(ToString::to_string).ok_or_else(|| unreadable("MERGE"))?
        }
        _ => return Err(unreadable("MERGE")),
    };
    let mut clauses = Vec::new();
    for clause in &merge.clauses {
        let matched = match clause.clause_kind {
            MergeClauseKind::Matched => true,
            MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => false,
            MergeClauseKind::NotMatchedBySource => return Err(unreadable("MERGE")),
        };
        let action = match (&clause.action, matched) {
            (AstAction::Delete { .. }, true) => MergeAction::Delete,
            (AstAction::Update(update), true) => MergeAction::Update(assignments(&update.assignments)?),
            (AstAction::Insert(insert), false) => {
                let MergeInsertKind::Values(values) = &insert.kind else { return Err(unreadable("MERGE")) };
                let [row] = values.rows.as_slice() else { return Err(unreadable("MERGE")) };
                MergeAction::Insert {
                    columns: insert.columns.iter().map(last).collect::<Result<_>>()?,
                    values: row.iter().map(ToString::to_string).collect(),
                }
            }
            _ => return Err(unreadable("MERGE")),
        };
        clauses.push(MergeClause { matched, condition: clause.predicate.as_ref().map(ToString::to_string), action });
    }
    Ok(Statement::Merge(Box::new(Merge {
        table,
        alias,
        source: merge.source.to_string(),
        source_name,
        on: merge.on.to_string(),
        clauses,
    })))
}

fn target(table: &TableWithJoins) -> Result<(Name, Option<String>)> {
    if table.joins.is_empty() { factor(&table.relation) } else { Err(unreadable("UPDATE and DELETE")) }
}

fn factor(factor: &TableFactor) -> Result<(Name, Option<String>)> {
    let TableFactor::Table { name, alias, .. } = factor else { return Err(unreadable("MERGE")) };
    Ok((self::name(name)?, alias.as_ref().map(|alias| alias.name.to_string())))
}

fn name(name: &ObjectName) -> Result<Name> {
    let idents = name.0.iter().map(ObjectNamePart::as_ident).collect::<Option<Vec<_>>>();
    let idents = idents.ok_or_else(|| unreadable("a name"))?;
    let start = idents.first().map(|ident| ident.span.start);
    let mut parts: Vec<String> = idents.iter().map(|ident| ident.value.to_lowercase()).collect();
    let name = parts.pop().ok_or_else(|| unreadable("a name"))?;
    let database = parts.pop();
    let catalog = parts.pop();
    Ok(Name { catalog, database, name, at: start.map_or((1, 1), |at| (at.line, at.column)) })
}

fn last(name: &ObjectName) -> Result<String> {
    let ident = name.0.last().and_then(ObjectNamePart::as_ident);
    ident.map(|ident| ident.value.to_lowercase()).ok_or_else(|| unreadable("a name"))
}

fn assignments(assignments: &[Assignment]) -> Result<Vec<(String, String)>> {
    let one = |assignment: &Assignment| match &assignment.target {
        AssignmentTarget::ColumnName(name) => Ok((last(name)?, assignment.value.to_string())),
        AssignmentTarget::Tuple(_) => Err(unreadable("UPDATE")),
    };
    assignments.iter().map(one).collect()
}
