//! Commands and expressions of a query. A command that is not known here is refused by name.

use regex::Regex;

use super::Malformed;
use super::aggregate::Aggregate;
use super::eval::Function;
use super::lex::{Token, Word, words};

/// A query: its commands in their order.
#[derive(Debug)]
pub(crate) struct Query {
    pub(super) commands: Vec<Command>,
}

#[derive(Debug)]
pub(super) enum Command {
    Fields(Vec<Column>),
    Display(Vec<Column>),
    Filter(Expression),
    /// The text, how it is taken apart, and the names of the parts.
    Parse(Expression, Regex, Vec<String>),
    Stats(Vec<Counted>, Vec<Column>),
    /// Each with whether the greatest comes first.
    Sort(Vec<(Expression, bool)>),
    Limit(usize),
    Dedup(Vec<Column>),
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) value: Expression,
}

#[derive(Debug)]
pub(super) struct Counted {
    pub(super) name: String,
    pub(super) aggregate: Aggregate,
    pub(super) of: Option<Expression>,
    /// Of `pct`.
    pub(super) percent: f64,
}

#[derive(Debug)]
pub(super) enum Expression {
    Null,
    Number(f64),
    /// A whole number of many digits.
    Digits(String),
    Text(String),
    Truth(bool),
    Span(i64),
    Pattern(Regex),
    Field(String),
    Not(Box<Self>),
    Minus(Box<Self>),
    Two(&'static str, Box<Self>, Box<Self>),
    In(Box<Self>, Vec<Self>, bool),
    /// With the text that it was written as: a command before may have made a column of it.
    Call(Function, Vec<Self>, String),
}

/// Names that stand for nothing but commands and operators.
const COMMANDS: [&str; 18] = [
    "anomaly",
    "dedup",
    "diff",
    "display",
    "fields",
    "fieldsummary",
    "filter",
    "filterindex",
    "limit",
    "lookup",
    "parse",
    "pattern",
    "sort",
    "source",
    "stats",
    "unmask",
    "unnest",
    "expand",
];

impl Query {
    /// # Errors
    /// Where it is not a query, or has what is not known here.
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        let letters: Vec<char> = text.chars().collect();
        let mut parser = Parser { letters, words: words(text)?, at: 0, parts: 0, depth: 0 };
        let mut commands = Vec::new();
        while parser.takes("|") {}
        while parser.word() != &Word::End {
            commands.push(parser.command()?);
            if parser.word() == &Word::End {
                break;
            }
            parser.needs("|")?;
            while parser.takes("|") {}
        }
        Ok(Self { commands })
    }
}

struct Parser {
    letters: Vec<char>,
    words: Vec<Token>,
    at: usize,
    /// Of expressions, so far.
    parts: usize,
    /// Expressions within expressions, here.
    depth: usize,
}

/// Parts that the expressions of a query may have: each is a step down for who looks at them.
const MOST_PARTS: usize = 1000;
/// Expressions that may be within one another.
const DEEPEST: usize = 64;

type Parsed<T> = Result<T, Malformed>;

impl Parser {
    fn word(&self) -> &Word {
        &self.words[self.at].word
    }

    fn step(&mut self) -> Token {
        let token = self.words[self.at].clone();
        self.at = (self.at + 1).min(self.words.len() - 1);
        token
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is = matches!(self.word(), Word::Sign(found) if *found == sign);
        if is {
            self.step();
        }
        is
    }

    fn takes_word(&mut self, name: &str) -> bool {
        let is = matches!(self.word(), Word::Name(found) if found.eq_ignore_ascii_case(name));
        if is {
            self.step();
        }
        is
    }

    fn needs(&mut self, sign: &str) -> Parsed<()> {
        if self.takes(sign) { Ok(()) } else { Err(self.unexpected(&format!("expected {sign}"))) }
    }

    fn text_of(&self, (from, to): (usize, usize)) -> String {
        self.letters[from..to].iter().collect()
    }

