//! The checks of a definition's graph, and what can be asked of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::choice::Rule;
use crate::definition::{Amount, Body, Definition, Distributed, Items, Selection, State, StateKind, Text, Wait};
use crate::diagnostic::{Diagnostic, Severity};
use crate::expr::Expr;
use crate::template::Template;

impl Definition {
    /// The variables that each state reads, by its name.
    pub fn variable_references(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut found = BTreeMap::new();
        variable_references(&self.body, &mut found);
        found
    }

    /// The definition of the children of the Distributed Map with this label.
    pub fn processor(&self, label: &str) -> Option<&str> {
        processor(&self.body, label)
    }
}

/// State names are unique in the whole machine.
pub(crate) fn check_names<'a>(body: &'a Body, at: &str, seen: &mut BTreeSet<&'a str>, found: &mut Vec<Diagnostic>) {
    for (name, state) in &body.states {
        let place = format!("{at}/States/{name}");
        if !seen.insert(name) {
            found.push(Diagnostic {
                code: "DUPLICATE_STATE_NAME",
                ..Diagnostic::schema(format!("Duplicate State name: {name}"), place.clone())
            });
        }
        each_nested(state, &place, &mut |nested, at| check_names(nested, at, seen, found));
    }
}

/// A state within a Map or Parallel cannot set what a scope around it sets.
pub(crate) fn check_variables(body: &Body, at: &str, outer: &BTreeSet<String>, found: &mut Vec<Diagnostic>) {
    let mut own = outer.clone();
    for (name, state) in &body.states {
        for (variable, way) in assigned(state) {
            if outer.contains(variable) {
                let message = format!("Variable '{variable}' is already assigned in an outer scope");
                found.push(Diagnostic::schema(message, format!("{at}/States/{name}/{way}")));
            }
            own.insert(variable.to_owned());
        }
    }
    for (name, state) in &body.states {
        each_nested(state, &format!("{at}/States/{name}"), &mut |nested, at| check_variables(nested, at, &own, found));
    }
}

/// The variables that a state can set, each with the way to the Assign that does.
fn assigned(state: &State) -> Vec<(&str, String)> {
    let mut assigns = vec![(state.assign.as_ref(), "Assign".to_owned())];
    if let StateKind::Choice { rules, .. } = &state.kind {
        let rules = rules.iter().enumerate();
        assigns.extend(rules.map(|(index, rule)| (rule.assign.as_ref(), format!("Choices[{index}]/Assign"))));
    }
    let catchers = state.work().map(|work| work.catch.as_slice()).unwrap_or_default().iter().enumerate();
    assigns.extend(catchers.map(|(index, catcher)| (catcher.assign.as_ref(), format!("Catch[{index}]/Assign"))));
    let mut found = Vec::new();
    for (assign, way) in assigns {
        let names = assign.map(Template::member_names).unwrap_or_default();
        found.extend(names.into_iter().map(|name| (name, way.clone())));
    }
    found
}

/// The variables that each state reads, as DescribeStateMachine tells.
fn variable_references(body: &Body, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for (name, state) in &body.states {
        let mut read = BTreeSet::new();
        each_expr(state, &mut |expr| expr.variables(&mut read));
        if !read.is_empty() {
            found.insert(name.clone(), read);
        }
        each_nested(state, "", &mut |nested, _| variable_references(nested, found));
    }
}

/// The definition of the children of the Distributed Map with this label.
fn processor<'a>(body: &'a Body, label: &str) -> Option<&'a str> {
    body.states.values().find_map(|state| {
        if let StateKind::Map(map) = &state.kind
            && let Some(distributed) = map.distributed.as_ref().filter(|distributed| distributed.label == label)
        {
            return Some(distributed.processor.as_str());
        }
        let mut found = None;
        each_nested(state, "", &mut |nested, _| found = found.or_else(|| processor(nested, label)));
        found
    })
}

/// Every reference of a state, those of states within it left out.
fn each_expr(state: &State, see: &mut impl FnMut(&Expr)) {
    for template in [&state.output, &state.assign].into_iter().flatten() {
        template.each(&mut |_, expr| see(expr));
    }
    for selection in [&state.input_path, &state.output_path] {
        if let Selection::Path(path) = selection {
            see(path);
        }
    }
    match &state.kind {
        StateKind::Pass { parameters, .. } => each_in(parameters.as_ref(), see),
        StateKind::Task(task) => {
            each_in(task.credentials.as_ref(), see);
            [&task.timeout, &task.heartbeat].into_iter().flatten().for_each(|amount| amount.each(see));
        }
        StateKind::Choice { rules, .. } => rules.iter().for_each(|rule| each_of_rule(rule, see)),
        StateKind::Wait(Wait::Seconds(amount)) => amount.each(see),
        StateKind::Wait(Wait::TimestampExpr(expr)) => see(expr),
        StateKind::Wait(Wait::Timestamp(_)) | StateKind::Succeed | StateKind::Parallel { .. } => {}
        StateKind::Fail { error, cause } => {
            for text in [error, cause].into_iter().flatten() {
                if let Text::Expr(expr) = text {
                    see(expr);
                }
            }
        }
        StateKind::Map(map) => {
            match &map.items {
                Items::Input => {}
                Items::Path(path) => see(path),
                Items::Template(template) => each_in(Some(template), see),
            }
            map.max_concurrency.iter().for_each(|amount| amount.each(see));
            let tolerances = [&map.tolerated_failure_count, &map.tolerated_failure_percentage];
            tolerances.into_iter().flatten().for_each(|amount| amount.each(see));
            if let Some(distributed) = &map.distributed {
                each_of_run(distributed, see);
            }
        }
    }
    if let Some(work) = state.work() {
        each_in(work.parameters.as_ref(), see);
        each_in(work.result_selector.as_ref(), see);
        for catcher in &work.catch {
            each_in(catcher.output.as_ref(), see);
            each_in(catcher.assign.as_ref(), see);
        }
    }
}

