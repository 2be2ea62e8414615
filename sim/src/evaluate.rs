//! The plain evaluator: a recursive reading of a machine that says how it may end, without time, history or storage. Where
//! branches fail side by side, any of their failures may come first; so the answer is a set.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::model::{
    BUCKET, Base, Catcher, Distributed, Expr, How, Kind, Language, Machine, ResultPath, State, Task, Test,
};

/// Stands for a text that is left open.
pub const ANY_TEXT: &str = "\u{1}any";
/// More ways to end than these are not followed up.
const MOST: usize = 64;
/// Nor is more than this many attempts at states: a history holds 25,000 events.
const MOST_ATTEMPTS: u64 = 2000;

#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub error: String,
    pub cause: String,
}

impl Failure {
    pub fn new(error: &str, cause: &str) -> Self {
        Self { error: error.to_owned(), cause: cause.to_owned() }
    }
}

/// All ways in which something may end.
pub type Ends<T> = Vec<Result<T, Failure>>;

/// There are too many ways to end, or what passes between the states is too large to say.
#[derive(Debug)]
pub struct TooMany;

type Variables = BTreeMap<String, Value>;

/// What surrounds a state.
#[derive(Clone)]
struct Around<'a> {
    execution_input: &'a Value,
    item: Option<(usize, Value)>,
    attempts: &'a Cell<u64>,
    /// What a worker fetches may get lost on its way, and S3 may fail.
    loses: bool,
}

/// How an execution of the machine with that input may end, in a world that loses nothing or one that does.
pub fn evaluate(machine: &Machine, input: &Value, loses: bool) -> Result<Ends<Value>, TooMany> {
    let attempts = Cell::new(0);
    let around = Around { execution_input: input, item: None, attempts: &attempts, loses };
    run(machine, input, &Variables::new(), &around)
}

/// Where a state leads.
enum Step {
    To(Option<usize>, Value, Variables),
    Fails(Failure),
}

fn run(machine: &Machine, input: &Value, variables: &Variables, around: &Around<'_>) -> Result<Ends<Value>, TooMany> {
    run_from(machine, 0, input, variables, around)
}

fn run_from(
    machine: &Machine,
    at: usize,
    input: &Value,
    variables: &Variables,
    around: &Around<'_>,
) -> Result<Ends<Value>, TooMany> {
    count(around)?;
    let mut ends = Vec::new();
    for step in steps(&machine.states[at], input, variables, around)? {
        match step {
            Step::To(_, output, _) if is_large(&output) => return Err(TooMany),
            Step::To(Some(next), output, variables) => {
                for end in run_from(machine, next, &output, &variables, around)? {
                    add(&mut ends, end)?;
                }
            }
            Step::To(None, output, _) => add(&mut ends, Ok(output))?,
            Step::Fails(failure) => add(&mut ends, Err(failure))?,
        }
    }
    Ok(ends)
}

fn count(around: &Around<'_>) -> Result<(), TooMany> {
    around.attempts.set(around.attempts.get() + 1);
    if around.attempts.get() > MOST_ATTEMPTS { Err(TooMany) } else { Ok(()) }
}

fn add<T: PartialEq>(ends: &mut Ends<T>, end: Result<T, Failure>) -> Result<(), TooMany> {
    if !ends.contains(&end) {
        ends.push(end);
    }
    if ends.len() > MOST { Err(TooMany) } else { Ok(()) }
}

/// Near the limit of what passes between states, it is left open what happens.
fn is_large(value: &Value) -> bool {
    value.to_string().len() > 100_000
}

/// What expressions see.
struct Scope<'a> {
    input: &'a Value,
    result: &'a Value,
    variables: &'a Variables,
    around: &'a Around<'a>,
    retries: u64,
}

