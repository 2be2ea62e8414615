//! The tree of states that an execution's history tells of: states, and within them Map iterations and Parallel branches.

use std::collections::BTreeMap;

use serde_json::Value;

/// A state or an iteration.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// `Task`, `Map`, …; empty for an iteration.
    kind: String,
    pub(crate) status: Status,
    began: f64,
    ended: Option<f64>,
    parent: usize,
    children: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Running,
    Succeeded,
    Failed,
    Aborted,
}

/// Something to say at once, where there is no terminal to draw a tree on.
#[derive(Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) depth: usize,
    pub(crate) name: String,
    pub(crate) status: Status,
    /// Seconds; none for a beginning.
    pub(crate) lasted: Option<f64>,
    pub(crate) at: f64,
}

#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// Where the thread of events stands after each event: on a node, or inside it (before its next state).
    places: BTreeMap<u64, Place>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    On(usize),
    Inside(usize),
}

const ROOT: usize = 0;
/// Of a Map's iterations so many are shown; the rest is counted.
const SHOWN: usize = 8;

impl Tree {
    pub(crate) fn new(name: &str) -> Self {
        Self { nodes: vec![node(name, "", ROOT, 0.0)], places: BTreeMap::new() }
    }

    /// Takes an event of the history in; says what it changed.
    pub(crate) fn take(&mut self, event: &Value) -> Option<Change> {
        let kind = event["type"].as_str().unwrap_or_default();
        let at = event["timestamp"].as_f64().unwrap_or_default();
        let before = event["previousEventId"].as_u64().and_then(|id| self.places.get(&id).copied());
        let before = before.unwrap_or(Place::Inside(ROOT));
        let (place, changed) = self.step(kind, event, at, before);
        self.places.insert(event["id"].as_u64().unwrap_or_default(), place);
        changed.map(|index| self.change(index, at))
    }

    fn step(&mut self, kind: &str, event: &Value, at: f64, before: Place) -> (Place, Option<usize>) {
        let (Place::On(standing) | Place::Inside(standing)) = before;
        if let Some(kind) = kind.strip_suffix("StateEntered") {
            let name = event["stateEnteredEventDetails"]["name"].as_str().unwrap_or_default();
            let parent = if let Place::Inside(container) = before { container } else { self.nodes[standing].parent };
            let index = self.add(name, kind, parent, at);
            return (Place::On(index), Some(index));
        }
        if kind.ends_with("StateExited") {
            let name = event["stateExitedEventDetails"]["name"].as_str().unwrap_or_default();
            let index = self.up(standing, |node| node.name == name && !node.kind.is_empty());
            let status = if self.nodes[index].status == Status::Running { Status::Succeeded } else { Status::Failed };
            self.end(index, status, at);
            return (Place::Inside(self.nodes[index].parent), Some(index));
        }
        let map = |tree: &Self| tree.up(standing, |node| node.kind == "Map");
        match kind {
            "ExecutionStarted" => {
                self.nodes[ROOT].began = at;
                (Place::Inside(ROOT), None)
            }
            "ExecutionSucceeded" => self.over(Status::Succeeded, at),
            "ExecutionFailed" | "ExecutionTimedOut" => self.over(Status::Failed, at),
            "ExecutionAborted" => self.over(Status::Aborted, at),
            "ParallelStateStarted" => (Place::Inside(standing), None),
            "ParallelStateSucceeded" => (Place::On(self.up(standing, |node| node.kind == "Parallel")), None),
            "MapStateSucceeded" => (Place::On(map(self)), None),
            "MapStateFailed" | "ParallelStateFailed" => {
                let index = self.up(standing, |node| kind.starts_with(&node.kind) && !node.kind.is_empty());
                self.nodes[index].status = Status::Failed;
                (Place::On(index), None)
            }
            "MapIterationStarted" => {
                let number = event["mapIterationStartedEventDetails"]["index"].as_u64().unwrap_or_default();
                let index = self.add(&format!("#{number}"), "", map(self), at);
                (Place::Inside(index), None)
            }
            "MapIterationSucceeded" | "MapIterationFailed" | "MapIterationAborted" => {
                let index = self.up(standing, |node| node.name.starts_with('#') && node.kind.is_empty());
                let status = match kind {
                    "MapIterationSucceeded" => Status::Succeeded,
                    "MapIterationFailed" => Status::Failed,
                    _ => Status::Aborted,
                };
                self.end(index, status, at);
                (Place::On(self.nodes[index].parent), None)
            }
            "TaskFailed"
            | "TaskTimedOut"
            | "LambdaFunctionFailed"
            | "LambdaFunctionTimedOut"
            | "ActivityFailed"
            | "ActivityTimedOut" => {
                self.nodes[standing].status = Status::Failed;
                (before, None)
            }
            // Tried again.
            "TaskScheduled" | "LambdaFunctionScheduled" | "ActivityScheduled" => {
                self.nodes[standing].status = Status::Running;
                (before, None)
            }
            kind if kind.ends_with("StateAborted") => {
                self.end(standing, Status::Aborted, at);
                (before, Some(standing))
            }
            _ => (before, None),
        }
    }

    /// The execution is over, and with it what still runs: the innermost of it is told.
    fn over(&mut self, status: Status, at: f64) -> (Place, Option<usize>) {
        let mut last = None;
        for index in 1..self.nodes.len() {
            if self.nodes[index].ended.is_none() {
                let failed = self.nodes[index].status == Status::Failed || status == Status::Failed;
                self.end(index, if failed { Status::Failed } else { Status::Aborted }, at);
                last = Some(index);
            }
        }
        self.end(ROOT, status, at);
        (Place::Inside(ROOT), last)
    }

