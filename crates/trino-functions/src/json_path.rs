//! SQL/JSON paths as Trino evaluates them (its grammar `JsonPath.g4`, asked of Trino 476): lax and strict. Not taken from
//! a crate: the one that there is (`sql-json-path`) follows PostgreSQL and turns all of `serde_json` to numbers of any
//! precision. Left out, as in Trino or by name: `like_regex`, `datetime()`.

use crate::error::{Error, Result};
use crate::json::Json;

/// A path, read.
#[derive(Debug)]
pub(crate) struct Path {
    strict: bool,
    root: Expr,
}

#[derive(Debug)]
enum Expr {
    Root,
    Current,
    Last,
    Variable(String),
    Literal(Json),
    Step(Box<Expr>, Step),
    Sign(bool, Box<Expr>),
    Arithmetic(char, Box<Expr>, Box<Expr>),
}

#[derive(Debug)]
enum Step {
    Member(String),
    AnyMember,
    Descendant(String),
    AnyItem,
    Items(Vec<(Expr, Option<Expr>)>),
    Filter(Box<Predicate>),
    Method(Method),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Method {
    Abs,
    Ceiling,
    Floor,
    Double,
    KeyValue,
    Size,
    Type,
}

#[derive(Debug)]
enum Predicate {
    And(Box<Predicate>, Box<Predicate>),
    Or(Box<Predicate>, Box<Predicate>),
    Not(Box<Predicate>),
    IsUnknown(Box<Predicate>),
    Exists(Expr),
    Compare(Comparison, Expr, Expr),
    StartsWith(Expr, Expr),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Deeper ones are refused: paths are read and evaluated by recursion.
const DEEPEST: usize = 100;

impl Path {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut reader = Reader { chars: text.chars().collect(), at: 0, depth: 0 };
        let strict = match reader.word().as_str() {
            "lax" => false,
            "strict" => true,
            _ => return Err(reader.unexpected("missing {'lax', 'strict'}")),
        };
        let root = reader.expression()?;
        reader.blanks();
        if reader.at < reader.chars.len() {
            return Err(reader.unexpected("mismatched input"));
        }
        Ok(Self { strict, root })
    }

    /// The items that the path finds.
    pub(crate) fn items(&self, input: &Json, variables: &[(String, Json)]) -> Result<Vec<Json>> {
        let scope = Scope { strict: self.strict, root: input, current: None, last: None, variables };
        scope.evaluate(&self.root)
    }
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    depth: usize,
}

impl Reader {
    fn unexpected(&self, what: &str) -> Error {
        let found = self.chars.get(self.at).map_or_else(|| "<EOF>".to_owned(), char::to_string);
        Error::new("SYNTAX_ERROR", format!("line 1:{}: {what} '{found}'", self.at + 1))
    }

    fn blanks(&mut self) {
        while self.chars.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.blanks();
        self.chars.get(self.at).copied()
    }