fn steps(state: &State, input: &Value, variables: &Variables, around: &Around<'_>) -> Result<Vec<Step>, TooMany> {
    let effective = at_path(input, state.input_path.as_deref().unwrap_or_default());
    let scope = Scope { input: &effective, result: &Value::Null, variables, around, retries: 0 };
    match &state.kind {
        Kind::Pass { result } => {
            let result = match (result, &state.parameters) {
                (Some(result), _) => result.clone(),
                (None, Some(parameters)) => value_of(parameters, &scope),
                (None, None) => effective.clone(),
            };
            Ok(vec![leave(state, state.next, input, &result, variables, around)])
        }
        Kind::Succeed | Kind::Wait { .. } => Ok(vec![leave(state, state.next, input, &effective, variables, around)]),
        Kind::Fail { error, cause } => Ok(vec![Step::Fails(Failure::new(error, cause))]),
        Kind::Choice { rules, default } => {
            let rule = rules.iter().find(|rule| holds(&rule.test, &effective));
            let (next, assign) = match (rule, default) {
                (Some(rule), _) => (rule.next, &rule.assign),
                (None, Some(default)) => (*default, &state.assign),
                (None, None) => return Ok(vec![Step::Fails(Failure::new("States.NoChoiceMatched", ANY_TEXT))]),
            };
            let variables = with_assigned(assign, variables, &Scope { result: &effective, ..scope });
            Ok(vec![Step::To(Some(next), output_of(state, &effective, input, &variables, around), variables)])
        }
        Kind::Task(_) | Kind::Parallel { .. } | Kind::Map { .. } => {
            let mut counts = vec![0; state.retry.len()];
            attempts(state, input, &effective, variables, around, &mut counts)
        }
    }
}

/// A state that can be tried again: every way to end of this attempt, and of those after it.
fn attempts(
    state: &State,
    input: &Value,
    effective: &Value,
    variables: &Variables,
    around: &Around<'_>,
    counts: &mut Vec<u64>,
) -> Result<Vec<Step>, TooMany> {
    count(around)?;
    let retries = counts.iter().sum();
    let scope = Scope { input: effective, result: &Value::Null, variables, around, retries };
    let ends = match &state.kind {
        Kind::Task(task) => {
            let mut ends = vec![perform(task, &scope)];
            if around.loses && task.how == How::Activity {
                add(&mut ends, Err(Failure::new("States.Timeout", ANY_TEXT)))?;
            }
            ends
        }
        Kind::Parallel { branches } => {
            let given = state.parameters.as_ref().map_or_else(|| effective.clone(), |p| value_of(p, &scope));
            let all: Result<Vec<_>, TooMany> =
                branches.iter().map(|branch| run(branch, &given, variables, around)).collect();
            together(all?)?
        }
        Kind::Map { items, processor, distributed, .. } => {
            let items = value_of(items, &scope);
            let mut all = Vec::new();
            let mut inputs = Vec::new();
            for (index, item) in items.as_array().into_iter().flatten().enumerate() {
                let around = Around { item: Some((index, item.clone())), ..around.clone() };
                let scope = Scope { around: &around, ..scope };
                let given = state.parameters.as_ref().map_or_else(|| item.clone(), |p| value_of(p, &scope));
                if distributed.is_some() {
                    inputs.push(given);
                } else {
                    all.push(run(processor, &given, variables, &around)?);
                }
            }
            match distributed {
                Some(distributed) => children(distributed, processor, inputs, &scope)?,
                None => together(all)?,
            }
        }
        _ => Vec::new(),
    };
    let mut steps = Vec::new();
    for end in ends {
        match end {
            Ok(result) => steps.push(complete(state, input, &result, variables, around)),
            Err(failure) => {
                let matching = state.retry.iter().position(|retry| matches(&retry.errors, &failure));
                match matching {
                    Some(index) if counts[index] < state.retry[index].max_attempts => {
                        counts[index] += 1;
                        steps.extend(attempts(state, input, effective, variables, around, counts)?);
                        counts[index] -= 1;
                    }
                    _ => steps.push(caught(state, input, &failure, variables, around)),
                }
            }
        }
        if steps.len() > MOST {
            return Err(TooMany);
        }
    }
    Ok(steps)
}

fn perform(task: &Task, scope: &Scope<'_>) -> Result<Value, Failure> {
    let value = value_of(&task.value, scope);
    let result = task.plan.perform(scope.retries, &value, task.how)?;
    Ok(match task.how {
        How::Invoke => json!({ "Payload": result }),
        How::Job => json!({ "JobRunState": "SUCCEEDED" }),
        _ => result,
    })
}

