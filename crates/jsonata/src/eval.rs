//! Runs a tree. Each node costs fuel and each level depth, so that every expression ends the same way on every machine.

use std::sync::Arc;

use indexmap::IndexMap;

use super::ast::{Group, Kind, Node, Stage, Term};
use super::failure::{Failure, Result};
use super::value::{Function, MAX_BYTES, Members, Tuple, Val, forget_shared, numeric, same, truth};
use super::{Environment, functions, text};

pub(super) type FrameId = usize;

/// A scope. Frames live until the evaluation ends, so closures can name them by number.
struct Frame<'a> {
    parent: Option<FrameId>,
    bound: Vec<(Arc<str>, Val<'a>)>,
}

/// How far an evaluation may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) depth: usize,
    pub(super) fuel: u64,
    pub(super) bytes: usize,
}

/// AWS's evaluator nests a hundred levels; the rest bounds time and memory by counting.
pub(super) const LIMITS: Limits = Limits { depth: 100, fuel: 4_000_000, bytes: 256 << 20 };

pub(super) struct Machine<'a> {
    frames: Vec<Frame<'a>>,
    labels: &'a [Arc<str>],
    pub(super) environment: &'a Environment<'a>,
    depth: usize,
    max_depth: usize,
    pub(super) fuel: u64,
    /// What there was of it.
    all_fuel: u64,
    bytes: usize,
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        let used = usize::try_from(self.all_fuel - self.fuel).unwrap_or(usize::MAX);
        // What is over the bound is found when more is wanted.
        let _ = self.environment.meter.step(used);
    }
}

/// To look at so many bytes of text counts like a node.
const BYTES_A_STEP: usize = 1024;

/// The frame with what every expression sees.
const ROOT: FrameId = 0;

impl<'a> Machine<'a> {
    pub(super) fn run(
        tree: &'a super::ast::Tree,
        environment: &'a Environment<'a>,
        input: Val<'a>,
        limits: Limits,
    ) -> Result<(Val<'a>, Self)> {
        forget_shared();
        let bound = vec![("$".into(), input.clone())];
        let mut machine = Self {
            frames: vec![Frame { parent: None, bound }],
            labels: &tree.labels,
            environment,
            depth: 0,
            max_depth: limits.depth,
            fuel: limits.fuel,
            all_fuel: limits.fuel,
            bytes: limits.bytes,
        };
        let input = if input.is_array() { Val::outer(input)? } else { input };
        let value = machine.evaluate(&tree.root, &input, ROOT)?;
        Ok((value, machine))
    }

    pub(super) fn charge(&mut self, steps: usize) -> Result<()> {
        self.fuel = self.fuel.checked_sub(steps as u64).ok_or_else(Failure::too_long)?;
        Ok(())
    }

    /// Accounts for what is made; what is dropped again counts too, which bounds the whole.
    pub(super) fn allocate(&mut self, bytes: usize) -> Result<()> {
        if bytes > MAX_BYTES {
            return Err(Failure::too_large());
        }
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(Failure::too_large)?;
        Ok(())
    }