    fn take(&mut self, text: &str) -> bool {
        self.blanks();
        let found = text.chars().enumerate().all(|(i, c)| self.chars.get(self.at + i) == Some(&c));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    fn expect(&mut self, text: &str) -> Result<()> {
        if self.take(text) { Ok(()) } else { Err(self.unexpected(&format!("missing '{text}' at"))) }
    }

    /// A word, or nothing.
    fn word(&mut self) -> String {
        self.blanks();
        let start = self.at;
        while self.chars.get(self.at).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn take_word(&mut self, word: &str) -> bool {
        let start = self.at;
        let found = self.word() == word;
        if !found {
            self.at = start;
        }
        found
    }

    fn string(&mut self) -> Result<Option<String>> {
        if !self.take("\"") {
            return Ok(None);
        }
        let mut text = String::new();
        loop {
            match self.chars.get(self.at) {
                None => return Err(self.unexpected("mismatched input")),
                Some('"') if self.chars.get(self.at + 1) == Some(&'"') => {
                    text.push('"');
                    self.at += 2;
                }
                Some('"') => {
                    self.at += 1;
                    return Ok(Some(text));
                }
                Some(c) => {
                    text.push(*c);
                    self.at += 1;
                }
            }
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Error::not_supported("a JSON path nested this deeply"));
        }
        let done = read(self);
        self.depth -= 1;
        done
    }

    fn expression(&mut self) -> Result<Expr> {
        let mut left = self.term()?;
        while let Some(op @ ('+' | '-')) = self.peek() {
            self.at += 1;
            left = Expr::Arithmetic(op, Box::new(left), Box::new(self.term()?));
        }
        Ok(left)
    }

    fn term(&mut self) -> Result<Expr> {
        let mut left = self.factor()?;
        while let Some(op @ ('*' | '/' | '%')) = self.peek() {
            self.at += 1;
            left = Expr::Arithmetic(op, Box::new(left), Box::new(self.factor()?));
        }
        Ok(left)
    }

    fn factor(&mut self) -> Result<Expr> {
        match self.peek() {
            Some(sign @ ('+' | '-')) => {
                self.at += 1;
                let inner = self.deeper(Self::factor)?;
                Ok(Expr::Sign(sign == '-', Box::new(inner)))
            }
            _ => self.accessors(),
        }
    }

    fn accessors(&mut self) -> Result<Expr> {
        let mut expr = self.primary()?;
        loop {
            let step = if self.take("..") {
                Step::Descendant(self.member()?)
            } else if self.take(".*") {
                Step::AnyMember
            } else if self.take(".") {
                let quoted = self.peek() == Some('"');
                let name = self.member()?;
                if !quoted && self.take("(") {
                    self.expect(")")?;
                    Step::Method(method(&name)?)
                } else {
                    Step::Member(name)
                }
            } else if self.take("[") {
                let step = if self.take("*") { Step::AnyItem } else { Step::Items(self.subscripts()?) };
                self.expect("]")?;
                step
            } else if self.take("?") {
                self.expect("(")?;
                let predicate = self.deeper(Self::predicate)?;
                self.expect(")")?;
                Step::Filter(Box::new(predicate))
            } else {
                return Ok(expr);
            };
            expr = Expr::Step(Box::new(expr), step);
        }
    }

    fn member(&mut self) -> Result<String> {
        if let Some(name) = self.string()? {
            return Ok(name);
        }
        match self.word() {
            name if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) => {
                Err(self.unexpected("no viable alternative at input"))
            }
            name => Ok(name),
        }
    }

    fn subscripts(&mut self) -> Result<Vec<(Expr, Option<Expr>)>> {
        let mut all = Vec::new();
        loop {
            let from = self.deeper(Self::expression)?;
            let to = if self.take_word("to") { Some(self.deeper(Self::expression)?) } else { None };
            all.push((from, to));
            if !self.take(",") {
                return Ok(all);
            }
        }
    }

    fn primary(&mut self) -> Result<Expr> {
        match self.peek() {
            Some('$') => {
                self.at += 1;
                let quoted = self.chars.get(self.at) == Some(&'"');
                let plain = self.chars.get(self.at).is_some_and(|c| c.is_alphabetic() || *c == '_');
                Ok(match (quoted, plain) {
                    (true, _) => Expr::Variable(self.string()?.unwrap_or_default()),
                    (_, true) => Expr::Variable(self.word()),
                    _ => Expr::Root,
                })
            }
            Some('@') => {
                self.at += 1;
                Ok(Expr::Current)
            }
            Some('(') => {
                self.at += 1;
                let inner = self.deeper(Self::expression)?;
                self.expect(")")?;
                Ok(inner)
            }
            Some('"') => Ok(Expr::Literal(Json::Str(self.string()?.unwrap_or_default()))),
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            _ => {
                let start = self.at;
                match self.word().as_str() {
                    "last" => Ok(Expr::Last),
                    "true" => Ok(Expr::Literal(Json::Bool(true))),
                    "false" => Ok(Expr::Literal(Json::Bool(false))),
                    "null" => Ok(Expr::Literal(Json::Null)),
                    _ => {
                        self.at = start;
                        Err(self.unexpected("no viable alternative at input"))
                    }
                }
            }
        }
    }

