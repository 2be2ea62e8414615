//! Tokens of an expression, with their places for `near:` in syntax errors.

use std::ops::Range;

use crate::Invalid;

/// Longest expression that DynamoDB takes.
const MAX_BYTES: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A bare word: attribute name, keyword or function.
    Word(String),
    /// `#name`, with its sign.
    Name(String),
    /// `:value`, with its sign.
    Value(String),
    /// A list index.
    Index(String),
    Symbol(&'static str),
    End,
}

#[derive(Debug)]
pub(super) struct Tokens<'a> {
    source: &'a str,
    all: Vec<(Token, Range<usize>)>,
    at: usize,
}

const SYMBOLS: [&str; 14] = ["<=", ">=", "<>", "=", "<", ">", "(", ")", "[", "]", ",", ".", "+", "-"];

impl<'a> Tokens<'a> {
    pub(super) fn new(source: &'a str) -> Result<Self, Invalid> {
        if source.is_empty() {
            return Err(Invalid::new("The expression can not be empty;"));
        }
        if source.len() > MAX_BYTES {
            return Err(Invalid::new(format!(
                "Expression size has exceeded the maximum allowed size; expression size: {}",
                source.len()
            )));
        }
        let mut tokens = Self { source, all: Vec::new(), at: 0 };
        let mut at = 0;
        while let Some(next) = source[at..].chars().next() {
            if next.is_whitespace() {
                at += next.len_utf8();
                continue;
            }
            let (token, length) = scan(&source[at..]);
            let range = at..at + length;
            let Some(token) = token else {
                at = range.end;
                tokens.all.push((Token::Word(source[range.clone()].to_owned()), range));
                tokens.at = tokens.all.len() - 1;
                // What follows is told with it.
                let rest = &source[at..];
                let start = at + rest.len() - rest.trim_start().len();
                let length = if start < source.len() { scan(&source[start..]).1 } else { 0 };
                tokens.all.push((Token::End, start..start + length));
                return Err(tokens.syntax_error());
            };
            tokens.all.push((token, range));
            at += length;
        }
        tokens.all.push((Token::End, source.len()..source.len()));
        Ok(tokens)
    }

    pub(super) fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> &Token {
        let last = self.all.len() - 1;
        &self.all[(self.at + ahead).min(last)].0
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.all.len() - 1);
        token
    }

    /// Takes the symbol if it is the next token.
    pub(super) fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(found) if *found == symbol);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<(), Invalid> {
        if self.take(symbol) { Ok(()) } else { Err(self.syntax_error()) }
    }

    pub(super) fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// Takes the keyword, in any case, if it is the next token.
    pub(super) fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Symbol(found) if *found == symbol)
    }

    /// Where the next token is, to come back to.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// The token after the parenthesis that closes the one at `open`.
    pub(super) fn closed_at(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (at, (token, _)) in self.all.iter().enumerate().skip(open) {
            match token {
                Token::Symbol("(") => depth += 1,
                Token::Symbol(")") if depth <= 1 => return Some(at + 1),
                Token::Symbol(")") => depth -= 1,
                _ => {}
            }
        }
        None
    }

    pub(super) fn at_end(&self) -> bool {
        *self.peek() == Token::End
    }

    /// The error for a token that cannot stand here.
    pub(super) fn syntax_error(&self) -> Invalid {
        let (_, range) = &self.all[self.at];
        let token = if range.is_empty() { "<EOF>" } else { &self.source[range.clone()] };
        let from = self.at.checked_sub(1).map_or(0, |before| self.all[before].1.start);
        let to = self.all.get(self.at + 1).map_or(range.end, |(_, next)| next.end);
        Invalid::new(format!("Syntax error; token: \"{token}\", near: \"{}\"", &self.source[from..to]))
    }
}

/// The token at the beginning of `text` and its length; no token for a character that begins none.
fn scan(text: &str) -> (Option<Token>, usize) {
    let word_length = |from: usize| {
        text[from..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(text.len(), |length| from + length)
    };
    match text.as_bytes()[0] {
        b'#' => {
            let end = word_length(1);
            ((end > 1).then(|| Token::Name(text[..end].to_owned())), end)
        }
        b':' => {
            let end = word_length(1);
            ((end > 1).then(|| Token::Value(text[..end].to_owned())), end)
        }
        // No index begins with a zero but zero itself.
        b'0' => (Some(Token::Index("0".to_owned())), 1),
        b'1'..=b'9' => {
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            (Some(Token::Index(text[..end].to_owned())), end)
        }
        // A name that begins otherwise, with an underscore too, needs a placeholder.
        b'a'..=b'z' | b'A'..=b'Z' => {
            let end = word_length(0);
            (Some(Token::Word(text[..end].to_owned())), end)
        }
        _ => match SYMBOLS.iter().find(|symbol| text.starts_with(**symbol)) {
            Some(symbol) => (Some(Token::Symbol(symbol)), symbol.len()),
            None => (None, text.chars().next().map_or(1, char::len_utf8)),
        },
    }
}
