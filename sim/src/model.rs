//! State machines as the generator makes them and the evaluator runs them, and how they are written in the language: JSONPath or
//! JSONata.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::workers::Plan;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    JsonPath,
    Jsonata,
}

/// A machine, a branch or an item processor; it starts with its first state, and goes only forward.
#[derive(Clone, Debug)]
pub struct Machine {
    pub states: Vec<State>,
}

#[derive(Clone, Debug)]
pub struct State {
    pub name: String,
    pub language: Language,
    /// `None`: the end.
    pub next: Option<usize>,
    pub kind: Kind,
    pub input_path: Option<Vec<String>>,
    /// Parameters, Arguments, or a Map's ItemSelector.
    pub parameters: Option<Expr>,
    pub result_selector: Option<Expr>,
    pub result_path: ResultPath,
    pub output_path: Option<Vec<String>>,
    /// JSONata's.
    pub output: Option<Expr>,
    pub assign: Vec<(String, Expr)>,
    pub retry: Vec<Retrier>,
    pub catch: Vec<Catcher>,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Pass { result: Option<Value> },
    Succeed,
    Fail { error: String, cause: String },
    Choice { rules: Vec<Rule>, default: Option<usize> },
    Wait { seconds: u64 },
    Task(Task),
    Parallel { branches: Vec<Machine> },
    Map { items: Expr, limit: u64, processor: Machine, distributed: Option<Distributed> },
}

/// A Map whose items run as executions of their own.
#[derive(Clone, Debug)]
pub struct Distributed {
    pub express: bool,
    pub batch: Option<Batch>,
    /// Its results go to objects.
    pub writes: bool,
    /// All children may fail; only where what they come to is not shown.
    pub tolerates: bool,
    /// Its items are an object's.
    pub reads: Option<Form>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Lines,
}

#[derive(Clone, Debug)]
pub struct Batch {
    pub most: u64,
    pub input: Option<Expr>,
}

/// The activity of all machines.
pub const ACTIVITY: &str = "arn:aws:states:us-east-1:000000000000:activity:a";
/// Where results are written.
pub const BUCKET: &str = "results";

#[derive(Clone, Debug)]
pub struct Task {
    pub how: How,
    pub plan: Plan,
    /// What the worker is given to work on.
    pub value: Expr,
    pub timeout: Option<u64>,
    pub heartbeat: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A function by its ARN.
    Function,
    /// `lambda:invoke`
    Invoke,
    /// `sqs:sendMessage.waitForTaskToken`
    Callback,
    /// `glue:startJobRun.sync`
    Job,
    /// A worker fetches it.
    Activity,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ResultPath {
    Replace,
    Discard,
    Into(String),
}

#[derive(Clone, Debug)]
pub struct Retrier {
    pub errors: Vec<String>,
    pub interval: u64,
    pub max_attempts: u64,
    pub backoff_tenths: u64,
    pub max_delay: Option<u64>,
    pub jitter: bool,
}

#[derive(Clone, Debug)]
pub struct Catcher {
    pub errors: Vec<String>,
    pub next: usize,
    pub result_path: ResultPath,
    pub assign: Vec<(String, Expr)>,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub test: Test,
    pub next: usize,
    pub assign: Vec<(String, Expr)>,
}

#[derive(Clone, Debug)]
pub enum Test {
    IntEquals(Vec<String>, i64),
    IntLess(Vec<String>, i64),
    TextEquals(Vec<String>, String),
    IsPresent(Vec<String>),
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
}

/// Where a path begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Base {
    /// `$`; in JSONata `$states.input`.
    Input,
    /// What the state came to; in JSONPath also `$`.
    Result,
    /// The error that a Catch takes up; in JSONPath `$`.
    Error,
    Variable(String),
    /// `$$.Map.Item.Value`
    Item,
    /// `$$.Map.Item.Index`
    ItemIndex,
    /// `$$.Execution.Input`
    ExecutionInput,
    /// `$$.State.RetryCount`
    RetryCount,
    /// `$$.Task.Token`
    Token,
}