    fn number(&mut self) -> Result<Expr> {
        let start = self.at;
        let digits = |reader: &mut Self| {
            while reader.chars.get(reader.at).is_some_and(char::is_ascii_digit) {
                reader.at += 1;
            }
        };
        digits(self);
        let mut whole = true;
        if self.chars.get(self.at) == Some(&'.') && self.chars.get(self.at + 1).is_some_and(char::is_ascii_digit) {
            whole = false;
            self.at += 1;
            digits(self);
        }
        let mut exponent = false;
        if matches!(self.chars.get(self.at), Some('e' | 'E')) {
            exponent = true;
            self.at += 1;
            if matches!(self.chars.get(self.at), Some('+' | '-')) {
                self.at += 1;
            }
            digits(self);
        }
        let text: String = self.chars[start..self.at].iter().collect();
        let json = if exponent {
            text.parse().ok().map(Json::Double)
        } else if whole {
            text.parse().ok().map(Json::Int)
        } else {
            Some(Json::Text(text))
        };
        json.map(Expr::Literal).ok_or_else(|| self.unexpected("no viable alternative at input"))
    }

    fn predicate(&mut self) -> Result<Predicate> {
        let mut left = self.conjunction()?;
        while self.take("||") {
            left = Predicate::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Predicate> {
        let mut left = self.condition()?;
        while self.take("&&") {
            left = Predicate::And(Box::new(left), Box::new(self.condition()?));
        }
        Ok(left)
    }

    fn condition(&mut self) -> Result<Predicate> {
        if self.peek() == Some('!') && self.chars.get(self.at + 1) != Some(&'=') {
            self.at += 1;
            return Ok(Predicate::Not(Box::new(self.deeper(Self::condition)?)));
        }
        if self.take_word("exists") {
            self.expect("(")?;
            let inner = self.deeper(Self::expression)?;
            self.expect(")")?;
            return Ok(Predicate::Exists(inner));
        }
        if self.peek() == Some('(') {
            // Either a predicate in parentheses or an expression that begins with one.
            let start = self.at;
            self.at += 1;
            if let Ok(inner) = self.deeper(Self::predicate)
                && self.take(")")
            {
                if self.take_word("is") {
                    return if self.take_word("unknown") {
                        Ok(Predicate::IsUnknown(Box::new(inner)))
                    } else {
                        Err(self.unexpected("mismatched input"))
                    };
                }
                return Ok(inner);
            }
            self.at = start;
        }
        let left = self.deeper(Self::expression)?;
        for (text, comparison) in [
            ("==", Comparison::Equal),
            ("<>", Comparison::NotEqual),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ] {
            if self.take(text) {
                return Ok(Predicate::Compare(comparison, left, self.deeper(Self::expression)?));
            }
        }
        if self.take_word("starts") && self.take_word("with") {
            return Ok(Predicate::StartsWith(left, self.deeper(Self::expression)?));
        }
        if self.take_word("like_regex") {
            return Err(Error::not_supported("line 1:1: like_regex predicate in JSON path is not yet supported"));
        }
        Err(self.unexpected("mismatched input"))
    }
}

fn method(name: &str) -> Result<Method> {
    Ok(match name {
        "abs" => Method::Abs,
        "ceiling" => Method::Ceiling,
        "floor" => Method::Floor,
        "double" => Method::Double,
        "keyvalue" => Method::KeyValue,
        "size" => Method::Size,
        "type" => Method::Type,
        "datetime" => return Err(Error::not_supported("line 1:1: datetime method in JSON path is not yet supported")),
        other => return Err(Error::new("SYNTAX_ERROR", format!("line 1:1: no method '{other}' in JSON path"))),
    })
}

fn failed(text: impl std::fmt::Display) -> Error {
    Error::new("PATH_EVALUATION_ERROR", format!("path evaluation failed: {text}"))
}

fn structural(text: impl std::fmt::Display) -> Error {
    failed(format!("structural error: {text}"))
}

fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Int(_) | Json::Big(_) | Json::Double(_) | Json::Text(_) => "number",
        Json::Str(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

struct Scope<'a> {
    strict: bool,
    root: &'a Json,
    current: Option<&'a Json>,
    last: Option<i64>,
    variables: &'a [(String, Json)],
}

impl Scope<'_> {
    fn evaluate(&self, expr: &Expr) -> Result<Vec<Json>> {
        Ok(match expr {
            Expr::Root => vec![self.root.clone()],
            Expr::Current => vec![self.current.ok_or_else(|| failed("@ outside of a filter"))?.clone()],
            Expr::Last => vec![Json::Int(self.last.ok_or_else(|| failed("last outside of an array accessor"))?)],
            Expr::Variable(name) => {
                let found = self.variables.iter().find(|(known, _)| known == name);
                vec![found.ok_or_else(|| failed(format!("no value passed for parameter {name}")))?.1.clone()]
            }
            Expr::Literal(json) => vec![json.clone()],
            Expr::Sign(negative, inner) => {
                let items = self.unwrapped(self.evaluate(inner)?);
                let signed = items.into_iter().map(|item| {
                    if kind(&item) != "number" {
                        return Err(failed(format!("invalid item type. Expected: NUMBER, actual: {}", kind(&item))));
                    }
                    if *negative { arithmetic('-', &Json::Int(0), &item) } else { Ok(item) }
                });
                signed.collect::<Result<_>>()?
            }
            Expr::Arithmetic(op, left, right) => {
                let one = |items: Vec<Json>| match <[Json; 1]>::try_from(self.unwrapped(items)) {
                    Ok([item]) => Ok(item),
                    Err(_) => Err(failed("arithmetic binary expression requires singleton operands")),
                };
                let (left, right) = (one(self.evaluate(left)?)?, one(self.evaluate(right)?)?);
                vec![arithmetic(*op, &left, &right)?]
            }
            Expr::Step(inner, step) => {
                let mut found = Vec::new();
                for item in self.evaluate(inner)? {
                    self.step(step, item, &mut found)?;
                }
                found
            }
        })
    }

    /// In lax mode the items of arrays stand for them.
    fn unwrapped(&self, items: Vec<Json>) -> Vec<Json> {
        if self.strict {
            return items;
        }
        let mut all = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Json::Array(inner) => all.extend(inner),
                other => all.push(other),
            }
        }
        all
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind")]
    fn step(&self, step: &Step, item: Json, found: &mut Vec<Json>) -> Result<()> {
        match step {
            Step::Member(name) => {
                for item in self.unwrapped(vec![item]) {
                    match item {
                        Json::Object(members) => match members.into_iter().find(|(key, _)| key == name) {
                            Some((_, value)) => found.push(value),
                            None if self.strict => {
                                return Err(structural(format!("missing member '{name}' in JSON object")));
                            }
                            None => {}
                        },
                        other if self.strict => {
                            return Err(structural(format!(
                                "invalid item type. Expected: OBJECT, actual: {}",
                                kind(&other).to_uppercase()
                            )));
                        }
                        _ => {}
                    }
                }
            }
            Step::AnyMember => {
                for item in self.unwrapped(vec![item]) {
                    match item {
                        Json::Object(members) => found.extend(members.into_iter().map(|(_, value)| value)),
                        other if self.strict => {
                            return Err(structural(format!(
                                "invalid item type. Expected: OBJECT, actual: {}",
                                kind(&other).to_uppercase()
                            )));
                        }
                        _ => {}
                    }
                }
            }
            Step::Descendant(name) => descend(&item, name, found),
            Step::AnyItem => match item {
                Json::Array(items) => found.extend(items),
                other if self.strict => {
                    return Err(structural(format!(
                        "invalid item type. Expected: ARRAY, actual: {}",
                        kind(&other).to_uppercase()
                    )));
                }
                other => found.push(other),
            },
            Step::Items(subscripts) => self.items(subscripts, item, found)?,
            Step::Filter(predicate) => {
                for item in self.unwrapped(vec![item]) {
                    let scope = Scope { current: Some(&item), last: None, ..*self };
                    if scope.holds(predicate) == Some(true) {
                        found.push(item.clone());
                    }
                }
            }
            Step::Method(Method::Type) => found.push(Json::Str(kind(&item).to_owned())),
            Step::Method(Method::Size) => match item {
                Json::Array(items) => found.push(Json::Int(i64::try_from(items.len()).unwrap_or(i64::MAX))),
                other if self.strict => {
                    return Err(structural(format!(
                        "invalid item type. Expected: ARRAY, actual: {}",
                        kind(&other).to_uppercase()
                    )));
                }
                _ => found.push(Json::Int(1)),
            },
            Step::Method(method) => {
                for item in self.unwrapped(vec![item]) {
                    apply(*method, item, found)?;
                }
            }
        }
        Ok(())
    }

