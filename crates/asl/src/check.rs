//! What is wrong with a definition, in AWS's words; and the checks of its graph.

use std::collections::BTreeSet;

use crate::definition::{Body, State, StateKind};

/// One finding, as ValidateStateMachineDefinition reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub code: &'static str,
    pub message: String,
    /// A path into the definition, or the place in the text.
    pub location: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

impl Diagnostic {
    pub(crate) fn schema(message: impl Into<String>, location: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code: "SCHEMA_VALIDATION_FAILED",
            message: message.into(),
            location: Some(location.into()),
        }
    }

    fn missing_target(message: String, location: String) -> Self {
        Self { severity: Severity::Error, code: "MISSING_TRANSITION_TARGET", message, location: Some(location) }
    }

    /// As CreateStateMachine puts it into one line.
    pub fn sentence(&self) -> String {
        match &self.location {
            Some(location) => format!("{}: {} at {location}", self.code, self.message.trim_end()),
            None => format!("{}: {}", self.code, self.message.trim_end()),
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
            found.push(Diagnostic::missing_target(format!("Missing 'Next' target: {target}"), location.clone()));
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
        found.push(Diagnostic::missing_target(
            format!("State \"{name}\" is not reachable."),
            format!("{at}/States/{name}"),
        ));
    }
}

fn check_nested(state: &State, place: &str, found: &mut Vec<Diagnostic>) {
    match &state.kind {
        StateKind::Parallel { branches, .. } => {
            for (index, branch) in branches.iter().enumerate() {
                check_body(branch, &format!("{place}/Branches[{index}]"), found);
            }
        }
        StateKind::Map(map) => check_body(&map.processor, &format!("{place}/ItemProcessor"), found),
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
