//! Random machines that are valid and whose expressions find what they look for: the generator knows the shape of the data at
//! every state.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::model::{
    Base, Batch, Catcher, Distributed, Expr, Form, How, Kind, Language, Machine, ResultPath, Retrier, Rule, State,
    Task, Test,
};
use crate::workers::{Plan, Reply};

/// What is known of a value.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    /// Nothing: it can only be handed on.
    Any,
    Int,
    Text,
    List(Box<Shape>),
    Object(BTreeMap<String, Shape>),
}

type Shapes = BTreeMap<String, Shape>;

impl Shape {
    fn of(value: &Value) -> Self {
        match value {
            Value::Number(number) if number.is_i64() => Self::Int,
            Value::String(_) => Self::Text,
            Value::Array(items) => {
                let shape = items.iter().map(Self::of).reduce(|a, b| a.meet(&b));
                Self::List(Box::new(shape.unwrap_or(Self::Any)))
            }
            Value::Object(fields) => Self::Object(fields.iter().map(|(k, v)| (k.clone(), Self::of(v))).collect()),
            _ => Self::Any,
        }
    }

    /// What holds for values of both shapes.
    fn meet(&self, other: &Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a.clone(),
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.meet(b))),
            (Self::Object(a), Self::Object(b)) => Self::Object(meet(a, b)),
            _ => Self::Any,
        }
    }

    fn at(&self, path: &[String]) -> Self {
        path.iter().fold(self.clone(), |shape, field| match shape {
            Self::Object(fields) => fields.get(field).cloned().unwrap_or(Self::Any),
            _ => Self::Any,
        })
    }

    fn walk(&self, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, Self)>) {
        found.push((path.clone(), self.clone()));
        if let (Self::Object(fields), true) = (self, path.len() < 3) {
            for (name, shape) in fields {
                path.push(name.clone());
                shape.walk(path, found);
                path.pop();
            }
        }
    }
}

fn meet(a: &Shapes, b: &Shapes) -> Shapes {
    a.iter().filter_map(|(name, a)| Some((name.clone(), a.meet(b.get(name)?)))).collect()
}

/// What an expression may draw from.
#[derive(Clone)]
struct Sources {
    bases: Vec<(Base, Shape)>,
}

impl Sources {
    fn paths(&self) -> Vec<(Expr, Shape)> {
        let mut all = Vec::new();
        for (base, shape) in &self.bases {
            let mut found = Vec::new();
            shape.walk(&mut Vec::new(), &mut found);
            all.extend(found.into_iter().map(|(path, shape)| (Expr::Path(base.clone(), path), shape)));
        }
        all
    }
}

/// What is known where a state is entered.
#[derive(Clone)]
struct Entry {
    input: Shape,
    variables: Shapes,
}

/// What surrounds a machine: variables of the scopes around it, a Map's item.
#[derive(Clone)]
struct Around {
    outer: Shapes,
    item: Option<Shape>,
    execution_input: Shape,
    depth: u64,
    /// Within an Express execution, which waits for no one outside.
    express: bool,
}

pub struct Generated {
    pub machine: Machine,
    pub language: Language,
    pub input: Value,
}

/// A machine and an input for it. Without `jsonata` all is JSONPath; only a `whole` platform has Distributed Maps and jobs.
pub fn generate(chance: &mut Chance, jsonata: bool, whole: bool) -> Generated {
    let language = if jsonata && chance.permille(400) { Language::Jsonata } else { Language::JsonPath };
    let mixed = jsonata && language == Language::JsonPath && chance.permille(300);
    let mut generator = Generator { chance, language, mixed, whole, names: 0, left: 24 };
    let mut input = generator.object(2);
    // Something to map over is always there.
    input["items"] = generator.list();
    let shape = Shape::of(&input);
    let around = Around { outer: Shapes::new(), item: None, execution_input: shape.clone(), depth: 0, express: false };
    let (machine, _) = generator.machine(&shape, &around);
    Generated { machine, language, input }
}