    fn items(&self, subscripts: &[(Expr, Option<Expr>)], item: Json, found: &mut Vec<Json>) -> Result<()> {
        let items = match item {
            Json::Array(items) => items,
            other if self.strict => {
                return Err(structural(format!(
                    "invalid item type. Expected: ARRAY, actual: {}",
                    kind(&other).to_uppercase()
                )));
            }
            other => vec![other],
        };
        let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let scope = Scope { last: Some(length - 1), ..*self };
        let index = |expr: &Expr| match scope.evaluate(expr)?.as_slice() {
            [Json::Int(n)] => Ok(*n),
            [Json::Double(x)] => Ok(x.trunc() as i64),
            [Json::Text(text)] => Ok(text.parse::<f64>().map_or(0, |x| x.trunc() as i64)),
            _ => Err(failed("array subscript must be a singleton numeric value")),
        };
        for (from, to) in subscripts {
            let first = index(from)?;
            let last = to.as_ref().map(index).transpose()?.unwrap_or(first);
            if self.strict && (first < 0 || last >= length || first > last) {
                return Err(structural(format!(
                    "invalid array subscript: [{first}, {last}] for array of size {length}"
                )));
            }
            let last = last.min(length - 1);
            let mut at = first.max(0);
            while at <= last {
                if let Some(item) = usize::try_from(at).ok().and_then(|at| items.get(at)) {
                    found.push(item.clone());
                }
                at += 1;
            }
        }
        Ok(())
    }

