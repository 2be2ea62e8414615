//! ExecuteStatement, BatchExecuteStatement and ExecuteTransaction: PartiQL over the reads and writes of the other operations.

use api_dynamodb::{
    AttributeValue, BatchExecuteStatement, BatchExecuteStatementInput, BatchExecuteStatementOutput,
    BatchStatementError, BatchStatementRequest, BatchStatementResponse, ConsumedCapacity, ExecuteStatement,
    ExecuteStatementInput, ExecuteStatementOutput, ExecuteTransaction, ExecuteTransactionInput,
    ExecuteTransactionOutput, ItemResponse,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use service::{Cx, Handle};
use store::Tx;
use wire::Error;

use super::query::check_types;
use super::transact_write_items::{Token, cancelled};
use crate::capacity::{Transaction, Units, read_factor};
use crate::expr::{Condition, Path, Projection};
use crate::partiql::{Returning, Select, Statement};
use crate::read::{Page, Range, Request, page};
use crate::table::{Index, Projected, Table};
use crate::throttle::Kind;
use crate::value::{Item, item_size};
use crate::write::{Home, Written};
use crate::{DynamoDb, Invalid, convert};

const MAX_BATCH: usize = 25;
const MAX_TRANSACTION: usize = 100;

#[async_trait]
impl Handle<ExecuteStatement> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: ExecuteStatementInput) -> Result<ExecuteStatementOutput, Error> {
        let statement = parse(&req.statement, req.parameters)?;
        authorize(cx, &statement).await?;
        let asked = req.return_consumed_capacity.as_deref();
        if let Statement::Select(select) = &statement {
            let limit = super::query::limit(req.limit)?;
            let start = req.next_token.as_deref().map(|token| Next::read(token, &req.statement)).transpose()?;
            let read = self.select(cx, select, limit, start, req.consistent_read).await?;
            let next_token = read.page.last.as_ref().map(|last| Next::token(last, &req.statement)).transpose()?;
            return Ok(ExecuteStatementOutput {
                items: Some(read.page.items.into_iter().map(convert::attributes).collect()),
                last_evaluated_key: read.page.last.map(convert::attributes),
                next_token,
                consumed_capacity: read.units.answer(statement.table(), asked),
            });
        }
        let old = req.return_values_on_condition_check_failure.as_deref() == Some("ALL_OLD");
        let (items, consumed_capacity) = self.change(cx, statement, old, req.return_consumed_capacity.clone()).await?;
        Ok(ExecuteStatementOutput { items: Some(items), consumed_capacity, ..ExecuteStatementOutput::default() })
    }
}

#[async_trait]
impl Handle<BatchExecuteStatement> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: BatchExecuteStatementInput) -> Result<BatchExecuteStatementOutput, Error> {
        if req.statements.is_empty() || req.statements.len() > MAX_BATCH {
            return Err(Error::validation(format!(
                "1 validation error detected: Value '[...]' at 'statements' failed to satisfy constraint: Member must \
                 have length less than or equal to {MAX_BATCH}"
            )));
        }
        let reads = req.statements.iter().filter(|one| is_select(&one.statement)).count();
        if reads != 0 && reads != req.statements.len() {
            return Err(Error::validation("Batch can either contain all read or all write statements"));
        }
        let (mut responses, mut consumed) = (Vec::with_capacity(req.statements.len()), Vec::new());
        for one in req.statements {
            match self.one_of_batch(cx, one, req.return_consumed_capacity.as_deref()).await {
                Ok((response, capacity)) => {
                    responses.push(response);
                    consumed.extend(capacity);
                }
                Err(error) if error.status() < 500 => responses.push(failed(&error)),
                Err(error) => return Err(error),
            }
        }
        Ok(BatchExecuteStatementOutput {
            responses: Some(responses),
            consumed_capacity: (!consumed.is_empty()).then_some(consumed),
        })
    }
}

