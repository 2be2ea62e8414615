//! An execution through crashes: at any step the process may die, before or after what it was writing is there; calls are cut short,
//! answers are lost, pauses and resumes come at any time. It ends all the same, with one result, and each step counts once.

use std::cell::Cell;
use std::collections::BTreeMap;

use api_lambda::{CallbackOptions, OperationUpdate, WaitOptions};
use store::Store;

use super::super::{Asked, Said};
use super::*;

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f:1/durable-execution/mine/0123-45";
const SEEDS: u64 = 300;

/// Chance by a seed (xorshift).
struct Chance(Cell<u64>);

impl Chance {
    fn below(&self, most: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        x % most
    }

    fn one_in(&self, most: u64) -> bool {
        self.below(most) == 0
    }
}

/// The process has died.
struct Crashed;

struct World {
    store: Store,
    id: Id,
    chance: Chance,
    now_ms: Cell<i64>,
    client_tokens: Cell<u64>,
}

impl World {
    async fn new(seed: u64) -> Self {
        let id = Id::parse(ARN).unwrap();
        let of = id.clone();
        let store = Store::memory();
        store
            .write(move |tx| {
                let mut record: Record = serde_json::from_value(json!({
                    "v": 1, "id": of, "function_arn": "", "qualifier": "1", "input": "1", "status": "RUNNING", "result": null,
                    "error": null, "ended": null, "last": null, "started": Timestamp::from_millis(0), "retention_days": 1,
                    "timeout_seconds": 1_000_000, "secret": "s", "token": 0, "next_operation": 0, "next_event": 1, "unseen": [],
                    "due": {}, "open": [], "failures": 0, "invoked": false, "calling": false, "news": false,
                }))
                .unwrap();
                let execution = Operation { id: of.id.clone(), r#type: "EXECUTION".to_owned(), ..Default::default() };
                record.add(tx, execution)?;
                Ok::<_, Error>(tx.put_json(of.record(), &record)?)
            })
            .await
            .unwrap();
        let chance = Chance(Cell::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1));
        Self { store, id, chance, now_ms: Cell::new(0), client_tokens: Cell::new(0) }
    }

    fn now(&self) -> Timestamp {
        self.now_ms.set(self.now_ms.get() + 1);
        Timestamp::from_millis(self.now_ms.get())
    }

