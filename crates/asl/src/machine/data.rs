//! Input and output processing: InputPath, Parameters, ResultSelector, ResultPath, OutputPath, Assign; Arguments and Output.

use serde_json::{Map, Value};

use super::failure::Failure;
use super::frame::Frame;
use super::{Execution, TaskId};
use crate::context::Context;
use crate::definition::{Amount, ResultPath, Selection, State, Text};
use crate::expr::{EvalError, Expr, Scope};
use crate::payload::Payload;
use crate::template::{Template, TemplateError};
use crate::{MAX_PAYLOAD_BYTES, MAX_VARIABLES_BYTES};

/// Seconds that a state waits for something, or for nothing. Source: Developer Guide, Task state: positive integers, at most 99,999,999.
fn is_out_of_range(field: &str, amount: u64) -> bool {
    match field {
        "TimeoutSeconds" | "HeartbeatSeconds" => !(1..=MAX_SECONDS).contains(&amount),
        "Seconds" => amount > MAX_SECONDS,
        _ => false,
    }
}

/// The longest time that a state can wait.
pub(super) const MAX_SECONDS: u64 = 99_999_999;

/// Variables are kept within the record of their frame, which is within another.
const MAX_VARIABLE_DEPTH: usize = jsontext::MAX_DEPTH - 7;

/// The variables that a state sets.
pub(super) type Assigned = Map<String, Value>;

/// How a value that `$` stands for is to be seen: with a Map's item, with a task's token; and what `$states` has beyond the input.
#[derive(Clone, Copy, Default)]
pub(super) struct View<'a> {
    pub(super) result: Option<&'a Value>,
    pub(super) error_output: Option<&'a Value>,
    pub(super) item: Option<(u64, &'a Value)>,
    pub(super) item_origin: Option<(Option<&'a str>, &'a str)>,
    pub(super) task: Option<TaskId>,
}