    fn unexpected(&self, wanted: &str) -> Malformed {
        let token = &self.words[self.at];
        let found = match token.word {
            Word::End => "end of the query".to_owned(),
            _ => self.text_of(token.at),
        };
        Malformed::new(format!("unexpected symbol found {found}: {wanted}"), token.at)
    }

    fn command(&mut self) -> Parsed<Command> {
        let token = self.step();
        let Word::Name(name) = &token.word else {
            self.at -= usize::from(token.word != Word::End);
            return Err(self.unexpected("expected a command"));
        };
        match name.to_ascii_lowercase().as_str() {
            "fields" => Ok(Command::Fields(self.columns()?)),
            "display" => Ok(Command::Display(self.columns()?)),
            "filter" | "where" => Ok(Command::Filter(self.expression(0)?)),
            "parse" => self.parse_command(),
            "stats" => self.stats(),
            "sort" => self.sort(),
            "limit" => self.limit(),
            "dedup" => Ok(Command::Dedup(self.columns()?)),
            known if COMMANDS.contains(&known) => {
                Err(Malformed::new(format!("the command {known} is not supported here"), token.at))
            }
            _ => Err(Malformed::new(format!("unexpected symbol found {name}: it is no command"), token.at)),
        }
    }

    fn columns(&mut self) -> Parsed<Vec<Column>> {
        let mut out = vec![self.column()?];
        while self.takes(",") {
            out.push(self.column()?);
        }
        Ok(out)
    }

    fn column(&mut self) -> Parsed<Column> {
        let (value, written) = self.written(|parser| parser.expression(0))?;
        let written = match &value {
            Expression::Field(name) => name.clone(),
            _ => written,
        };
        Ok(Column { name: self.alias(written)?, value })
    }

    fn alias(&mut self, written: String) -> Parsed<String> {
        if self.takes_word("as") { self.name() } else { Ok(written) }
    }

