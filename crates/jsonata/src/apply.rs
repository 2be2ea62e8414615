//! Calls: finding what is called, checking its arguments, tail calls, partial application, transforms.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::ast::{Kind, Node};
use super::eval::{FrameId, Machine};
use super::failure::{Failure, Result};
use super::functions;
use super::value::{Function, Members, Object, Val};

impl<'a> Machine<'a> {
    pub(super) fn call(
        &mut self,
        node: &'a Node,
        procedure: &'a Node,
        arguments: &'a [Node],
        input: &Val<'a>,
        frame: FrameId,
        applied: Option<Val<'a>>,
    ) -> Result<Val<'a>> {
        let callee = self.evaluate(procedure, input, frame)?;
        if callee.is_undefined() && self.is_near_miss(procedure, frame) {
            let failure = Failure::at("T1005", node.position);
            return Err(failure.with_token(procedure.spoken().unwrap_or_default()));
        }
        let mut values: Vec<Val<'a>> = applied.into_iter().collect();
        for argument in arguments {
            values.push(self.evaluate(argument, input, frame)?);
        }
        self.apply(&callee, values, input).map_err(|mut failure| {
            failure.position = failure.position.or(Some(node.position));
            if failure.token.is_none() {
                failure.token = procedure.spoken().map(str::to_owned);
            }
            failure
        })
    }

    /// A name without its `$` that would be a function with it.
    fn is_near_miss(&self, procedure: &Node, frame: FrameId) -> bool {
        let Kind::Path { steps, .. } = &procedure.kind else { return false };
        let Some(Kind::Name(name)) = steps.first().map(|step| &step.kind) else { return false };
        !matches!(self.lookup(frame, name), Val::Undefined | Val::Null | Val::Bool(false))
    }

    pub(super) fn apply_operator(
        &mut self,
        node: &'a Node,
        left: &'a Node,
        right: &'a Node,
        input: &Val<'a>,
        frame: FrameId,
    ) -> Result<Val<'a>> {
        let value = self.evaluate(left, input, frame)?;
        if let Kind::Call { procedure, arguments } = &right.kind {
            return self.call(right, procedure, arguments, input, frame, Some(value));
        }
        let function = self.evaluate(right, input, frame)?;
        if !matches!(function, Val::Function(_)) {
            let mut failure = Failure::at("T2006", node.position);
            failure.value = Some(function.shown());
            return Err(failure);
        }
        if matches!(value, Val::Function(_)) {
            return Val::function(Function::Chain(value, function));
        }
        self.apply(&function, vec![value], &Val::Null)
    }

    /// Calls a function, and what it calls last, and so on.
    pub(super) fn apply(&mut self, function: &Val<'a>, arguments: Vec<Val<'a>>, input: &Val<'a>) -> Result<Val<'a>> {
        let mut result = self.apply_once(function, arguments, input)?;
        while let Some((node, frame, inner)) = thunk(&result) {
            let Kind::Call { procedure, arguments } = &node.kind else { break };
            let next = self.evaluate(procedure, &inner, frame)?;
            let mut values = Vec::with_capacity(arguments.len());
            for argument in arguments {
                values.push(self.evaluate(argument, &inner, frame)?);
            }
            result = self.apply_once(&next, values, input).map_err(|mut failure| {
                if failure.token.is_none() {
                    failure.token = procedure.spoken().map(str::to_owned);
                }
                failure
            })?;
        }
        Ok(result)
    }

    fn apply_once(&mut self, function: &Val<'a>, arguments: Vec<Val<'a>>, input: &Val<'a>) -> Result<Val<'a>> {
        let Val::Function(function) = function else { return Err(Failure::new("T1006")) };
        self.charge(1)?;
        match &**function {
            Function::Builtin(builtin) => {
                let arguments = builtin.signature().validate(arguments, input)?;
                (builtin.run)(self, &functions::Arguments::new(arguments), input)
            }
            Function::Lambda { lambda, .. } => {
                let arguments = match &lambda.signature {
                    Some(signature) => signature.validate(arguments, input)?,
                    None => arguments,
                };
                self.enter(function, arguments)
            }
            Function::Partial { of, arguments: given } => {
                let mut rest = arguments.into_iter();
                let all = given
                    .iter()
                    .map(|argument| argument.clone().unwrap_or_else(|| rest.next().unwrap_or(Val::Undefined)))
                    .collect();
                let Val::Function(of) = of else { return Err(Failure::new("T1006")) };
                match &**of {
                    Function::Builtin(builtin) => (builtin.run)(self, &functions::Arguments::new(all), input),
                    Function::Lambda { .. } => self.enter(of, all),
                    _ => self.apply_once(&Val::Function(Rc::clone(of)), all, input),
                }
            }
            Function::Chain(first, then) => {
                let value = self.apply(first, arguments, &Val::Null)?;
                self.apply(then, vec![value], &Val::Null)
            }
            Function::Transform { node, frame } => {
                let Val::Function(_) = self.lookup(*frame, "clone") else {
                    return Err(Failure::at("T2013", node.position));
                };
                let signature = functions::transform_signature();
                let mut arguments = signature.validate(arguments, input)?;
                let value = if arguments.is_empty() { Val::Undefined } else { arguments.remove(0) };
                self.transform(node, &value, *frame)
            }
            Function::Regex(pattern) => {
                let text = arguments.into_iter().next().unwrap_or(Val::Undefined);
                let Val::Text(text) = text else { return Ok(Val::Undefined) };
                functions::first_match(self, pattern, &text, 0)
            }
            Function::NextMatch { pattern, text, from } => {
                if *from >= text.len() {
                    return Ok(Val::Undefined);
                }
                functions::first_match(self, pattern, text, *from)
            }
        }
    }

    fn enter(&mut self, function: &Rc<Function<'a>>, arguments: Vec<Val<'a>>) -> Result<Val<'a>> {
        let Function::Lambda { lambda, frame, input } = &**function else { return Err(Failure::new("T1006")) };
        let mut arguments = arguments.into_iter();
        let mut bound: Vec<(Arc<str>, Val<'a>)> = Vec::with_capacity(lambda.parameters.len());
        for name in &lambda.parameters {
            bound.push((Arc::clone(name), arguments.next().unwrap_or(Val::Undefined)));
        }
        let frame = self.frame_with(*frame, bound)?;
        self.evaluate(&lambda.body, input, frame)
    }

    pub(super) fn partial(
        &mut self,
        node: &'a Node,
        procedure: &'a Node,
        arguments: &'a [Option<Node>],
        input: &Val<'a>,
        frame: FrameId,
    ) -> Result<Val<'a>> {
        let mut given = Vec::with_capacity(arguments.len());
        for argument in arguments {
            given.push(match argument {
                Some(argument) => Some(self.evaluate(argument, input, frame)?),
                None => None,
            });
        }
        let of = self.evaluate(procedure, input, frame)?;
        if of.is_undefined() && self.is_near_miss(procedure, frame) {
            let failure = Failure::at("T1007", node.position);
            return Err(failure.with_token(procedure.spoken().unwrap_or_default()));
        }
        let Val::Function(function) = &of else { return Err(Failure::at("T1008", node.position)) };
        let parameters = match &**function {
            Function::Builtin(builtin) => builtin.parameters,
            Function::Lambda { lambda, .. } => lambda.parameters.len(),
            Function::Partial { arguments, .. } => arguments.iter().filter(|argument| argument.is_none()).count(),
            Function::Regex(_) => 2,
            Function::NextMatch { .. } => 0,
            _ => 1,
        };
        given.resize(parameters, Some(Val::Undefined));
        Val::function(Function::Partial { of, arguments: given })
    }

    /// `|pattern|update,delete|`: a copy of the value in which the matches are changed.
    fn transform(&mut self, node: &'a Node, value: &Val<'a>, frame: FrameId) -> Result<Val<'a>> {
        let Kind::Transform { pattern, update, delete } = &node.kind else { return Ok(Val::Undefined) };
        if value.is_undefined() {
            return Ok(Val::Undefined);
        }
        let copy = functions::clone_value(self, value)?;
        let matches = self.evaluate(pattern, &copy, frame)?;
        let mut changed = Changes::new();
        for found in matches.into_items() {
            let Val::Object(object) = &found else {
                // Other values have no members to change, but the clauses still run.
                self.evaluate(update, &found, frame)?;
                continue;
            };
            let current = changed.apply(&found)?;
            let mut members = match &current {
                Val::Object(current) => current.members.clone(),
                _ => Members::new(),
            };
            let updates = self.evaluate(update, &current, frame)?;
            if !updates.is_undefined() {
                if !updates.is_object() {
                    let mut failure = Failure::at("T2011", update.position);
                    failure.value = Some(updates.shown());
                    return Err(failure);
                }
                members.extend(updates.members());
            }
            if let Some(delete) = delete {
                let current = Val::object(members.clone())?;
                let names = self.evaluate(delete, &current, frame)?;
                let shown = names.clone();
                for name in names.into_items() {
                    let Val::Text(name) = name else {
                        let mut failure = Failure::at("T2012", delete.position);
                        failure.value = Some(shown.shown());
                        return Err(failure);
                    };
                    members.shift_remove(&name);
                }
            }
            self.allocate(members.len() * 32)?;
            changed.0.insert(Rc::as_ptr(object).cast::<()>() as usize, members);
        }
        changed.apply(&copy)
    }
}