    pub(super) fn text(&mut self, text: impl Into<Arc<str>>) -> Result<Val<'a>> {
        let value = Val::text(text)?;
        self.allocate(value.as_str().map_or(0, str::len))?;
        Ok(value)
    }

    pub(super) fn plain(&mut self, items: Vec<Val<'a>>) -> Result<Val<'a>> {
        self.allocate(items.len() * 8)?;
        Val::plain(items)
    }

    pub(super) fn sequence(&mut self, items: Vec<Val<'a>>) -> Result<Val<'a>> {
        self.allocate(items.len() * 8)?;
        Val::sequence(items)
    }

    fn frame(&mut self, parent: FrameId) -> Result<FrameId> {
        self.allocate(64)?;
        self.frames.push(Frame { parent: Some(parent), bound: Vec::new() });
        Ok(self.frames.len() - 1)
    }

    pub(super) fn frame_with(&mut self, parent: FrameId, bound: Vec<(Arc<str>, Val<'a>)>) -> Result<FrameId> {
        let frame = self.frame(parent)?;
        self.frames[frame].bound = bound;
        Ok(frame)
    }

    fn bind(&mut self, frame: FrameId, name: &Arc<str>, value: Val<'a>) {
        let bound = &mut self.frames[frame].bound;
        match bound.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => bound.push((Arc::clone(name), value)),
        }
    }

    fn tuple_frame(&mut self, parent: FrameId, tuple: &Tuple<'a>) -> Result<FrameId> {
        let frame = self.frame(parent)?;
        self.frames[frame].bound.clone_from(&tuple.bound);
        Ok(frame)
    }

    pub(super) fn lookup(&self, frame: FrameId, name: &str) -> Val<'a> {
        let mut at = Some(frame);
        while let Some(frame) = at {
            let frame = &self.frames[frame];
            if let Some((_, value)) = frame.bound.iter().find(|(known, _)| **known == *name) {
                return value.clone();
            }
            at = frame.parent;
        }
        if name == self.environment.named.0 {
            return Val::json(self.environment.named.1);
        }
        for scope in self.environment.variables {
            if let Some(value) = scope.get(name) {
                return Val::json(value);
            }
        }
        functions::find(name)
            .and_then(|builtin| Val::function(Function::Builtin(builtin)).ok())
            .unwrap_or(Val::Undefined)
    }

    pub(super) fn evaluate(&mut self, node: &'a Node, input: &Val<'a>, frame: FrameId) -> Result<Val<'a>> {
        self.charge(1)?;
        self.depth += 1;
        if self.depth > self.max_depth {
            return Err(Failure::too_deep());
        }
        let result = super::on_stack(|| self.finished(node, input, frame))?;
        if let Val::Text(text) = &result {
            self.charge(text.len() / BYTES_A_STEP)?;
        }
        self.depth -= 1;
        Ok(result)
    }

    /// The value with predicates and grouping applied, and a sequence of one or none unwrapped.
    fn finished(&mut self, node: &'a Node, input: &Val<'a>, frame: FrameId) -> Result<Val<'a>> {
        let mut result = self.kind(node, input, frame)?;
        for stage in &node.predicate {
            if let Stage::Filter(filter) = stage {
                result = self.filter(filter, result, frame)?;
            }
        }
        if let Some(group) = &node.group
            && !matches!(node.kind, Kind::Path { .. })
        {
            result = self.group(group, result, frame)?;
        }
        Ok(result.unwrapped(node.keep_array))
    }

    fn kind(&mut self, node: &'a Node, input: &Val<'a>, frame: FrameId) -> Result<Val<'a>> {
        match &node.kind {
            Kind::Null => Ok(Val::Null),
            Kind::Bool(truth) => Ok(Val::Bool(*truth)),
            Kind::Number(number) => Ok(Val::Number(*number)),
            Kind::Text(text) => Ok(Val::Text(Arc::clone(text))),
            Kind::Name(name) => self.member(input, name),
            Kind::Variable(name) if name.is_empty() => Ok(input.inner()),
            Kind::Variable(name) => Ok(self.lookup(frame, name)),
            Kind::Regex(pattern) => Val::function(Function::Regex(Arc::clone(pattern))),
            Kind::Wildcard => self.wildcard(input),
            Kind::Descendants => self.descendants(input),
            Kind::Parent(slot) => Ok(self.lookup(frame, &self.labels[*slot])),
            Kind::Path { steps, keep_singleton } => self.path(node, steps, *keep_singleton, input, frame),
            Kind::Binary { operator, left, right } => self.binary(operator, node, [left, right], input, frame),
            Kind::Negate(operand) => match self.evaluate(operand, input, frame)? {
                Val::Undefined => Ok(Val::Undefined),
                value if numeric(&value)? => Ok(Val::Number(-value.as_number().unwrap_or(0.0))),
                value => {
                    let mut failure = Failure::at("D1002", node.position).with_token("-");
                    failure.value = Some(value.shown());
                    Err(failure)
                }
            },
            Kind::Array(items) => self.array(node, items, input, frame),
            Kind::Object(group) => self.group(group, input.clone(), frame),
            Kind::Condition { condition, then, otherwise } => {
                let condition = self.evaluate(condition, input, frame)?;
                if truth(&condition)? == Some(true) {
                    self.evaluate(then, input, frame)
                } else if let Some(otherwise) = otherwise {
                    self.evaluate(otherwise, input, frame)
                } else {
                    Ok(Val::Undefined)
                }
            }
            Kind::Block(parts) => {
                let inner = self.frame(frame)?;
                let mut result = Val::Undefined;
                for part in parts {
                    result = self.evaluate(part, input, inner)?;
                }
                Ok(result)
            }
            Kind::Bind { name, value } => {
                let value = self.evaluate(value, input, frame)?;
                self.bind(frame, name, value.clone());
                Ok(value)
            }
            Kind::Call { procedure, arguments } => self.call(node, procedure, arguments, input, frame, None),
            Kind::Partial { procedure, arguments } => self.partial(node, procedure, arguments, input, frame),
            Kind::Lambda(lambda) => Val::function(Function::Lambda { lambda, frame, input: input.clone() }),
            Kind::Apply { left, right } => self.apply_operator(node, left, right, input, frame),
            Kind::Transform { .. } => Val::function(Function::Transform { node, frame }),
            // Only steps of a path are sorts.
            Kind::Sort(_) => Ok(Val::Undefined),
        }
    }

    /// `name` in an object, or in each object of an array.
    pub(super) fn member(&mut self, input: &Val<'a>, name: &str) -> Result<Val<'a>> {
        let Some(items) = input.items() else { return Ok(input.member(name)) };
        self.charge(items.len())?;
        let mut found = Vec::new();
        for item in items.iter() {
            match self.member(&item, name)? {
                Val::Undefined => {}
                value if value.is_array() => found.extend(value.into_items()),
                value => found.push(value),
            }
        }
        self.sequence(found)
    }

    fn wildcard(&mut self, input: &Val<'a>) -> Result<Val<'a>> {
        let input = input.inner();
        let values: Vec<Val<'a>> = match input.items() {
            Some(items) => items.iter().collect(),
            None => input.members().into_iter().map(|(_, value)| value).collect(),
        };
        self.charge(values.len())?;
        let (mut results, mut sequence) = (Vec::new(), true);
        for value in values {
            if value.is_array() {
                sequence = false;
                self.flatten(&value, &mut results)?;
            } else {
                results.push(value);
            }
        }
        if sequence { self.sequence(results) } else { self.plain(results) }
    }

    fn flatten(&mut self, value: &Val<'a>, flat: &mut Vec<Val<'a>>) -> Result<()> {
        self.charge(1)?;
        if let Some(items) = value.items() {
            return items.iter().try_for_each(|item| self.flatten(&item, flat));
        }
        flat.push(value.clone());
        Ok(())
    }

    fn descendants(&mut self, input: &Val<'a>) -> Result<Val<'a>> {
        if input.is_undefined() {
            return Ok(Val::Undefined);
        }
        let mut found = Vec::new();
        self.descend(input, &mut found)?;
        if found.len() == 1 { Ok(found.remove(0)) } else { self.sequence(found) }
    }

    fn descend(&mut self, value: &Val<'a>, found: &mut Vec<Val<'a>>) -> Result<()> {
        self.charge(1)?;
        if let Some(items) = value.items() {
            return items.iter().try_for_each(|item| self.descend(&item, found));
        }
        found.push(value.clone());
        value.members().iter().try_for_each(|(_, member)| self.descend(member, found))
    }

    fn array(&mut self, node: &'a Node, items: &'a [Node], input: &Val<'a>, frame: FrameId) -> Result<Val<'a>> {
        let mut made = Vec::new();
        for item in items {
            let value = self.evaluate(item, input, frame)?;
            if matches!(item.kind, Kind::Array(_)) || !value.is_array() {
                if !value.is_undefined() {
                    made.push(value);
                }
            } else {
                self.allocate(value.items().map_or(0, |items| items.len() * 8))?;
                made.extend(value.into_items());
            }
        }
        let made = self.plain(made)?;
        Ok(if node.cons_array { made.into_cons() } else { made })
    }

    fn binary(
        &mut self,
        operator: &str,
        node: &'a Node,
        [left, right]: [&'a Node; 2],
        input: &Val<'a>,
        frame: FrameId,
    ) -> Result<Val<'a>> {
        let place = |mut failure: Box<Failure>| {
            if !failure.limit {
                failure.position = Some(node.position);
                failure.token = Some(operator.to_owned());
            }
            failure
        };
        let left = self.evaluate(left, input, frame)?;
        if matches!(operator, "and" | "or") {
            let first = truth(&left).map_err(place)?.unwrap_or(false);
            if first == (operator == "or") {
                return Ok(Val::Bool(first));
            }
            let right = self.evaluate(right, input, frame).map_err(place)?;
            return Ok(Val::Bool(truth(&right).map_err(place)?.unwrap_or(false)));
        }
        let right = self.evaluate(right, input, frame)?;
        self.operate(operator, &left, &right).map_err(place)
    }

    fn operate(&mut self, operator: &str, left: &Val<'a>, right: &Val<'a>) -> Result<Val<'a>> {
        match operator {
            "+" | "-" | "*" | "/" | "%" => arithmetic(operator, left, right),
            "=" | "!=" => {
                if left.is_undefined() || right.is_undefined() {
                    return Ok(Val::Bool(false));
                }
                Ok(Val::Bool(same(left, right, &mut self.fuel)? == (operator == "=")))
            }
            "<" | "<=" | ">" | ">=" => comparison(operator, left, right),
            "&" => {
                let mut joined = text::of(left, false)?.unwrap_or_default();
                joined.push_str(&text::of(right, false)?.unwrap_or_default());
                self.text(joined)
            }
            ".." => self.range(left, right),
            _ => Ok(Val::Bool(includes(left, right))),
        }
    }

    fn range(&mut self, left: &Val<'a>, right: &Val<'a>) -> Result<Val<'a>> {
        let whole = |value: &Val<'a>| value.as_number().is_some_and(|number| number.fract() == 0.0);
        if !left.is_undefined() && !whole(left) {
            return Err(Failure::of("T2003", left.shown()));
        }
        if !right.is_undefined() && !whole(right) {
            return Err(Failure::of("T2004", right.shown()));
        }
        let (Some(from), Some(to)) = (left.as_number(), right.as_number()) else { return Ok(Val::Undefined) };
        if from > to {
            return Ok(Val::Undefined);
        }
        let size = to - from + 1.0;
        if size > 1e7 {
            return Err(Failure::of("D2014", super::value::number_text(size)));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between one and ten million")]
        let size = size as usize;
        self.allocate(size * 8)?;
        self.charge(size / 8)?;
        #[expect(clippy::cast_precision_loss, reason = "at most ten million")]
        self.sequence((0..size).map(|index| Val::Number(from + index as f64)).collect())
    }

    // Paths.

    fn path(
        &mut self,
        node: &'a Node,
        steps: &'a [Node],
        keep_singleton: bool,
        input: &Val<'a>,
        frame: FrameId,
    ) -> Result<Val<'a>> {
        let variable_first = matches!(steps[0].kind, Kind::Variable(_));
        let mut current =
            if input.is_array() && !variable_first { input.clone() } else { Val::sequence(vec![input.clone()])? };
        let mut result = Val::Undefined;
        let mut tuples: Option<Vec<Tuple<'a>>> = None;
        let mut in_tuples = false;
        for (index, step) in steps.iter().enumerate() {
            in_tuples |= step.tuple;
            if index == 0 && step.cons_array {
                result = self.evaluate(step, &current, frame)?;
            } else if in_tuples {
                tuples = Some(self.tuple_step(step, &current, tuples, frame)?);
            } else {
                result = self.step(step, &current, frame, index == steps.len() - 1)?;
            }
            if !in_tuples && result.items().is_none_or(|items| items.len() == 0) {
                break;
            }
            if step.focus.is_none() {
                current = result.clone();
            }
        }
        let mut tuples = in_tuples.then(|| tuples.unwrap_or_default());
        if let Some(found) = &mut tuples {
            result = if node.tuple {
                Val::Tuples(std::mem::take(found).into())
            } else {
                self.sequence(found.iter().map(|tuple| tuple.here.clone()).collect())?
            };
        }
        if keep_singleton {
            result = result.keeping()?;
        }
        let Some(group) = &node.group else { return Ok(result) };
        let grouped = match tuples {
            Some(found) if !node.tuple => Val::Tuples(found.into()),
            _ => result,
        };
        self.group(group, grouped, frame)
    }

    fn step(&mut self, step: &'a Node, input: &Val<'a>, frame: FrameId, last: bool) -> Result<Val<'a>> {
        let Some(items) = input.items() else { return Ok(Val::Undefined) };
        if let Kind::Sort(terms) = &step.kind {
            let mut sorted = self.sort_values(step, terms, input, frame)?;
            for stage in &step.stages {
                if let Stage::Filter(filter) = stage {
                    sorted = self.filter(filter, sorted, frame)?;
                }
            }
            return Ok(sorted);
        }
        let mut found = Vec::new();
        for item in items.iter() {
            let mut value = self.evaluate(step, &item, frame)?;
            for stage in &step.stages {
                if let Stage::Filter(filter) = stage {
                    value = self.filter(filter, value, frame)?;
                }
            }
            if !value.is_undefined() {
                found.push(value);
            }
        }
        if last && found.len() == 1 && found[0].is_array() && !found[0].is_sequence() {
            return Ok(found.remove(0));
        }
        let mut flat = Vec::with_capacity(found.len());
        for value in found {
            if !value.is_array() || value.is_cons() {
                flat.push(value);
            } else {
                self.charge(value.items().map_or(0, super::value::Items::len) / 4)?;
                flat.extend(value.into_items());
            }
        }
        self.sequence(flat)
    }

    fn tuple_step(
        &mut self,
        step: &'a Node,
        input: &Val<'a>,
        tuples: Option<Vec<Tuple<'a>>>,
        frame: FrameId,
    ) -> Result<Vec<Tuple<'a>>> {
        if let Kind::Sort(terms) = &step.kind {
            let sorted = if let Some(tuples) = tuples {
                self.sort_tuples(step, terms, tuples, frame)?
            } else {
                let sorted = self.sort_values(step, terms, input, frame)?;
                let index = step.index.as_ref();
                let bound = |at| index.map(|name| (Arc::clone(name), Val::count(at))).into_iter().collect();
                sorted.into_items().into_iter().enumerate().map(|(at, here)| Tuple { here, bound: bound(at) }).collect()
            };
            return self.stages(&step.stages, sorted, frame);
        }
        let tuples = tuples.unwrap_or_else(|| {
            input.clone().into_items().into_iter().map(|here| Tuple { here, bound: Vec::new() }).collect()
        });
        let mut result = Vec::new();
        for tuple in &tuples {
            let inner = self.tuple_frame(frame, tuple)?;
            let found = match self.evaluate(step, &tuple.here, inner)? {
                Val::Undefined => continue,
                Val::Tuples(found) => {
                    for more in found.iter() {
                        let mut bound = tuple.bound.clone();
                        more.bound.iter().for_each(|(name, value)| set(&mut bound, name, value.clone()));
                        result.push(Tuple { here: more.here.clone(), bound });
                    }
                    continue;
                }
                found => found.into_items(),
            };
            for (index, value) in found.into_iter().enumerate() {
                self.allocate(64 + tuple.bound.len() * 32)?;
                let mut next = tuple.clone();
                if let Some(focus) = &step.focus {
                    set(&mut next.bound, focus, value);
                } else {
                    next.here = value;
                }
                if let Some(name) = &step.index {
                    set(&mut next.bound, name, Val::count(index));
                }
                if let Some(slot) = step.ancestor {
                    set(&mut next.bound, &self.labels[slot], tuple.here.clone());
                }
                result.push(next);
            }
        }
        self.stages(&step.stages, result, frame)
    }

    fn stages(&mut self, stages: &'a [Stage], mut tuples: Vec<Tuple<'a>>, frame: FrameId) -> Result<Vec<Tuple<'a>>> {
        for stage in stages {
            match stage {
                Stage::Filter(filter) => tuples = self.filter_tuples(filter, tuples, frame)?,
                Stage::Index(name) => {
                    for (index, tuple) in tuples.iter_mut().enumerate() {
                        set(&mut tuple.bound, name, Val::count(index));
                    }
                }
            }
        }
        Ok(tuples)
    }

    fn filter(&mut self, filter: &'a Node, input: Val<'a>, frame: FrameId) -> Result<Val<'a>> {
        if let Val::Tuples(tuples) = input {
            let kept = self.filter_tuples(filter, tuples.to_vec(), frame)?;
            return Ok(Val::Tuples(kept.into()));
        }
        let input = if input.is_array() { input } else { Val::sequence(vec![input])? };
        let Some(items) = input.items() else { return Ok(Val::Undefined) };
        if let Kind::Number(index) = filter.kind {
            let item = position_of(index, items.len()).and_then(|index| items.get(index));
            return match item {
                None | Some(Val::Undefined) => self.sequence(Vec::new()),
                Some(item) if item.is_array() => Ok(item),
                Some(item) => self.sequence(vec![item]),
            };
        }
        let mut kept = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let verdict = self.evaluate(filter, &item, frame)?;
            for _ in 0..times_kept(&verdict, index, items.len())? {
                kept.push(item.clone());
            }
        }
        self.sequence(kept)
    }

    fn filter_tuples(&mut self, filter: &'a Node, tuples: Vec<Tuple<'a>>, frame: FrameId) -> Result<Vec<Tuple<'a>>> {
        if let Kind::Number(index) = filter.kind {
            let item = position_of(index, tuples.len()).and_then(|index| tuples.get(index)).cloned();
            return Ok(item.into_iter().collect());
        }
        let count = tuples.len();
        let mut kept = Vec::new();
        for (index, tuple) in tuples.into_iter().enumerate() {
            let inner = self.tuple_frame(frame, &tuple)?;
            let verdict = self.evaluate(filter, &tuple.here, inner)?;
            for _ in 0..times_kept(&verdict, index, count)? {
                kept.push(tuple.clone());
            }
        }
        Ok(kept)
    }

    // Sorting.

    fn sort_values(&mut self, node: &'a Node, terms: &'a [Term], input: &Val<'a>, frame: FrameId) -> Result<Val<'a>> {
        if input.items().is_none_or(|items| items.len() <= 1) {
            return Ok(input.clone());
        }
        let items = input.clone().into_items();
        let sorted = self.merge_sort(items, &mut |machine, left, right| {
            machine.out_of_order(node, terms, (left, frame), (right, frame))
        })?;
        self.plain(sorted)
    }

    fn sort_tuples(
        &mut self,
        node: &'a Node,
        terms: &'a [Term],
        tuples: Vec<Tuple<'a>>,
        frame: FrameId,
    ) -> Result<Vec<Tuple<'a>>> {
        self.merge_sort(tuples, &mut |machine, left, right| {
            let (first, second) = (machine.tuple_frame(frame, left)?, machine.tuple_frame(frame, right)?);
            machine.out_of_order(node, terms, (&left.here, first), (&right.here, second))
        })
    }

    fn out_of_order(
        &mut self,
        node: &Node,
        terms: &'a [Term],
        left: (&Val<'a>, FrameId),
        right: (&Val<'a>, FrameId),
    ) -> Result<bool> {
        for term in terms {
            let first = self.evaluate(&term.expression, left.0, left.1)?;
            let second = self.evaluate(&term.expression, right.0, right.1)?;
            let order = match (&first, &second) {
                (Val::Undefined, Val::Undefined) => continue,
                (Val::Undefined, _) => return Ok(true),
                (_, Val::Undefined) => return Ok(false),
                (Val::Number(first) | Val::Long(first, _), Val::Number(second) | Val::Long(second, _)) => {
                    first.partial_cmp(second)
                }
                (Val::Text(first), Val::Text(second)) => Some(first.cmp(second)),
                (Val::Number(_) | Val::Long(..) | Val::Text(_), Val::Number(_) | Val::Long(..) | Val::Text(_)) => {
                    let mut failure = Failure::at("T2007", node.position);
                    failure.value = Some(first.shown());
                    failure.value2 = Some(second.shown());
                    return Err(failure);
                }
                _ => return Err(Failure::at("T2008", node.position)),
            };
            match order {
                Some(std::cmp::Ordering::Greater) => return Ok(!term.descending),
                Some(std::cmp::Ordering::Less) => return Ok(term.descending),
                _ => {}
            }
        }
        Ok(false)
    }

    /// A stable merge sort whose comparison may fail.
    pub(super) fn merge_sort<T: Clone>(
        &mut self,
        mut items: Vec<T>,
        swapped: &mut dyn FnMut(&mut Self, &T, &T) -> Result<bool>,
    ) -> Result<Vec<T>> {
        if items.len() <= 1 {
            return Ok(items);
        }
        self.charge(items.len() / 4)?;
        let right = items.split_off(items.len() / 2);
        let left = self.merge_sort(items, swapped)?;
        let right = self.merge_sort(right, swapped)?;
        let mut merged = Vec::with_capacity(left.len() + right.len());
        let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
        while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
            merged.extend(if swapped(self, first, second)? { right.next() } else { left.next() });
        }
        merged.extend(left);
        merged.extend(right);
        Ok(merged)
    }

    // Grouping.

    fn group(&mut self, group: &'a Group, input: Val<'a>, frame: FrameId) -> Result<Val<'a>> {
        let mut result = Members::new();
        if let Val::Tuples(tuples) = &input {
            let mut groups: IndexMap<Arc<str>, (usize, Vec<Tuple<'a>>)> = IndexMap::new();
            for tuple in tuples.iter() {
                let inner = self.tuple_frame(frame, tuple)?;
                for (pair, (key, _)) in group.pairs.iter().enumerate() {
                    let key = self.evaluate(key, &tuple.here, inner)?;
                    let Some(name) = group_key(group, &key)? else { continue };
                    let entry = groups.entry(name).or_insert_with_key(|_| (pair, Vec::new()));
                    if entry.0 != pair {
                        return Err(same_key(group, &key));
                    }
                    entry.1.push(tuple.clone());
                }
            }
            for (key, (pair, tuples)) in groups {
                let merged = merge_tuples(&tuples)?;
                let inner = self.tuple_frame(frame, &merged)?;
                let value = self.evaluate(&group.pairs[pair].1, &merged.here, inner)?;
                if !value.is_undefined() {
                    result.insert(key, value);
                }
            }
            return Val::object(result);
        }
        let mut items = if input.is_array() { input.into_items() } else { vec![input] };
        if items.is_empty() {
            items.push(Val::Undefined);
        }
        let mut groups: IndexMap<Arc<str>, (usize, Vec<Val<'a>>)> = IndexMap::new();
        for item in items {
            for (pair, (key, _)) in group.pairs.iter().enumerate() {
                let key = self.evaluate(key, &item, frame)?;
                let Some(name) = group_key(group, &key)? else { continue };
                let entry = groups.entry(name).or_insert_with_key(|_| (pair, Vec::new()));
                if entry.0 != pair {
                    return Err(same_key(group, &key));
                }
                entry.1.push(item.clone());
            }
        }
        self.allocate(groups.len() * 32)?;
        for (key, (pair, mut items)) in groups {
            let context = if items.len() == 1 {
                items.remove(0)
            } else {
                let flat = items.into_iter().flat_map(|item| match item {
                    item if item.is_array() => item.into_items(),
                    item => vec![item],
                });
                self.plain(flat.filter(|item| !item.is_undefined()).collect())?
            };
            let value = self.evaluate(&group.pairs[pair].1, &context, frame)?;
            if !value.is_undefined() {
                result.insert(key, value);
            }
        }
        Val::object(result)
    }
}

fn set<'a>(bound: &mut Vec<(Arc<str>, Val<'a>)>, name: &Arc<str>, value: Val<'a>) {
    match bound.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = value,
        None => bound.push((Arc::clone(name), value)),
    }
}

