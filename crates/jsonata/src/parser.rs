//! From tokens to a raw tree: Pratt's method, as jsonata.js has it.

use std::sync::Arc;

use super::failure::{Failure, Result};
use super::lexer::{Lexer, Token};
use super::pattern::Pattern;
use super::signature::Signature;

/// What was written, before paths are flattened.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) kind: RawKind,
    pub(super) position: usize,
    pub(super) keep_array: bool,
    height: usize,
}

#[derive(Clone, Debug)]
pub(super) enum RawKind {
    End,
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Name(String),
    Variable(String),
    Regex(Arc<Pattern>),
    /// `and`, `or` and `in` where a name is wanted.
    Word(&'static str),
    Placeholder,
    Wildcard,
    Descendants,
    Parent,
    Binary(&'static str, Shared, Shared),
    Negate(Shared),
    Array(Vec<Raw>),
    Object(Vec<(Raw, Raw)>),
    Grouping(Shared, Vec<(Raw, Raw)>),
    Sort(Shared, Vec<(bool, Raw)>),
    Condition(Shared, Shared, Option<Shared>),
    Block(Vec<Raw>),
    Call(Shared, Vec<Raw>),
    Partial(Shared, Vec<Raw>),
    Lambda(Vec<String>, Option<Signature>, Shared),
    Transform(Shared, Shared, Option<Shared>),
    /// `left ?: right` and `left ?? right`: the left side is also (in) the condition.
    Default {
        exists: bool,
        left: Shared,
        right: Shared,
    },
}

pub(super) type Shared = Arc<Raw>;

/// Expressions that nest deeper are not evaluated: AWS's evaluator gives up long before.
pub(super) const MAX_HEIGHT: usize = 400;

/// Calls of the parser upon itself; each costs stack.
const MAX_NESTING: usize = 150;

pub(super) fn parse(text: &str) -> Result<Raw> {
    let mut parser = Parser { lexer: Lexer::new(text), token: Token::End, position: 0, nesting: 0 };
    parser.advance(None, false)?;
    let raw = parser.expression(0)?;
    if !matches!(parser.token, Token::End) {
        return Err(Failure::at("S0201", parser.position).with_token(&parser.spelled()));
    }
    Ok(raw)
}

struct Parser {
    lexer: Lexer,
    token: Token,
    position: usize,
    nesting: usize,
}

fn binding_power(operator: &str) -> usize {
    match operator {
        "[" | "(" | "@" | "#" => 80,
        "." => 75,
        "{" => 70,
        "*" | "/" | "%" => 60,
        "+" | "-" | "&" => 50,
        "=" | "<" | ">" | "^" | "!=" | "<=" | ">=" | "~>" | "?:" | "??" | "in" => 40,
        "and" => 30,
        "or" => 25,
        "?" => 20,
        ":=" => 10,
        _ => 0,
    }
}

fn raw(kind: RawKind, position: usize, below: usize) -> Result<Raw> {
    let height = 1 + below;
    if height > MAX_HEIGHT { Err(Failure::too_deep()) } else { Ok(Raw { kind, position, keep_array: false, height }) }
}

fn highest<'r>(raws: impl IntoIterator<Item = &'r Raw>) -> usize {
    raws.into_iter().map(|raw| raw.height).max().unwrap_or(0)
}

fn highest_pair(pairs: &[(Raw, Raw)]) -> usize {
    highest(pairs.iter().flat_map(|(key, value)| [key, value]))
}

impl Parser {
    fn spelled(&self) -> String {
        match &self.token {
            Token::Operator(operator) => (*operator).to_owned(),
            Token::Text(text) | Token::Name(text) | Token::Variable(text) => text.clone(),
            Token::Number(number) => super::value::number_text(*number),
            Token::Null => "null".to_owned(),
            Token::Bool(truth) => truth.to_string(),
            Token::Regex(pattern) => pattern.source.clone(),
            Token::End => "(end)".to_owned(),
        }
    }

    fn sees(&self, operator: &str) -> bool {
        matches!(self.token, Token::Operator(found) if found == operator)
    }

    fn advance(&mut self, expected: Option<&str>, infix: bool) -> Result<()> {
        if let Some(expected) = expected
            && !self.sees(expected)
        {
            let code = if matches!(self.token, Token::End) { "S0203" } else { "S0202" };
            let mut failure = Failure::at(code, self.position).with_token(&self.spelled());
            failure.value = Some(serde_json::Value::from(expected).to_string());
            return Err(failure);
        }
        (self.token, self.position) = self.lexer.next(infix)?;
        if let Token::Operator(operator @ ("!" | "~")) = self.token {
            return Err(Failure::at("S0204", self.position).with_token(operator));
        }
        if matches!(self.token, Token::End) {
            self.position = self.lexer.length();
        }
        Ok(())
    }