/// The new members of objects, by where the objects lie; the copy they are part of keeps them there.
struct Changes<'a>(BTreeMap<usize, Members<'a>>);

impl<'a> Changes<'a> {
    fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn apply(&self, value: &Val<'a>) -> Result<Val<'a>> {
        if self.0.is_empty() {
            return Ok(value.clone());
        }
        match value {
            Val::Array(array) => Val::plain(array.items.iter().map(|item| self.apply(item)).collect::<Result<_>>()?),
            Val::Object(object) => {
                let members = self.members(object);
                let applied = members.iter().map(|(key, member)| Ok((Arc::clone(key), self.apply(member)?)));
                Val::object(applied.collect::<Result<_>>()?)
            }
            other => Ok(other.clone()),
        }
    }

    fn members<'o>(&'o self, object: &'o Rc<Object<'a>>) -> &'o Members<'a> {
        self.0.get(&(Rc::as_ptr(object).cast::<()>() as usize)).unwrap_or(&object.members)
    }
}

fn thunk<'a>(value: &Val<'a>) -> Option<(&'a Node, FrameId, Val<'a>)> {
    let Val::Function(function) = value else { return None };
    match &**function {
        Function::Lambda { lambda, frame, input } if lambda.thunk => Some((&lambda.body, *frame, input.clone())),
        _ => None,
    }
}

/// How many arguments a function wants.
pub(super) fn arity(function: &Val<'_>) -> usize {
    let Val::Function(function) = function else { return 0 };
    match &**function {
        Function::Builtin(builtin) => builtin.arity,
        Function::Lambda { lambda, .. } => lambda.parameters.len(),
        Function::Partial { arguments, .. } => arguments.iter().filter(|argument| argument.is_none()).count(),
        Function::Chain(..) | Function::Transform { .. } => 1,
        Function::Regex(_) => 2,
        Function::NextMatch { .. } => 0,
    }
}
