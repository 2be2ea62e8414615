//! From text to tokens.

use std::sync::Arc;

use super::failure::{Failure, Result};
use super::pattern::Pattern;

#[derive(Clone, Debug)]
pub(super) enum Token {
    Operator(&'static str),
    Text(String),
    Number(f64),
    Null,
    Bool(bool),
    Name(String),
    Variable(String),
    Regex(Arc<Pattern>),
    End,
}

pub(super) struct Lexer {
    text: Vec<char>,
    at: usize,
}

/// Two characters before one.
const OPERATORS: &[&str] = &[
    "..", ":=", "!=", ">=", "<=", "**", "~>", "?:", "??", ".", "[", "]", "{", "}", "(", ")", ",", "@", "#", ";", ":",
    "?", "+", "-", "*", "/", "%", "|", "=", "<", ">", "^", "&", "!", "~",
];

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}')
}

fn ends_name(c: char) -> bool {
    is_space(c) || ".[]{}(),@#;:?+-*/%|=<>^&!~".contains(c)
}

impl Lexer {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.chars().collect(), at: 0 }
    }

    pub(super) fn length(&self) -> usize {
        self.text.len()
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    fn slice(&self, from: usize, to: usize) -> String {
        self.text[from..to.min(self.text.len())].iter().collect()
    }

    /// The next token and where it is; after an operand (`infix`), a slash divides.
    pub(super) fn next(&mut self, infix: bool) -> Result<(Token, usize)> {
        self.skip()?;
        let start = self.at;
        let Some(c) = self.peek(0) else { return Ok((Token::End, self.text.len())) };
        if c == '/' && !infix {
            self.at += 1;
            return Ok((Token::Regex(Arc::new(self.regex()?)), start));
        }
        let found = OPERATORS
            .iter()
            .find(|operator| operator.chars().enumerate().all(|(ahead, wanted)| self.peek(ahead) == Some(wanted)));
        if let Some(operator) = found {
            self.at += operator.len();
            return Ok((Token::Operator(operator), start));
        }
        let token = match c {
            '"' | '\'' => self.quoted(c)?,
            '0'..='9' => self.number()?,
            '`' => self.backquoted()?,
            _ => self.word(),
        };
        Ok((token, start))
    }

    fn skip(&mut self) -> Result<()> {
        loop {
            while self.peek(0).is_some_and(is_space) {
                self.at += 1;
            }
            if !(self.peek(0) == Some('/') && self.peek(1) == Some('*')) {
                return Ok(());
            }
            let start = self.at;
            self.at += 2;
            while !(self.peek(0) == Some('*') && self.peek(1) == Some('/')) {
                self.at += 1;
                if self.at >= self.text.len() {
                    return Err(Failure::at("S0106", start));
                }
            }
            self.at += 2;
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Token> {
        self.at += 1;
        let mut units: Vec<u16> = Vec::new();
        while let Some(c) = self.peek(0) {
            if c == quote {
                self.at += 1;
                return Ok(Token::Text(String::from_utf16_lossy(&units)));
            }
            let mut plain = c;
            if c == '\\' {
                self.at += 1;
                let escape = self.peek(0).unwrap_or('\0');
                plain = match escape {
                    '"' | '\\' | '/' => escape,
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'u' => {
                        let digits = self.slice(self.at + 1, self.at + 5);
                        let unit = u16::from_str_radix(&digits, 16).ok().filter(|_| !digits.starts_with('+'));
                        units.push(unit.ok_or_else(|| Failure::at("S0104", self.at))?);
                        self.at += 1 + digits.chars().count();
                        continue;
                    }
                    _ => return Err(Failure::at("S0103", self.at).with_token(&escape.to_string())),
                };
            }
            units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
            self.at += 1;
        }
        Err(Failure::at("S0101", self.at))
    }

    fn number(&mut self) -> Result<Token> {
        let start = self.at;
        let digits = |lexer: &mut Self| {
            while lexer.peek(0).is_some_and(|c| c.is_ascii_digit()) {
                lexer.at += 1;
            }
        };
        if self.peek(0) == Some('0') {
            self.at += 1;
        } else {
            digits(self);
        }
        if self.peek(0) == Some('.') && self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
            digits(self);
        }
        if matches!(self.peek(0), Some('e' | 'E')) {
            let sign = usize::from(matches!(self.peek(1), Some('+' | '-')));
            if self.peek(1 + sign).is_some_and(|c| c.is_ascii_digit()) {
                self.at += 1 + sign;
                digits(self);
            }
        }
        let text = self.slice(start, self.at);
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Token::Number(number)),
            _ => Err(Failure::at("S0102", start).with_token(&text)),
        }
    }

    fn backquoted(&mut self) -> Result<Token> {
        self.at += 1;
        let start = self.at;
        while let Some(c) = self.peek(0) {
            self.at += 1;
            if c == '`' {
                return Ok(Token::Name(self.slice(start, self.at - 1)));
            }
        }
        Err(Failure::at("S0105", self.at))
    }

    fn word(&mut self) -> Token {
        let start = self.at;
        while self.peek(0).is_some_and(|c| !ends_name(c)) {
            self.at += 1;
        }
        let word = self.slice(start, self.at);
        if let Some(name) = word.strip_prefix('$') {
            return Token::Variable(name.to_owned());
        }
        match word.as_str() {
            "or" => Token::Operator("or"),
            "in" => Token::Operator("in"),
            "and" => Token::Operator("and"),
            "true" => Token::Bool(true),
            "false" => Token::Bool(false),
            "null" => Token::Null,
            _ => Token::Name(word),
        }
    }

    /// Whether an odd number of backslashes stands before.
    fn escaped(&self, start: usize) -> bool {
        self.text[start..self.at].iter().rev().take_while(|c| **c == '\\').count() % 2 == 1
    }

    fn regex(&mut self) -> Result<Pattern> {
        let start = self.at;
        let mut depth = 0_i64;
        while let Some(c) = self.peek(0) {
            if c == '/' && depth == 0 && !self.escaped(start) {
                let source = self.slice(start, self.at);
                if source.is_empty() {
                    return Err(Failure::at("S0301", self.at));
                }
                self.at += 1;
                let flags = self.at;
                while matches!(self.peek(0), Some('i' | 'm')) {
                    self.at += 1;
                }
                return Ok(Pattern::new(source, &self.slice(flags, self.at)));
            }
            let after_backslash = self.at > start && self.text[self.at - 1] == '\\';
            match c {
                '(' | '[' | '{' if !after_backslash => depth += 1,
                ')' | ']' | '}' if !after_backslash => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
        Err(Failure::at("S0302", self.at))
    }
}
