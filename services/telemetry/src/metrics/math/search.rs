//! Search expressions: `{Namespace, Dimension} MetricName="x" AND (a OR NOT b)`. A term without quotes is looked for among the parts that
//! names fall into; in quotes it is the whole name.

use std::collections::BTreeMap;

use super::Fault;
use super::parse::Expr;

/// Source: the guide, "Search expression limits".
const MAX_QUERY: usize = 1024;
const MAX_DEPTH: usize = 32;

/// A call of SEARCH.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::metrics) struct Asked {
    pub(in crate::metrics) query: String,
    pub(in crate::metrics) stat: String,
    pub(in crate::metrics) period: i64,
}

impl Asked {
    /// Its arguments, which are written out; the period may be that of the query.
    pub(in crate::metrics) fn of(arguments: &[Expr], period: Option<i64>) -> Result<Self, Fault> {
        let (query, stat, period) = match arguments {
            [Expr::Text(query), Expr::Text(stat)] => (query, stat, period),
            #[expect(clippy::cast_possible_truncation, reason = "a fraction is refused with it")]
            [Expr::Text(query), Expr::Text(stat), Expr::Number(period)] if period.fract() == 0.0 => {
                (query, stat, Some(*period as i64))
            }
            _ => return Err(Fault::invalid("SEARCH takes a search expression, a statistic and a period")),
        };
        let period = period.ok_or_else(|| Fault::invalid("SEARCH needs a period, or the Period of its query"))?;
        if !crate::metrics::read::is_period(period) {
            return Err(Fault::invalid("The period of SEARCH must be 1, 5, 10, 20, 30 or a multiple of 60"));
        }
        if !crate::metrics::stat::is_known(stat) {
            return Err(Fault::Invalid(format!("The statistic '{stat}' of SEARCH is not supported")));
        }
        Ok(Self { query: query.clone(), stat: stat.clone(), period })
    }
}

/// A metric, as a search sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::metrics) struct Metric {
    pub(in crate::metrics) namespace: String,
    pub(in crate::metrics) name: String,
    pub(in crate::metrics) dimensions: BTreeMap<String, String>,
}

/// A search, read.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::metrics) struct Search {
    /// The namespace, and the names of all dimensions.
    schema: Option<(String, Vec<String>)>,
    term: Option<Term>,
}

#[derive(Clone, Debug, PartialEq)]
enum Term {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    /// Of what: `MetricName`, `Namespace`, a dimension; all of them where it is not said.
    Is(Option<String>, Wanted),
}

#[derive(Clone, Debug, PartialEq)]
enum Wanted {
    Exactly(String),
    Part(String),
}

impl Search {
    pub(in crate::metrics) fn parse(query: &str) -> Result<Self, Fault> {
        if query.len() > MAX_QUERY {
            return Err(Fault::Invalid(format!("A search expression has at most {MAX_QUERY} characters")));
        }
        let mut parser = Parser { rest: query.trim() };
        let schema = parser.schema()?;
        let term = if parser.rest.is_empty() { None } else { Some(parser.or(0)?) };
        if !parser.rest.trim().is_empty() {
            return Err(parser.wrong());
        }
        if schema.is_none() && term.is_none() {
            return Err(Fault::invalid("A search expression has a metric schema, a search term, or both"));
        }
        Ok(Self { schema, term })
    }

    pub(in crate::metrics) fn finds(&self, metric: &Metric) -> bool {
        let schema = self.schema.as_ref().is_none_or(|(namespace, names)| {
            *namespace == metric.namespace
                && names.len() == metric.dimensions.len()
                && names.iter().all(|name| metric.dimensions.contains_key(name))
        });
        schema && self.term.as_ref().is_none_or(|term| term.holds(metric))
    }
}

impl Term {
    fn holds(&self, metric: &Metric) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds(metric)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(metric)),
            Self::Not(inner) => !inner.holds(metric),
            Self::Is(Some(name), wanted) => match name.as_str() {
                "MetricName" => wanted.fits(&metric.name),
                "Namespace" => wanted.fits(&metric.namespace),
                name => metric.dimensions.get(name).is_some_and(|value| wanted.fits(value)),
            },
            Self::Is(None, wanted) => {
                let dimensions = metric.dimensions.iter().flat_map(|(name, value)| [name, value]);
                [&metric.name, &metric.namespace].into_iter().chain(dimensions).any(|name| wanted.fits(name))
            }
        }
    }
}

impl Wanted {
    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Exactly(wanted) => name == wanted,
            Self::Part(term) => is_part(term, name),
        }
    }
}

/// The words between characters that are no letters or digits, each as the parts into which capitals and digits divide it.
fn words(text: &str) -> Vec<Vec<&str>> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(parts).collect()
}

/// `CustomCount1` is `Custom`, `Count`, `1`; `SDBFailure` is `SDB`, `Failure`.
fn parts(word: &str) -> Vec<&str> {
    let chars: Vec<(usize, char)> = word.char_indices().collect();
    let mut cuts = vec![0];
    for n in 1..chars.len() {
        let (before, (at, now)) = (chars[n - 1].1, chars[n]);
        let next_is_small = chars.get(n + 1).is_some_and(|(_, next)| next.is_lowercase());
        let digits = before.is_numeric() != now.is_numeric();
        let capital = now.is_uppercase() && (before.is_lowercase() || before.is_uppercase() && next_is_small);
        if digits || capital {
            cuts.push(at);
        }
    }
    cuts.push(word.len());
    cuts.windows(2).map(|cut| &word[cut[0]..cut[1]]).collect()
}

