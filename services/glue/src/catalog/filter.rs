//! The expression of `GetPartitions`: a WHERE clause over the partition keys.
//!
//! Comparisons, BETWEEN, IN, LIKE, IS NULL, AND, OR, NOT and brackets. Numbers compare as numbers where the key's type is
//! one, all else as text.

use std::cmp::Ordering;

use api_glue::Column;
use api_glue::error::invalid_input_exception;
use wire::Error;

#[derive(Debug)]
pub(crate) struct Filter(Expr);

#[derive(Debug)]
enum Expr {
    Or(Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Compare { key: usize, numeric: bool, op: Op, value: String },
    In { key: usize, numeric: bool, values: Vec<String> },
    Like { key: usize, pattern: String },
    IsNull { key: usize },
    Const(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// How Hive writes the partition of a null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";
/// Brackets and NOTs deeper than this are refused.
const MAX_DEPTH: usize = 64;

impl Filter {
    pub(crate) fn parse(text: &str, keys: &[Column]) -> Result<Self, Error> {
        let bad = || invalid_input_exception(format!("Unsupported expression '{text}'"));
        let tokens = tokens(text).ok_or_else(bad)?;
        let mut parser = Parser { tokens, at: 0, keys, depth: 0 };
        let expr = parser.or().filter(|_| parser.at == parser.tokens.len());
        expr.map(Self).ok_or_else(bad)
    }

    pub(crate) fn keeps(&self, values: &[String]) -> bool {
        self.0.holds(values)
    }

    /// The values that the first keys must have, as far as the expression names one for each.
    pub(crate) fn fixed_prefix(&self, keys: usize) -> Vec<String> {
        (0..keys).map_while(|key| self.0.fixed(key)).collect()
    }
}

impl Expr {
    /// The text that a key must be equal to.
    fn fixed(&self, key: usize) -> Option<String> {
        match self {
            Self::And(a, b) => a.fixed(key).or_else(|| b.fixed(key)),
            // A number has more than one spelling.
            Self::Compare { key: at, numeric: false, op: Op::Eq, value } if *at == key => Some(value.clone()),
            _ => None,
        }
    }

    fn holds(&self, values: &[String]) -> bool {
        let value = |key: usize| values.get(key).map_or("", String::as_str);
        match self {
            Self::Or(a, b) => a.holds(values) || b.holds(values),
            Self::And(a, b) => a.holds(values) && b.holds(values),
            Self::Not(inner) => !inner.holds(values),
            Self::Compare { key, numeric, op, value: other } => {
                compare(value(*key), other, *numeric).is_some_and(|order| op.allows(order))
            }
            Self::In { key, numeric, values: list } => {
                list.iter().any(|other| compare(value(*key), other, *numeric) == Some(Ordering::Equal))
            }
            Self::Like { key, pattern } => like(value(*key), pattern),
            Self::IsNull { key } => value(*key) == NULL,
            Self::Const(truth) => *truth,
        }
    }
}

impl Op {
    fn allows(self, order: Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Ne => order.is_ne(),
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
            Self::Gt => order.is_gt(),
            Self::Ge => order.is_ge(),
        }
    }

    /// The same comparison with its sides exchanged.
    fn mirrored(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            same => same,
        }
    }
}

fn compare(a: &str, b: &str, numeric: bool) -> Option<Ordering> {
    if !numeric {
        return Some(a.cmp(b));
    }
    if let (Ok(a), Ok(b)) = (a.parse::<i64>(), b.parse::<i64>()) {
        return Some(a.cmp(&b));
    }
    a.parse::<f64>().ok()?.partial_cmp(&b.parse::<f64>().ok()?)
}

/// `%` is any text, `_` any character.
fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut t, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('%') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '_' || *c == text[t] => {
                t += 1;
                p += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, t));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '%')
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(String),
    Symbol(&'static str),
}