#[derive(Clone, Debug)]
pub enum Expr {
    Literal(Value),
    Path(Base, Vec<String>),
    /// Texts and whole numbers, joined with dashes.
    Join(Vec<Expr>),
    Add(Box<Expr>, i64),
    Count(Box<Expr>),
    List(Vec<Expr>),
    Object(Vec<(String, Expr)>),
}

impl Machine {
    /// The whole definition.
    pub fn definition(&self, language: Language) -> Value {
        let mut whole = self.written(language);
        if language == Language::Jsonata {
            whole["QueryLanguage"] = json!("JSONata");
        }
        whole
    }

    fn written(&self, around: Language) -> Value {
        let states: Map<String, Value> =
            self.states.iter().map(|state| (state.name.clone(), state.written(self, around))).collect();
        json!({ "StartAt": self.states[0].name, "States": states })
    }

    /// Whether a worker has to fetch a task of it.
    pub fn has_activity(&self) -> bool {
        self.states.iter().any(|state| match &state.kind {
            Kind::Task(task) => task.how == How::Activity,
            Kind::Parallel { branches } => branches.iter().any(Self::has_activity),
            Kind::Map { processor, .. } => processor.has_activity(),
            _ => false,
        })
    }

    /// How many states there are, with all within.
    pub fn size(&self) -> usize {
        let within = |state: &State| match &state.kind {
            Kind::Parallel { branches } => branches.iter().map(Self::size).sum(),
            Kind::Map { processor, .. } => processor.size(),
            _ => 0,
        };
        self.states.iter().map(|state| 1 + within(state)).sum()
    }
}