/// Whether the parts of a term stand in a name one after the other. What the term itself divides by capitals or digits is compared as it is
/// written, else case does not count; the whole of a name counts as a part of it.
fn is_part(term: &str, name: &str) -> bool {
    let plain =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    if plain(term) == plain(name) && words(term).iter().all(|word| word.len() == 1 || words(name).len() == 1) {
        return true;
    }
    let wanted: Vec<(&str, bool)> = words(term)
        .iter()
        .flat_map(|word| word.iter().map(|part| (*part, word.len() > 1)).collect::<Vec<_>>())
        .collect();
    let has: Vec<&str> = words(name).into_iter().flatten().collect();
    if wanted.is_empty() {
        return false;
    }
    has.windows(wanted.len()).any(|window| {
        window
            .iter()
            .zip(&wanted)
            .all(|(has, (part, as_written))| has == part || !as_written && has.to_lowercase() == part.to_lowercase())
    })
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn wrong(&self) -> Fault {
        let rest: String = self.rest.chars().take(20).collect();
        Fault::Invalid(format!("Syntax error in the search expression at '{rest}'"))
    }

    fn mark(&mut self, mark: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(mark);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn schema(&mut self) -> Result<Option<(String, Vec<String>)>, Fault> {
        if !self.mark('{') {
            return Ok(None);
        }
        let mut names = Vec::new();
        loop {
            names.push(self.name(&[',', '}'])?.0);
            if self.mark('}') {
                break;
            }
            if !self.mark(',') {
                return Err(self.wrong());
            }
        }
        // Some of the guide's examples have a comma after it.
        self.mark(',');
        self.rest = self.rest.trim_start();
        let namespace = names.remove(0);
        Ok(Some((namespace, names)))
    }

    fn or(&mut self, depth: usize) -> Result<Term, Fault> {
        let mut parts = vec![self.and(depth)?];
        while self.keyword("OR") {
            parts.push(self.and(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Term::Or(parts) })
    }

    fn and(&mut self, depth: usize) -> Result<Term, Fault> {
        let mut parts = vec![self.one(depth)?];
        loop {
            if self.keyword("AND") {
                parts.push(self.one(depth)?);
                continue;
            }
            let rest = self.rest.trim_start();
            if rest.is_empty() || rest.starts_with(')') || starts_with_keyword(rest, "OR") {
                break;
            }
            parts.push(self.one(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Term::And(parts) })
    }

    fn one(&mut self, depth: usize) -> Result<Term, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::invalid("The search expression is nested too deeply"));
        }
        if self.keyword("NOT") {
            return Ok(Term::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.mark('(') {
            let inner = self.or(depth + 1)?;
            return if self.mark(')') { Ok(inner) } else { Err(self.wrong()) };
        }
        if self.rest.trim_start().starts_with(":aws.AccountId") {
            return Err(Fault::NotHere("SEARCH in other accounts (:aws.AccountId)".to_owned()));
        }
        let (name, quoted) = self.name(&['=', '(', ')'])?;
        if self.mark('=') {
            let (value, quoted) = self.name(&['(', ')'])?;
            return Ok(Term::Is(Some(name), wanted(value, quoted)));
        }
        Ok(Term::Is(None, wanted(name, quoted)))
    }

    /// A word up to a space or one of these marks, or what stands between quotes, in which a backslash takes its next character as it is.
    fn name(&mut self, ends: &[char]) -> Result<(String, bool), Fault> {
        let rest = self.rest.trim_start();
        if let Some(inner) = rest.strip_prefix('"') {
            let (mut name, mut escaped) = (String::new(), false);
            for (at, c) in inner.char_indices() {
                match c {
                    '\\' if !escaped => escaped = true,
                    '"' if !escaped => {
                        self.rest = &inner[at + 1..];
                        return if name.is_empty() { Err(self.wrong()) } else { Ok((name, true)) };
                    }
                    c => {
                        name.push(c);
                        escaped = false;
                    }
                }
            }
            return Err(self.wrong());
        }
        let end = rest.find(|c: char| c.is_whitespace() || ends.contains(&c)).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        if name.is_empty() {
            return Err(self.wrong());
        }
        self.rest = &rest[end..];
        Ok((name, false))
    }

    fn keyword(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start();
        let found = starts_with_keyword(rest, word);
        if found {
            self.rest = &rest[word.len()..];
        }
        found
    }
}

fn starts_with_keyword(rest: &str, word: &str) -> bool {
    rest.strip_prefix(word).is_some_and(|after| after.is_empty() || after.starts_with([' ', '(', ')', '\t', '"', '\n']))
}

fn wanted(name: String, quoted: bool) -> Wanted {
    if quoted { Wanted::Exactly(name) } else { Wanted::Part(name) }
}
