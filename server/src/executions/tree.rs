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
    /// The Map Run of a Distributed Map, how far it is, and whether that is the end.
    map_run: Option<String>,
    note: Option<String>,
    settled: bool,
    /// The Glue job that it runs, and the run.
    job: Option<(String, Option<String>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Running,
    Succeeded,
    Failed,
    /// It failed, and a Catch took the error: the execution went on.
    Caught,
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
    places: BTreeMap<u64, Position>,
    /// What the event at hand has ended along with what it names.
    cut: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Position {
    On(usize),
    Inside(usize),
}

const ROOT: usize = 0;
/// Of a Map's iterations so many are shown; the rest is counted.
const SHOWN: usize = 8;

impl Tree {
    pub(crate) fn new(name: &str) -> Self {
        Self { nodes: vec![node(name, "", ROOT, 0.0)], places: BTreeMap::new(), cut: Vec::new() }
    }

    /// Takes an event of the history in; says what it changed.
    pub(crate) fn take(&mut self, event: &Value) -> Vec<Change> {
        let kind = event["type"].as_str().unwrap_or_default();
        let at = event["timestamp"].as_f64().unwrap_or_default();
        let before = event["previousEventId"].as_u64().and_then(|id| self.places.get(&id).copied());
        let before = before.unwrap_or(Position::Inside(ROOT));
        let (place, changed) = self.step(kind, event, at, before);
        self.places.insert(event["id"].as_u64().unwrap_or_default(), place);
        let mut all = std::mem::take(&mut self.cut);
        all.extend(changed.filter(|index| !all.contains(index)));
        all.into_iter().map(|index| self.change(index, at)).collect()
    }

    #[expect(clippy::too_many_lines, reason = "one case for each kind of event")]
    fn step(&mut self, kind: &str, event: &Value, at: f64, before: Position) -> (Position, Option<usize>) {
        let (Position::On(standing) | Position::Inside(standing)) = before;
        if let Some(kind) = kind.strip_suffix("StateEntered") {
            let name = event["stateEnteredEventDetails"]["name"].as_str().unwrap_or_default();
            let parent = if let Position::Inside(container) = before { container } else { self.nodes[standing].parent };
            let index = self.add(name, kind, parent, at);
            return (Position::On(index), Some(index));
        }
        if kind.ends_with("StateExited") {
            let name = event["stateExitedEventDetails"]["name"].as_str().unwrap_or_default();
            let index = self.up(standing, |node| node.name == name && !node.kind.is_empty());
            let status = match self.nodes[index].status {
                Status::Running => Status::Succeeded,
                _ => Status::Caught,
            };
            self.end_below(index, at);
            self.end(index, status, at);
            return (Position::Inside(self.nodes[index].parent), Some(index));
        }
        let map = |tree: &Self| tree.up(standing, |node| node.kind == "Map");
        match kind {
            "ExecutionStarted" => {
                self.nodes[ROOT].began = at;
                (Position::Inside(ROOT), None)
            }
            "ExecutionSucceeded" => self.over(Status::Succeeded, at),
            "ExecutionFailed" | "ExecutionTimedOut" => self.over(Status::Failed, at),
            "ExecutionAborted" => self.over(Status::Aborted, at),
            "ParallelStateStarted" => (Position::Inside(standing), None),
            "ParallelStateSucceeded" => (Position::On(self.up(standing, |node| node.kind == "Parallel")), None),
            "MapStateSucceeded" => (Position::On(map(self)), None),
            "MapStateFailed" | "ParallelStateFailed" => {
                let index = self.up(standing, |node| kind.starts_with(&node.kind) && !node.kind.is_empty());
                self.end_below(index, at);
                self.nodes[index].status = Status::Failed;
                (Position::On(index), None)
            }
            "MapRunStarted" => {
                let index = map(self);
                let arn = event["mapRunStartedEventDetails"]["mapRunArn"].as_str();
                self.nodes[index].map_run = arn.map(str::to_owned);
                (before, None)
            }
            "MapRunFailed" => {
                let index = map(self);
                self.nodes[index].status = Status::Failed;
                (Position::On(index), None)
            }
            "MapIterationStarted" => {
                let number = event["mapIterationStartedEventDetails"]["index"].as_u64().unwrap_or_default();
                let index = self.add(&format!("#{number}"), "", map(self), at);
                (Position::Inside(index), None)
            }
            "MapIterationSucceeded" | "MapIterationFailed" | "MapIterationAborted" => {
                let index = self.up(standing, |node| node.name.starts_with('#') && node.kind.is_empty());
                let status = match kind {
                    "MapIterationSucceeded" => Status::Succeeded,
                    "MapIterationFailed" => Status::Failed,
                    _ => Status::Aborted,
                };
                self.end_below(index, at);
                self.end(index, status, at);
                (Position::On(self.nodes[index].parent), None)
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
                let node = &mut self.nodes[standing];
                node.status = Status::Running;
                node.job = job_of(&event["taskScheduledEventDetails"]).map(|name| (name, None));
                node.settled = false;
                (before, None)
            }
            "TaskSubmitted" => {
                if let Some((_, run)) = &mut self.nodes[standing].job {
                    *run = inner(&event["taskSubmittedEventDetails"]["output"], "JobRunId");
                }
                (before, None)
            }
            kind if kind.ends_with("StateAborted") => {
                self.end(standing, Status::Aborted, at);
                (before, Some(standing))
            }
            _ => (before, None),
        }
    }

    /// The execution is over, and with it what still runs.
    fn over(&mut self, status: Status, at: f64) -> (Position, Option<usize>) {
        let open: Vec<_> = (1..self.nodes.len()).filter(|index| self.nodes[*index].ended.is_none()).collect();
        if status == Status::Failed {
            // What fails an execution is the state that it stands on: the one of the outermost that is open.
            let outermost: Vec<_> = open.into_iter().filter(|index| self.nodes[*index].parent == ROOT).collect();
            for index in outermost {
                self.end_below(index, at);
                self.end(index, Status::Failed, at);
                self.cut.push(index);
            }
        }
        self.end_below(ROOT, at);
        self.end(ROOT, status, at);
        (Position::Inside(ROOT), None)
    }

    /// What of a state's branches or of an iteration still ran when it ended: what had failed is why, the rest was aborted.
    /// A Fail state has no exit in the history, nor has a branch that another's failure cut off.
    fn end_below(&mut self, above: usize, at: f64) {
        for index in self.nodes[above].children.clone() {
            self.end_below(index, at);
            if self.nodes[index].ended.is_none() {
                let failed = self.nodes[index].status == Status::Failed || self.nodes[index].kind == "Fail";
                let cause = |child: &usize| self.nodes[*child].status == Status::Failed;
                let failed = failed || self.nodes[index].children.iter().any(cause);
                self.end(index, if failed { Status::Failed } else { Status::Aborted }, at);
                self.cut.push(index);
            }
        }
    }

    /// The Map Runs whose end has not been told yet.
    pub(crate) fn map_runs(&self) -> Vec<(usize, String)> {
        let open = self.nodes.iter().enumerate().filter(|(_, node)| !node.settled);
        open.filter_map(|(index, node)| Some((index, node.map_run.clone()?))).collect()
    }

    /// The job runs, by job and run, that have not been seen to run.
    pub(crate) fn job_runs(&self) -> Vec<(usize, String, String)> {
        let open = self.nodes.iter().enumerate().filter(|(_, node)| !node.settled && node.ended.is_none());
        open.filter_map(|(index, node)| {
            let (job, run) = node.job.clone()?;
            Some((index, job, run?))
        })
        .collect()
    }

    /// Says how far a Map Run or a job run is; whether that is news.
    pub(crate) fn note(&mut self, index: usize, text: String, settled: bool) -> bool {
        let node = &mut self.nodes[index];
        node.settled = settled;
        let before = node.note.replace(text);
        before != node.note
    }

    pub(crate) fn name(&self, index: usize) -> &str {
        &self.nodes[index].name
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
        let word = node.status.word();
        let told = node.note.as_deref().filter(|text| !text.is_empty());
        let told = told.map(|note| format!("  {note}")).unwrap_or_default();
        lines.push(format!("{}{} {}  {lasted}{word}{told}", "  ".repeat(depth), node.status.mark(), node.name));
        if node.kind == "Map" && node.children.len() > SHOWN {
            let count = |status| node.children.iter().filter(|child| self.nodes[**child].status == status).count();
            lines.push(format!(
                "{}{} of {} items done, {} running, {} failed",
                "  ".repeat(depth + 1),
                count(Status::Succeeded),
                node.children.len(),
                count(Status::Running),
                count(Status::Failed) + count(Status::Aborted),
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
    let (children, map_run, note, settled, job) = Default::default();
    Node { name, kind, status: Status::Running, began, ended: None, parent, children, map_run, note, settled, job }
}

/// The job that a task starts and waits for.
fn job_of(scheduled: &Value) -> Option<String> {
    let is_job = scheduled["resourceType"] == "glue" && scheduled["resource"] == "startJobRun.sync";
    if is_job { inner(&scheduled["parameters"], "JobName") } else { None }
}

/// A text of a JSON object that is written as a text.
fn inner(text: &Value, name: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text.as_str()?).ok()?;
    value[name].as_str().map(str::to_owned)
}

impl Status {
    pub(crate) fn mark(self) -> char {
        match self {
            Self::Running => '●',
            Self::Succeeded => '✔',
            Self::Failed | Self::Caught => '✘',
            Self::Aborted => '■',
        }
    }

    /// What the mark does not tell.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Caught => "  (failed, caught)",
            Self::Aborted => "  (aborted)",
            Self::Running | Self::Succeeded | Self::Failed => "",
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
    fn a_job_run_says_how_far_it_is() {
        let none = json!({});
        let scheduled = json!({"taskScheduledEventDetails": {
            "resourceType": "glue", "resource": "startJobRun.sync", "parameters": "{\"JobName\": \"etl\"}"}});
        let submitted = json!({"taskSubmittedEventDetails": {"output": "{\"JobRunId\": \"jr_1\"}"}});
        let mut tree = Tree::new("m");
        tree.take(&event(1, 0, "ExecutionStarted", &none));
        tree.take(&event(2, 0, "TaskStateEntered", &json!({"stateEnteredEventDetails": {"name": "T"}})));
        tree.take(&event(3, 2, "TaskScheduled", &scheduled));
        assert!(tree.job_runs().is_empty());
        tree.take(&event(4, 3, "TaskSubmitted", &submitted));
        assert_eq!(tree.job_runs(), [(1, "etl".to_owned(), "jr_1".to_owned())]);
        assert!(tree.note(1, "Preparing: pip".to_owned(), false));
        assert!(!tree.note(1, "Preparing: pip".to_owned(), false));
        assert_eq!(tree.lines(5.0, 9), ["● m  4.00 s", "  ● T  3.00 s  Preparing: pip"]);
        assert!(tree.note(1, String::new(), true));
        assert_eq!((tree.job_runs().len(), tree.lines(5.0, 9)[1].as_str()), (0, "  ● T  3.00 s"));
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
            "    ✘ X  3.00 s",
            "    ■ Y  2.00 s  (aborted)",
        ];
        assert_eq!(tree.lines(0.0, 50), want);
        assert_eq!(tree.lines(0.0, 4).len(), 4);
    }

    #[test]
    fn a_caught_failure_shows_which_branch_failed() {
        let entered = |name: &str| json!({"stateEnteredEventDetails": {"name": name}});
        let exited = |name: &str| json!({"stateExitedEventDetails": {"name": name}});
        let none = json!({});
        let run = json!({"mapRunStartedEventDetails": {"mapRunArn": "arn"}});
        let mut tree = Tree::new("m");
        for event in [
            event(1, 0, "ExecutionStarted", &none),
            event(2, 0, "ParallelStateEntered", &entered("P")),
            event(3, 2, "ParallelStateStarted", &none),
            event(4, 3, "FailStateEntered", &entered("F")),
            event(5, 3, "WaitStateEntered", &entered("W")),
            event(6, 4, "ParallelStateFailed", &none),
            event(7, 6, "ParallelStateExited", &exited("P")),
            event(8, 7, "MapStateEntered", &entered("D")),
            event(9, 8, "MapStateStarted", &none),
            event(10, 9, "MapRunStarted", &run),
        ] {
            tree.take(&event);
        }
        assert_eq!(tree.map_runs(), [(4, "arn".to_owned())]);
        tree.note(4, "190 of 200".to_owned(), true);
        assert!(tree.map_runs().is_empty());
        for event in [
            event(11, 10, "MapRunSucceeded", &none),
            event(12, 11, "MapStateSucceeded", &none),
            event(13, 12, "MapStateExited", &exited("D")),
            event(14, 13, "ExecutionSucceeded", &none),
        ] {
            tree.take(&event);
        }
        let want = [
            "✔ m  13 s",
            "  ✘ P  5.00 s  (failed, caught)",
            "    ✘ F  2.00 s",
            "    ■ W  1.00 s  (aborted)",
            "  ✔ D  5.00 s  190 of 200",
        ];
        assert_eq!(tree.lines(0.0, 50), want);
    }
}
