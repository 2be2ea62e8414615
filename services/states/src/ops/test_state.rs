//! TestState: one state, run by the same interpreter as in an execution, with what becomes of its data. Nothing is stored.

use std::sync::Arc;
use std::time::Duration;

use api_states::{
    InspectionData, InspectionErrorDetails, MockInput, TestState, TestStateConfiguration, TestStateInput,
    TestStateOutput, error,
};
use asl::{
    Diagnostic, Info, Inspection, Payload, Pending, ReaderConfig, StartTask, StateTest, StateType, TestSetup,
    TestStatus, Tested, TestedState, Timestamp,
};
use async_trait::async_trait;
use serde_json::{Map, Value};
use service::{Cx, Handle};
use wire::Error;

use super::create_state_machine::check_role;
use super::start_execution::read_input;
use crate::distributed::items_in;
use crate::integrations::{self, Called, Exchange, Roles, Taken};
use crate::names::check_size;
use crate::{States, mock};

/// A state may run that long. Source: API Reference, TestState.
const MAX_SECONDS: i64 = 300;

#[async_trait]
impl Handle<TestState> for States {
    async fn handle(&self, cx: &Cx, input: TestStateInput) -> Result<TestStateOutput, Error> {
        let mocked = input.mock.as_ref().and_then(|mock| mock.result.as_ref());
        let texts = [
            ("input", input.input.as_ref()),
            ("variables", input.variables.as_ref()),
            ("context", input.context.as_ref()),
            ("mock.result", mocked),
        ];
        texts.into_iter().try_for_each(|(member, text)| check_size(member, text))?;
        let state = tested_state(&input)?;
        check(&state, &input)?;
        if let (Some(mock), Some(resource)) = (&input.mock, state.resource())
            && let Some(result) = mocked_result(mock)?
        {
            let mode = mock::Mode::of(mock.field_validation_mode.as_deref());
            if let Some(problem) = mock::problem(resource, &result, mode) {
                return Err(error::validation_exception(problem));
            }
        }
        if input.reveal_secrets == Some(true) {
            cx.router().authorize(cx, "states:RevealSecrets", "*").await?;
        }
        let level = input.inspection_level.clone();
        let secrets = input.reveal_secrets == Some(true);
        let mut exchange = Exchange::default();
        let tested = self.run(cx, state, input, &mut exchange).await?;
        let mut output = output(tested, level.as_deref());
        if let (Some("TRACE"), Some(data)) = (level.as_deref(), &mut output.inspection_data) {
            data.request = exchange.request(secrets);
            data.response = exchange.response();
        }
        Ok(output)
    }
}

impl States {
    async fn run(
        &self,
        cx: &Cx,
        state: TestedState,
        input: TestStateInput,
        exchange: &mut Exchange,
    ) -> Result<Tested, Error> {
        let now = || Timestamp(cx.now().as_millisecond());
        let role_arn = input.role_arn.unwrap_or_default();
        let given = input.input.unwrap_or_else(|| "{}".to_owned());
        let info = info(cx, &role_arn, read_input(given.clone())?, now());
        let with = input.state_configuration.unwrap_or_default();
        let mut setup = setup(given, state.reader(), input.variables.as_deref(), input.context.as_deref(), &with)?;
        if input.mock.is_none() {
            setup.calls = Some(Arc::new(Taken(Arc::clone(cx.router()))));
        }
        let uuid = cx.uuid().replace('-', "");
        let half = |range: std::ops::Range<usize>| {
            uuid.get(range).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default()
        };
        let (writes_results, failed) = (state.writes_results(), setup.failed_iterations);
        let mut test = StateTest::begin(state, info, setup, now(), [half(0..16), half(16..32)]);
        if let Some(mock) = input.mock.as_ref().filter(|_| matches!(test.pending(), Pending::Children)) {
            check_iterations(&test, mock, failed, writes_results)?;
        }
        match input.mock {
            Some(mock) => match (mock.result, mock.error_output) {
                _ if matches!(test.pending(), Pending::Ended) => {}
                (Some(result), _) => test.succeed(now(), result),
                (None, failure) => {
                    let failure = failure.unwrap_or_default();
                    test.fail(now(), failure.error, failure.cause);
                }
            },
            None => match test.pending().clone() {
                Pending::Task(start) => self.perform(cx, &mut test, &role_arn, *start, exchange).await,
                Pending::Wait(at) => {
                    let millis = at.0.saturating_sub(now().0).clamp(0, MAX_SECONDS * 1000);
                    cx.router().clock().sleep(Duration::from_millis(u64::try_from(millis).unwrap_or(0))).await;
                    if now().0 < at.0 { test.time_out(now()) } else { test.wake(now()) }
                }
                Pending::Ended | Pending::Children => {}
            },
        }
        test.tested().ok_or_else(|| Error::internal("a state under test did not end"))
    }

