//! Clients of `DynamoDB`: each writes a partition of its own, and moves amounts between accounts that all share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use wire::Error;

use super::{Outcome, World};
use crate::chance::Chance;

const TABLE: &str = "things";
const INDEX: &str = "by-value";
const ACCOUNTS: u64 = 3;

/// A partition: values by sort key.
type Partition = BTreeMap<u64, u64>;

/// What is asked for.
#[derive(Clone, Debug)]
enum Ask {
    Put {
        at: u64,
        value: u64,
    },
    /// Sets a value where there is none.
    Create {
        at: u64,
        value: u64,
    },
    Delete {
        at: u64,
    },
    /// Two values, both or none.
    Both {
        at: [u64; 2],
        value: u64,
    },
    /// An amount from one shared account to another.
    Move {
        from: u64,
        to: u64,
        amount: u64,
    },
    /// One more in a shared counter.
    Count,
}

/// One client. Cheap to clone; what it remembers outlives the process that it asks.
#[derive(Clone)]
pub(super) struct ItemsClient(Arc<Mutex<State>>);

struct State {
    number: u64,
    steps: u64,
    serial: u64,
    chance: Chance,
    /// Sent, and not answered.
    under_way: Option<Ask>,
    /// What its partition may be: one of these.
    states: BTreeSet<Partition>,
    /// How often it has counted, at least and at most.
    counted: (u64, u64),
}

impl World {
    async fn items(&self, operation: &str, input: Value) -> Result<Value, Error> {
        let answer = self.cx.call_json("dynamodb", operation, input).await;
        self.ground.unless_dead().await;
        answer
    }

    async fn items_surely(&self, operation: &str, input: Value) -> Result<Value, Error> {
        let mut tries = 0;
        loop {
            let answer = self.items(operation, input.clone()).await;
            let failed = answer.as_ref().is_err_and(|error| error.status() >= 500);
            if !failed || self.ground.is_lasting(&mut tries, operation).await {
                return answer;
            }
        }
    }

    /// All items that such a request finds.
    async fn all(&self, operation: &str, mut input: Value) -> Vec<Value> {
        let mut found = Vec::new();
        loop {
            let page = match self.items_surely(operation, input.clone()).await {
                Ok(page) => page,
                Err(error) => {
                    self.ground.fault(format!("{operation} was refused: {error}"));
                    return found;
                }
            };
            found.extend(page["Items"].as_array().into_iter().flatten().cloned());
            if page["LastEvaluatedKey"].is_null() {
                return found;
            }
            input["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
        }
    }
}

fn key(partition: &str, at: u64) -> Value {
    json!({ "p": { "S": partition }, "s": { "N": at.to_string() } })
}

fn item(partition: &str, at: u64, value: u64) -> Value {
    json!({ "p": { "S": partition }, "s": { "N": at.to_string() }, "v": { "N": value.to_string() } })
}

fn number(item: &Value, name: &str) -> i64 {
    item[name]["N"].as_str().and_then(|n| n.parse().ok()).unwrap_or_default()
}

/// The table with an index and a stream.
async fn prepare(world: &World) {
    let hash = |name: &str| json!({ "AttributeName": name, "KeyType": "HASH" });
    let range = |name: &str| json!({ "AttributeName": name, "KeyType": "RANGE" });
    let table = json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [hash("p"), range("s")],
        "AttributeDefinitions": [
            { "AttributeName": "p", "AttributeType": "S" },
            { "AttributeName": "s", "AttributeType": "N" },
            { "AttributeName": "v", "AttributeType": "N" },
        ],
        "GlobalSecondaryIndexes": [
            { "IndexName": INDEX, "KeySchema": [hash("p"), range("v")], "Projection": { "ProjectionType": "ALL" } },
        ],
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
    });
    match world.items_surely("createTable", table).await {
        Ok(_) => {}
        Err(error) if error.code().contains("ResourceInUse") => {}
        Err(error) => return world.ground.fault(format!("the table cannot be made: {error}")),
    }
    let mut looks = 0;
    loop {
        let table = world.items_surely("describeTable", json!({ "TableName": TABLE })).await.unwrap_or_default();
        let is_active = table["Table"]["TableStatus"] == "ACTIVE";
        if is_active || world.ground.is_lasting(&mut looks, "making the table").await {
            return;
        }
    }
}