#[async_trait]
impl Handle<ExecuteTransaction> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: ExecuteTransactionInput) -> Result<ExecuteTransactionOutput, Error> {
        if req.transact_statements.is_empty() || req.transact_statements.len() > MAX_TRANSACTION {
            return Err(Error::validation(format!(
                "1 validation error detected: Value '[...]' at 'transactStatements' failed to satisfy constraint: \
                 Member must have length less than or equal to {MAX_TRANSACTION}"
            )));
        }
        let asked: Vec<_> = req.transact_statements.iter().map(|one| (&one.statement, &one.parameters)).collect();
        let request = Token::new(cx, &asked)?;
        let mut statements = Vec::with_capacity(req.transact_statements.len());
        for one in req.transact_statements {
            let statement = parse(&one.statement, one.parameters)?;
            authorize(cx, &statement).await?;
            statements.push((statement, one.return_values_on_condition_check_failure.as_deref() == Some("ALL_OLD")));
        }
        let reads = statements.iter().filter(|(statement, _)| statement.reads()).count();
        if reads != 0 && reads != statements.len() {
            return Err(Error::validation("Transaction can either contain all read or all write statements"));
        }
        let asked = req.return_consumed_capacity;
        if reads > 0 {
            return self.read_together(cx, statements, asked.as_deref()).await;
        }
        let home = Home::of(cx);
        let writes = self
            .store
            .read(|tx| {
                let write = |tx: &mut Tx<'_>, (statement, old): &(Statement, bool)| {
                    let table = home.table(tx, statement.table())?;
                    Ok::<_, Error>(statement.write(&table, *old)?)
                };
                statements.iter().map(|one| write(tx, one)).collect::<Result<Vec<_>, Error>>()
            })
            .await?;
        let responses = writes.iter().map(|_| ItemResponse::default()).collect();
        let token = req.client_request_token.map(|token| (token, request));
        let (consumed_capacity, _) = self.transact(cx, writes, token, asked, false).await?;
        Ok(ExecuteTransactionOutput { responses: Some(responses), consumed_capacity })
    }
}

/// What a SELECT read.
struct Read {
    page: Page,
    units: Units,
}

impl DynamoDb {
    async fn select(
        &self,
        cx: &Cx,
        select: &Select,
        limit: Option<usize>,
        start: Option<Item>,
        consistent: Option<bool>,
    ) -> Result<Read, Error> {
        let (home, now_ms) = (Home::of(cx), cx.now().as_millisecond());
        self.store
            .read(|tx| {
                let table = home.table(tx, &select.table)?;
                let index = select.index.as_deref().map(|name| table.readable_index(name)).transpose()?;
                super::query::refuse_consistent(index, consistent)?;
                table.admit(Kind::Read, index, now_ms)?;
                let read = read(tx, &table, index, select, limit, start.as_ref())?;
                let factor = read_factor(consistent);
                let units = Units::of_read(index, read.bytes, factor).and_of_table(read.fetched * factor);
                table.charge(Kind::Read, || units.clone());
                Ok(Read { page: read, units })
            })
            .await
    }

    async fn change(
        &self,
        cx: &Cx,
        statement: Statement,
        old_on_failure: bool,
        capacity: Option<String>,
    ) -> Result<(Vec<convert::Attributes>, Option<ConsumedCapacity>), Error> {
        if matches!(statement, Statement::Exists(_)) {
            return Err(Error::validation("EXISTS can only be used in a transaction"));
        }
        let home = Home::of(cx);
        let table = self.store.read(|tx| home.table(tx, statement.table())).await?;
        let write = statement.write(&table, old_on_failure)?;
        let outcome = self.write(cx, write, capacity, None).await?;
        let items = returned(&statement, outcome.written).into_iter().map(convert::attributes).collect();
        Ok((items, outcome.capacity))
    }