    /// A transaction, unless the process dies before it; it may also die after it, and hear no answer.
    async fn commit<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Tx<'_>) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<Result<T, Error>, Crashed> {
        if self.chance.one_in(12) {
            return Err(Crashed);
        }
        let done = self.store.write(work).await;
        if self.chance.one_in(12) { Err(Crashed) } else { Ok(done) }
    }

    /// What drives the execution: the task runs once.
    async fn drive(&self) -> Result<(), Crashed> {
        let (of, now) = (self.id.clone(), self.now());
        let turn = self.commit(move |tx| begin(tx, &of, now)).await?.unwrap();
        let Some(turn) = turn else { return Ok(()) };
        let began = self.now();
        let payload = self.call(turn).await?;
        let outcome = Ok(Finished {
            payload: payload.into(),
            failed: false,
            streamed: false,
            tail: String::new(),
            version: "1".to_owned(),
            function_arn: String::new(),
            took: Duration::ZERO,
            durable: None,
        });
        // Its node may be gone, whatever the function has done there.
        let lost = || Err(Error::new(NODE_LOST, 500, "The node that ran the function is gone"));
        let outcome = if self.chance.one_in(6) { lost() } else { outcome };
        let outcome = std::sync::Arc::new(outcome);
        let (of, now) = (self.id.clone(), self.now());
        self.commit(move |tx| settle(tx, &of, &outcome, (began, now), "r")).await?.unwrap();
        Ok(())
    }

    /// The function: a step, a wait, a callback, a step. It holds to what the SDKs do: an answer without a token ends its call.
    async fn call(&self, turn: Turn) -> Result<String, Crashed> {
        let mut have: BTreeMap<String, Operation> =
            turn.operations.iter().map(|one| (one.id.clone(), one.clone())).collect();
        let mut token = turn.record.token();
        let update = |id: &str, kind: &str, action: &str| OperationUpdate {
            id: id.to_owned(),
            r#type: kind.to_owned(),
            action: action.to_owned(),
            ..Default::default()
        };
        let plan = [
            OperationUpdate { payload: Some("a".to_owned()), ..update("a", "STEP", "SUCCEED") },
            OperationUpdate {
                wait_options: Some(WaitOptions { wait_seconds: Some(1) }),
                ..update("w", "WAIT", "START")
            },
            OperationUpdate { callback_options: Some(CallbackOptions::default()), ..update("c", "CALLBACK", "START") },
            OperationUpdate { payload: Some("b".to_owned()), ..update("b", "STEP", "SUCCEED") },
        ];
        let pending = || json!({ "Status": "PENDING" }).to_string();
        for step in plan {
            if !have.contains_key(&step.id) {
                self.client_tokens.set(self.client_tokens.get() + 1);
                let (of, now) = (self.id.clone(), self.now());
                let client = self.client_tokens.get().to_string();
                let said = std::sync::Arc::new((token.clone(), client, step.clone()));
                let mut answer = None;
                // A client asks again where it has heard no answer.
                for _ in 0..3 {
                    let (of, said) = (of.clone(), said.clone());
                    let asked = self.commit(move |tx| {
                        let mut record = Record::load(tx, &of)?;
                        let (token, client, update) = (said.0.clone(), Some(said.1.clone()), said.2.clone());
                        let answer =
                            record.checkpoint(tx, &Said { token, client_token: client, updates: vec![update] }, now)?;
                        tx.put_json(of.record(), &record)?;
                        Ok::<_, Error>(answer)
                    });
                    match asked.await {
                        Ok(done) => {
                            answer = Some(done);
                            break;
                        }
                        Err(Crashed) if self.chance.one_in(2) => return Err(Crashed),
                        Err(Crashed) => {}
                    }
                }
                // Refused: the token is not the latest any more, somebody has paused or stopped the execution.
                let Some(Ok((next, changed))) = answer else { return Ok(pending()) };
                have.extend(changed.into_iter().map(|one| (one.id.clone(), one)));
                let Some(next) = next else { return Ok(pending()) };
                token = next;
            }
            if have.get(&step.id).is_none_or(|one| one.status != SUCCEEDED) {
                return Ok(pending());
            }
        }
        Ok(json!({ "Status": "SUCCEEDED", "Result": "done" }).to_string())
    }

    /// Somebody answers the callback, pauses or resumes.
    async fn others(&self, what: u64) {
        let (of, now) = (self.id.clone(), self.now());
        let change = move |tx: &mut Tx<'_>| {
            let mut record = Record::load(tx, &of)?;
            match what {
                0 => record.called_back(tx, "c", Ok("yes".to_owned()), now)?,
                1 => record.pause(
                    tx,
                    &Asked { reason: None, client_token: None, stops_clock: now.as_millis() % 2 == 0 },
                    now,
                )?,
                _ => record.resume(tx, None, now)?,
            }
            Ok::<_, Error>(tx.put_json(of.record(), &record)?)
        };
        // What cannot be done now is refused, and changes nothing.
        drop(self.store.write(change).await);
    }

    async fn record(&self) -> Record {
        let of = self.id.clone();
        self.store.read(|tx| Record::load(tx, &of)).await.unwrap()
    }
}