struct Generator<'a> {
    chance: &'a mut Chance,
    language: Language,
    /// Some states of a JSONPath machine are in JSONata.
    mixed: bool,
    /// Not only the language: everything that takes a platform too.
    whole: bool,
    names: u64,
    /// States that may still be made.
    left: u64,
}

const FIELDS: [&str; 7] = ["a", "b", "n", "with space", "x-y", "été", "名前"];
const ERRORS: [&str; 3] = ["Boom", "Custom.Error", "Äh"];
const TEXTS: [&str; 6] = ["", "red", "green", "two words", "ünïcödé", "😀"];

impl Generator<'_> {
    fn int(&mut self) -> Value {
        json!(i64::try_from(self.chance.below(40)).unwrap_or(0) - 10)
    }

    fn text(&mut self) -> Value {
        if self.chance.permille(30) { json!("long ".repeat(2500)) } else { json!(*self.chance.pick(&TEXTS)) }
    }

    fn list(&mut self) -> Value {
        let length = if self.chance.permille(20) { 60 } else { self.chance.below(5) };
        match self.chance.below(3) {
            0 => (0..length).map(|_| self.int()).collect(),
            1 => (0..length).map(|_| json!(*self.chance.pick(&TEXTS))).collect(),
            _ => (0..length).map(|n| json!({ "n": n, "a": self.text() })).collect(),
        }
    }

    fn value(&mut self, depth: u64) -> Value {
        match self.chance.below(8) {
            0..=2 => self.int(),
            3 | 4 => self.text(),
            5 => self.list(),
            6 if depth > 0 => self.object(depth - 1),
            _ => json!(*self.chance.pick(&[json!(null), json!(true), json!([]), json!(1.5)])),
        }
    }

    fn object(&mut self, depth: u64) -> Value {
        let mut object = json!({});
        for _ in 0..self.chance.below(4) {
            object[*self.chance.pick(&FIELDS)] = self.value(depth);
        }
        object
    }

    fn name(&mut self) -> String {
        self.names += 1;
        let decoration = *self.chance.pick(&["", "", "", " of ünïcode", " 状態", "'s own"]);
        format!("S{}{decoration}", self.names)
    }

    fn machine(&mut self, input: &Shape, around: &Around) -> (Machine, Shape) {
        let most = if around.depth == 0 { 7 } else { 3 };
        let length = usize::try_from(self.chance.between(1, most).min(self.left.max(1))).unwrap_or(1);
        self.left = self.left.saturating_sub(length as u64);
        let mut entries: Vec<Option<Entry>> = vec![None; length];
        entries[0] = Some(Entry { input: input.clone(), variables: Shapes::new() });
        let mut states = Vec::new();
        let mut ends: Option<Shape> = None;
        for at in 0..length {
            let entry = entries[at].clone().expect("every state is made the next of one before it");
            let reached = entries.get(at + 1).is_some_and(Option::is_some);
            let (state, leads) = self.state(at, length, reached, &entry, around);
            for (target, entry) in leads {
                match target {
                    None => ends = Some(ends.map_or_else(|| entry.input.clone(), |end| end.meet(&entry.input))),
                    Some(target) => {
                        let known = &mut entries[target];
                        *known = Some(match known.take() {
                            None => entry,
                            Some(known) => Entry {
                                input: known.input.meet(&entry.input),
                                variables: meet(&known.variables, &entry.variables),
                            },
                        });
                    }
                }
            }
            states.push(state);
        }
        (Machine { states }, ends.unwrap_or(Shape::Any))
    }

    /// A state, and where it may lead with what.
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of state")]
    fn state(
        &mut self,
        at: usize,
        length: usize,
        next_is_reached: bool,
        entry: &Entry,
        around: &Around,
    ) -> (State, Vec<(Option<usize>, Entry)>) {
        let last = at + 1 == length;
        let language = if self.mixed && self.chance.permille(300) { Language::Jsonata } else { self.language };
        let mut state = State {
            name: self.name(),
            language,
            next: if last { None } else { Some(at + 1) },
            kind: Kind::Succeed,
            input_path: None,
            parameters: None,
            result_selector: None,
            result_path: ResultPath::Replace,
            output_path: None,
            output: None,
            assign: Vec::new(),
            retry: Vec::new(),
            catch: Vec::new(),
        };
        let later = |chance: &mut Chance| at + 1 + chance.index(length - at - 1);
        let may_end = last || next_is_reached;
        let mut leads = Vec::new();
        let effective = self.narrowed(&mut state, &entry.input);
        let sources = Self::sources(&effective, &entry.variables, around);
        match self.chance.below(20) {
            0 if may_end => {
                state.next = None;
                leads.push((None, Entry { input: effective, variables: Shapes::new() }));
                return (state, leads);
            }
            1 if may_end => {
                let error = (*self.chance.pick(&ERRORS)).to_owned();
                state.input_path = None;
                state.next = None;
                state.kind = Kind::Fail { error, cause: "because".to_owned() };
                return (state, leads);
            }
            2..=4 if !last => {
                self.choice(&mut state, &effective, entry, &sources, around, later, at, &mut leads);
                return (state, leads);
            }
            5 | 6 => {
                let seconds = self.chance.between(0, 3) * self.chance.below(400);
                // An Express execution has five minutes for all that it does.
                state.kind = Kind::Wait { seconds: if around.express { seconds % 20 } else { seconds } };
                let after = self.left_behind(&mut state, entry, &effective, &sources, around, false);
                leads.push((state.next, after));
                return (state, leads);
            }
            7 | 8 if around.depth < 2 && self.left > 2 => {
                let given = self.given(&mut state, &effective, &sources);
                let within = Self::within(entry, around, around.item.clone());
                let count = self.chance.between(1, 3);
                let made: Vec<_> = (0..count).map(|_| self.machine(&given, &within)).collect();
                let (branches, shapes): (Vec<_>, Vec<_>) = made.into_iter().unzip();
                let result = shapes.into_iter().reduce(|a, b| a.meet(&b)).unwrap_or(Shape::Any);
                state.kind = Kind::Parallel { branches };
                self.work(&mut state, entry, &Shape::List(Box::new(result)), &sources, around, at, length, &mut leads);
            }
            9..=11 if around.depth < 2 && self.left > 1 && lists(&effective).next().is_some() => {
                let found: Vec<_> = lists(&effective).collect();
                let (path, mut item) = self.chance.pick(&found).clone();
                let mut items = Expr::Path(Base::Input, path);
                let is_distributed = self.whole && !around.express && self.chance.permille(400);
                let distributed = is_distributed.then(|| self.distributed(&sources, language));
                if distributed.as_ref().is_some_and(|distributed| distributed.reads.is_some()) {
                    let read = self.list();
                    if let Shape::List(of) = Shape::of(&read) {
                        item = *of;
                    }
                    items = Expr::Literal(read);
                }
                let mut selecting = sources.clone();
                selecting.bases.retain(|(base, _)| !matches!(base, Base::Item | Base::ItemIndex));
                selecting.bases.push((Base::Item, item.clone()));
                selecting.bases.push((Base::ItemIndex, Shape::Int));
                let given = if self.chance.permille(400) {
                    let (expr, shape) = self.built(&selecting, language);
                    state.parameters = Some(expr);
                    shape
                } else {
                    item.clone()
                };
                let (given, within) = match &distributed {
                    Some(distributed) => {
                        let given = batched(given, distributed, &sources);
                        let (outer, depth, express) = (Shapes::new(), around.depth + 1, distributed.express);
                        (given.clone(), Around { outer, item: None, execution_input: given, depth, express })
                    }
                    None => (given, Self::within(entry, around, Some(item))),
                };
                let (processor, result) = self.machine(&given, &within);
                let limit = if self.chance.permille(500) { 0 } else { self.chance.between(1, 3) };
                let result = match &distributed {
                    Some(Distributed { writes: true, .. }) => written_results(),
                    _ => Shape::List(Box::new(result)),
                };
                state.kind = Kind::Map { items, limit, processor, distributed };
                self.work(&mut state, entry, &result, &sources, around, at, length, &mut leads);
            }
            12..=17 => {
                let task = self.task(&sources, language, around.express);
                let value = Self::shape_of(&task.value, &sources);
                let result = match &task.plan.reply {
                    Reply::Echo => value,
                    Reply::Wrapped => Shape::Object(Shapes::from([("got".to_owned(), value)])),
                    Reply::Fixed(value) => Shape::of(value),
                };
                let result = match task.how {
                    How::Invoke => Shape::Object(Shapes::from([("Payload".to_owned(), result)])),
                    How::Job => Shape::Object(Shapes::from([("JobRunState".to_owned(), Shape::Text)])),
                    _ => result,
                };
                state.kind = Kind::Task(task);
                self.work(&mut state, entry, &result, &sources, around, at, length, &mut leads);
            }
            _ => {
                let result = if language == Language::JsonPath && self.chance.permille(250) {
                    let value = self.value(2);
                    let shape = Shape::of(&value);
                    state.kind = Kind::Pass { result: Some(value) };
                    shape
                } else {
                    state.kind = Kind::Pass { result: None };
                    if language == Language::JsonPath {
                        self.given(&mut state, &effective, &sources)
                    } else {
                        effective
                    }
                };
                let after = self.left_behind(&mut state, entry, &result, &sources, around, false);
                leads.push((state.next, after));
            }
        }
        (state, leads)
    }

    /// InputPath, at times.
    fn narrowed(&mut self, state: &mut State, input: &Shape) -> Shape {
        let mut found = Vec::new();
        input.walk(&mut Vec::new(), &mut found);
        if state.language == Language::JsonPath && found.len() > 1 && self.chance.permille(150) {
            let (path, shape) = self.chance.pick(&found).clone();
            if !path.is_empty() {
                state.input_path = Some(path);
                return shape;
            }
        }
        input.clone()
    }

    fn distributed(&mut self, sources: &Sources, language: Language) -> Distributed {
        // What the batches have in common is worked out before there are items.
        let mut common = sources.clone();
        common.bases.retain(|(base, _)| !matches!(base, Base::Item | Base::ItemIndex));
        let batch = self.chance.permille(350).then(|| Batch {
            most: self.chance.between(1, 4),
            input: self.chance.permille(500).then(|| self.built(&common, language).0),
        });
        let writes = self.chance.permille(250);
        let reads = self.chance.permille(300).then(|| *self.chance.pick(&[Form::Json, Form::Lines]));
        let tolerates = writes && self.chance.permille(500);
        Distributed { express: self.chance.permille(350), batch, writes, tolerates, reads }
    }

    fn sources(effective: &Shape, variables: &Shapes, around: &Around) -> Sources {
        let mut bases = vec![
            (Base::Input, effective.clone()),
            (Base::Input, effective.clone()),
            (Base::ExecutionInput, around.execution_input.clone()),
        ];
        for (name, shape) in around.outer.iter().chain(variables) {
            bases.push((Base::Variable(name.clone()), shape.clone()));
        }
        if let Some(item) = &around.item {
            bases.push((Base::Item, item.clone()));
            bases.push((Base::ItemIndex, Shape::Int));
        }
        Sources { bases }
    }

    fn within(entry: &Entry, around: &Around, item: Option<Shape>) -> Around {
        let mut outer = around.outer.clone();
        outer.extend(entry.variables.clone());
        let (execution_input, depth) = (around.execution_input.clone(), around.depth + 1);
        Around { outer, item, execution_input, depth, express: around.express }
    }

    /// Parameters or Arguments, at times; what the state works on.
    fn given(&mut self, state: &mut State, effective: &Shape, sources: &Sources) -> Shape {
        if self.chance.permille(400) {
            let (expr, shape) = self.built(sources, state.language);
            state.parameters = Some(expr);
            return shape;
        }
        effective.clone()
    }

    #[expect(clippy::too_many_arguments, reason = "they are all of one state, and used once")]
    fn choice(
        &mut self,
        state: &mut State,
        effective: &Shape,
        entry: &Entry,
        sources: &Sources,
        around: &Around,
        later: impl Fn(&mut Chance) -> usize,
        at: usize,
        leads: &mut Vec<(Option<usize>, Entry)>,
    ) {
        let next = at + 1;
        let mut rules = Vec::new();
        for n in 0..self.chance.between(1, 3) {
            let mut variables = entry.variables.clone();
            let assign = if self.chance.permille(200) {
                // In JSONPath `$` is the state's input here; both languages call it Input.
                self.assigned(sources, state.language, &mut variables, around)
            } else {
                Vec::new()
            };
            let target = if n == 0 { next } else { later(self.chance) };
            rules.push(Rule { test: self.test(effective, 1), next: target, assign });
            leads.push((Some(target), Entry { input: effective.clone(), variables }));
        }
        let default = self.chance.permille(900).then(|| later(self.chance));
        if let Some(default) = default {
            leads.push((Some(default), Entry { input: effective.clone(), variables: entry.variables.clone() }));
        }
        state.next = None;
        state.kind = Kind::Choice { rules, default };
    }

    fn test(&mut self, shape: &Shape, depth: u64) -> Test {
        let mut found = Vec::new();
        shape.walk(&mut Vec::new(), &mut found);
        found.retain(|(path, _)| !path.is_empty());
        if depth > 0 && self.chance.permille(300) {
            return match self.chance.below(3) {
                0 => Test::And(vec![self.test(shape, 0), self.test(shape, 0)]),
                1 => Test::Or(vec![self.test(shape, 0), self.test(shape, 0)]),
                _ => Test::Not(Box::new(self.test(shape, 0))),
            };
        }
        if found.is_empty() || self.chance.permille(150) {
            return Test::IsPresent(vec!["absent".to_owned()]);
        }
        match self.chance.pick(&found).clone() {
            (path, Shape::Int) if self.chance.permille(500) => {
                Test::IntEquals(path, i64::try_from(self.chance.below(6)).unwrap_or(0))
            }
            (path, Shape::Int) => Test::IntLess(path, i64::try_from(self.chance.below(20)).unwrap_or(0)),
            (path, Shape::Text) => Test::TextEquals(path, (*self.chance.pick(&TEXTS)).to_owned()),
            (path, _) => Test::IsPresent(path),
        }
    }

    fn task(&mut self, sources: &Sources, language: Language, express: bool) -> Task {
        // What `lambda:invoke` answers has ids in it; only JSONPath's ResultSelector takes them out everywhere.
        let invoke = if language == Language::JsonPath { How::Invoke } else { How::Function };
        let job = if self.whole { How::Job } else { How::Function };
        let selects = if language == Language::JsonPath { job } else { How::Function };
        let fetched = if self.whole { How::Activity } else { How::Callback };
        let all = [How::Function, How::Function, invoke, How::Callback, How::Callback, selects, fetched];
        let how = *self.chance.pick(if express { &all[..3] } else { &all });
        let fails = if self.chance.permille(350) { self.chance.between(1, 3) } else { 0 };
        let silent = if self.chance.permille(80) { self.chance.between(1, 2) } else { 0 };
        let reply = match self.chance.below(4) {
            0 => Reply::Wrapped,
            1 => Reply::Fixed(self.value(1)),
            _ => Reply::Echo,
        };
        let delay_ms = match self.chance.below(4) {
            0 => 0,
            1 => self.chance.below(60_000),
            _ => self.chance.below(500),
        };
        let error = (*self.chance.pick(&ERRORS)).to_owned();
        let heartbeats = matches!(how, How::Callback | How::Activity) && self.chance.permille(300);
        let is_bounded = silent > 0 || how == How::Activity || self.chance.permille(200);
        Task {
            how,
            plan: Plan { fails, error, silent, reply, delay_ms },
            value: if self.chance.permille(300) { self.built(sources, language).0 } else { self.drawn(sources).0 },
            // Far beyond what faults may take, so that only what is silent runs into it, or was lost on its way to a worker.
            timeout: is_bounded.then(|| self.chance.between(4000, 9000)),
            heartbeat: heartbeats.then_some(3000),
        }
    }

    /// What Retry, Catch, ResultSelector and the like make of a state that works.
    #[expect(clippy::too_many_arguments, reason = "they are all of one state, and used once")]
    fn work(
        &mut self,
        state: &mut State,
        entry: &Entry,
        result: &Shape,
        sources: &Sources,
        around: &Around,
        at: usize,
        length: usize,
        leads: &mut Vec<(Option<usize>, Entry)>,
    ) {
        for n in 0..self.chance.below(3) {
            let errors = self.errors(n > 0);
            let ends = errors[0] == "States.ALL";
            state.retry.push(Retrier {
                errors,
                interval: self.chance.between(1, 30),
                max_attempts: self.chance.below(4),
                backoff_tenths: self.chance.between(10, 25),
                max_delay: self.chance.permille(200).then(|| self.chance.between(31, 60)),
                jitter: self.chance.permille(200),
            });
            if ends {
                break;
            }
        }
        let mut selected = result.clone();
        if matches!(&state.kind, Kind::Task(Task { how: How::Invoke, .. })) {
            let payload = ("Payload".to_owned(), Expr::Path(Base::Result, vec!["Payload".to_owned()]));
            state.result_selector = Some(Expr::Object(vec![payload]));
        } else if matches!(&state.kind, Kind::Task(Task { how: How::Job, .. })) {
            let ended = ("state".to_owned(), Expr::Path(Base::Result, vec!["JobRunState".to_owned()]));
            state.result_selector = Some(Expr::Object(vec![ended]));
            selected = Shape::Object(Shapes::from([("state".to_owned(), Shape::Text)]));
        } else if state.language == Language::JsonPath && self.chance.permille(200) {
            let from = Sources { bases: vec![(Base::Result, result.clone())] };
            let (expr, shape) = self.built(&from, state.language);
            state.result_selector = Some(expr);
            selected = shape;
        }
        let catches = if at + 1 == length { 0 } else { self.chance.below(3) };
        for n in 0..catches {
            let errors = self.errors(n > 0);
            let ends = errors[0] == "States.ALL";
            let next = at + 1 + self.chance.index(length - at - 1);
            let caught =
                Shape::Object(Shapes::from([("Error".to_owned(), Shape::Text), ("Cause".to_owned(), Shape::Any)]));
            let result_path = self.result_path(state.language, &entry.input);
            let input = merged(&result_path, &entry.input, &caught);
            let mut variables = entry.variables.clone();
            let assign = if self.chance.permille(200) {
                let from = Sources { bases: vec![(Base::Error, caught)] };
                self.assigned(&from, state.language, &mut variables, around)
            } else {
                Vec::new()
            };
            state.catch.push(Catcher { errors, next, result_path, assign });
            leads.push((Some(next), Entry { input, variables }));
            if ends {
                break;
            }
        }
        let after = self.left_behind(state, entry, &selected, sources, around, true);
        leads.push((state.next, after));
    }

    fn errors(&mut self, may_be_all: bool) -> Vec<String> {
        match self.chance.below(6) {
            0 | 1 if may_be_all => vec!["States.ALL".to_owned()],
            2 => vec!["States.TaskFailed".to_owned()],
            3 => vec!["States.Timeout".to_owned(), "Boom".to_owned()],
            _ => vec![(*self.chance.pick(&ERRORS)).to_owned()],
        }
    }

    fn result_path(&mut self, language: Language, input: &Shape) -> ResultPath {
        match (language, input, self.chance.below(6)) {
            (Language::JsonPath, _, 0) => ResultPath::Discard,
            (Language::JsonPath, Shape::Object(_), 1..=3) => ResultPath::Into((*self.chance.pick(&FIELDS)).to_owned()),
            _ => ResultPath::Replace,
        }
    }

    /// ResultPath and OutputPath, or Output, and Assign: what the next state finds.
    fn left_behind(
        &mut self,
        state: &mut State,
        entry: &Entry,
        result: &Shape,
        sources: &Sources,
        around: &Around,
        works: bool,
    ) -> Entry {
        let mut variables = entry.variables.clone();
        let mut from = sources.clone();
        if works {
            from.bases.push((Base::Result, result.clone()));
        }
        if self.chance.permille(250) {
            let from = match state.language {
                Language::Jsonata => from.clone(),
                // `$` is what the state came to; where a selector or parameters stand between, it is left alone.
                Language::JsonPath => {
                    let mut bases = from.bases.clone();
                    bases.retain(|(base, _)| !matches!(base, Base::Input | Base::Result));
                    let plain = state.result_selector.is_none()
                        && (works
                            || (state.parameters.is_none() && !matches!(state.kind, Kind::Pass { result: Some(_) })));
                    if plain {
                        bases.push((Base::Result, result.clone()));
                    }
                    Sources { bases }
                }
            };
            state.assign = self.assigned(&from, state.language, &mut variables, around);
        }
        let input = match state.language {
            Language::Jsonata if self.chance.permille(400) => {
                let (expr, shape) = self.built(&from, Language::Jsonata);
                state.output = Some(expr);
                shape
            }
            Language::Jsonata => result.clone(),
            Language::JsonPath => {
                let wait = matches!(state.kind, Kind::Wait { .. });
                state.result_path =
                    if wait { ResultPath::Replace } else { self.result_path(Language::JsonPath, &entry.input) };
                let merged = merged(&state.result_path, &entry.input, result);
                let mut found = Vec::new();
                merged.walk(&mut Vec::new(), &mut found);
                if self.chance.permille(100) {
                    let (path, _) = self.chance.pick(&found).clone();
                    state.output_path = (!path.is_empty()).then_some(path);
                }
                merged.at(state.output_path.as_deref().unwrap_or_default())
            }
        };
        Entry { input, variables }
    }

    fn assigned(
        &mut self,
        from: &Sources,
        language: Language,
        variables: &mut Shapes,
        around: &Around,
    ) -> Vec<(String, Expr)> {
        let name = format!("v{}_{}", around.depth, self.chance.below(3));
        let (expr, shape) = if self.chance.permille(300) { self.built(from, language) } else { self.drawn(from) };
        variables.insert(name.clone(), shape);
        vec![(name, expr)]
    }

    /// A single expression.
    fn drawn(&mut self, from: &Sources) -> (Expr, Shape) {
        let paths = from.paths();
        let of = |shape: &Shape| -> Vec<Expr> {
            paths.iter().filter(|(_, found)| found == shape).map(|(expr, _)| expr.clone()).collect()
        };
        let (ints, texts) = (of(&Shape::Int), of(&Shape::Text));
        let counted: Vec<Expr> =
            paths.iter().filter(|(_, shape)| matches!(shape, Shape::List(_))).map(|(expr, _)| expr.clone()).collect();
        match self.chance.below(10) {
            0 | 1 if !ints.is_empty() => {
                let to = Box::new(self.chance.pick(&ints).clone());
                (Expr::Add(to, i64::try_from(self.chance.below(9)).unwrap_or(0) - 4), Shape::Int)
            }
            2 if !texts.is_empty() && !ints.is_empty() => {
                let parts = vec![self.chance.pick(&texts).clone(), self.chance.pick(&ints).clone()];
                (Expr::Join(parts), Shape::Text)
            }
            3 if !counted.is_empty() => (Expr::Count(Box::new(self.chance.pick(&counted).clone())), Shape::Int),
            4 if !ints.is_empty() => {
                let of = (0..self.chance.between(1, 3)).map(|_| self.chance.pick(&ints).clone()).collect();
                (Expr::List(of), Shape::List(Box::new(Shape::Int)))
            }
            _ if !paths.is_empty() => self.chance.pick(&paths).clone(),
            _ => {
                let value = self.int();
                let shape = Shape::of(&value);
                (
                    Expr::Object(vec![("n".to_owned(), Expr::Literal(value))]),
                    Shape::Object([("n".to_owned(), shape)].into()),
                )
            }
        }
    }

    /// An object of expressions.
    fn built(&mut self, from: &Sources, _language: Language) -> (Expr, Shape) {
        let mut fields = BTreeMap::new();
        for _ in 0..self.chance.between(1, 3) {
            let name = *self.chance.pick(&FIELDS);
            let (expr, shape) = match self.chance.below(5) {
                0 => {
                    let value = self.value(1);
                    let shape = Shape::of(&value);
                    (Expr::Literal(value), shape)
                }
                _ => self.drawn(from),
            };
            fields.insert(name.to_owned(), (expr, shape));
        }
        let shapes = fields.iter().map(|(name, (_, shape))| (name.clone(), shape.clone())).collect();
        (Expr::Object(fields.into_iter().map(|(name, (expr, _))| (name, expr)).collect()), Shape::Object(shapes))
    }

    fn shape_of(expr: &Expr, sources: &Sources) -> Shape {
        match expr {
            Expr::Literal(value) => Shape::of(value),
            Expr::Path(base, path) => {
                sources.bases.iter().find(|(known, _)| known == base).map_or(Shape::Any, |(_, shape)| shape.at(path))
            }
            Expr::Join(_) => Shape::Text,
            Expr::Add(..) | Expr::Count(_) => Shape::Int,
            Expr::List(_) => Shape::List(Box::new(Shape::Int)),
            Expr::Object(fields) => {
                Shape::Object(fields.iter().map(|(name, expr)| (name.clone(), Self::shape_of(expr, sources))).collect())
            }
        }
    }
}