impl State {
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of state")]
    fn written(&self, machine: &Machine, around: Language) -> Value {
        let mut out = Map::new();
        let language = self.language;
        let name = |index: usize| json!(machine.states[index].name);
        if language != around {
            out.insert("QueryLanguage".to_owned(), json!("JSONata"));
        }
        let mut put = |field: &str, value: Value| out.insert(field.to_owned(), value);
        let arguments = if language == Language::Jsonata { "Arguments" } else { "Parameters" };
        match &self.kind {
            Kind::Pass { result } => {
                put("Type", json!("Pass"));
                if let Some(result) = result {
                    put("Result", result.clone());
                }
            }
            Kind::Succeed => drop(put("Type", json!("Succeed"))),
            Kind::Fail { error, cause } => {
                put("Type", json!("Fail"));
                put("Error", json!(error));
                put("Cause", json!(cause));
            }
            Kind::Choice { rules, default } => {
                put("Type", json!("Choice"));
                let rules = rules.iter().map(|rule| {
                    let mut written = match language {
                        Language::JsonPath => rule.test.json_path(),
                        Language::Jsonata => json!({ "Condition": format!("{{% {} %}}", rule.test.jsonata()) }),
                    };
                    written["Next"] = name(rule.next);
                    if !rule.assign.is_empty() {
                        written["Assign"] = assigned(&rule.assign, language);
                    }
                    written
                });
                put("Choices", rules.collect());
                if let Some(default) = default {
                    put("Default", name(*default));
                }
            }
            Kind::Wait { seconds } => {
                put("Type", json!("Wait"));
                put("Seconds", json!(seconds));
            }
            Kind::Task(task) => {
                put("Type", json!("Task"));
                put("Resource", json!(task.resource()));
                put(arguments, task.parameters().template(language));
                for (field, seconds) in [("TimeoutSeconds", task.timeout), ("HeartbeatSeconds", task.heartbeat)] {
                    if let Some(seconds) = seconds {
                        put(field, json!(seconds));
                    }
                }
            }
            Kind::Parallel { branches } => {
                put("Type", json!("Parallel"));
                put("Branches", branches.iter().map(|branch| branch.written(around)).collect());
            }
            Kind::Map { items, limit, processor, distributed } => {
                put("Type", json!("Map"));
                match (language, items, distributed.as_ref().and_then(|distributed| distributed.reads)) {
                    (_, Expr::Literal(items), Some(form)) => put("ItemReader", form.reader(items, arguments)),
                    (Language::JsonPath, Expr::Path(_, path), _) => put("ItemsPath", json!(json_path("$", path))),
                    (_, items, _) => put("Items", items.template(language)),
                };
                put("MaxConcurrency", json!(limit));
                let mut processor = processor.written(around);
                if let Some(distributed) = distributed {
                    let kind = if distributed.express { "EXPRESS" } else { "STANDARD" };
                    processor["ProcessorConfig"] = json!({ "Mode": "DISTRIBUTED", "ExecutionType": kind });
                    if let Some(batch) = &distributed.batch {
                        put("ItemBatcher", batch.written(language));
                    }
                    if distributed.tolerates {
                        put("ToleratedFailurePercentage", json!(100));
                    }
                    if distributed.writes {
                        let to = json!({ "Bucket": BUCKET, "Prefix": "of" });
                        put("ResultWriter", json!({ "Resource": "arn:aws:states:::s3:putObject", arguments: to }));
                    }
                }
                put("ItemProcessor", processor);
            }
        }
        if let Some(parameters) = &self.parameters {
            let field = if matches!(self.kind, Kind::Map { .. }) { "ItemSelector" } else { arguments };
            put(field, parameters.template(language));
        }
        if let Some(path) = &self.input_path {
            put("InputPath", json!(json_path("$", path)));
        }
        if let Some(path) = &self.output_path {
            put("OutputPath", json!(json_path("$", path)));
        }
        if let Some(selector) = &self.result_selector {
            put("ResultSelector", selector.template(language));
        }
        if let Some(path) = self.result_path.written() {
            put("ResultPath", path);
        }
        if let Some(output) = &self.output {
            put("Output", output.template(language));
        }
        if !self.assign.is_empty() {
            put("Assign", assigned(&self.assign, language));
        }
        if !self.retry.is_empty() {
            put("Retry", self.retry.iter().map(Retrier::written).collect());
        }
        if !self.catch.is_empty() {
            let catchers = self.catch.iter().map(|catcher| {
                let mut written = json!({ "ErrorEquals": catcher.errors, "Next": name(catcher.next) });
                if let Some(path) = catcher.result_path.written() {
                    written["ResultPath"] = path;
                }
                if !catcher.assign.is_empty() {
                    written["Assign"] = assigned(&catcher.assign, language);
                }
                written
            });
            put("Catch", catchers.collect());
        }
        match (&self.kind, self.next) {
            (Kind::Choice { .. } | Kind::Succeed | Kind::Fail { .. }, _) => {}
            (_, Some(next)) => drop(put("Next", name(next))),
            (_, None) => drop(put("End", json!(true))),
        }
        Value::Object(out)
    }
}

fn assigned(assign: &[(String, Expr)], language: Language) -> Value {
    Expr::Object(assign.to_vec()).template(language)
}

impl Form {
    /// Every object holds what its key says, so that there is no need to put them anywhere.
    fn reader(self, items: &Value, arguments: &str) -> Value {
        let lines = || items.as_array().into_iter().flatten().map(Value::to_string).collect::<Vec<_>>().join("\n");
        let (kind, key) = match self {
            Self::Lines => ("JSONL", lines()),
            Self::Json => ("JSON", items.to_string()),
        };
        json!({
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": { "InputType": kind },
            arguments: { "Bucket": "items", "Key": key },
        })
    }
}

impl Batch {
    fn written(&self, language: Language) -> Value {
        let mut written = json!({ "MaxItemsPerBatch": self.most });
        if let Some(input) = &self.input {
            written["BatchInput"] = input.template(language);
        }
        written
    }
}