    /// What a predicate says; `None` where it cannot be told.
    fn holds(&self, predicate: &Predicate) -> Option<bool> {
        match predicate {
            Predicate::And(left, right) => match (self.holds(left), self.holds(right)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Predicate::Or(left, right) => match (self.holds(left), self.holds(right)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Predicate::Not(inner) => self.holds(inner).map(|holds| !holds),
            Predicate::IsUnknown(inner) => Some(self.holds(inner).is_none()),
            Predicate::Exists(expr) => self.evaluate(expr).ok().map(|items| !items.is_empty()),
            Predicate::Compare(comparison, left, right) => {
                self.pairs(left, right, |left, right| compared(*comparison, left, right))
            }
            Predicate::StartsWith(left, right) => self.pairs(left, right, |left, right| match (left, right) {
                (Json::Str(text), Json::Str(start)) => Some(text.starts_with(start.as_str())),
                _ => None,
            }),
        }
    }

    /// Whether it holds for any pair. In strict mode one pair that cannot be told makes all unknown.
    fn pairs(&self, left: &Expr, right: &Expr, holds: impl Fn(&Json, &Json) -> Option<bool>) -> Option<bool> {
        let left = self.unwrapped(self.evaluate(left).ok()?);
        let right = self.unwrapped(self.evaluate(right).ok()?);
        let (mut any, mut unknown) = (false, false);
        for a in &left {
            for b in &right {
                match holds(a, b) {
                    Some(true) if !self.strict => return Some(true),
                    Some(true) => any = true,
                    Some(false) => {}
                    None if !self.strict => return None,
                    None => unknown = true,
                }
            }
        }
        if unknown { None } else { Some(any) }
    }
}

fn descend(item: &Json, name: &str, found: &mut Vec<Json>) {
    match item {
        Json::Object(members) => {
            found.extend(members.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()));
            for (_, value) in members {
                descend(value, name, found);
            }
        }
        Json::Array(items) => {
            for item in items {
                descend(item, name, found);
            }
        }
        _ => {}
    }
}

fn apply(method: Method, item: Json, found: &mut Vec<Json>) -> Result<()> {
    let wrong = |item: &Json, expected: &str| {
        failed(format!("invalid item type. Expected: {expected}, actual: {}", kind(item).to_uppercase()))
    };
    found.push(match (method, item) {
        (Method::KeyValue, Json::Object(members)) => {
            found.extend(members.into_iter().map(|(key, value)| {
                Json::Object(vec![
                    ("name".to_owned(), Json::Str(key)),
                    ("value".to_owned(), value),
                    ("id".to_owned(), Json::Int(0)),
                ])
            }));
            return Ok(());
        }
        (Method::KeyValue, other) => return Err(wrong(&other, "OBJECT")),
        (Method::Double, Json::Str(text)) => {
            Json::Double(text.trim().parse().map_err(|_| failed(format!("Cannot cast '{text}' to DOUBLE")))?)
        }
        (Method::Double, item) => Json::Double(double(&item).ok_or_else(|| wrong(&item, "NUMBER or TEXT"))?),
        (Method::Abs, Json::Int(n)) => {
            Json::Int(n.checked_abs().ok_or_else(|| failed("bigint absolute value out of range"))?)
        }
        (Method::Ceiling | Method::Floor, item @ Json::Int(_)) => item,
        (method, Json::Double(x)) => Json::Double(match method {
            Method::Abs => x.abs(),
            Method::Ceiling => x.ceil(),
            _ => x.floor(),
        }),
        (Method::Abs, Json::Text(text)) => Json::Text(text.trim_start_matches('-').to_owned()),
        (_, item) => return Err(wrong(&item, "NUMBER")),
    });
    Ok(())
}

fn double(json: &Json) -> Option<f64> {
    match json {
        Json::Int(n) => Some(*n as f64),
        Json::Double(x) => Some(*x),
        Json::Text(text) | Json::Big(text) => text.parse().ok(),
        _ => None,
    }
}

/// The unscaled number and the scale of a whole number or a decimal.
fn exact(json: &Json) -> Option<(i128, u32)> {
    match json {
        Json::Int(n) => Some((i128::from(*n), 0)),
        Json::Text(text) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let unscaled = format!("{whole}{fraction}").parse().ok()?;
            Some((unscaled, u32::try_from(fraction.len()).ok()?))
        }
        _ => None,
    }
}

fn arithmetic(op: char, left: &Json, right: &Json) -> Result<Json> {
    let (left, right) = match (left, right) {
        // Null in, null out of no arithmetic: it is an error in Trino as any other item.
        (left, right) if kind(left) != "number" || kind(right) != "number" => {
            return Err(failed(format!("invalid operand types to {op} operator ({}, {})", kind(left), kind(right))));
        }
        both => both,
    };
    if let (Json::Int(a), Json::Int(b)) = (left, right) {
        if matches!(op, '/' | '%') && *b == 0 {
            return Err(failed("Division by zero"));
        }
        let done = match op {
            '+' => a.checked_add(*b),
            '-' => a.checked_sub(*b),
            '*' => a.checked_mul(*b),
            '/' => a.checked_div(*b),
            _ => a.checked_rem(*b),
        };
        return done.map(Json::Int).ok_or_else(|| failed("bigint arithmetic out of range"));
    }
    if let (Some((a, s)), Some((b, t))) = (exact(left), exact(right)) {
        let scale = s.max(t);
        let up = |n: i128, from: u32| 10i128.checked_pow(scale - from).and_then(|factor| n.checked_mul(factor));
        let done = match op {
            '+' => up(a, s).zip(up(b, t)).and_then(|(a, b)| a.checked_add(b)).map(|n| (n, scale)),
            '-' => up(a, s).zip(up(b, t)).and_then(|(a, b)| a.checked_sub(b)).map(|n| (n, scale)),
            '*' => a.checked_mul(b).map(|n| (n, s + t)),
            _ => return Err(Error::not_supported("division of decimals in a JSON path")),
        };
        let (number, scale) = done.ok_or_else(|| failed("Decimal overflow"))?;
        let mut text = String::new();
        crate::text::write_decimal(number, u8::try_from(scale).unwrap_or(38), &mut text);
        return Ok(Json::Text(text));
    }
    let (Some(a), Some(b)) = (double(left), double(right)) else {
        return Err(Error::not_supported("arithmetic with whole numbers beyond 64 bits in a JSON path"));
    };
    Ok(Json::Double(match op {
        '+' => a + b,
        '-' => a - b,
        '*' => a * b,
        '/' => a / b,
        _ => a % b,
    }))
}

fn compared(comparison: Comparison, left: &Json, right: &Json) -> Option<bool> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let order = match (left, right) {
        (Json::Null, Json::Null) => Some(Equal),
        (Json::Null, _) | (_, Json::Null) => {
            // Null equals nothing else.
            return match comparison {
                Comparison::Equal => Some(false),
                Comparison::NotEqual => Some(true),
                _ => None,
            };
        }
        (Json::Bool(a), Json::Bool(b)) => Some(a.cmp(b)),
        (Json::Str(a), Json::Str(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Json::Int(a), Json::Int(b)) => Some(a.cmp(b)),
        _ if kind(left) == "number" && kind(right) == "number" => match (exact(left), exact(right)) {
            (Some((a, s)), Some((b, t))) => {
                let scale = s.max(t);
                let up = |n: i128, from: u32| 10i128.checked_pow(scale - from).and_then(|by| n.checked_mul(by));
                up(a, s).zip(up(b, t)).map(|(a, b)| a.cmp(&b))
            }
            _ => double(left)?.partial_cmp(&double(right)?),
        },
        _ => None,
    }?;
    Some(match comparison {
        Comparison::Equal => order == Equal,
        Comparison::NotEqual => order != Equal,
        Comparison::Less => order == Less,
        Comparison::LessOrEqual => order != Greater,
        Comparison::Greater => order == Greater,
        Comparison::GreaterOrEqual => order != Less,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(json: &str, path: &str) -> String {
        let input = crate::json::read(json).unwrap();
        let variables = [("p".to_owned(), Json::Int(4))];
        match Path::parse(path).and_then(|path| path.items(&input, &variables)) {
            Ok(items) => Json::Array(items).to_string(),
            Err(error) => error.code.to_owned(),
        }
    }

    #[test]
    fn paths_find_what_trino_finds() {
        for (json, path, found) in [
            (r#"{"a":[1,5,9]}"#, "lax $.a[1 to 2]?(@ > 6)", "[9]"),
            (r#"{"a":[{"b":1}]}"#, "lax $.a.b", "[1]"),
            (r#"{"a":[{"b":1}]}"#, "strict $.a.b", "PATH_EVALUATION_ERROR"),
            ("[1,2,3]", "lax $[last - 1, 0]", "[2,1]"),
            ("7", "lax ($ + 1) * 2 % 5", "[1]"),
            ("7", "lax -$ / 2", "[-3]"),
            (r#"{"x":3}"#, "lax $.x + $p", "[7]"),
            (r#"{"x":3}"#, "lax $.x?(@ == 3 && !(@ < 1) || exists(@.y))", "[3]"),
            (r#"[{"a":1},{"b":{"a":2}}]"#, "lax $..a", "[1,2]"),
            (r#"["x","y"]"#, r#"lax $?(@ starts with "x")"#, r#"["x"]"#),
            (r#"[1,"x"]"#, "lax $.type()", r#"["array"]"#),
            ("5", "lax $?((@.a > 1) is unknown)", "[]"),
            ("5", "$", "SYNTAX_ERROR"),
            ("5", "lax $.", "SYNTAX_ERROR"),
        ] {
            assert_eq!(find(json, path), found, "{path}");
        }
    }
}