#[tokio::test]
async fn an_execution_ends_once_whatever_dies() {
    for seed in 1..=SEEDS {
        let world = World::new(seed).await;
        let mut left = 400;
        while world.record().await.is_running() {
            left -= 1;
            assert!(left > 0, "seed {seed}: it does not end: {:?}", world.record().await);
            // Near the end nobody pauses it any more.
            match world.chance.below(if left > 200 { 8 } else { 5 }) {
                0 => world.others(0).await,
                1 => world.now_ms.set(world.now_ms.get() + 700),
                2 => world.others(2).await,
                5 => world.others(1).await,
                _ => drop(world.drive().await),
            }
        }
        let record = world.record().await;
        assert_eq!((record.status.as_str(), record.result.as_deref()), (SUCCEEDED, Some("done")), "seed {seed}");
        let events: Vec<Event> = world.store.read(|tx| tx.list_json(world.id.events(), usize::MAX >> 1)).await.unwrap();
        let count = |kind: &str| events.iter().filter(|event| event.event_type.as_deref() == Some(kind)).count();
        let once = [
            "StepSucceeded",
            "WaitStarted",
            "WaitSucceeded",
            "CallbackStarted",
            "CallbackSucceeded",
            "ExecutionSucceeded",
        ];
        assert_eq!(once.map(count), [2, 1, 1, 1, 1, 1], "seed {seed}: {events:?}");
        assert_eq!(count("ExecutionPaused"), count("ExecutionResumed"), "seed {seed}");
        assert_eq!(record.failures, 0, "seed {seed}: a node that is lost is no failure of the function's");
        let numbers: Vec<_> = events.iter().filter_map(|event| event.event_id).collect();
        assert!(
            numbers.iter().enumerate().all(|(at, number)| usize::try_from(*number) == Ok(at + 1)),
            "seed {seed}: {numbers:?}"
        );
    }
}

/// A call of the function that came to this, or that found no room.
async fn call(world: &World, outcome: Result<&'static str, u16>) {
    let (of, now) = (world.id.clone(), world.now());
    let turn = world.store.write(move |tx| begin(tx, &of, now)).await.unwrap();
    assert!(turn.is_some(), "the function is called");
    let finished = |payload: &'static str| Finished {
        payload: payload.into(),
        failed: true,
        streamed: false,
        tail: String::new(),
        version: "1".to_owned(),
        function_arn: String::new(),
        took: Duration::ZERO,
        durable: None,
    };
    let outcome = outcome.map(finished).map_err(|status| Error::new("TooManyRequestsException", status, "no room"));
    let outcome = std::sync::Arc::new(outcome);
    let (of, began, now) = (world.id.clone(), world.now(), world.now());
    world.store.write(move |tx| settle(tx, &of, &outcome, (began, now), "r")).await.unwrap();
}

#[tokio::test]
async fn a_machine_without_room_takes_no_tries() {
    let world = World::new(1).await;
    let raised = || Ok(r#"{"errorType": "E", "errorMessage": "m"}"#);
    for status in [429, 429, 500, 429, 429, 503] {
        call(&world, Err(status)).await;
    }
    for failed in 1..TRIES {
        call(&world, raised()).await;
        call(&world, Err(429)).await;
        let record = world.record().await;
        assert!(record.is_running() && record.failures == failed, "after {failed} failures: {record:?}");
    }
    call(&world, raised()).await;
    assert_eq!(world.record().await.status, FAILED);
}

/// A wait that ends while the function runs is told to it by its next checkpoint's answer; where all that it could do with that has come
/// to its end by then, it says that it waits, and is called once more.
#[tokio::test]
async fn what_ends_within_a_call_is_not_slept_over() {
    let world = World::new(1).await;
    let (of, at) = (world.id.clone(), |ms: i64| Timestamp::from_millis(ms));
    let said = |record: &Record, id: &str, kind: &str, action: &str| {
        let wait = (kind == "WAIT").then_some(WaitOptions { wait_seconds: Some(if id == "w1" { 1 } else { 2 }) });
        let update = OperationUpdate {
            id: id.to_owned(),
            r#type: kind.to_owned(),
            action: action.to_owned(),
            wait_options: wait,
            ..Default::default()
        };
        Said { token: record.token(), client_token: None, updates: vec![update] }
    };
    let pending = || Finished {
        payload: json!({ "Status": "PENDING" }).to_string().into(),
        failed: false,
        streamed: false,
        tail: String::new(),
        version: "1".to_owned(),
        function_arn: String::new(),
        took: Duration::ZERO,
        durable: None,
    };
    let turns = move |tx: &mut Tx<'_>| {
        let checkpoint = |tx: &mut Tx<'_>, id: &str, kind: &str, action: &str, now: i64| {
            let mut record = Record::load(tx, &of)?;
            let said = said(&record, id, kind, action);
            let told = record.checkpoint(tx, &said, at(now))?.1;
            tx.put_json(of.record(), &record)?;
            Ok::<_, Error>(told.into_iter().map(|one| one.id).collect::<Vec<_>>())
        };
        assert!(begin(tx, &of, at(0))?.is_some());
        checkpoint(tx, "w1", "WAIT", "START", 0)?;
        checkpoint(tx, "w2", "WAIT", "START", 0)?;
        assert!(!settle(tx, &of, &Ok(pending()), (at(0), at(1)), "r")?);
        assert!(begin(tx, &of, at(500))?.is_none(), "nothing has ended");
        let turn = begin(tx, &of, at(1000))?;
        assert_eq!(turn.map(|turn| turn.updated), Some(vec!["w1".to_owned()]));
        assert_eq!(checkpoint(tx, "s", "STEP", "SUCCEED", 2000)?, ["w2", "s"]);
        assert!(settle(tx, &of, &Ok(pending()), (at(1000), at(2001)), "r")?, "a wait has ended meanwhile");
        assert!(begin(tx, &of, at(2002))?.is_some(), "so that it is called once more");
        assert!(!settle(tx, &of, &Ok(pending()), (at(2002), at(2003)), "r")?);
        assert_eq!(Record::load(tx, &of)?.status, FAILED, "nothing is left that it could wait for");
        Ok::<_, Error>(())
    };
    world.store.write(turns).await.unwrap();
}