    /// Makes the call of a Task.
    async fn perform(&self, cx: &Cx, test: &mut StateTest, role_arn: &str, start: StartTask, exchange: &mut Exchange) {
        let seconds =
            start.timeout_seconds.map_or(MAX_SECONDS, |s| i64::try_from(s).unwrap_or(MAX_SECONDS).min(MAX_SECONDS));
        let limit = cx.router().clock().sleep(Duration::from_secs(seconds.unsigned_abs()));
        let roles = Roles { machine: role_arn, other: start.role_arn.as_deref() };
        let (whom, parameters) = ((roles, start.resource.as_str()), start.parameters.value().clone());
        let called = tokio::select! {
            called = integrations::call_once(cx, &self.http, whom, parameters, exchange) => Some(called),
            () = limit => None,
        };
        let now = Timestamp(cx.now().as_millisecond());
        match called {
            Some(Ok(result)) => test.succeed(now, result.to_string()),
            Some(Err((error, cause))) => test.fail(now, Some(error), Some(cause)),
            None => test.time_out(now),
        }
    }
}

fn tested_state(input: &TestStateInput) -> Result<TestedState, Error> {
    let found = TestedState::parse(&input.definition, input.state_name.as_deref()).map_err(|found| {
        let found: Vec<_> = found.iter().map(Diagnostic::sentence).collect();
        error::invalid_definition(format!("Invalid State Machine Definition: '{}'", found.join(", ")))
    })?;
    found.ok_or_else(|| error::validation_exception("State not found in definition"))
}

/// What fits together in a request, and what does not.
fn check(state: &TestedState, input: &TestStateInput) -> Result<(), Error> {
    if let Some(role_arn) = &input.role_arn {
        check_role(role_arn)?;
    }
    let invalid = |what: &str| Err(error::validation_exception(what));
    let kind = state.kind();
    let with = input.state_configuration.as_ref();
    let Some(mock) = &input.mock else {
        return match kind {
            StateType::Map | StateType::Parallel => Err(error::invalid_definition(
                "TestState API does not support Map or Parallel states. Supported state types include: [Task, Wait, Pass, Succeed, Fail, Choice]",
            )),
            _ if input.context.is_some() => invalid("Context can only be specified when a mock is specified."),
            _ if with.is_some_and(|with| with.map_iteration_failure_count.is_some()) => {
                invalid("MapIterationFailureCount can only be specified when a mock is specified.")
            }
            StateType::Task if input.role_arn.is_none() => {
                invalid("RoleArn must be specified when testing a Task state")
            }
            StateType::Task if !state.resource().is_some_and(Called::answers_itself) => invalid(
                "TestState supports activities and the service integration patterns .sync and .waitForTaskToken only when a mock is specified",
            ),
            _ => Ok(()),
        };
    };
    if !matches!(kind, StateType::Task | StateType::Map | StateType::Parallel) {
        return invalid(&format!("State type '{}' is not supported when a mock is specified", kind.name()));
    }
    if input.reveal_secrets == Some(true) {
        return invalid("TestState does not support RevealSecrets when a mock is specified.");
    }
    if mock.result.is_some() && mock.error_output.is_some() {
        return invalid("A test mock should have only one of the following fields: [result, errorOutput].");
    }
    if mock.result.is_none() && mock.error_output.is_none() {
        return invalid("A test mock should have one of the following fields: [result, errorOutput].");
    }
    if mock.error_output.as_ref().is_some_and(|failure| failure.error.is_none()) {
        return invalid("An error was not specified in the mocked error output.");
    }
    let result = mocked_result(mock)?;
    if result.is_some() && state.reader().is_some() && with.is_none_or(|with| with.map_item_reader_data.is_none()) {
        return invalid("ItemReader data must be specified when testing a Map state with ItemReader specified.");
    }
    match (&result, kind) {
        (Some(result), StateType::Map) if state.writes_results() && !result.is_object() => {
            return invalid("Mocked result must be a JSON object.");
        }
        (Some(result), StateType::Map) if !state.writes_results() && !result.is_array() => {
            return invalid("Mocked result must be an array.");
        }
        (Some(result), StateType::Parallel) => match result.as_array().map(Vec::len) {
            None => return invalid("Mocked result must be an array."),
            length if length != state.branches() => {
                return invalid("Mocked result must contain the same number of items as number of Parallel branches.");
            }
            _ => {}
        },
        _ => {}
    }
    if let Some(cause) = with.and_then(|with| with.error_caused_by_state.as_ref())
        && !state.contains(cause)
    {
        return invalid(&format!(
            "The state '{cause}' that errorCausedByState names is not part of the state under test"
        ));
    }
    Ok(())
}