const SYMBOLS: [&str; 11] = ["<=", ">=", "<>", "!=", "=", "<", ">", "(", ")", ",", "*"];

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '\'' | '"' => {
                let (inside, after) = string(&rest[1..], first)?;
                (Token::Text(inside), after)
            }
            '`' => {
                let (inside, after) = rest[1..].split_once('`')?;
                (Token::Word(inside.to_owned()), after)
            }
            c if c.is_ascii_digit() || c == '-' || c == '.' => {
                let end =
                    rest[1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '.').map_or(rest.len(), |e| e + 1);
                rest[..end].parse::<f64>().ok()?;
                (Token::Number(rest[..end].to_owned()), &rest[end..])
            }
            c if c.is_alphanumeric() || c == '_' => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                (Token::Word(rest[..end].to_owned()), &rest[end..])
            }
            _ => {
                let symbol = SYMBOLS.iter().find(|s| rest.starts_with(**s))?;
                (Token::Symbol(symbol), &rest[symbol.len()..])
            }
        };
        out.push(token);
        rest = after.trim_start();
    }
    (!out.is_empty()).then_some(out)
}

/// The rest of a quoted text; a doubled quote stands for one.
fn string(text: &str, quote: char) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut rest = text;
    loop {
        let end = rest.find(quote)?;
        out.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(more) => {
                out.push(quote);
                rest = more;
            }
            None => return Some((out, rest)),
        }
    }
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    keys: &'a [Column],
    depth: usize,
}

enum Operand {
    Key(usize),
    Value(String),
}

impl Parser<'_> {
    fn or(&mut self) -> Option<Expr> {
        let mut left = self.and()?;
        while self.word("or") {
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Some(left)
    }

    fn and(&mut self) -> Option<Expr> {
        let mut left = self.not()?;
        while self.word("and") {
            left = Expr::And(Box::new(left), Box::new(self.not()?));
        }
        Some(left)
    }

    fn not(&mut self) -> Option<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let expr = if self.word("not") {
            Expr::Not(Box::new(self.not()?))
        } else if self.symbol("(") {
            let inner = self.or()?;
            self.symbol(")").then_some(inner)?
        } else {
            self.predicate()?
        };
        self.depth -= 1;
        Some(expr)
    }

    fn predicate(&mut self) -> Option<Expr> {
        if self.word("true") {
            return Some(Expr::Const(true));
        }
        if self.word("false") {
            return Some(Expr::Const(false));
        }
        let left = self.operand()?;
        let key = match left {
            Operand::Key(key) => key,
            Operand::Value(value) => {
                let op = self.op()?;
                return Some(match self.operand()? {
                    Operand::Key(key) => self.comparison(key, op.mirrored(), value),
                    Operand::Value(other) => Expr::Const(op.allows(compare_literals(&value, &other))),
                });
            }
        };
        if self.word("is") {
            let not = self.word("not");
            return self.word("null").then_some(negated(Expr::IsNull { key }, not));
        }
        let not = self.word("not");
        if self.word("between") {
            let low = self.value()?;
            if !self.word("and") {
                return None;
            }
            let high = self.value()?;
            let low = self.comparison(key, Op::Ge, low);
            let high = self.comparison(key, Op::Le, high);
            return Some(negated(Expr::And(Box::new(low), Box::new(high)), not));
        }
        if self.word("in") {
            if !self.symbol("(") {
                return None;
            }
            let mut values = vec![self.value()?];
            while self.symbol(",") {
                values.push(self.value()?);
            }
            let list = Expr::In { key, numeric: self.numeric(key), values };
            return self.symbol(")").then_some(negated(list, not));
        }
        if self.word("like") {
            return Some(negated(Expr::Like { key, pattern: self.value()? }, not));
        }
        if not {
            return None;
        }
        let op = self.op()?;
        let value = self.value()?;
        Some(self.comparison(key, op, value))
    }

    fn comparison(&self, key: usize, op: Op, value: String) -> Expr {
        Expr::Compare { key, numeric: self.numeric(key), op, value }
    }

    fn numeric(&self, key: usize) -> bool {
        let ty = self.keys.get(key).and_then(|k| k.r#type.as_deref()).unwrap_or("string").to_lowercase();
        ["tinyint", "smallint", "int", "integer", "bigint", "long", "float", "double"].contains(&ty.as_str())
            || ty.starts_with("decimal")
    }

    fn op(&mut self) -> Option<Op> {
        let Some(Token::Symbol(symbol)) = self.tokens.get(self.at) else { return None };
        let op = match *symbol {
            "=" => Op::Eq,
            "<>" | "!=" => Op::Ne,
            "<" => Op::Lt,
            "<=" => Op::Le,
            ">" => Op::Gt,
            ">=" => Op::Ge,
            _ => return None,
        };
        self.at += 1;
        Some(op)
    }

    fn operand(&mut self) -> Option<Operand> {
        match self.tokens.get(self.at)?.clone() {
            // A typed literal, `DATE '2013-01-01'`, is its text.
            Token::Word(word)
                if ["date", "timestamp"].contains(&word.to_lowercase().as_str())
                    && matches!(self.tokens.get(self.at + 1), Some(Token::Text(_))) =>
            {
                self.at += 1;
                self.value().map(Operand::Value)
            }
            Token::Word(word) => {
                self.at += 1;
                self.keys.iter().position(|k| k.name.eq_ignore_ascii_case(&word)).map(Operand::Key)
            }
            Token::Text(text) | Token::Number(text) => {
                self.at += 1;
                Some(Operand::Value(text))
            }
            Token::Symbol(_) => None,
        }
    }

    fn value(&mut self) -> Option<String> {
        match self.operand()? {
            Operand::Value(value) => Some(value),
            Operand::Key(_) => None,
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Symbol(s)) if *s == symbol);
        self.at += usize::from(found);
        found
    }
}

