//! Function signatures: `<s-nn?:s>` and what they say of arguments.

use super::failure::{Failure, Result};
use super::value::Val;

#[derive(Clone, Debug, Default)]
pub(super) struct Signature {
    parameters: Vec<Parameter>,
}

#[derive(Clone, Debug)]
struct Parameter {
    kind: char,
    /// The symbols that are accepted.
    accepts: String,
    repeat: Repeat,
    /// The context stands in when the argument is missing.
    context: bool,
    subtype: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Repeat {
    Once,
    Optional,
    OnceOrMore,
}

impl Signature {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let symbols: Vec<char> = text.chars().collect();
        let mut parameters: Vec<Parameter> = Vec::new();
        let mut at = 1;
        let closing = |start: usize, open: char, close: char| {
            let mut depth = 1_usize;
            let mut at = start;
            while at + 1 < symbols.len() && depth > 0 {
                at += 1;
                if symbols[at] == close {
                    depth -= 1;
                } else if symbols[at] == open {
                    depth += 1;
                }
            }
            at
        };
        while let Some(&symbol) = symbols.get(at) {
            let mut push = |kind: char, accepts: String| {
                parameters.push(Parameter { kind, accepts, repeat: Repeat::Once, context: false, subtype: None });
            };
            match symbol {
                ':' => break,
                's' | 'n' | 'b' | 'l' | 'o' => push(symbol, format!("{symbol}m")),
                'a' | 'x' => push(symbol, "asnblfom".to_owned()),
                'f' => push(symbol, "f".to_owned()),
                'j' => push(symbol, "asnblom".to_owned()),
                '-' => {
                    if let Some(previous) = parameters.last_mut() {
                        previous.context = true;
                        previous.repeat = Repeat::Optional;
                    }
                }
                '?' | '+' => {
                    if let Some(previous) = parameters.last_mut() {
                        previous.repeat = if symbol == '?' { Repeat::Optional } else { Repeat::OnceOrMore };
                    }
                }
                '(' => {
                    let end = closing(at, '(', ')');
                    let choice: String = symbols[at + 1..end.max(at + 1)].iter().collect();
                    if choice.contains('<') {
                        return Err(Failure::at("S0402", at));
                    }
                    push('(', format!("{choice}m"));
                    at = end;
                }
                '<' => {
                    let end = closing(at, '<', '>');
                    match parameters.last_mut() {
                        Some(previous) if matches!(previous.kind, 'a' | 'f') => {
                            previous.subtype = Some(symbols[at + 1..end.max(at + 1)].iter().collect());
                        }
                        _ => return Err(Failure::at("S0401", at)),
                    }
                    at = end;
                }
                _ => {}
            }
            at += 1;
        }
        Ok(Self { parameters })
    }

    pub(super) fn validate<'a>(&self, arguments: Vec<Val<'a>>, context: &Val<'a>) -> Result<Vec<Val<'a>>> {
        let supplied: Vec<char> = arguments.iter().map(symbol).collect();
        let Some(counts) = self.counts(0, &supplied, true) else { return Err(self.mismatch(&supplied)) };
        let mut validated = Vec::with_capacity(arguments.len().max(self.parameters.len()));
        let mut arguments = arguments.into_iter();
        let mut index = 0;
        for (parameter, count) in self.parameters.iter().zip(counts) {
            if count == 0 {
                if parameter.context {
                    if !parameter.accepts.contains(symbol(context)) {
                        return Err(Failure::new("T0411").with_index(index + 1));
                    }
                    validated.push(context.clone());
                } else {
                    validated.push(arguments.next().unwrap_or(Val::Undefined));
                    index += 1;
                }
            }
            for _ in 0..count {
                let argument = arguments.next().unwrap_or(Val::Undefined);
                index += 1;
                validated.push(if parameter.kind == 'a' { parameter.array(argument, count, index)? } else { argument });
            }
        }
        Ok(validated)
    }

    /// How many arguments each parameter takes: greedily, with a way back.
    fn counts(&self, from: usize, supplied: &[char], whole: bool) -> Option<Vec<usize>> {
        let Some(parameter) = self.parameters.get(from) else {
            return (!whole || supplied.is_empty()).then(Vec::new);
        };
        let run = supplied.iter().take_while(|symbol| parameter.accepts.contains(**symbol)).count();
        let (least, most) = match parameter.repeat {
            Repeat::Once => (1, run.min(1)),
            Repeat::Optional => (0, run.min(1)),
            Repeat::OnceOrMore => (1, run),
        };
        (least..=most).rev().find_map(|count| {
            let mut counts = self.counts(from + 1, &supplied[count..], whole)?;
            counts.insert(0, count);
            Some(counts)
        })
    }

    fn mismatch(&self, supplied: &[char]) -> Box<Failure> {
        let mut good = 0;
        for end in 1..=self.parameters.len() {
            let prefix = Self { parameters: self.parameters[..end].to_vec() };
            match prefix.counts(0, supplied, false) {
                Some(counts) => good = counts.iter().sum(),
                None => break,
            }
        }
        Failure::new("T0410").with_index(good + 1)
    }
}

impl Parameter {
    fn array<'a>(&self, argument: Val<'a>, count: usize, index: usize) -> Result<Val<'a>> {
        let found = symbol(&argument);
        if found == 'm' {
            return Ok(Val::Undefined);
        }
        if let Some(subtype) = &self.subtype {
            let fits = match argument.items() {
                None => count == 1 && subtype.chars().eq([found]),
                Some(items) => match items.get(0) {
                    None => true,
                    Some(first) => {
                        let first = symbol(&first);
                        subtype.starts_with(first) && items.iter().all(|item| symbol(&item) == first)
                    }
                },
            };
            if !fits {
                let kinds = match subtype.as_str() {
                    "a" => "\"arrays\"",
                    "b" => "\"booleans\"",
                    "f" => "\"functions\"",
                    "n" => "\"numbers\"",
                    "o" => "\"objects\"",
                    "s" => "\"strings\"",
                    _ => "undefined",
                };
                let mut failure = Failure::new("T0412").with_index(index);
                failure.value2 = Some(kinds.to_owned());
                return Err(failure);
            }
        }
        if found == 'a' { Ok(argument) } else { Val::plain(vec![argument]) }
    }
}

fn symbol(value: &Val<'_>) -> char {
    match value {
        Val::Undefined => 'm',
        Val::Null => 'l',
        Val::Bool(_) => 'b',
        Val::Number(_) | Val::Long(..) => 'n',
        Val::Text(_) => 's',
        Val::Function(_) => 'f',
        other if other.is_array() => 'a',
        _ => 'o',
    }
}