#[tokio::test]
async fn the_next_function_of_a_name_has_its_own_executions() {
    let world = World::new(1).await;
    let named = world.id.clone();
    world.store.write(move |tx| Ok::<_, Error>(tx.put_json(named.by_name(), &named)?)).await.unwrap();
    let (of, now) = (world.id.clone(), world.now());
    let place = world.id.place();
    world.store.write(move |tx| Record::orphan(tx, &place, &of.function, now)).await.unwrap();
    let record = world.record().await;
    assert_eq!((record.status.as_str(), record.is_running()), ("STOPPED", false));
    let (of, by_name) = (world.id.clone(), world.id.by_name());
    let (turn, name) = world
        .store
        .write(move |tx| Ok::<_, Error>((begin(tx, &of, now)?.is_some(), tx.get_json::<Id>(&by_name)?)))
        .await
        .unwrap();
    assert_eq!((turn, name), (false, None), "no call is made, and the name is free");
}

#[tokio::test]
async fn pages_of_operations_follow_their_order() {
    let world = World::new(1).await;
    let of = world.id.clone();
    // The ids of later ones stand before those of earlier ones.
    let add = move |tx: &mut Tx<'_>| {
        let mut record = Record::load(tx, &of)?;
        for id in ["z", "y", "x", "w"] {
            record.add(tx, Operation { id: id.to_owned(), ..Default::default() })?;
        }
        tx.put_json(of.record(), &record)?;
        let mut pages = Vec::new();
        let mut from = 0;
        loop {
            let (page, next) = record.page(tx, from, 2)?;
            pages.push(page.into_iter().map(|operation| operation.id).collect::<Vec<_>>());
            let Some(next) = next else { break };
            from = next.parse().unwrap();
        }
        // As an execution of before is kept.
        tx.delete(of.order().push_u64(0))?;
        let all = record.page(tx, 0, 100)?.0.len();
        Record::forget(tx, &of)?;
        let left = tx.scan_prefix(of.place().key("durable-order"), 100)?.len();
        Ok::<_, Error>((pages, all, left))
    };
    let (pages, all, left) = world.store.write(add).await.unwrap();
    assert_eq!(pages, [vec!["0123-45", "z"], vec!["y", "x"], vec!["w"]]);
    assert_eq!((all, left), (5, 0));
}