/// The children of a Distributed Map: executions of their own, which see nothing of what is around them.
fn children(
    distributed: &Distributed,
    processor: &Machine,
    inputs: Vec<Value>,
    scope: &Scope<'_>,
) -> Result<Ends<Value>, TooMany> {
    let inputs = match &distributed.batch {
        Some(batch) => {
            let common = batch.input.as_ref().map(|input| value_of(input, scope));
            let most = usize::try_from(batch.most).unwrap_or(1);
            let in_batch = |items: &[Value]| match &common {
                Some(common) => json!({ "BatchInput": common, "Items": items }),
                None => json!({ "Items": items }),
            };
            inputs.chunks(most).map(in_batch).collect()
        }
        None => inputs,
    };
    let mut all = Vec::new();
    for given in &inputs {
        if is_large(given) {
            return Err(TooMany);
        }
        let child = Around { execution_input: given, item: None, ..*scope.around };
        let ends = run(processor, given, &Variables::new(), &child)?;
        let mut ends = if distributed.tolerates { vec![Ok(Value::Null)] } else { of_children(ends) };
        // With retries and slow answers it may not be done in five minutes.
        let late = Err(Failure::new(EXCEEDED, ANY_TEXT));
        if distributed.express && !distributed.tolerates && !ends.contains(&late) {
            ends.push(late);
        }
        all.push(ends);
    }
    let mut ends = Vec::new();
    // S3 may fail too.
    let reads = (distributed.reads.is_some(), "States.ItemReaderFailed");
    for (does, error) in [reads, (distributed.writes, "States.ResultWriterFailed")] {
        if does && scope.around.loses {
            add(&mut ends, Err(Failure::new(error, ANY_TEXT)))?;
        }
    }
    for end in together(all)? {
        add(&mut ends, end.map(|results| if distributed.writes { written_results() } else { results }))?;
    }
    Ok(ends)
}

fn written_results() -> Value {
    json!({ "MapRunArn": ANY_TEXT, "ResultWriterDetails": { "Bucket": BUCKET, "Key": ANY_TEXT } })
}

const EXCEEDED: &str = "States.ExceedToleratedFailureThreshold";

/// A Distributed Map does not say why its children failed.
fn of_children(ends: Ends<Value>) -> Ends<Value> {
    let threshold = |_| Failure::new(EXCEEDED, ANY_TEXT);
    let mut told: Ends<Value> = Vec::new();
    for end in ends.into_iter().map(|end| end.map_err(threshold)) {
        if !told.contains(&end) {
            told.push(end);
        }
    }
    told
}

/// Branches side by side: all succeed, or one of the failures comes first.
fn together(all: Vec<Ends<Value>>) -> Result<Ends<Value>, TooMany> {
    let mut ends = Vec::new();
    let mut lists = vec![Vec::new()];
    for branch in all {
        let mut longer = Vec::new();
        for end in branch {
            match end {
                Err(failure) => add(&mut ends, Err(failure))?,
                Ok(value) => longer.extend(lists.iter().map(|list: &Vec<Value>| {
                    let mut list = list.clone();
                    list.push(value.clone());
                    list
                })),
            }
        }
        if longer.len() > MOST {
            return Err(TooMany);
        }
        lists = longer;
    }
    for list in lists {
        if list.iter().map(|value| value.to_string().len()).sum::<usize>() > 100_000 {
            return Err(TooMany);
        }
        add(&mut ends, Ok(Value::Array(list)))?;
    }
    Ok(ends)
}

fn complete(state: &State, input: &Value, result: &Value, variables: &Variables, around: &Around<'_>) -> Step {
    let scope = Scope { input: result, result, variables, around, retries: 0 };
    let selected = state.result_selector.as_ref().map_or_else(|| result.clone(), |selector| value_of(selector, &scope));
    leave(state, state.next, input, &selected, variables, around)
}

/// ResultPath, OutputPath or Output, and Assign.
fn leave(
    state: &State,
    next: Option<usize>,
    input: &Value,
    result: &Value,
    variables: &Variables,
    around: &Around<'_>,
) -> Step {
    let scope = Scope { input, result, variables, around, retries: 0 };
    let after = with_assigned(&state.assign, variables, &scope);
    Step::To(next, output_of(state, result, input, variables, around), after)
}

fn output_of(state: &State, result: &Value, input: &Value, variables: &Variables, around: &Around<'_>) -> Value {
    match state.language {
        Language::Jsonata => match &state.output {
            Some(output) => value_of(output, &Scope { input, result, variables, around, retries: 0 }),
            None => result.clone(),
        },
        Language::JsonPath => {
            let merged = merged(&state.result_path, input, result);
            at_path(&merged, state.output_path.as_deref().unwrap_or_default())
        }
    }
}