impl Task {
    fn resource(&self) -> &'static str {
        match self.how {
            How::Function => "arn:aws:lambda:us-east-1:000000000000:function:f",
            How::Invoke => "arn:aws:states:::lambda:invoke",
            How::Callback => "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            How::Job => "arn:aws:states:::glue:startJobRun.sync",
            How::Activity => ACTIVITY,
        }
    }

    /// What the call is given.
    pub fn parameters(&self) -> Expr {
        let mut payload = vec![
            ("plan".to_owned(), Expr::Literal(self.plan.written())),
            ("retry".to_owned(), Expr::Path(Base::RetryCount, Vec::new())),
            ("value".to_owned(), self.value.clone()),
        ];
        match self.how {
            How::Job => Expr::Object(vec![
                ("JobName".to_owned(), Expr::Literal(json!("j"))),
                (
                    "Arguments".to_owned(),
                    Expr::Object(vec![
                        ("--plan".to_owned(), Expr::Literal(json!(self.plan.written().to_string()))),
                        ("--retry".to_owned(), Expr::Join(vec![Expr::Path(Base::RetryCount, Vec::new())])),
                    ]),
                ),
            ]),
            How::Function | How::Activity => Expr::Object(payload),
            How::Invoke => Expr::Object(vec![
                ("FunctionName".to_owned(), Expr::Literal(json!("f"))),
                ("Payload".to_owned(), Expr::Object(payload)),
            ]),
            How::Callback => {
                payload.push(("token".to_owned(), Expr::Path(Base::Token, Vec::new())));
                Expr::Object(vec![
                    ("QueueUrl".to_owned(), Expr::Literal(json!("http://127.0.0.1/000000000000/q"))),
                    ("MessageBody".to_owned(), Expr::Object(payload)),
                ])
            }
        }
    }
}

impl ResultPath {
    fn written(&self) -> Option<Value> {
        match self {
            Self::Replace => None,
            Self::Discard => Some(Value::Null),
            Self::Into(field) => Some(json!(json_path("$", std::slice::from_ref(field)))),
        }
    }
}

impl Retrier {
    fn written(&self) -> Value {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let backoff = self.backoff_tenths as f64 / 10.0;
        let mut out = json!({
            "ErrorEquals": self.errors, "IntervalSeconds": self.interval, "MaxAttempts": self.max_attempts, "BackoffRate": backoff,
        });
        if let Some(most) = self.max_delay {
            out["MaxDelaySeconds"] = json!(most);
        }
        if self.jitter {
            out["JitterStrategy"] = json!("FULL");
        }
        out
    }
}

impl Test {
    fn json_path(&self) -> Value {
        let all = |tests: &[Self]| tests.iter().map(Self::json_path).collect::<Value>();
        match self {
            Self::IntEquals(path, n) => json!({ "Variable": json_path("$", path), "NumericEquals": n }),
            Self::IntLess(path, n) => json!({ "Variable": json_path("$", path), "NumericLessThan": n }),
            Self::TextEquals(path, text) => json!({ "Variable": json_path("$", path), "StringEquals": text }),
            Self::IsPresent(path) => json!({ "Variable": json_path("$", path), "IsPresent": true }),
            Self::And(tests) => json!({ "And": all(tests) }),
            Self::Or(tests) => json!({ "Or": all(tests) }),
            Self::Not(test) => json!({ "Not": test.json_path() }),
        }
    }

    fn jsonata(&self) -> String {
        let all = |tests: &[Self], word: &str| {
            let tests: Vec<String> = tests.iter().map(Self::jsonata).collect();
            format!("({})", tests.join(word))
        };
        match self {
            Self::IntEquals(path, n) => format!("({} = {n})", jsonata_path("$states.input", path)),
            Self::IntLess(path, n) => format!("({} < {n})", jsonata_path("$states.input", path)),
            Self::TextEquals(path, text) => format!("({} = {})", jsonata_path("$states.input", path), json!(text)),
            Self::IsPresent(path) => format!("$exists({})", jsonata_path("$states.input", path)),
            Self::And(tests) => all(tests, " and "),
            Self::Or(tests) => all(tests, " or "),
            Self::Not(test) => format!("$not({})", test.jsonata()),
        }
    }
}

fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && name.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn json_path(base: &str, path: &[String]) -> String {
    path.iter().fold(base.to_owned(), |mut out, field| {
        let _ = if is_plain(field) { write!(out, ".{field}") } else { write!(out, "['{field}']") };
        out
    })
}

