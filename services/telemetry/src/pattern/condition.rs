//! Conditions on values, joined by `&&` and `||`; the characters of a pattern, one after the other.

use regex::Regex;
use wire::Error;

use super::{invalid, regex};

/// Reads a pattern.
pub(super) struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }
    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }
    pub(super) fn next(&mut self) -> Option<char> {
        let first = self.peek()?;
        self.rest = &self.rest[first.len_utf8()..];
        Some(first)
    }
    pub(super) fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }
    /// Takes a text that comes next.
    pub(super) fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
    /// Takes a keyword in either case, with the space before it.
    pub(super) fn keyword(&mut self, word: &str) -> bool {
        self.skip_space();
        let fits = self.rest.get(..word.len()).is_some_and(|front| front.eq_ignore_ascii_case(word));
        let ends = self.rest.get(word.len()..).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
        if fits && ends {
            self.rest = &self.rest[word.len()..];
        }
        fits && ends
    }
    /// What is between two marks, the first of which comes next; a backslash hides a mark.
    pub(super) fn quoted(&mut self, mark: char) -> Result<String, Error> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(invalid(&format!("a {mark} is not closed"))),
                Some('\\') if mark == '"' => text.extend(self.next()),
                Some(c) if c == mark => return Ok(text),
                Some(c) => text.push(c),
            }
        }
    }
    /// Everything up to a character of these.
    pub(super) fn word(&mut self, ends: impl Fn(char) -> bool) -> String {
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }
    pub(super) fn expect(&mut self, text: &str) -> Result<(), Error> {
        self.skip_space();
        if self.take(text) { Ok(()) } else { Err(invalid(&format!("{text} is missing"))) }
    }
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.trim().is_empty()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug)]
enum Wanted {
    /// `*` stands for any text.
    Text(Regex),
    Number(f64),
    Regex(Regex),
}

/// A comparison with a value.
#[derive(Debug)]
pub(super) struct Compare {
    comparison: Comparison,
    wanted: Wanted,
}

impl Compare {
    /// Reads `= 4*`, `!= "x"`, `>= 10`, `= %regex%`.
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        cursor.skip_space();
        let operators = [
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("=", Comparison::Equal),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let comparison = operators
            .into_iter()
            .find_map(|(text, comparison)| cursor.take(text).then_some(comparison))
            .ok_or_else(|| invalid("an operator (=, !=, <, <=, >, >=) is missing"))?;
        cursor.skip_space();
        let wanted = match cursor.peek() {
            Some('"') => glob(&cursor.quoted('"')?)?,
            Some('%') => Wanted::Regex(regex(&cursor.quoted('%')?)?),
            _ => {
                let word = cursor.word(|c| c.is_whitespace() || matches!(c, ')' | '}' | ']' | ',' | '&' | '|'));
                match word.parse::<f64>() {
                    _ if word.is_empty() => return Err(invalid("a value is missing")),
                    Ok(number) if number.is_finite() => Wanted::Number(number),
                    _ => glob(&word)?,
                }
            }
        };
        let ordered = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if ordered && !matches!(wanted, Wanted::Number(_)) {
            return Err(invalid("<, <=, > and >= compare with numbers"));
        }
        Ok(Self { comparison, wanted })
    }

    pub(super) fn holds(&self, found: &str) -> bool {
        let number = found.parse::<f64>().ok();
        let equal = match &self.wanted {
            Wanted::Text(regex) | Wanted::Regex(regex) => regex.is_match(found),
            Wanted::Number(wanted) => number == Some(*wanted),
        };
        let ordered = |holds: fn(&f64, &f64) -> bool| match (&self.wanted, number) {
            (Wanted::Number(wanted), Some(found)) => holds(&found, wanted),
            _ => false,
        };
        match self.comparison {
            Comparison::Equal => equal,
            Comparison::NotEqual => !equal,
            Comparison::Less => ordered(f64::lt),
            Comparison::LessOrEqual => ordered(f64::le),
            Comparison::Greater => ordered(f64::gt),
            Comparison::GreaterOrEqual => ordered(f64::ge),
        }
    }
}

fn glob(text: &str) -> Result<Wanted, Error> {
    let parts: Vec<String> = text.split('*').map(regex::escape).collect();
    regex(&format!("^(?s:{})$", parts.join(".*"))).map(Wanted::Text)
}