    fn add(&mut self, name: &str, kind: &str, parent: usize, at: f64) -> usize {
        let index = self.nodes.len();
        self.nodes.push(node(name, kind, parent, at));
        self.nodes[parent].children.push(index);
        index
    }

    fn end(&mut self, index: usize, status: Status, at: f64) {
        self.nodes[index].status = status;
        self.nodes[index].ended = Some(at);
    }

    /// The nearest node like that, from here to the root.
    fn up(&self, from: usize, like: impl Fn(&Node) -> bool) -> usize {
        let mut index = from;
        while index != ROOT && !like(&self.nodes[index]) {
            index = self.nodes[index].parent;
        }
        index
    }

    fn change(&self, index: usize, at: f64) -> Change {
        let node = &self.nodes[index];
        let mut depth = 0;
        let mut above = node.parent;
        while above != ROOT {
            depth += 1;
            above = self.nodes[above].parent;
        }
        let lasted = node.ended.map(|ended| ended - node.began);
        Change { depth, name: node.name.clone(), status: node.status, lasted, at }
    }

    /// The tree as lines, at most `rows`: what has ended long ago goes first.
    pub(crate) fn lines(&self, now: f64, rows: usize) -> Vec<String> {
        let mut lines = Vec::new();
        self.draw(ROOT, 0, now, &mut lines);
        if lines.len() > rows {
            let cut = lines.len() - rows + 1;
            lines.drain(1..=cut);
            lines.insert(1, format!("  … {cut} more"));
        }
        lines
    }

    fn draw(&self, index: usize, depth: usize, now: f64, lines: &mut Vec<String>) {
        let node = &self.nodes[index];
        let lasted = seconds(node.ended.unwrap_or_else(|| now.max(node.began)) - node.began);
        lines.push(format!("{}{} {}  {lasted}", "  ".repeat(depth), node.status.mark(), node.name));
        if node.kind == "Map" && node.children.len() > SHOWN {
            let count = |status| node.children.iter().filter(|child| self.nodes[**child].status == status).count();
            lines.push(format!(
                "{}{} of {} items done, {} running, {} failed",
                "  ".repeat(depth + 1),
                count(Status::Succeeded),
                node.children.len(),
                count(Status::Running),
                count(Status::Failed),
            ));
            let eventful = |child: &&usize| matches!(self.nodes[**child].status, Status::Running | Status::Failed);
            for child in node.children.iter().filter(eventful).take(SHOWN) {
                self.draw(*child, depth + 1, now, lines);
            }
            return;
        }
        for child in &node.children {
            self.draw(*child, depth + 1, now, lines);
        }
    }
}

fn node(name: &str, kind: &str, parent: usize, began: f64) -> Node {
    let (name, kind) = (name.to_owned(), kind.to_owned());
    Node { name, kind, status: Status::Running, began, ended: None, parent, children: Vec::new() }
}

impl Status {
    pub(crate) fn mark(self) -> char {
        match self {
            Self::Running => '●',
            Self::Succeeded => '✔',
            Self::Failed => '✘',
            Self::Aborted => '■',
        }
    }
}

pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.2} s") } else { format!("{seconds:.0} s") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Tree;

    fn event(id: u64, previous: u64, kind: &str, details: &Value) -> Value {
        let mut event = json!({"id": id, "previousEventId": previous, "type": kind, "timestamp": id});
        event.as_object_mut().unwrap().extend(details.as_object().unwrap().clone());
        event
    }

    #[test]
    fn a_history_becomes_a_tree() {
        let entered = |name: &str| json!({"stateEnteredEventDetails": {"name": name}});
        let exited = |name: &str| json!({"stateExitedEventDetails": {"name": name}});
        let index = |index: u64| json!({"mapIterationStartedEventDetails": {"index": index}});
        let none = json!({});
        let mut tree = Tree::new("m");
        for event in [
            event(1, 0, "ExecutionStarted", &none),
            event(2, 0, "PassStateEntered", &entered("A")),
            event(3, 2, "PassStateExited", &exited("A")),
            event(4, 3, "MapStateEntered", &entered("M")),
            event(5, 4, "MapStateStarted", &none),
            event(6, 5, "MapIterationStarted", &index(0)),
            event(7, 6, "TaskStateEntered", &entered("T")),
            event(8, 7, "TaskScheduled", &none),
            event(9, 8, "TaskSucceeded", &none),
            event(10, 9, "TaskStateExited", &exited("T")),
            event(11, 10, "MapIterationSucceeded", &none),
            event(12, 11, "MapStateSucceeded", &none),
            event(13, 12, "MapStateExited", &exited("M")),
            event(14, 13, "ParallelStateEntered", &entered("P")),
            event(15, 14, "ParallelStateStarted", &none),
            event(16, 15, "TaskStateEntered", &entered("X")),
            event(17, 15, "WaitStateEntered", &entered("Y")),
            event(18, 16, "TaskFailed", &none),
            event(19, 18, "ParallelStateFailed", &none),
            event(20, 19, "ExecutionFailed", &none),
        ] {
            tree.take(&event);
        }
        let want = [
            "✘ m  19 s",
            "  ✔ A  1.00 s",
            "  ✔ M  9.00 s",
            "    ✔ #0  5.00 s",
            "      ✔ T  3.00 s",
            "  ✘ P  6.00 s",
            "    ✘ X  4.00 s",
            "    ✘ Y  3.00 s",
        ];
        assert_eq!(tree.lines(0.0, 50), want);
        assert_eq!(tree.lines(0.0, 4).len(), 4);
    }
}