fn each_of_run(distributed: &Distributed, see: &mut impl FnMut(&Expr)) {
    if let Some(reader) = &distributed.reader {
        each_in(reader.parameters.as_ref(), see);
        reader.max_items.iter().for_each(|amount| amount.each(see));
    }
    if let Some(batcher) = &distributed.batcher {
        each_in(batcher.input.as_ref(), see);
        [&batcher.max_items, &batcher.max_bytes].into_iter().flatten().for_each(|amount| amount.each(see));
    }
    if let Some(writer) = &distributed.writer {
        each_in(writer.parameters.as_ref(), see);
    }
}

fn each_of_rule(rule: &Rule, see: &mut impl FnMut(&Expr)) {
    rule.condition.each(see);
    each_in(rule.output.as_ref(), see);
    each_in(rule.assign.as_ref(), see);
}

fn each_in(template: Option<&Template>, see: &mut impl FnMut(&Expr)) {
    if let Some(template) = template {
        template.each(&mut |_, expr| see(expr));
    }
}

impl<T> Amount<T> {
    fn each(&self, see: &mut impl FnMut(&Expr)) {
        if let Self::Expr(expr) = self {
            see(expr);
        }
    }
}

/// Dangling transitions, missing ends, unreachable states; `at` is the place of the body, without a closing slash.
pub(crate) fn check_body(body: &Body, at: &str, found: &mut Vec<Diagnostic>) {
    let start = format!("{at}/StartAt");
    let mut targets: Vec<(&str, String)> = vec![(&body.start_at, start)];
    let mut terminal = false;
    for (name, state) in &body.states {
        let place = format!("{at}/States/{name}");
        terminal |= is_terminal(state);
        targets.extend(transitions(state).into_iter().map(|(to, field)| (to, format!("{place}/{field}"))));
        check_nested(state, &place, found);
    }
    for (target, location) in &targets {
        if !body.states.contains_key(*target) {
            found.push(missing_target(format!("Missing 'Next' target: {target}"), location.clone()));
        }
    }
    if !terminal {
        found.push(Diagnostic {
            severity: Severity::Error,
            code: "MISSING_END_STATE",
            message: "Workflow has no terminal state".to_owned(),
            location: None,
        });
        return;
    }
    let reached = reachable(body);
    for name in body.states.keys().filter(|name| !reached.contains(name.as_str())) {
        found.push(missing_target(format!("State \"{name}\" is not reachable."), format!("{at}/States/{name}")));
    }
}

pub(crate) fn check_nested(state: &State, place: &str, found: &mut Vec<Diagnostic>) {
    each_nested(state, place, &mut |body, at| check_body(body, at, found));
}

/// The bodies within a state, each with its place.
fn each_nested<'a>(state: &'a State, place: &str, see: &mut impl FnMut(&'a Body, &str)) {
    match &state.kind {
        StateKind::Parallel { branches, .. } => {
            for (index, branch) in branches.iter().enumerate() {
                see(branch, &format!("{place}/Branches[{index}]"));
            }
        }
        StateKind::Map(map) => see(&map.processor, &format!("{place}/ItemProcessor")),
        _ => {}
    }
}

fn is_terminal(state: &State) -> bool {
    match state.kind {
        StateKind::Succeed | StateKind::Fail { .. } => true,
        StateKind::Choice { .. } => false,
        _ => state.next.is_none(),
    }
}

/// Where a state can go, and the field that says so.
fn transitions(state: &State) -> Vec<(&str, String)> {
    let mut targets = Vec::new();
    if let Some(next) = &state.next {
        targets.push((next.as_str(), "Next".to_owned()));
    }
    if let StateKind::Choice { rules, default } = &state.kind {
        for (index, rule) in rules.iter().enumerate() {
            targets.push((rule.next.as_str(), format!("Choices[{index}]/Next")));
        }
        if let Some(default) = default {
            targets.push((default.as_str(), "Default".to_owned()));
        }
    }
    for (index, catcher) in state.work().map(|work| work.catch.as_slice()).unwrap_or_default().iter().enumerate() {
        targets.push((catcher.next.as_str(), format!("Catch[{index}]/Next")));
    }
    targets
}

fn reachable(body: &Body) -> BTreeSet<&str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![body.start_at.as_str()];
    while let Some(name) = open.pop() {
        if reached.insert(name)
            && let Some(state) = body.states.get(name)
        {
            open.extend(transitions(state).into_iter().map(|(target, _)| target));
        }
    }
    reached
}

fn missing_target(message: String, location: String) -> Diagnostic {
    Diagnostic { severity: Severity::Error, code: "MISSING_TRANSITION_TARGET", message, location: Some(location) }
}