fn merged(path: &ResultPath, input: &Value, result: &Value) -> Value {
    match path {
        ResultPath::Replace => result.clone(),
        ResultPath::Discard => input.clone(),
        ResultPath::Into(field) => {
            let mut fields = input.as_object().cloned().unwrap_or_default();
            fields.insert(field.clone(), result.clone());
            Value::Object(fields)
        }
    }
}

fn caught(state: &State, input: &Value, failure: &Failure, variables: &Variables, around: &Around<'_>) -> Step {
    let Some(Catcher { next, result_path, assign, .. }) =
        state.catch.iter().find(|catcher| matches(&catcher.errors, failure))
    else {
        return Step::Fails(failure.clone());
    };
    let error = json!({ "Error": failure.error, "Cause": failure.cause });
    let scope = Scope { input: &error, result: &error, variables, around, retries: 0 };
    let after = with_assigned(assign, variables, &scope);
    Step::To(Some(*next), merged(result_path, input, &error), after)
}

fn with_assigned(assign: &[(String, Expr)], variables: &Variables, scope: &Scope<'_>) -> Variables {
    let mut after = variables.clone();
    after.extend(assign.iter().map(|(name, expr)| (name.clone(), value_of(expr, scope))));
    after
}

/// Does a Retry or Catch with these names take the failure up?
fn matches(names: &[String], failure: &Failure) -> bool {
    names.iter().any(|name| match name.as_str() {
        "States.ALL" => true,
        "States.TaskFailed" => failure.error != "States.Timeout",
        name => name == failure.error,
    })
}

fn holds(test: &Test, input: &Value) -> bool {
    match test {
        Test::IntEquals(path, n) => at_path(input, path).as_i64() == Some(*n),
        Test::IntLess(path, n) => at_path(input, path).as_i64().is_some_and(|found| found < *n),
        Test::TextEquals(path, wanted) => at_path(input, path).as_str() == Some(wanted),
        Test::IsPresent(path) => path.iter().try_fold(input, |value, field| value.get(field)).is_some(),
        Test::And(tests) => tests.iter().all(|test| holds(test, input)),
        Test::Or(tests) => tests.iter().any(|test| holds(test, input)),
        Test::Not(test) => !holds(test, input),
    }
}

fn at_path(value: &Value, path: &[String]) -> Value {
    path.iter().fold(value.clone(), |value, field| value.get(field).cloned().unwrap_or(Value::Null))
}

fn value_of(expr: &Expr, scope: &Scope<'_>) -> Value {
    match expr {
        Expr::Literal(value) => value.clone(),
        Expr::Path(base, path) => {
            let whole = match base {
                Base::Input => scope.input.clone(),
                Base::Result | Base::Error => scope.result.clone(),
                Base::Variable(name) => scope.variables.get(name).cloned().unwrap_or_default(),
                Base::Item => scope.around.item.as_ref().map(|(_, item)| item.clone()).unwrap_or_default(),
                Base::ItemIndex => json!(scope.around.item.as_ref().map(|(index, _)| index)),
                Base::ExecutionInput => scope.around.execution_input.clone(),
                Base::RetryCount => json!(scope.retries),
                Base::Token => Value::Null,
            };
            at_path(&whole, path)
        }
        Expr::Join(of) => {
            let texts: Vec<String> = of
                .iter()
                .map(|expr| match value_of(expr, scope) {
                    Value::String(text) => text,
                    other => other.to_string(),
                })
                .collect();
            json!(texts.join("-"))
        }
        Expr::Add(to, n) => json!(value_of(to, scope).as_i64().unwrap_or(0) + n),
        Expr::Count(of) => json!(value_of(of, scope).as_array().map_or(0, Vec::len)),
        Expr::List(of) => of.iter().map(|expr| value_of(expr, scope)).collect(),
        Expr::Object(fields) => {
            let fields: Map<String, Value> =
                fields.iter().map(|(name, expr)| (name.clone(), value_of(expr, scope))).collect();
            Value::Object(fields)
        }
    }
}

/// Is this what was expected? A text that was left open is like any other.
pub fn alike(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::String(expected), Value::String(_)) if expected == ANY_TEXT => true,
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| alike(a, b)))
        }
        (a, b) => a == b,
    }
}