fn group_key(group: &Group, key: &Val<'_>) -> Result<Option<Arc<str>>> {
    match key {
        Val::Undefined => Ok(None),
        Val::Text(key) => Ok(Some(Arc::clone(key))),
        other => {
            let mut failure = Failure::at("T1003", group.position);
            failure.value = Some(other.shown());
            Err(failure)
        }
    }
}

fn same_key(group: &Group, key: &Val<'_>) -> Box<Failure> {
    let mut failure = Failure::at("D1009", group.position);
    failure.value = Some(key.shown());
    failure
}

fn merge_tuples<'a>(tuples: &[Tuple<'a>]) -> Result<Tuple<'a>> {
    let Some((first, rest)) = tuples.split_first() else {
        return Ok(Tuple { here: Val::Undefined, bound: Vec::new() });
    };
    let mut merged = first.clone();
    for tuple in rest {
        merged.here = functions::append(merged.here, tuple.here.clone())?;
        for (name, value) in &tuple.bound {
            let old = merged.bound.iter().find(|(known, _)| known == name).map(|(_, old)| old.clone());
            let both = functions::append(old.unwrap_or(Val::Undefined), value.clone())?;
            set(&mut merged.bound, name, both);
        }
    }
    Ok(merged)
}

/// The place an index means, counted from the end when negative.
fn position_of(index: f64, length: usize) -> Option<usize> {
    let index = index.floor();
    #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^53")]
    let index = if index < 0.0 { length as f64 + index } else { index };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked not to be negative")]
    (index >= 0.0).then_some(index as usize)
}

