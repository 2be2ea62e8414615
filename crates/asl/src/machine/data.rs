//! Input and output processing: InputPath, Parameters, ResultSelector, ResultPath, OutputPath, Assign.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::failure::Failure;
use super::frame::Frame;
use super::{Execution, TaskId};
use crate::MAX_PAYLOAD_BYTES;
use crate::context::Context;
use crate::definition::{Amount, ResultPath, Selection, State, Text};
use crate::expr::{EvalError, Expr, Scope};
use crate::payload::Payload;
use crate::template::{Template, TemplateError};

/// How a value that `$` stands for is to be seen: with a Map's item, with a task's token.
#[derive(Clone, Copy, Default)]
pub(super) struct View<'a> {
    pub(super) item: Option<(u64, &'a Value)>,
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
        context.retry_count = frame.retry_count();
        if Self::state_of(frame).work().is_none() {
            context = context.without_retries();
        }
        context.token = view.task.map(|task| self.token(task));
        context.item = view.item.or_else(|| {
            let nearest = std::iter::once(frame)
                .chain(ancestors.iter().copied())
                .find_map(|frame| Some((frame.index, frame.item.as_ref()?)));
            nearest.map(|(index, item)| (index, item.value()))
        });
        let variables: Vec<&Map<String, Value>> =
            std::iter::once(frame).chain(ancestors.iter().copied()).map(|frame| &frame.variables).collect();
        use_it(&Scope { input, context: &context, variables: &variables, random: &self.root.random })
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
        self.selected(frame, &state.input_path, input)
    }

    /// What InputPath or OutputPath leaves of a value.
    pub(super) fn selected(
        &mut self,
        frame: &Frame,
        selection: &Selection,
        whole: Payload,
    ) -> Result<Payload, Failure> {
        match selection {
            Selection::Whole => Ok(whole),
            Selection::Nothing => Ok(Payload::default()),
            Selection::Path(path) => {
                let value = self
                    .scope(frame, whole.value(), View::default(), |scope| path.eval(scope))
                    .map_err(|error| Failure::invalid_path(frame, path, &error))?;
                Ok(self.payload_of(value))
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
        Ok(self.payload_of(value))
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
                Some(value) => Ok(self.payload_of(value)),
                None => Err(Failure::result_path(frame, path.source())),
            },
        }
    }

    /// The state's output, within AWS's bounds.
    pub(super) fn output(&mut self, frame: &Frame, state: &State, merged: Payload) -> Result<Payload, Failure> {
        let output = self.selected(frame, &state.output_path, merged)?;
        if output.text().len() > MAX_PAYLOAD_BYTES {
            return Err(Failure::too_large(&frame.state));
        }
        Ok(output)
    }

    /// Sets variables; answers with them as history shows them.
    pub(super) fn assign(
        &self,
        frame: &mut Frame,
        assign: Option<&Template>,
        result: &Payload,
    ) -> Result<IndexMap<String, String>, Failure> {
        let Some(assign) = assign else { return Ok(IndexMap::new()) };
        let value = self
            .scope(frame, result.value(), View::default(), |scope| assign.eval(scope))
            .map_err(|error| Failure::template(frame, error, result))?;
        let Value::Object(variables) = value else { return Ok(IndexMap::new()) };
        let shown = variables.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        frame.variables.extend(variables);
        Ok(shown)
    }

    /// TimeoutSeconds, HeartbeatSeconds and their paths.
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
            Some(Amount::Path(path)) => {
                let value = self
                    .scope(frame, input.value(), View::default(), |scope| path.eval(scope))
                    .map_err(|error| Failure::invalid_path(frame, path, &error))?;
                let Some(number) = value.as_i64() else {
                    let shown = crate::value::java_text(&value);
                    let what = format!(
                        "The {field}Path field refers to value \"{shown}\" which is not a valid integer: {}",
                        path.source()
                    );
                    return Err(Failure::runtime(frame, &what));
                };
                u64::try_from(number).map(Some).map_err(|_| {
                    let what =
                        format!("The {field}Path field refers to a negative value: {} == {value}", path.source());
                    Failure::runtime(frame, &what)
                })
            }
        }
    }

    /// Error and Cause of a Fail state.
    pub(super) fn text(&self, frame: &Frame, text: Option<&Text>, field: &str) -> Result<Option<String>, Failure> {
        match text {
            None => Ok(None),
            Some(Text::Fixed(text)) => Ok(Some(text.clone())),
            Some(Text::Expr(expr)) => {
                let field = format!("{field}Path");
                let value = self.value_of(frame, expr, &field, &frame.input)?;
                match value {
                    Value::String(text) => Ok(Some(text)),
                    other => Err(Failure::runtime(
                        frame,
                        &format!(
                            "The {field} field refers to a value that is not a string: {} == {other}",
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