    fn expression(&mut self, power: usize) -> Result<Raw> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(Failure::too_deep());
        }
        let raw = super::on_stack(|| self.operators(power))?;
        self.nesting -= 1;
        Ok(raw)
    }

    fn operators(&mut self, power: usize) -> Result<Raw> {
        let (token, position) = (std::mem::replace(&mut self.token, Token::End), self.position);
        let ended = matches!(token, Token::End);
        if !ended {
            self.advance(None, true)?;
        }
        let mut left = self.prefix(token, position)?;
        while let Token::Operator(operator) = self.token {
            if power >= binding_power(operator) {
                break;
            }
            let position = self.position;
            self.advance(None, false)?;
            left = self.infix(operator, position, left)?;
        }
        Ok(left)
    }

    fn prefix(&mut self, token: Token, position: usize) -> Result<Raw> {
        let kind = match token {
            Token::End => RawKind::End,
            Token::Null => RawKind::Null,
            Token::Bool(truth) => RawKind::Bool(truth),
            Token::Number(number) => RawKind::Number(number),
            Token::Text(text) => RawKind::Text(text),
            Token::Name(name) => RawKind::Name(name),
            Token::Variable(name) => RawKind::Variable(name),
            Token::Regex(pattern) => RawKind::Regex(pattern),
            Token::Operator(word @ ("and" | "or" | "in")) => RawKind::Word(word),
            Token::Operator("*") => RawKind::Wildcard,
            Token::Operator("**") => RawKind::Descendants,
            Token::Operator("%") => RawKind::Parent,
            Token::Operator("-") => {
                let operand = self.expression(70)?;
                let below = operand.height;
                return raw(RawKind::Negate(Arc::new(operand)), position, below);
            }
            Token::Operator("(") => return self.block(position),
            Token::Operator("[") => return self.array(position),
            Token::Operator("{") => {
                let pairs = self.pairs()?;
                let below = highest_pair(&pairs);
                return raw(RawKind::Object(pairs), position, below);
            }
            Token::Operator("|") => return self.transform(position),
            Token::Operator(operator) => return Err(Failure::at("S0211", position).with_token(operator)),
        };
        raw(kind, position, 0)
    }

    fn infix(&mut self, operator: &'static str, position: usize, left: Raw) -> Result<Raw> {
        match operator {
            "(" => self.call(position, left),
            "[" => self.predicate(position, left),
            "{" => {
                let pairs = self.pairs()?;
                let below = highest_pair(&pairs).max(left.height);
                raw(RawKind::Grouping(Arc::new(left), pairs), position, below)
            }
            "^" => self.sort(position, left),
            "?" => {
                let then = self.expression(0)?;
                let mut otherwise = None;
                if self.sees(":") {
                    self.advance(Some(":"), false)?;
                    otherwise = Some(self.expression(0)?);
                }
                let below = highest([&left, &then].into_iter().chain(&otherwise));
                raw(RawKind::Condition(Arc::new(left), Arc::new(then), otherwise.map(Arc::new)), position, below)
            }
            "?:" | "??" => {
                let right = self.expression(0)?;
                let below = highest([&left, &right]);
                let (left, right) = (Arc::new(left), Arc::new(right));
                raw(RawKind::Default { exists: operator == "??", left, right }, position, below)
            }
            ":=" => {
                let RawKind::Variable(_) = left.kind else { return Err(Failure::at("S0212", left.position)) };
                let right = self.expression(9)?;
                binary(operator, position, left, right)
            }
            "@" | "#" => {
                let right = self.expression(80)?;
                let RawKind::Variable(_) = right.kind else {
                    return Err(Failure::at("S0214", right.position).with_token(operator));
                };
                binary(operator, position, left, right)
            }
            _ => {
                let right = self.expression(binding_power(operator))?;
                binary(operator, position, left, right)
            }
        }
    }

    fn block(&mut self, position: usize) -> Result<Raw> {
        let mut parts = Vec::new();
        while !self.sees(")") {
            parts.push(self.expression(0)?);
            if !self.sees(";") {
                break;
            }
            self.advance(Some(";"), false)?;
        }
        self.advance(Some(")"), true)?;
        let below = highest(&parts);
        raw(RawKind::Block(parts), position, below)
    }

    fn array(&mut self, position: usize) -> Result<Raw> {
        let mut items = Vec::new();
        if !self.sees("]") {
            loop {
                let mut item = self.expression(0)?;
                if self.sees("..") {
                    let at = self.position;
                    self.advance(Some(".."), false)?;
                    let to = self.expression(0)?;
                    item = binary("..", at, item, to)?;
                }
                items.push(item);
                if !self.sees(",") {
                    break;
                }
                self.advance(Some(","), false)?;
            }
        }
        self.advance(Some("]"), true)?;
        let below = highest(&items);
        raw(RawKind::Array(items), position, below)
    }

    fn pairs(&mut self) -> Result<Vec<(Raw, Raw)>> {
        let mut pairs = Vec::new();
        if !self.sees("}") {
            loop {
                let key = self.expression(0)?;
                self.advance(Some(":"), false)?;
                pairs.push((key, self.expression(0)?));
                if !self.sees(",") {
                    break;
                }
                self.advance(Some(","), false)?;
            }
        }
        self.advance(Some("}"), true)?;
        Ok(pairs)
    }

    fn transform(&mut self, position: usize) -> Result<Raw> {
        let pattern = self.expression(0)?;
        self.advance(Some("|"), false)?;
        let update = self.expression(0)?;
        let mut delete = None;
        if self.sees(",") {
            self.advance(Some(","), false)?;
            delete = Some(self.expression(0)?);
        }
        self.advance(Some("|"), false)?;
        let below = highest([&pattern, &update].into_iter().chain(&delete));
        raw(RawKind::Transform(Arc::new(pattern), Arc::new(update), delete.map(Arc::new)), position, below)
    }

    fn predicate(&mut self, position: usize, mut left: Raw) -> Result<Raw> {
        if self.sees("]") {
            keep_array(&mut left);
            self.advance(Some("]"), false)?;
            return Ok(left);
        }
        let filter = self.expression(0)?;
        self.advance(Some("]"), true)?;
        binary("[", position, left, filter)
    }

    fn sort(&mut self, position: usize, left: Raw) -> Result<Raw> {
        self.advance(Some("("), false)?;
        let mut terms = Vec::new();
        loop {
            let descending = self.sees(">");
            if descending || self.sees("<") {
                self.advance(None, false)?;
            }
            terms.push((descending, self.expression(0)?));
            if !self.sees(",") {
                break;
            }
            self.advance(Some(","), false)?;
        }
        self.advance(Some(")"), false)?;
        let below = highest(terms.iter().map(|(_, term)| term)).max(left.height);
        raw(RawKind::Sort(Arc::new(left), terms), position, below)
    }

    fn call(&mut self, position: usize, left: Raw) -> Result<Raw> {
        let (mut arguments, mut partial) = (Vec::new(), false);
        if !self.sees(")") {
            loop {
                if self.sees("?") {
                    partial = true;
                    arguments.push(raw(RawKind::Placeholder, self.position, 0)?);
                    self.advance(Some("?"), false)?;
                } else {
                    arguments.push(self.expression(0)?);
                }
                if !self.sees(",") {
                    break;
                }
                self.advance(Some(","), false)?;
            }
        }
        self.advance(Some(")"), true)?;
        if matches!(&left.kind, RawKind::Name(name) if name == "function" || name == "λ") {
            return self.lambda(position, &arguments);
        }
        let below = highest(&arguments).max(left.height);
        let callee = Arc::new(left);
        let kind = if partial { RawKind::Partial(callee, arguments) } else { RawKind::Call(callee, arguments) };
        raw(kind, position, below)
    }

    fn lambda(&mut self, position: usize, arguments: &[Raw]) -> Result<Raw> {
        let mut parameters = Vec::new();
        for (index, argument) in arguments.iter().enumerate() {
            let RawKind::Variable(name) = &argument.kind else {
                let mut failure = Failure::at("S0208", argument.position);
                failure.value = Some((index + 1).to_string());
                return Err(failure);
            };
            parameters.push(name.clone());
        }
        let signature = if self.sees("<") { Some(self.signature()?) } else { None };
        self.advance(Some("{"), false)?;
        let body = self.expression(0)?;
        self.advance(Some("}"), false)?;
        let below = body.height;
        raw(RawKind::Lambda(parameters, signature, Arc::new(body)), position, below)
    }

    fn signature(&mut self) -> Result<Signature> {
        let start = self.position;
        let (mut depth, mut text) = (1_usize, "<".to_owned());
        while depth > 0 && !self.sees("{") && !matches!(self.token, Token::End) {
            self.advance(None, false)?;
            if self.sees(">") {
                depth -= 1;
            } else if self.sees("<") {
                depth += 1;
            }
            if !matches!(self.token, Token::End) {
                text.push_str(&self.spelled());
            }
        }
        self.advance(Some(">"), false)?;
        Signature::parse(&text).map_err(|mut failure| {
            failure.position = Some(start + failure.position.unwrap_or(0));
            failure
        })
    }
}

fn binary(operator: &'static str, position: usize, left: Raw, right: Raw) -> Result<Raw> {
    let below = left.height.max(right.height);
    raw(RawKind::Binary(operator, Arc::new(left), Arc::new(right)), position, below)
}

/// `[]` marks the step before any predicates.
fn keep_array(raw: &mut Raw) {
    if let RawKind::Binary("[", left, _) = &mut raw.kind {
        keep_array(Arc::make_mut(left));
    } else {
        raw.keep_array = true;
    }
}