/// How often a predicate's value keeps the item: numbers are positions, anything else is true or not.
fn times_kept(verdict: &Val<'_>, index: usize, length: usize) -> Result<usize> {
    if numeric(verdict)? {
        return Ok(usize::from(position_of(verdict.as_number().unwrap_or(f64::NAN), length) == Some(index)));
    }
    if let Some(items) = verdict.items() {
        let mut count = 0;
        let mut numbers = true;
        for item in items.iter() {
            if !numeric(&item)? {
                numbers = false;
                break;
            }
            count += usize::from(position_of(item.as_number().unwrap_or(f64::NAN), length) == Some(index));
        }
        if numbers {
            return Ok(count);
        }
    }
    Ok(usize::from(truth(verdict)? == Some(true)))
}

fn arithmetic<'a>(operator: &str, left: &Val<'a>, right: &Val<'a>) -> Result<Val<'a>> {
    if !left.is_undefined() && !numeric(left)? {
        return Err(Failure::of("T2001", left.shown()));
    }
    if !right.is_undefined() && !numeric(right)? {
        return Err(Failure::of("T2002", right.shown()));
    }
    let (Some(left), Some(right)) = (left.as_number(), right.as_number()) else { return Ok(Val::Undefined) };
    Ok(Val::Number(match operator {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" => left / right,
        _ => left % right,
    }))
}