fn jsonata_path(base: &str, path: &[String]) -> String {
    path.iter().fold(base.to_owned(), |mut out, field| {
        let _ = if is_plain(field) { write!(out, ".{field}") } else { write!(out, ".`{field}`") };
        out
    })
}

impl Expr {
    /// As it stands in Parameters, Arguments, Output, Assign …
    pub fn template(&self, language: Language) -> Value {
        match (self, language) {
            (Self::Literal(value), _) => value.clone(),
            (Self::Object(fields), Language::JsonPath) => {
                let fields = fields.iter().map(|(name, expr)| match expr {
                    Self::Literal(_) | Self::Object(_) => (name.clone(), expr.template(language)),
                    _ => (format!("{name}.$"), json!(expr.intrinsic())),
                });
                Value::Object(fields.collect())
            }
            (Self::Object(fields), Language::Jsonata) => {
                let fields = fields.iter().map(|(name, expr)| (name.clone(), expr.template(language)));
                Value::Object(fields.collect())
            }
            (expr, Language::Jsonata) => json!(format!("{{% {} %}}", expr.jsonata())),
            (expr, Language::JsonPath) => json!(expr.intrinsic()),
        }
    }

    /// A path, or a call of an intrinsic function.
    fn intrinsic(&self) -> String {
        let all = |of: &[Self]| of.iter().map(Self::intrinsic).collect::<Vec<_>>().join(", ");
        match self {
            Self::Literal(Value::String(text)) => format!("'{text}'"),
            Self::Literal(value) => value.to_string(),
            Self::Path(base, path) => json_path(
                &match base {
                    Base::Input | Base::Result | Base::Error => "$".to_owned(),
                    Base::Variable(name) => format!("${name}"),
                    Base::Item => "$$.Map.Item.Value".to_owned(),
                    Base::ItemIndex => "$$.Map.Item.Index".to_owned(),
                    Base::ExecutionInput => "$$.Execution.Input".to_owned(),
                    Base::RetryCount => "$$.State.RetryCount".to_owned(),
                    Base::Token => "$$.Task.Token".to_owned(),
                },
                path,
            ),
            Self::Join(of) => format!("States.Format('{}', {})", vec!["{}"; of.len()].join("-"), all(of)),
            Self::Add(to, n) => format!("States.MathAdd({}, {n})", to.intrinsic()),
            Self::Count(of) => format!("States.ArrayLength({})", of.intrinsic()),
            Self::List(of) => format!("States.Array({})", all(of)),
            Self::Object(_) => "$".to_owned(),
        }
    }

    fn jsonata(&self) -> String {
        let all = |of: &[Self]| of.iter().map(Self::jsonata).collect::<Vec<_>>();
        match self {
            Self::Literal(value) => value.to_string(),
            Self::Path(base, path) => jsonata_path(
                &match base {
                    Base::Input => "$states.input".to_owned(),
                    Base::Result => "$states.result".to_owned(),
                    Base::Error => "$states.errorOutput".to_owned(),
                    Base::Variable(name) => format!("${name}"),
                    Base::Item => "$states.context.Map.Item.Value".to_owned(),
                    Base::ItemIndex => "$states.context.Map.Item.Index".to_owned(),
                    Base::ExecutionInput => "$states.context.Execution.Input".to_owned(),
                    Base::RetryCount => "$states.context.State.RetryCount".to_owned(),
                    Base::Token => "$states.context.Task.Token".to_owned(),
                },
                path,
            ),
            Self::Join(of) => all(of).join(" & '-' & "),
            Self::Add(to, n) => format!("({} + {n})", to.jsonata()),
            Self::Count(of) => format!("$count({})", of.jsonata()),
            Self::List(of) => format!("[{}]", all(of).join(", ")),
            Self::Object(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(name, expr)| format!("{}: {}", json!(name), expr.jsonata())).collect();
                format!("{{{}}}", fields.join(", "))
            }
        }
    }
}