fn merged(path: &ResultPath, input: &Shape, result: &Shape) -> Shape {
    match (path, input) {
        (ResultPath::Replace, _) => result.clone(),
        (ResultPath::Into(field), Shape::Object(fields)) => {
            let mut fields = fields.clone();
            fields.insert(field.clone(), result.clone());
            Shape::Object(fields)
        }
        (_, input) => input.clone(),
    }
}

/// What a child is given where items come in batches.
fn batched(given: Shape, distributed: &Distributed, sources: &Sources) -> Shape {
    let Some(batch) = &distributed.batch else { return given };
    let items = ("Items".to_owned(), Shape::List(Box::new(given)));
    let input = batch.input.as_ref().map(|input| ("BatchInput".to_owned(), Generator::shape_of(input, sources)));
    Shape::Object([items].into_iter().chain(input).collect())
}

/// What a Map comes to whose results are objects; ids are left open.
fn written_results() -> Shape {
    let details = Shape::Object(Shapes::from([("Bucket".to_owned(), Shape::Text)]));
    Shape::Object(Shapes::from([("ResultWriterDetails".to_owned(), details)]))
}

/// Where in a value there are lists, and what is in them.
fn lists(shape: &Shape) -> impl Iterator<Item = (Vec<String>, Shape)> + use<> {
    let mut found = Vec::new();
    shape.walk(&mut Vec::new(), &mut found);
    found.into_iter().filter_map(|(path, shape)| match shape {
        Shape::List(item) => Some((path, *item)),
        _ => None,
    })
}
