//! Expressions as text, read by descent: `OR`, `AND`, comparisons, sums, products, minus, powers.

use super::Fault;

/// How deep an expression may be nested.
const MAX_DEPTH: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::metrics) enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Equal,
    NotEqual,
    LessOrEqual,
    GreaterOrEqual,
    Less,
    Greater,
    And,
    Or,
}

impl Op {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Power => "^",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::LessOrEqual => "<=",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::Greater => ">",
            Self::And => "AND",
            Self::Or => "OR",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::metrics) enum Expr {
    Number(f64),
    Text(String),
    /// Of a metric or another expression.
    Id(String),
    /// In capitals, where a function wants one: `AVG`, `DESC`, `REPEAT`.
    Word(String),
    Array(Vec<Self>),
    Call(String, Vec<Self>),
    Minus(Box<Self>),
    Binary(Op, Box<Self>, Box<Self>),
}

impl Expr {
    pub(in crate::metrics) fn parse(text: &str) -> Result<Self, Fault> {
        if text.trim_start().get(..6).is_some_and(|front| front.eq_ignore_ascii_case("SELECT")) {
            return Err(Fault::NotHere("Metrics Insights (SELECT)".to_owned()));
        }
        let mut parser = Parser { text, at: 0 };
        let expr = parser.or(0)?;
        parser.space();
        if parser.at == text.len() { Ok(expr) } else { Err(parser.unexpected()) }
    }

    /// Calls `see` with every part.
    pub(in crate::metrics) fn walk(&self, see: &mut impl FnMut(&Self)) {
        see(self);
        match self {
            Self::Number(_) | Self::Text(_) | Self::Id(_) | Self::Word(_) => {}
            Self::Array(parts) | Self::Call(_, parts) => parts.iter().for_each(|part| part.walk(see)),
            Self::Minus(inner) => inner.walk(see),
            Self::Binary(_, left, right) => {
                left.walk(see);
                right.walk(see);
            }
        }
    }

    /// The metrics and expressions that it names.
    pub(in crate::metrics) fn ids(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.walk(&mut |part| {
            if let Self::Id(id) = part {
                found.push(id.clone());
            }
        });
        found
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn unexpected(&self) -> Fault {
        let rest: String = self.rest().chars().take(20).collect();
        Fault::Invalid(if rest.is_empty() {
            "Syntax error: the expression ends too early".to_owned()
        } else {
            format!("Syntax error at position {}: '{rest}'", self.at)
        })
    }

    fn mark(&mut self, mark: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(mark);
        self.at += if found { mark.len() } else { 0 };
        found
    }

    fn expect(&mut self, mark: &str) -> Result<(), Fault> {
        if self.mark(mark) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// A word that stands by itself.
    fn keyword(&mut self, word: &str) -> bool {
        self.space();
        let rest = self.rest();
        let ends = rest.strip_prefix(word).is_some_and(|after| !after.starts_with(is_part));
        self.at += if ends { word.len() } else { 0 };
        ends
    }

    fn or(&mut self, depth: usize) -> Result<Expr, Fault> {
        let mut left = self.and(depth)?;
        while self.keyword("OR") || self.mark("||") {
            left = binary(Op::Or, left, self.and(depth)?);
        }
        Ok(left)
    }

    fn and(&mut self, depth: usize) -> Result<Expr, Fault> {
        let mut left = self.comparison(depth)?;
        while self.keyword("AND") || self.mark("&&") {
            left = binary(Op::And, left, self.comparison(depth)?);
        }
        Ok(left)
    }

    fn comparison(&mut self, depth: usize) -> Result<Expr, Fault> {
        const SIGNS: [Op; 6] = [Op::Equal, Op::NotEqual, Op::LessOrEqual, Op::GreaterOrEqual, Op::Less, Op::Greater];
        let mut left = self.sum(depth)?;
        while let Some(op) = SIGNS.into_iter().find(|op| self.mark(op.sign())) {
            left = binary(op, left, self.sum(depth)?);
        }
        Ok(left)
    }

    fn sum(&mut self, depth: usize) -> Result<Expr, Fault> {
        let mut left = self.product(depth)?;
        while let Some(op) = [Op::Add, Op::Subtract].into_iter().find(|op| self.mark(op.sign())) {
            left = binary(op, left, self.product(depth)?);
        }
        Ok(left)
    }

    fn product(&mut self, depth: usize) -> Result<Expr, Fault> {
        let mut left = self.minus(depth)?;
        while let Some(op) = [Op::Multiply, Op::Divide].into_iter().find(|op| self.mark(op.sign())) {
            left = binary(op, left, self.minus(depth)?);
        }
        Ok(left)
    }

    fn minus(&mut self, depth: usize) -> Result<Expr, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::invalid("it is nested too deeply"));
        }
        if self.mark("-") {
            return Ok(Expr::Minus(Box::new(self.minus(depth + 1)?)));
        }
        let base = self.one(depth)?;
        if self.mark("^") {
            return Ok(binary(Op::Power, base, self.minus(depth + 1)?));
        }
        Ok(base)
    }

    fn one(&mut self, depth: usize) -> Result<Expr, Fault> {
        self.space();
        match self.rest().chars().next() {
            Some('(') => {
                self.at += 1;
                let inner = self.or(depth + 1)?;
                self.expect(")")?;
                Ok(inner)
            }
            Some('[') => {
                self.at += 1;
                Ok(Expr::Array(self.list("]", depth)?))
            }
            Some(quote @ ('"' | '\'')) => self.quoted(quote),
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_ascii_alphabetic() => self.named(depth),
            _ => Err(self.unexpected()),
        }
    }

    /// Parts between commas, up to what closes them.
    fn list(&mut self, close: &str, depth: usize) -> Result<Vec<Expr>, Fault> {
        let mut parts = Vec::new();
        if self.mark(close) {
            return Ok(parts);
        }
        loop {
            parts.push(self.or(depth + 1)?);
            if self.mark(close) {
                return Ok(parts);
            }
            self.expect(",")?;
        }
    }

    /// Up to the same mark again; a backslash before it is the text's own matter.
    fn quoted(&mut self, quote: char) -> Result<Expr, Fault> {
        let inner = &self.text[self.at + 1..];
        let end = inner.find(quote).ok_or_else(|| Fault::invalid("Syntax error: a text is not closed"))?;
        let text = inner[..end].to_owned();
        self.at += end + 2;
        Ok(Expr::Text(text))
    }

    fn number(&mut self) -> Result<Expr, Fault> {
        let rest = self.rest();
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let after = &rest[digits..];
        let exponent = after.strip_prefix(['e', 'E']).map_or(0, |power| {
            let signed = power.strip_prefix(['+', '-']).unwrap_or(power);
            let digits = signed.find(|c: char| !c.is_ascii_digit()).unwrap_or(signed.len());
            if digits == 0 { 0 } else { 1 + power.len() - signed.len() + digits }
        });
        let length = digits + exponent;
        let number = rest[..length].parse().map_err(|_| self.unexpected())?;
        self.at += length;
        Ok(Expr::Number(number))
    }

    fn named(&mut self, depth: usize) -> Result<Expr, Fault> {
        let rest = self.rest();
        let name = rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())].to_owned();
        self.at += name.len();
        if self.mark("(") {
            return Ok(Expr::Call(name, self.list(")", depth)?));
        }
        Ok(if name.starts_with(|c: char| c.is_ascii_lowercase()) { Expr::Id(name) } else { Expr::Word(name) })
    }
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn binary(op: Op, left: Expr, right: Expr) -> Expr {
    Expr::Binary(op, Box::new(left), Box::new(right))
}