/// A mock of a Map against the iterations that its items make.
fn check_iterations(test: &StateTest, mock: &MockInput, failed: u64, writes_results: bool) -> Result<(), Error> {
    let Some(iterations) = test.iterations() else { return Ok(()) };
    if failed > iterations as u64 {
        return Err(error::validation_exception(
            "Map iteration failure count must be less than or equal to the number of Map iterations.",
        ));
    }
    if writes_results || test.fails_by_iterations() {
        return Ok(());
    }
    let results = mocked_result(mock)?.and_then(|result| result.as_array().map(|results| results.len() as u64));
    // Those that failed may have no result.
    let iterations = iterations as u64;
    if results.is_some_and(|results| results != iterations && results != iterations - failed) {
        return Err(error::validation_exception("Input array does not equal the mocked result array's size."));
    }
    Ok(())
}

fn mocked_result(mock: &MockInput) -> Result<Option<Value>, Error> {
    let result = mock.result.as_deref().map(jsontext::read).transpose();
    result.map_err(|_| error::validation_exception("Mocked result must be valid JSON"))
}

fn info(cx: &Cx, role_arn: &str, input: Payload, started: Timestamp) -> Info {
    let (machine, name) = (cx.uuid(), cx.uuid());
    let base = format!("arn:aws:states:{}:{}", cx.region(), cx.account());
    Info {
        execution_arn: format!("{base}:express:{machine}:{name}"),
        name,
        role_arn: role_arn.to_owned(),
        state_machine_arn: format!("{base}:stateMachine:{machine}"),
        state_machine_name: machine,
        region: cx.region().to_owned(),
        started,
        input,
        ..Info::default()
    }
}

fn setup(
    input: String,
    reader: Option<&ReaderConfig>,
    variables: Option<&str>,
    context: Option<&str>,
    with: &TestStateConfiguration,
) -> Result<TestSetup, Error> {
    let variables: Option<Map<String, Value>> = variables
        .map(jsontext::read)
        .transpose()
        .map_err(|_| error::validation_exception("Variables must be a valid JSON object"))?;
    Ok(TestSetup {
        input,
        variables: variables.unwrap_or_default(),
        context: context.map(mocked_context).transpose()?,
        retries: u32::try_from(with.retrier_retry_count.unwrap_or(0)).unwrap_or(0),
        items: reader.zip(with.map_item_reader_data.as_deref()).map(|(reader, data)| items_in(data, reader)),
        failed_iterations: u64::try_from(with.map_iteration_failure_count.unwrap_or(0)).unwrap_or(0),
        calls: None,
    })
}