fn comparison<'a>(operator: &str, left: &Val<'a>, right: &Val<'a>) -> Result<Val<'a>> {
    let comparable = |value: &Val<'a>| matches!(value, Val::Undefined | Val::Number(_) | Val::Long(..) | Val::Text(_));
    if !comparable(left) || !comparable(right) {
        return Err(Failure::of("T2010", if comparable(left) { right.shown() } else { left.shown() }));
    }
    let order = match (left, right) {
        (Val::Undefined, _) | (_, Val::Undefined) => return Ok(Val::Undefined),
        (Val::Number(left) | Val::Long(left, _), Val::Number(right) | Val::Long(right, _)) => left.partial_cmp(right),
        (Val::Text(left), Val::Text(right)) => Some(left.cmp(right)),
        _ => {
            let mut failure = Failure::of("T2009", left.shown());
            failure.value2 = Some(right.shown());
            return Err(failure);
        }
    };
    Ok(Val::Bool(order.is_some_and(|order| match operator {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    })))
}

fn includes(left: &Val<'_>, right: &Val<'_>) -> bool {
    let equal = |item: &Val<'_>| match (left, item) {
        (Val::Null, Val::Null) => true,
        (Val::Bool(left), Val::Bool(right)) => left == right,
        #[expect(clippy::float_cmp, reason = "the language compares numbers exactly")]
        (Val::Number(left) | Val::Long(left, _), Val::Number(right) | Val::Long(right, _)) => left == right,
        (Val::Text(left), Val::Text(right)) => left == right,
        _ => false,
    };
    match right.items() {
        Some(items) => items.iter().any(|item| equal(&item)),
        None => !right.is_undefined() && equal(right),
    }
}
