//! From the text of a path to its steps.

use super::filter::{Comparator, Filter, Operand};
use super::pattern::Pattern;
use super::{Function, PathError, Step};

pub(super) fn parse(text: &str) -> Result<Vec<Step>, PathError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let steps = parser.steps()?;
    parser.end()?;
    Ok(steps)
}

/// What the letters behind a backslash stand for, and how many they are.
fn escaped(text: &str) -> Option<(char, usize)> {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix('u')?.get(..4)?, 16).ok();
    Some(match text.chars().next()? {
        'b' => ('\u{8}', 1),
        'f' => ('\u{c}', 1),
        'n' => ('\n', 1),
        'r' => ('\r', 1),
        't' => ('\t', 1),
        _ => {
            let first = unit(text)?;
            if let Some(meant) = char::from_u32(u32::from(first)) {
                (meant, 5)
            } else {
                let second = unit(text.get(5..)?.strip_prefix('\\')?)?;
                (char::decode_utf16([first, second]).next()?.ok()?, 11)
            }
        }
    })
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Filters and lists that are open.
    depth: usize,
}

/// Nested filters deeper than this are refused rather than followed.
const MAX_DEPTH: usize = 32;

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    fn need(&mut self, expected: &str) -> Result<(), PathError> {
        if self.eat(expected) { Ok(()) } else { Err(self.error(&format!("expected '{expected}'"))) }
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn error(&self, what: &str) -> PathError {
        PathError::Syntax(format!("Could not parse token starting at position {}: {what}", self.at + 1))
    }

    fn end(&self) -> Result<(), PathError> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.error("unexpected text")) }
    }

    /// Steps until something that cannot begin one.
    fn steps(&mut self) -> Result<Vec<Step>, PathError> {
        let mut steps = Vec::new();
        loop {
            if self.eat("..") {
                steps.push(Step::Descend);
                if self.peek() != Some('[') {
                    steps.push(self.dotted()?);
                }
            } else if self.eat(".") {
                // `$.[0]` is `$[0]`: Jayway goes over a dot before a bracket.
                if self.peek() != Some('[') {
                    steps.push(self.dotted()?);
                }
            } else if self.eat("[") {
                self.space();
                steps.push(self.bracketed()?);
            } else {
                return Ok(steps);
            }
        }
    }

    fn dotted(&mut self) -> Result<Step, PathError> {
        if self.eat("*") {
            return Ok(Step::Wildcard);
        }
        let stop = |c: char| {
            matches!(c, '.' | '[' | ']' | '(' | ')' | ',' | '=' | '<' | '>' | '!' | '&' | '|' | '\'' | '"')
                || c.is_whitespace()
        };
        let length = self.rest().find(stop).unwrap_or_else(|| self.rest().len());
        if length == 0 {
            return Err(self.error("a member name must not be empty"));
        }
        let name = &self.rest()[..length];
        self.at += length;
        if self.eat("()") {
            return Ok(Step::Function(match name {
                "length" | "size" => Function::Length,
                "min" => Function::Min,
                "max" => Function::Max,
                "sum" => Function::Sum,
                "avg" => Function::Avg,
                "keys" => Function::Keys,
                _ => return Err(self.error(&format!("Function with name: {name} does not exist."))),
            }));
        }
        Ok(Step::Member(name.to_owned()))
    }

    /// After `[`.
    fn bracketed(&mut self) -> Result<Step, PathError> {
        let step = match self.peek() {
            Some('*') => {
                self.at += 1;
                Step::Wildcard
            }
            Some('?') => {
                self.at += 1;
                self.space();
                self.need("(")?;
                let filter = self.any()?;
                self.space();
                self.need(")")?;
                Step::Filter(filter)
            }
            Some('\'' | '"') => self.names()?,
            Some(_) => self.numbers()?,
            None => return Err(self.error("the bracket is not closed")),
        };
        self.space();
        self.need("]")?;
        Ok(step)
    }

    fn names(&mut self) -> Result<Step, PathError> {
        let mut names = vec![self.quoted()?];
        loop {
            self.space();
            if !self.eat(",") {
                break;
            }
            self.space();
            names.push(self.quoted()?);
        }
        Ok(if names.len() == 1 { Step::Member(names.remove(0)) } else { Step::Members(names) })
    }

    fn quoted(&mut self) -> Result<String, PathError> {
        let quote =
            self.peek().filter(|c| matches!(c, '\'' | '"')).ok_or_else(|| self.error("expected a quoted name"))?;
        self.at += 1;
        let mut name = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((offset, c)) = chars.next() {
            if c == quote {
                self.at += offset + 1;
                return Ok(name);
            }
            match (c, chars.clone().next()) {
                ('\\', Some((_, next))) if next == quote || next == '\\' => {
                    chars.next();
                    name.push(next);
                }
                ('\\', Some((_, 'b' | 'f' | 'n' | 'r' | 't' | 'u'))) => match escaped(chars.as_str()) {
                    Some((meant, length)) => {
                        name.push(meant);
                        chars.by_ref().take(length).for_each(drop);
                    }
                    None => name.push(c),
                },
                // Before anything else a backslash stands for itself.
                _ => name.push(c),
            }
        }
        Err(self.error("the quoted name is not closed"))
    }

    fn integer(&mut self) -> Option<i64> {
        let length = self.rest().find(|c: char| !(c.is_ascii_digit() || c == '-')).unwrap_or_else(|| self.rest().len());
        let number = self.rest()[..length].parse().ok()?;
        self.at += length;
        Some(number)
    }

    fn numbers(&mut self) -> Result<Step, PathError> {
        let first = self.integer();
        self.space();
        if self.eat(":") {
            self.space();
            let to = self.integer();
            self.space();
            // A step is read and ignored.
            if self.eat(":") {
                self.space();
                self.integer();
            }
            return Ok(Step::Slice { from: first, to });
        }
        let mut indices = vec![first.ok_or_else(|| self.error("expected an index"))?];
        while self.eat(",") {
            self.space();
            indices.push(self.integer().ok_or_else(|| self.error("expected an index"))?);
            self.space();
        }
        Ok(if let [index] = indices[..] { Step::Index(index) } else { Step::Indices(indices) })
    }

    /// One level deeper.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, PathError>) -> Result<T, PathError> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error("the filter is nested too deeply"));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn any(&mut self) -> Result<Filter, PathError> {
        let mut filters = vec![self.all()?];
        loop {
            self.space();
            if !self.eat("||") {
                break;
            }
            filters.push(self.all()?);
        }
        Ok(if filters.len() == 1 { filters.remove(0) } else { Filter::Any(filters) })
    }

    fn all(&mut self) -> Result<Filter, PathError> {
        let mut filters = vec![self.nested(Self::one)?];
        loop {
            self.space();
            if !self.eat("&&") {
                break;
            }
            filters.push(self.nested(Self::one)?);
        }
        Ok(if filters.len() == 1 { filters.remove(0) } else { Filter::All(filters) })
    }

    fn one(&mut self) -> Result<Filter, PathError> {
        self.space();
        if self.eat("!") {
            return Ok(Filter::Not(Box::new(self.nested(Self::one)?)));
        }
        if self.eat("(") {
            let filter = self.any()?;
            self.space();
            self.need(")")?;
            return Ok(filter);
        }
        let left = self.operand()?;
        self.space();
        let Some(comparator) = self.comparator() else { return Ok(Filter::Exists(left)) };
        self.space();
        let right = if comparator == Comparator::Matches { self.pattern()? } else { self.operand()? };
        Ok(Filter::Compare { left, comparator, right })
    }

    fn comparator(&mut self) -> Option<Comparator> {
        const SIGNS: &[(&str, Comparator)] = &[
            ("===", Comparator::SameTypeEqual),
            ("!==", Comparator::SameTypeNotEqual),
            ("==", Comparator::Equal),
            ("!=", Comparator::NotEqual),
            ("<=", Comparator::AtMost),
            (">=", Comparator::AtLeast),
            ("=~", Comparator::Matches),
            ("<", Comparator::Less),
            (">", Comparator::Greater),
        ];
        const WORDS: &[(&str, Comparator)] = &[
            ("in", Comparator::In),
            ("nin", Comparator::NotIn),
            ("subsetof", Comparator::SubsetOf),
            ("anyof", Comparator::AnyOf),
            ("noneof", Comparator::NoneOf),
            ("size", Comparator::Size),
            ("empty", Comparator::Empty),
            ("contains", Comparator::Contains),
        ];
        if let Some((_, comparator)) = SIGNS.iter().find(|(sign, _)| self.eat(sign)) {
            return Some(*comparator);
        }
        let length = self.rest().find(|c: char| !c.is_ascii_alphabetic()).unwrap_or_else(|| self.rest().len());
        let word = &self.rest()[..length];
        let (_, comparator) = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word))?;
        self.at += length;
        Some(*comparator)
    }

    fn operand(&mut self) -> Result<Operand, PathError> {
        self.space();
        match self.peek() {
            Some('@') => {
                self.at += 1;
                Ok(Operand::Here(self.steps()?))
            }
            Some('$') => {
                self.at += 1;
                Ok(Operand::Root(self.steps()?))
            }
            Some('\'' | '"') => Ok(Operand::Literal(serde_json::Value::String(self.quoted()?))),
            Some('[') => self.nested(Self::list),
            Some('{') => self.json(),
            _ => {
                let length = self
                    .rest()
                    .find([')', ' ', '&', '|', '=', '<', '>', '!', ',', ']'])
                    .unwrap_or_else(|| self.rest().len());
                let literal =
                    serde_json::from_str(&self.rest()[..length]).map_err(|_| self.error("expected a value"))?;
                self.at += length;
                Ok(Operand::Literal(literal))
            }
        }
    }

    fn list(&mut self) -> Result<Operand, PathError> {
        self.need("[")?;
        let mut items = Vec::new();
        loop {
            self.space();
            if self.eat("]") {
                return Ok(Operand::Literal(serde_json::Value::Array(items)));
            }
            match self.operand()? {
                Operand::Literal(item) => items.push(item),
                _ => return Err(self.error("a list holds literals only")),
            }
            self.space();
            self.eat(",");
        }
    }

    /// A JSON object as a literal.
    fn json(&mut self) -> Result<Operand, PathError> {
        let mut values = serde_json::Deserializer::from_str(self.rest()).into_iter::<serde_json::Value>();
        let Some(Ok(value)) = values.next() else { return Err(self.error("expected a value")) };
        self.at += values.byte_offset();
        Ok(Operand::Literal(value))
    }

    fn pattern(&mut self) -> Result<Operand, PathError> {
        self.need("/")?;
        let length = self.rest().find('/').ok_or_else(|| self.error("the pattern is not closed"))?;
        let source = &self.rest()[..length];
        self.at += length + 1;
        let ignores_case = self.eat("i");
        let pattern = Pattern::new(source, ignores_case).ok_or_else(|| self.error("the pattern is not valid"))?;
        Ok(Operand::Pattern(pattern))
    }
}