impl ItemsClient {
    pub(super) fn new(number: u64, steps: u64, chance: Chance) -> Self {
        let states = BTreeSet::from([Partition::new()]);
        let state = State { number, steps, serial: 0, chance, under_way: None, states, counted: (0, 0) };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_done(&self) -> bool {
        let state = self.state();
        state.steps == 0 && state.under_way.is_none()
    }

    fn partition(&self) -> String {
        format!("client-{}", self.state().number)
    }

    /// Goes on where it was, in a new life of the process.
    pub(super) async fn follow(self, world: World) {
        prepare(&world).await;
        let lost = self.state().under_way.take();
        if let Some(ask) = lost {
            self.doubt(&world, &ask);
            self.look(&world).await;
        }
        loop {
            let (ask, pause) = {
                let mut state = self.state();
                if state.steps == 0 {
                    return;
                }
                state.steps -= 1;
                let ask = state.next();
                state.under_way = Some(ask.clone());
                (ask, state.chance.below(40))
            };
            world.ground.told().operations += 1;
            let outcome = self.ask(&world, &ask).await;
            self.state().under_way = None;
            match outcome {
                Outcome::Done(()) => self.done(&ask),
                Outcome::Doubtful => self.doubt(&world, &ask),
                Outcome::Refused(code) => self.refused(&world, &ask, &code),
            }
            if pause < 10 || self.state().states.len() > 1 {
                self.look(&world).await;
            }
            world.ground.sleep_ms(pause).await;
        }
    }

    async fn ask(&self, world: &World, ask: &Ask) -> Outcome<()> {
        let partition = self.partition();
        let put = |at: u64, value: u64| json!({ "TableName": TABLE, "Item": item(&partition, at, value) });
        let add = |partition: &str, at: u64, amount: i64| {
            json!({
                "TableName": TABLE,
                "Key": key(partition, at),
                "UpdateExpression": "ADD amount :n",
                "ExpressionAttributeValues": { ":n": { "N": amount.to_string() } },
            })
        };
        let (operation, input) = match ask {
            Ask::Put { at, value } => ("putItem", put(*at, *value)),
            Ask::Create { at, value } => {
                let mut input = put(*at, *value);
                input["ConditionExpression"] = "attribute_not_exists(p)".into();
                ("putItem", input)
            }
            Ask::Delete { at } => ("deleteItem", json!({ "TableName": TABLE, "Key": key(&partition, *at) })),
            Ask::Both { at, value } => {
                let puts = at.map(|at| json!({ "Put": put(at, *value) }));
                ("transactWriteItems", json!({ "TransactItems": puts }))
            }
            Ask::Move { from, to, amount } => {
                let amount = i64::try_from(*amount).unwrap_or_default();
                let updates =
                    [(from, -amount), (to, amount)].map(|(at, n)| json!({ "Update": add("accounts", *at, n) }));
                ("transactWriteItems", json!({ "TransactItems": updates }))
            }
            Ask::Count => ("updateItem", add("counter", 0, 1)),
        };
        match world.items(operation, input).await {
            Ok(_) => Outcome::Done(()),
            Err(error) if error.status() >= 500 => Outcome::Doubtful,
            Err(error) => Outcome::Refused(error.code().to_owned()),
        }
    }

    fn done(&self, ask: &Ask) {
        let mut state = self.state();
        state.states = state.states.iter().map(|before| after(before, ask)).collect();
        if matches!(ask, Ask::Count) {
            state.counted = (state.counted.0 + 1, state.counted.1 + 1);
        }
    }

    fn doubt(&self, world: &World, ask: &Ask) {
        world.ground.told().doubtful += 1;
        let mut state = self.state();
        let more: Vec<Partition> = state.states.iter().map(|before| after(before, ask)).collect();
        state.states.extend(more);
        state.counted.1 += u64::from(matches!(ask, Ask::Count));
    }

    fn refused(&self, world: &World, ask: &Ask, code: &str) {
        // Transactions of others touch the accounts at the same time.
        if matches!(ask, Ask::Move { .. }) && (code.contains("TransactionCanceled") || code.contains("Conflict")) {
            return;
        }
        if let Ask::Create { at, .. } = ask
            && code.contains("ConditionalCheckFailed")
        {
            self.state().states.retain(|before| before.contains_key(at));
        } else {
            world.ground.fault(format!("{ask:?} was refused: {code}"));
        }
        if self.state().states.is_empty() {
            world.ground.fault(format!("{ask:?} was refused, and there is nothing there"));
        }
    }

    /// What its partition is, is one of what it may be, and is known from now on.
    async fn look(&self, world: &World) {
        for index in [None, Some(INDEX)] {
            let mut input = json!({
                "TableName": TABLE,
                "KeyConditionExpression": "p = :p",
                "ExpressionAttributeValues": { ":p": { "S": self.partition() } },
            });
            match index {
                Some(index) => input["IndexName"] = index.into(),
                None => input["ConsistentRead"] = true.into(),
            }
            let items = world.all("query", input).await;
            let natural = |item: &Value, name: &str| u64::try_from(number(item, name)).unwrap_or_default();
            let found: Partition = items.iter().map(|item| (natural(item, "s"), natural(item, "v"))).collect();
            let mut state = self.state();
            if found.len() == items.len() && state.states.contains(&found) {
                state.states = BTreeSet::from([found]);
                continue;
            }
            let what = format!("partition {} may be {:?} and is {items:?} ({index:?})", state.number, state.states);
            drop(state);
            world.ground.fault(what);
        }
    }
}

fn after(before: &Partition, ask: &Ask) -> Partition {
    let mut after = before.clone();
    match ask {
        Ask::Put { at, value } | Ask::Create { at, value } => drop(after.insert(*at, *value)),
        Ask::Delete { at } => drop(after.remove(at)),
        Ask::Both { at, value } => after.extend(at.map(|at| (at, *value))),
        Ask::Move { .. } | Ask::Count => {}
    }
    after
}

impl State {
    fn next(&mut self) -> Ask {
        self.serial += 1;
        let (at, value) = (self.chance.below(5), self.serial);
        match self.chance.below(100) {
            0..25 => Ask::Put { at, value },
            25..35 => Ask::Create { at, value },
            35..50 => Ask::Delete { at },
            50..70 => Ask::Both { at: [at, (at + 1) % 5], value },
            70..85 => {
                let from = self.chance.below(ACCOUNTS);
                Ask::Move { from, to: (from + 1) % ACCOUNTS, amount: self.chance.between(1, 9) }
            }
            _ => Ask::Count,
        }
    }
}

/// Everything that was acknowledged is there, nothing is half, and the stream tells how it came.
pub(super) async fn audit(world: &World, clients: &[ItemsClient]) {
    for client in clients {
        client.look(world).await;
    }
    let all = world.all("scan", json!({ "TableName": TABLE, "ConsistentRead": true })).await;
    let of = |partition: &str| -> i64 {
        all.iter().filter(|item| item["p"]["S"] == partition).map(|item| number(item, "amount")).sum()
    };
    let sum = of("accounts");
    if sum != 0 {
        world.ground.fault(format!("{sum} came from nowhere: a transaction is half"));
    }
    let counted = u64::try_from(of("counter")).unwrap_or_default();
    let bounds = clients.iter().map(|client| client.state().counted).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    if !(bounds.0..=bounds.1).contains(&counted) {
        world.ground.fault(format!("{counted} were counted, where {bounds:?} were acknowledged and asked for"));
    }
    match replayed(world).await {
        Ok(told) => {
            let held: BTreeMap<String, Value> = all.iter().map(|item| (place(item), item.clone())).collect();
            if told != held {
                world.ground.fault(format!("the stream tells of {told:?} and the table holds {held:?}"));
            }
        }
        Err(fault) => world.ground.fault(fault),
    }
    for item in &all {
        let key = json!({ "p": item["p"], "s": item["s"] });
        let _ = world.items_surely("deleteItem", json!({ "TableName": TABLE, "Key": key })).await;
    }
    for index in [None, Some(INDEX)] {
        let mut input = json!({ "TableName": TABLE });
        if let Some(index) = index {
            input["IndexName"] = index.into();
        }
        let left = world.all("scan", input).await;
        if !left.is_empty() {
            world.ground.fault(format!("{} items are left ({index:?})", left.len()));
        }
    }
}

fn place(item: &Value) -> String {
    format!("{}/{}", item["p"], item["s"])
}

/// The items that the stream's changes make, one after the other; each must begin where the one before ended.
async fn replayed(world: &World) -> Result<BTreeMap<String, Value>, String> {
    let ask = async |operation: &str, input: Value| {
        let mut tries = 0;
        loop {
            let answer = world.cx.call_json("dynamodbstreams", operation, input.clone()).await;
            world.ground.unless_dead().await;
            let failed = answer.as_ref().is_err_and(|error| error.status() >= 500);
            if !failed || world.ground.is_lasting(&mut tries, operation).await {
                return answer.map_err(|error| format!("{operation} was refused: {error}"));
            }
        }
    };
    let table = world.items_surely("describeTable", json!({ "TableName": TABLE })).await.map_err(|e| e.to_string())?;
    let arn = &table["Table"]["LatestStreamArn"];
    let stream = ask("describeStream", json!({ "StreamArn": arn })).await?;
    let shard = &stream["StreamDescription"]["Shards"][0]["ShardId"];
    let start = json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    let mut iterator = ask("getShardIterator", start).await?["ShardIterator"].clone();
    let (mut items, mut last) = (BTreeMap::<String, Value>::new(), String::new());
    loop {
        let page = ask("getRecords", json!({ "ShardIterator": iterator, "Limit": 100 })).await?;
        let records = page["Records"].as_array().cloned().unwrap_or_default();
        if records.is_empty() {
            return Ok(items);
        }
        for record in &records {
            let change = &record["Dynamodb"];
            let number = change["SequenceNumber"].as_str().unwrap_or_default().to_owned();
            let at = place(&change["Keys"]);
            let before = items.get(&at).cloned().unwrap_or_default();
            if number <= last || change["OldImage"] != before {
                return Err(format!("{record} follows {last} and {before}"));
            }
            match &change["NewImage"] {
                Value::Null => items.remove(&at),
                new => items.insert(at, new.clone()),
            };
            last = number;
        }
        iterator = page["NextShardIterator"].clone();
    }
}