    /// What a part is, and how it is written.
    fn written<T>(&mut self, part: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<(T, String)> {
        let from = self.words[self.at].at.0;
        let value = part(self)?;
        let to = self.words[self.at - 1].at.1;
        Ok((value, self.text_of((from, to))))
    }

    fn name(&mut self) -> Parsed<String> {
        match self.word().clone() {
            Word::Name(name) | Word::Field(name) => {
                self.step();
                Ok(name)
            }
            _ => Err(self.unexpected("expected a field")),
        }
    }

    fn parse_command(&mut self) -> Parsed<Command> {
        let place = self.words[self.at].at;
        let unnamed = matches!(self.word(), Word::Text(_) | Word::Pattern(_));
        let of = Expression::Field(if unnamed { "@message".to_owned() } else { self.name()? });
        let token = self.step();
        match token.word {
            Word::Pattern(pattern) => {
                let regex = regex(&pattern, token.at)?;
                let names: Vec<String> = regex.capture_names().flatten().map(str::to_owned).collect();
                if names.is_empty() {
                    return Err(Malformed::new("the pattern of parse names no groups", token.at));
                }
                Ok(Command::Parse(of, regex, names))
            }
            Word::Text(glob) => {
                let stars = glob.matches('*').count();
                if !self.takes_word("as") {
                    return Err(self.unexpected("expected as"));
                }
                let mut names = vec![self.name()?];
                while self.takes(",") {
                    names.push(self.name()?);
                }
                if stars != names.len() || stars == 0 {
                    let text =
                        format!("the pattern of parse has {stars} wildcards, and {} fields are named", names.len());
                    return Err(Malformed::new(text, token.at));
                }
                // A wildcard at the end takes the rest, others as little as they can.
                let parts: Vec<String> = glob.split('*').map(regex::escape).collect();
                let ends = parts.last().is_some_and(String::is_empty);
                let joined = parts.join("(.*?)");
                let pattern = if ends { format!("(?s){joined}$") } else { format!("(?s){joined}") };
                Ok(Command::Parse(of, regex(&pattern, token.at)?, names))
            }
            _ => Err(Malformed::new("parse wants a pattern: 'text *' or /regular expression/", place)),
        }
    }

    fn stats(&mut self) -> Parsed<Command> {
        let mut counted = vec![self.counted()?];
        while self.takes(",") {
            counted.push(self.counted()?);
        }
        let by = if self.takes_word("by") { self.columns()? } else { Vec::new() };
        Ok(Command::Stats(counted, by))
    }

    fn counted(&mut self) -> Parsed<Counted> {
        let ((aggregate, of, percent), written) = self.written(|parser| {
            let token = parser.step();
            let known = match &token.word {
                Word::Name(name) => Aggregate::find(name),
                _ => None,
            };
            let Some(aggregate) = known else {
                let text = format!("{} is no function that stats knows", parser.text_of(token.at));
                return Err(Malformed::new(text, token.at));
            };
            parser.needs("(")?;
            let of = if parser.takes("*") || matches!(parser.word(), Word::Sign(")")) {
                if !matches!(aggregate, Aggregate::Count) {
                    return Err(Malformed::new("only count counts everything", token.at));
                }
                None
            } else {
                Some(parser.expression(0)?)
            };
            let mut percent = 0.0;
            if matches!(aggregate, Aggregate::Percentile) {
                parser.needs(",")?;
                let place = parser.words[parser.at].at;
                match parser.step().word {
                    Word::Number(n) if (0.0..=100.0).contains(&n) => percent = n,
                    _ => return Err(Malformed::new("a percentile is a number from 0 to 100", place)),
                }
            }
            parser.needs(")")?;
            Ok((aggregate, of, percent))
        })?;
        Ok(Counted { name: self.alias(written)?, aggregate, of, percent })
    }

    fn sort(&mut self) -> Parsed<Command> {
        let mut by = Vec::new();
        loop {
            let value = self.expression(0)?;
            // What is the order where none is said, the guide does not tell.
            let greatest_first = self.takes_word("desc");
            let _ = !greatest_first && self.takes_word("asc");
            by.push((value, greatest_first));
            if !self.takes(",") {
                return Ok(Command::Sort(by));
            }
        }
    }

    fn limit(&mut self) -> Parsed<Command> {
        let place = self.words[self.at].at;
        match self.step().word {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within these bounds")]
            Word::Number(n) if (1.0..=100_000.0).contains(&n) && n.fract() == 0.0 => Ok(Command::Limit(n as usize)),
            _ => Err(Malformed::new("limit wants a whole number from 1 to 100000", place)),
        }
    }

    /// By the strength of operators: `or`, `and`, `not`, comparisons, sums, products, powers.
    fn expression(&mut self, least: u8) -> Parsed<Expression> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Malformed::new("the query is nested too deeply", self.words[self.at].at));
        }
        let found = self.operators(least);
        self.depth -= 1;
        found
    }

    fn operators(&mut self, least: u8) -> Parsed<Expression> {
        let mut left = self.one()?;
        loop {
            let Some((operator, strength)) = self.operator() else { return Ok(left) };
            if strength < least {
                return Ok(left);
            }
            self.step();
            if operator == "not" {
                let like = self.takes_word("like");
                if !like && !self.takes_word("in") {
                    return Err(self.unexpected("expected like or in after not"));
                }
                left = if like {
                    let right = self.expression(strength + 1)?;
                    Expression::Not(Box::new(Expression::Two("like", Box::new(left), Box::new(right))))
                } else {
                    Expression::In(Box::new(left), self.list()?, true)
                };
            } else if operator == "in" {
                left = Expression::In(Box::new(left), self.list()?, false);
            } else {
                let right = self.expression(if operator == "^" { strength } else { strength + 1 })?;
                left = Expression::Two(operator, Box::new(left), Box::new(right));
            }
        }
    }

    fn operator(&self) -> Option<(&'static str, u8)> {
        Some(match self.word() {
            Word::Sign(sign) => match *sign {
                "||" => ("or", 1),
                "&&" => ("and", 2),
                "=~" => ("like", 4),
                "=" | "!=" | "<" | "<=" | ">" | ">=" => (*sign, 4),
                "+" | "-" => (*sign, 5),
                "*" | "/" | "%" => (*sign, 6),
                "^" => (*sign, 7),
                _ => return None,
            },
            Word::Name(name) => match name.to_ascii_lowercase().as_str() {
                "or" => ("or", 1),
                "and" => ("and", 2),
                "like" => ("like", 4),
                "in" => ("in", 4),
                "not" => ("not", 4),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn list(&mut self) -> Parsed<Vec<Expression>> {
        self.needs("[")?;
        let mut out = Vec::new();
        while !self.takes("]") {
            if !out.is_empty() {
                self.needs(",")?;
            }
            out.push(self.expression(0)?);
        }
        Ok(out)
    }

    fn one(&mut self) -> Parsed<Expression> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            let text = format!("the query has more than {MOST_PARTS} parts");
            return Err(Malformed::new(text, self.words[self.at].at));
        }
        if self.takes("(") {
            let inner = self.expression(0)?;
            self.needs(")")?;
            return Ok(inner);
        }
        if self.takes("-") {
            return Ok(Expression::Minus(Box::new(self.expression(7)?)));
        }
        let token = self.words[self.at].clone();
        let out = match token.word {
            Word::Number(n) => Expression::Number(n),
            Word::Digits(digits) => Expression::Digits(digits),
            Word::Span(ms) => Expression::Span(ms),
            Word::Text(text) => Expression::Text(text),
            Word::Pattern(pattern) => Expression::Pattern(regex(&pattern, token.at)?),
            Word::Field(name) => Expression::Field(name),
            Word::Name(name) => {
                self.step();
                return self.named(&name, token.at);
            }
            Word::Sign(_) | Word::End => return Err(self.unexpected("expected a value")),
        };
        self.step();
        Ok(out)
    }

    fn named(&mut self, name: &str, at: (usize, usize)) -> Parsed<Expression> {
        let lower = name.to_ascii_lowercase();
        if lower == "not" {
            return Ok(Expression::Not(Box::new(self.expression(3)?)));
        }
        if !self.takes("(") {
            return Ok(match lower.as_str() {
                "true" => Expression::Truth(true),
                "false" => Expression::Truth(false),
                "null" => Expression::Null,
                _ => Expression::Field(name.to_owned()),
            });
        }
        let mut arguments = Vec::new();
        while !self.takes(")") {
            if !arguments.is_empty() {
                self.needs(",")?;
            }
            // `count(*)` as a column that stats have made.
            if self.takes("*") {
                continue;
            }
            arguments.push(self.expression(0)?);
        }
        let end = self.words[self.at - 1].at.1;
        let written = self.text_of((at.0, end));
        // What stats have made is named as it was written.
        if Aggregate::find(&lower).is_some() && Function::find(&lower).is_none() {
            return Ok(Expression::Field(written));
        }
        let Some(function) = Function::find(&lower) else {
            return Err(Malformed::new(format!("the function {name} is not supported here"), at));
        };
        let (least, most) = function.arguments();
        if arguments.len() < least || arguments.len() > most {
            let text = format!("the function {name} does not take {} arguments", arguments.len());
            return Err(Malformed::new(text, (at.0, end)));
        }
        Ok(Expression::Call(function, arguments, written))
    }
}

fn regex(pattern: &str, at: (usize, usize)) -> Parsed<Regex> {
    // Java names groups as Rust does.
    Regex::new(pattern).map_err(|error| {
        let text = error.to_string();
        let cause = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Malformed::new(format!("the regular expression is not valid: {cause}"), at)
    })
}