/// A context object that stands in for the execution's: it has only what AWS lets be mocked.
fn mocked_context(text: &str) -> Result<Value, Error> {
    let invalid = |what: &str| error::validation_exception(format!("Invalid Context object provided: {what}"));
    let context: Value = jsontext::read(text).map_err(|_| invalid("Context must be valid JSON"))?;
    let Value::Object(parts) = &context else { return Err(invalid("Context must be an object")) };
    for (part, members) in parts {
        if part == "Map" {
            return Err(invalid("'Map' field is not supported when mocking a Context object"));
        }
        let Some((_, known)) = CONTEXT.iter().find(|(name, _)| name == part) else {
            return Err(invalid(&format!("Field '{part}' is not allowed")));
        };
        let Value::Object(members) = members else { return Err(invalid(&format!("{part} must be a object"))) };
        for (member, value) in members {
            let Some((_, kind)) = known.iter().find(|(name, _)| name == member) else {
                return Err(invalid(&format!("Field '{member}' is not allowed")));
            };
            let fits = match *kind {
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                _ => true,
            };
            if !fits {
                return Err(invalid(&format!("{part}.{member} must be a {kind}")));
            }
        }
    }
    Ok(context)
}

/// The parts of a mocked context object, their members and what these are. `Map` is worked out from the state's items.
const CONTEXT: &[(&str, &[(&str, &str)])] = &[
    (
        "Execution",
        &[
            ("Id", "string"),
            ("Input", "any"),
            ("Name", "string"),
            ("RedriveCount", "integer"),
            ("RedriveTime", "string"),
            ("RoleArn", "string"),
            ("StartTime", "string"),
        ],
    ),
    ("State", &[("EnteredTime", "string"), ("Name", "string"), ("RetryCount", "integer")]),
    ("StateMachine", &[("Id", "string"), ("Name", "string")]),
    ("Task", &[("Token", "string")]),
];

fn output(tested: Tested, level: Option<&str>) -> TestStateOutput {
    let status = match tested.status {
        TestStatus::Succeeded => "SUCCEEDED",
        TestStatus::Failed => "FAILED",
        TestStatus::Retriable => "RETRIABLE",
        TestStatus::CaughtError => "CAUGHT_ERROR",
    };
    TestStateOutput {
        output: tested.output.map(|output| output.text().to_owned()),
        error: tested.error,
        cause: tested.cause,
        inspection_data: matches!(level, Some("DEBUG" | "TRACE")).then(|| inspection(tested.seen)),
        next_state: tested.next,
        status: Some(status.to_owned()),
    }
}

fn inspection(seen: Inspection) -> InspectionData {
    let index = |index: Option<usize>| index.and_then(|index| i32::try_from(index).ok());
    let amount = |amount: Option<u64>| amount.and_then(|amount| i32::try_from(amount).ok());
    #[expect(clippy::cast_possible_truncation, reason = "a delay is at most 99,999,999 seconds")]
    let details = InspectionErrorDetails {
        catch_index: index(seen.catch_index),
        retry_index: index(seen.retry_index),
        retry_backoff_interval_seconds: seen.retry_backoff_seconds.map(|seconds| seconds as i32),
    };
    InspectionData {
        input: seen.input,
        after_arguments: seen.after_arguments,
        after_input_path: seen.after_input_path,
        after_parameters: seen.after_parameters,
        result: seen.result,
        after_result_selector: seen.after_result_selector,
        after_result_path: seen.after_result_path,
        variables: seen.variables,
        error_details: (details != InspectionErrorDetails::default()).then_some(details),
        after_items_path: seen.after_items_path,
        after_items_pointer: seen.after_items_pointer,
        after_item_selector: seen.after_item_selector,
        after_item_batcher: seen.after_item_batcher,
        tolerated_failure_count: amount(seen.tolerated_failure_count),
        tolerated_failure_percentage: seen.tolerated_failure_percentage,
        max_concurrency: amount(seen.max_concurrency),
        ..InspectionData::default()
    }
}
