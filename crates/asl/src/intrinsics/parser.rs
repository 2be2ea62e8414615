//! The call syntax.

use serde_json::Value;

use super::{Argument, Call, FUNCTIONS};
use crate::expr::Expr;

/// AWS nests at most ten intrinsics in one field.
const MAX_DEPTH: usize = 10;

/// The function whose first argument has places for the others.
const FORMAT: &str = "States.Format";

pub(super) fn parse(text: &str) -> Result<Call, String> {
    let mut parser = Parser { text, at: 0 };
    parser.space();
    let call = parser.call(1)?;
    parser.space();
    if parser.rest().is_empty() { Ok(call) } else { Err(format!("Invalid character at position {}", parser.at)) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, expected: char) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    fn call(&mut self, depth: usize) -> Result<Call, String> {
        if depth > MAX_DEPTH {
            return Err("Intrinsic functions are nested too deeply".to_owned());
        }
        let start = self.at;
        let length = self.rest().find('(').ok_or_else(|| format!("Invalid function name '{}'", self.rest()))?;
        let name = self.rest()[..length].trim_end();
        let function = FUNCTIONS
            .iter()
            .position(|(known, ..)| *known == name)
            .ok_or_else(|| format!("Invalid function name '{name}'"))?;
        self.at += length + 1;
        let arguments = self.arguments(depth, name == FORMAT)?;
        let (_, fewest, most, _) = FUNCTIONS[function];
        if !(fewest..=most).contains(&arguments.len()) {
            return Err(format!("Invalid number of arguments for {name}"));
        }
        Ok(Call { source: self.text[start..self.at].to_owned(), function, arguments })
    }

    /// After the opening parenthesis, through the closing one.
    fn arguments(&mut self, depth: usize, format: bool) -> Result<Vec<Argument>, String> {
        let mut arguments = Vec::new();
        self.space();
        if self.eat(')') {
            return Ok(arguments);
        }
        loop {
            self.space();
            let is_format = format && arguments.is_empty();
            arguments.push(self.argument(depth, is_format)?);
            self.space();
            if self.eat(')') {
                return Ok(arguments);
            }
            if !self.eat(',') {
                return Err(format!("Expected ',' or ')' at position {}", self.at));
            }
        }
    }

    fn argument(&mut self, depth: usize, is_format: bool) -> Result<Argument, String> {
        match self.rest().chars().next() {
            Some('\'') => self.string(is_format).map(|text| Argument::Literal(Value::String(text))),
            Some('$') => {
                let path = &self.rest()[..self.path_length()];
                self.at += path.len();
                Expr::parse_path(path.trim_end()).map(Argument::Path)
            }
            Some('S') => self.call(depth + 1).map(Argument::Call),
            Some(_) => {
                let length = self.rest().find([',', ')']).unwrap_or_else(|| self.rest().len());
                let literal = self.rest()[..length].trim_end();
                self.at += length;
                serde_json::from_str(literal)
                    .ok()
                    .filter(|value: &Value| !value.is_string() && !value.is_array() && !value.is_object())
                    .map(Argument::Literal)
                    .ok_or_else(|| format!("Invalid argument '{literal}'"))
            }
            None => Err("The call is not closed".to_owned()),
        }
    }

    fn path_length(&self) -> usize {
        let (mut depth, mut quote) = (0_u32, None);
        for (at, c) in self.rest().char_indices() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '\'' | '"') => quote = Some(c),
                (None, '[' | '(') => depth += 1,
                (None, ']') => depth = depth.saturating_sub(1),
                (None, ')') if depth > 0 => depth -= 1,
                (None, ',' | ')') if depth == 0 => return at,
                _ => {}
            }
        }
        self.rest().len()
    }

    /// A string in single quotes. A backslash escapes quotes, braces and backslashes, nothing else; before a brace it stays where
    /// the string is the format of `States.Format`.
    fn string(&mut self, is_format: bool) -> Result<String, String> {
        self.at += 1;
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' => {
                    self.at += at + 1;
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, brace @ ('{' | '}'))) => {
                        if is_format {
                            text.push('\\');
                        }
                        text.push(brace);
                    }
                    Some((_, next @ ('\'' | '\\'))) => text.push(next),
                    Some((_, next)) => return Err(format!("Invalid escape sequence '\\{next}'")),
                    None => break,
                },
                _ => text.push(c),
            }
        }
        Err("The string is not closed".to_owned())
    }
}