fn negated(expr: Expr, not: bool) -> Expr {
    if not { Expr::Not(Box::new(expr)) } else { expr }
}

/// `1 = 1`, as tools write for "all".
fn compare_literals(a: &str, b: &str) -> Ordering {
    compare(a, b, true).unwrap_or_else(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use api_glue::Column;

    use super::Filter;

    fn keeps(text: &str, values: [&str; 3]) -> bool {
        let key =
            |name: &str, ty: &str| Column { name: name.to_owned(), r#type: Some(ty.to_owned()), ..Column::default() };
        let keys = [key("year", "string"), key("n", "int"), key("day", "date")];
        Filter::parse(text, &keys).unwrap().keeps(&values.map(str::to_owned))
    }

    #[test]
    fn filters_as_sql_does() {
        for (text, want) in [
            ("year = '2013'", true),
            ("YEAR='2014'", false),
            ("n > 9", true),
            ("year > '9'", false),
            ("9 < n", true),
            ("n between 10 and 12", true),
            ("n not between 10 and 12", false),
            ("year in ('2012', '2013') and n in (10)", true),
            ("year NOT IN ('2013')", false),
            ("year like '20%' AND NOT year like '_014'", true),
            ("(year = '1' or n <> 3) and day >= DATE '2013-01-01'", true),
            ("day < '2013-01-02'", false),
            ("year is null or year is not null", true),
            ("1 = 1", true),
            ("`year` = \"2013\"", true),
            ("n = '10'", true),
            ("year = 'it''s'", false),
        ] {
            assert_eq!(keeps(text, ["2013", "10", "2013-05-20"]), want, "{text}");
        }
        assert!(keeps("year is null", ["__HIVE_DEFAULT_PARTITION__", "1", "x"]));
    }

    #[test]
    fn equal_texts_of_the_first_keys_are_a_prefix() {
        let key =
            |name: &str, ty: &str| Column { name: name.to_owned(), r#type: Some(ty.to_owned()), ..Column::default() };
        let keys = [key("a", "string"), key("b", "string"), key("n", "int")];
        for (text, want) in [
            ("a = 'x' AND n > 1 AND b = 'y'", vec!["x", "y"]),
            ("a = 'x' AND (b = 'y' OR b = 'z')", vec!["x"]),
            ("b = 'y'", vec![]),
            ("a = 'x' AND b = 'y' AND n = 1", vec!["x", "y"]),
            ("NOT a = 'x'", vec![]),
        ] {
            assert_eq!(Filter::parse(text, &keys).unwrap().fixed_prefix(3), want, "{text}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        let deep = format!("{}1=1", "(".repeat(10_000));
        for text in
            ["", "nokey = 1", "year =", "year = 'x", "year ~ 1", "year in ()", "(year='1'", "year", "1 1", &deep]
        {
            let key = Column { name: "year".into(), ..Column::default() };
            let error = Filter::parse(text, &[key]).unwrap_err();
            assert!(error.is("InvalidInputException"), "{text}");
        }
    }
}