    async fn one_of_batch(
        &self,
        cx: &Cx,
        request: BatchStatementRequest,
        asked: Option<&str>,
    ) -> Result<(BatchStatementResponse, Option<ConsumedCapacity>), Error> {
        let statement = parse(&request.statement, request.parameters)?;
        authorize(cx, &statement).await?;
        let table_name = Some(statement.table().to_owned());
        let Statement::Select(select) = &statement else {
            let old = request.return_values_on_condition_check_failure.as_deref() == Some("ALL_OLD");
            let (items, capacity) = self.change(cx, statement, old, asked.map(str::to_owned)).await?;
            return Ok((BatchStatementResponse { error: None, table_name, item: items.into_iter().next() }, capacity));
        };
        let home = Home::of(cx);
        let table = self.store.read(|tx| home.table(tx, &select.table)).await?;
        if select.key(&table).is_none() {
            return Err(Error::validation(
                "Select statements within BatchExecuteStatement must specify the primary key in the where clause.",
            ));
        }
        let read = self.select(cx, select, None, None, request.consistent_read).await?;
        let item = read.page.items.into_iter().next().map(convert::attributes);
        Ok((BatchStatementResponse { error: None, table_name, item }, read.units.answer(&select.table, asked)))
    }

    /// SELECTs of one item each, as they were at one moment.
    async fn read_together(
        &self,
        cx: &Cx,
        statements: Vec<(Statement, bool)>,
        asked: Option<&str>,
    ) -> Result<ExecuteTransactionOutput, Error> {
        let (home, now_ms) = (Home::of(cx), cx.now().as_millisecond());
        let found = self
            .store
            .read(|tx| {
                let mut found = Vec::with_capacity(statements.len());
                for (statement, _) in &statements {
                    let Statement::Select(select) = statement else { continue };
                    let table = home.table(tx, &select.table)?;
                    if select.key(&table).is_none() || select.index.is_some() {
                        return Err(Error::validation(
                            "Select statements within ExecuteTransaction must specify the primary key in the where clause.",
                        ));
                    }
                    let page = read(tx, &table, None, select, None, None)?;
                    let item = page.items.into_iter().next();
                    let admitted = table.admit(Kind::Read, None, now_ms);
                    table.charge(Kind::Read, || Units::of_read(None, item.as_ref().map_or(0, item_size), 2.0));
                    found.push((select.table.clone(), item, admitted));
                }
                let reasons: Vec<_> = found.iter().map(|(_, _, admitted)| admitted.as_ref().err().cloned()).collect();
                if reasons.iter().any(Option::is_some) {
                    return Err(cancelled(&reasons));
                }
                Ok(found)
            })
            .await?;
        let mut units: std::collections::BTreeMap<String, Units> = std::collections::BTreeMap::new();
        for (table, item, _) in &found {
            let size = item.as_ref().map_or(0, item_size);
            units.entry(table.clone()).or_default().add(Units::of_read(None, size, 2.0));
        }
        let consumed: Vec<_> = units
            .into_iter()
            .filter_map(|(table, units)| units.answer_transaction(&table, asked, Transaction::Reads))
            .collect();
        let responses =
            found.into_iter().map(|(_, item, _)| ItemResponse { item: item.map(convert::attributes) }).collect();
        Ok(ExecuteTransactionOutput {
            responses: Some(responses),
            consumed_capacity: (!consumed.is_empty()).then_some(consumed),
        })
    }
}

/// A page of what a SELECT asks for, projected.
fn read(
    tx: &mut Tx<'_>,
    table: &Table,
    index: Option<&Index>,
    select: &Select,
    limit: Option<usize>,
    start: Option<&Item>,
) -> Result<Page, Error> {
    let schema = index.map_or(&table.key, |index| &index.key);
    let condition = select.key_condition(schema);
    let reverse = match (select.order.as_slice(), &condition) {
        ([], _) => false,
        (_, None) => {
            return Err(Error::validation("Must have WHERE clause in the statement when using ORDER BY clause."));
        }
        (order, Some(_)) => {
            let names: Vec<&str> = schema.names().collect();
            if order.iter().any(|(name, _)| !names.contains(&name.as_str())) {
                return Err(Error::validation("Variable reference in ORDER BY clause must be part of the primary key"));
            }
            order.iter().any(|(name, descends)| *descends && schema.sort.contains(name))
        }
    };
    let mut range = match &condition {
        Some(condition) => {
            check_types(table, schema, condition)?;
            Range::of_query(table, index, condition)
        }
        None => Range::of_scan(table, index, None),
    };
    if let Some(start) = start {
        range.after(table, index, start, reverse)?;
    }
    let filter = select.filter.clone().map(Condition::of);
    let projection = select.projection.clone().map(Projection::of_paths);
    let lacks = |names: &[&str]| index.is_some_and(|index| names.iter().any(|name| !table.projects(index, name)));
    let shown: Vec<&str> = projection.iter().flat_map(Projection::attributes).collect();
    let whole = lacks(&shown);
    if let Some(index) = index.filter(|index| index.global && whole && index.projection != Projected::All) {
        return Err(Error::validation(super::query::not_projected(table, index, shown.iter().copied())));
    }
    // A condition on what a local index does not keep is asked of the items, which are shown as the index has them: as a Query's filter.
    let filtered: Vec<&str> = filter.iter().flat_map(Condition::attributes).collect();
    let fetch = whole || (index.is_some_and(|index| !index.global) && lacks(&filtered));
    let mut page = page(tx, Request { table, index, range, reverse, limit, filter: filter.as_ref(), whole: fetch })?;
    match (projection, index) {
        (Some(projection), _) => page.items = page.items.iter().map(|item| projection.apply(item)).collect(),
        (None, Some(index)) if fetch => {
            page.items = page.items.iter().map(|item| table.projected(index, item)).collect();
        }
        (None, _) => {}
    }
    Ok(page)
}