impl Execution {
    pub(super) fn scope<T>(
        &self,
        frame: &Frame,
        input: &Value,
        view: View<'_>,
        use_it: impl FnOnce(&Scope<'_>) -> T,
    ) -> T {
        let ancestors = self.ancestors(frame);
        let mut context = Context::new(&self.info, &frame.state, frame.entered);
        context.redrive = self.root.redrive;
        context.retry_count = frame.retry_count() + self.test_retries();
        context.given = self.probe.as_ref().and_then(|probe| probe.setup.context.as_ref());
        if Self::state_of(frame).work().is_none() {
            context = context.without_retries();
        }
        context.token = view.task.map(|task| self.token(task));
        context.item_origin = view.item_origin;
        context.item = view.item.or_else(|| {
            let nearest = std::iter::once(frame)
                .chain(ancestors.iter().copied())
                .find_map(|frame| Some((frame.index, frame.item.as_ref()?)));
            nearest.map(|(index, item)| (index, item.value()))
        });
        let variables: Vec<&Map<String, Value>> =
            std::iter::once(frame).chain(ancestors.iter().copied()).map(|frame| &frame.variables).collect();
        let scope = Scope {
            raw: frame.input.value(),
            result: view.result,
            error_output: view.error_output,
            ..Scope::new(input, &context, &variables, &self.root.random, self.now)
        };
        let used = use_it(&scope);
        self.work.set(self.work.get() + scope.meter.steps_taken());
        used
    }

    fn ancestors(&self, frame: &Frame) -> Vec<&Frame> {
        let mut ancestors = Vec::new();
        let mut at = frame.parent;
        while let Some(frame) = at.and_then(|id| self.frames.get(&id)) {
            ancestors.push(frame);
            at = frame.parent;
        }
        ancestors
    }

    /// The raw input after InputPath.
    pub(super) fn effective_input(&mut self, frame: &Frame, state: &State) -> Result<Payload, Failure> {
        let input = frame.input.clone();
        self.selected(frame, &state.input_path, "InputPath", input)
    }

    /// What InputPath or OutputPath leaves of a value.
    pub(super) fn selected(
        &mut self,
        frame: &Frame,
        selection: &Selection,
        field: &str,
        whole: Payload,
    ) -> Result<Payload, Failure> {
        match selection {
            Selection::Whole => Ok(whole),
            Selection::Nothing => Ok(Payload::default()),
            Selection::Path(path) => {
                let value = self
                    .scope(frame, whole.value(), View::default(), |scope| path.eval(scope))
                    .map_err(|error| Failure::invalid_path(frame, path, field, &error))?;
                self.made(frame, value)
            }
        }
    }

    pub(super) fn filled(
        &mut self,
        frame: &Frame,
        template: &Template,
        input: &Payload,
        view: View<'_>,
    ) -> Result<Payload, Failure> {
        let value = self
            .scope(frame, input.value(), view, |scope| template.eval(scope))
            .map_err(|error| Failure::template(frame, error, input))?;
        self.made(frame, value)
    }

    /// What a state's Parameters, Arguments or ItemSelector make of its input, within AWS's bounds.
    ///
    /// Source: Developer Guide, "Error names", States.DataLimitExceeded: also "after `Parameters` processing, the input of a state".
    pub(super) fn given(
        &mut self,
        frame: &Frame,
        template: &Template,
        input: &Payload,
        view: View<'_>,
    ) -> Result<Payload, Failure> {
        let given = self.filled(frame, template, input, view)?;
        if given.text().len() > MAX_PAYLOAD_BYTES { Err(Failure::too_large_input(&frame.state)) } else { Ok(given) }
    }

    /// The raw input with the result put where ResultPath says.
    pub(super) fn merged(
        &mut self,
        frame: &Frame,
        result_path: &ResultPath,
        result: Payload,
    ) -> Result<Payload, Failure> {
        match result_path {
            ResultPath::Replace => Ok(result),
            ResultPath::Discard => Ok(frame.input.clone()),
            ResultPath::Into(path) => match path.write(frame.input.value().clone(), result.value().clone()) {
                Some(value) => self.made(frame, value),
                None => Err(Failure::result_path(frame, path.source())),
            },
        }
    }

    /// The state's output, within AWS's bounds: what `output` makes of it in JSONata, else what OutputPath leaves of `merged`.
    pub(super) fn output(
        &mut self,
        frame: &Frame,
        state: &State,
        output: Option<&Template>,
        merged: Payload,
        view: View<'_>,
    ) -> Result<Payload, Failure> {
        let output = match output {
            Some(template) => self.filled(frame, template, &merged, view)?,
            None => self.selected(frame, &state.output_path, "OutputPath", merged)?,
        };
        if output.text().len() > MAX_PAYLOAD_BYTES {
            return Err(Failure::too_large(&frame.state));
        }
        Ok(output)
    }

    /// The variables to be set. All see the old values, as the output does.
    pub(super) fn assigned(
        &self,
        frame: &Frame,
        assign: Option<&Template>,
        result: &Payload,
        view: View<'_>,
    ) -> Result<Assigned, Failure> {
        let Some(assign) = assign else { return Ok(Map::new()) };
        let value = self
            .scope(frame, result.value(), view, |scope| assign.eval(scope))
            .map_err(|error| Failure::template(frame, error, result))?;
        let Value::Object(variables) = value else { return Ok(Map::new()) };
        let new = variables.values().map(|value| value.to_string().len()).sum::<usize>();
        let kept = self.ancestors(frame).into_iter().chain([frame]).map(|frame| frame.variables_bytes).sum::<usize>();
        if new > MAX_PAYLOAD_BYTES || kept + new > MAX_VARIABLES_BYTES {
            return Err(Failure::too_large(&frame.state));
        }
        if variables.values().any(|value| jsontext::is_deeper(value, MAX_VARIABLE_DEPTH)) {
            return Err(Failure::too_deep(frame));
        }
        Ok(variables)
    }

    /// TimeoutSeconds, HeartbeatSeconds, MaxConcurrency …, their paths and expressions.
    pub(super) fn amount(
        &self,
        frame: &Frame,
        amount: Option<&Amount>,
        field: &str,
        input: &Payload,
    ) -> Result<Option<u64>, Failure> {
        match amount {
            None => Ok(None),
            Some(Amount::Fixed(amount)) => Ok(Some(*amount)),
            Some(Amount::Expr(expr)) => {
                let value = self
                    .scope(frame, input.value(), View::default(), |scope| expr.eval(scope))
                    .map_err(|error| Failure::invalid_path(frame, expr, field, &error))?;
                let whole = match (&value, expr) {
                    (_, Expr::Query { .. }) => value.as_i64(),
                    _ => crate::value::written_integer(&value),
                };
                match (whole.map(u64::try_from), expr) {
                    (Some(Ok(amount)), expr) if is_out_of_range(field, amount) => {
                        Err(Failure::out_of_range(frame, field, expr, &value))
                    }
                    (Some(Ok(amount)), _) => Ok(Some(amount)),
                    (Some(Err(_)), Expr::Query { .. }) => {
                        let what = format!("The {field} field refers to a negative value: {value}");
                        Err(Failure::evaluation(frame, Some(field), &what, true))
                    }
                    (None, Expr::Query { .. }) => {
                        let error = EvalError::unexpected(expr.source(), "number", &value);
                        Err(Failure::invalid_path(frame, expr, field, &error))
                    }
                    (Some(Err(_)), _) => {
                        let what =
                            format!("The {field}Path field refers to a negative value: {} == {value}", expr.source());
                        Err(Failure::runtime(frame, &what))
                    }
                    (None, _) => {
                        let shown = crate::value::java_text(&value);
                        let what = format!(
                            "The {field}Path field refers to value \"{shown}\" which is not a valid integer: {}",
                            expr.source()
                        );
                        Err(Failure::runtime(frame, &what))
                    }
                }
            }
        }
    }

    /// How many, and what share, of a Map's items may fail.
    pub(super) fn tolerated(
        &self,
        frame: &Frame,
        map: &crate::definition::Map,
        input: &Payload,
    ) -> Result<(Option<u64>, Option<f64>), Failure> {
        let count = self.tolerance(frame, map.tolerated_failure_count.as_ref(), "ToleratedFailureCount", input)?;
        let share =
            self.tolerance(frame, map.tolerated_failure_percentage.as_ref(), "ToleratedFailurePercentage", input)?;
        if count.is_some_and(|count| count < 0.0) {
            return Err(Failure::runtime(frame, "ToleratedFailureCount cannot be negative."));
        }
        if share.is_some_and(|share| !(0.0..=100.0).contains(&share)) {
            return Err(Failure::runtime(frame, "ToleratedFailurePercentage must be between 0 and 100."));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above; too large is all")]
        Ok((count.map(|count| count as u64), share))
    }

    fn tolerance(
        &self,
        frame: &Frame,
        amount: Option<&Amount<f64>>,
        field: &str,
        input: &Payload,
    ) -> Result<Option<f64>, Failure> {
        let expr = match amount {
            None => return Ok(None),
            Some(Amount::Fixed(amount)) => return Ok(Some(*amount)),
            Some(Amount::Expr(expr)) => expr,
        };
        let value = self
            .scope(frame, input.value(), View::default(), |scope| expr.eval(scope))
            .map_err(|error| Failure::invalid_path(frame, expr, field, &error))?;
        let (whole, is_query) = (field == "ToleratedFailureCount", matches!(expr, Expr::Query { .. }));
        let number = match &value {
            Value::String(text) if whole && !is_query => text.trim().parse::<i32>().ok().map(f64::from),
            Value::String(text) if !is_query => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            value => value.as_f64().filter(|_| !whole || value.is_i64() || value.is_u64()),
        };
        match number {
            Some(amount) => Ok(Some(amount)),
            None if is_query => {
                let error = EvalError::unexpected(expr.source(), "number", &value);
                Err(Failure::invalid_path(frame, expr, field, &error))
            }
            None => {
                let (shown, kind) = (crate::value::java_text(&value), if whole { "integer" } else { "float" });
                let source = expr.source();
                let what =
                    format!("The {field}Path field refers to value \"{shown}\" which is not a valid {kind}: {source}");
                Err(Failure::runtime(frame, &what))
            }
        }
    }

    /// Error and Cause of a Fail state.
    pub(super) fn text(&self, frame: &Frame, text: Option<&Text>, field: &str) -> Result<Option<String>, Failure> {
        match text {
            None => Ok(None),
            Some(Text::Fixed(text)) => Ok(Some(text.clone())),
            Some(Text::Expr(expr)) => {
                let is_query = matches!(expr, Expr::Query { .. });
                let named = if is_query { field.to_owned() } else { format!("{field}Path") };
                match self.value_of(frame, expr, &named, &frame.input)? {
                    Value::String(text) => Ok(Some(text)),
                    other if is_query => {
                        let error = EvalError::unexpected(expr.source(), "string", &other);
                        Err(Failure::invalid_path(frame, expr, field, &error))
                    }
                    other => Err(Failure::runtime(
                        frame,
                        &format!(
                            "The {named} field refers to a value that is not a string: {} == {other}",
                            expr.source()
                        ),
                    )),
                }
            }
        }
    }

    fn value_of(&self, frame: &Frame, expr: &Expr, field: &str, input: &Payload) -> Result<Value, Failure> {
        self.scope(frame, input.value(), View::default(), |scope| expr.eval(scope)).map_err(|error: EvalError| {
            Failure::template(frame, TemplateError { field: field.to_owned(), error }, input)
        })
    }
}