fn parse(source: &str, parameters: Option<Vec<AttributeValue>>) -> Result<Statement, Invalid> {
    let parameters = parameters.into_iter().flatten().map(convert::attribute_value).collect::<Result<Vec<_>, _>>()?;
    Statement::parse(source, parameters)
}

async fn authorize(cx: &Cx, statement: &Statement) -> Result<(), Error> {
    let mut resource = Home::of(cx).table_arn(statement.table());
    if let Statement::Select(Select { index: Some(index), .. }) = statement {
        resource = format!("{resource}/index/{index}");
    }
    cx.router().authorize(cx, statement.action(), &resource).await
}

/// What RETURNING asks for.
fn returned(statement: &Statement, written: Written) -> Option<Item> {
    let (returning, paths): (_, Vec<Path>) = match statement {
        Statement::Update { returning, update, .. } => ((*returning)?, update.paths().into_iter().cloned().collect()),
        Statement::Delete { returning, .. } => ((*returning)?, Vec::new()),
        _ => return None,
    };
    let modified = |item: Item| Some(Projection::of_paths(paths).apply(&item)).filter(|item| !item.is_empty());
    match returning {
        Returning::AllOld => written.old,
        Returning::AllNew => written.new,
        Returning::ModifiedOld => written.old.and_then(modified),
        Returning::ModifiedNew => written.new.and_then(modified),
    }
}

fn is_select(source: &str) -> bool {
    source.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("SELECT"))
}

fn failed(error: &Error) -> BatchStatementResponse {
    let code = match error.code() {
        "ConditionalCheckFailedException" => "ConditionalCheckFailed",
        "ResourceNotFoundException" => "ResourceNotFound",
        "DuplicateItemException" => "DuplicateItem",
        "AccessDeniedException" => "AccessDenied",
        _ => "ValidationError",
    };
    let item = error.fields().get("Item").cloned();
    let item = item.and_then(|item| serde_json::from_value::<Item>(item).ok()).map(convert::attributes);
    BatchStatementResponse {
        error: Some(BatchStatementError {
            code: Some(code.to_owned()),
            message: Some(error.message().to_owned()),
            item,
        }),
        ..BatchStatementResponse::default()
    }
}

/// Where a SELECT goes on; of use to the same statement only.
#[derive(Serialize, Deserialize)]
struct Next {
    statement: String,
    after: Item,
}

impl Next {
    fn token(after: &Item, statement: &str) -> Result<String, Error> {
        let next = Self { statement: statement.to_owned(), after: after.clone() };
        Ok(BASE64.encode(serde_json::to_vec(&next).map_err(Error::internal)?))
    }

    fn read(token: &str, statement: &str) -> Result<Item, Invalid> {
        let invalid = || Invalid::new("NextToken does not match request");
        let bytes = BASE64.decode(token).map_err(|_| invalid())?;
        let next: Self = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        if next.statement == statement { Ok(next.after) } else { Err(invalid()) }
    }
}
