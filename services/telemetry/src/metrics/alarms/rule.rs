//! Rules of composite alarms: `ALARM("a") AND NOT (OK(b) OR INSUFFICIENT_DATA(arn))`. Source: API Reference, PutCompositeAlarm.

use api_cloudwatch::error::invalid_parameter_value_exception;
use wire::Error;

const MAX_DEPTH: usize = 50;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::metrics) enum Rule {
    Constant(bool),
    /// The alarm with this name or ARN is in this state.
    Is(String, &'static str),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

impl Rule {
    /// # Errors
    /// `InvalidParameterValue` with what is wrong.
    pub(in crate::metrics) fn parse(text: &str) -> Result<Self, Error> {
        let mut parser = Parser { rest: text };
        let rule = parser.or(0)?;
        if parser.rest.trim().is_empty() { Ok(rule) } else { Err(invalid(parser.rest)) }
    }

    pub(in crate::metrics) fn holds(&self, state: &dyn Fn(&str) -> String) -> bool {
        match self {
            Self::Constant(value) => *value,
            Self::Is(alarm, wanted) => state(alarm) == *wanted,
            Self::Not(inner) => !inner.holds(state),
            Self::And(parts) => parts.iter().all(|part| part.holds(state)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(state)),
        }
    }

    /// The alarms that it names, without the beginnings of their ARNs.
    pub(in crate::metrics) fn alarms(&self) -> Vec<String> {
        match self {
            Self::Constant(_) => Vec::new(),
            Self::Is(alarm, _) => vec![alarm.clone()],
            Self::Not(inner) => inner.alarms(),
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::alarms).collect(),
        }
    }
}

fn invalid(rest: &str) -> Error {
    let shown: String = rest.trim().chars().take(40).collect();
    invalid_parameter_value_exception(format!("Error in AlarmRule expression: Unsupported expression at '{shown}'"))
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn or(&mut self, depth: usize) -> Result<Rule, Error> {
        let mut parts = vec![self.and(depth)?];
        while self.word("OR") {
            parts.push(self.and(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Rule::Or(parts) })
    }

    fn and(&mut self, depth: usize) -> Result<Rule, Error> {
        let mut parts = vec![self.one(depth)?];
        while self.word("AND") {
            parts.push(self.one(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Rule::And(parts) })
    }

    fn one(&mut self, depth: usize) -> Result<Rule, Error> {
        if depth > MAX_DEPTH {
            return Err(invalid(self.rest));
        }
        if self.word("NOT") {
            return Ok(Rule::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.mark('(') {
            let inner = self.or(depth + 1)?;
            return if self.mark(')') { Ok(inner) } else { Err(invalid(self.rest)) };
        }
        if self.word("TRUE") {
            return Ok(Rule::Constant(true));
        }
        if self.word("FALSE") {
            return Ok(Rule::Constant(false));
        }
        for state in ["INSUFFICIENT_DATA", "ALARM", "OK"] {
            if self.word(state) {
                let alarm = self.argument()?;
                let name = alarm.split_once(":alarm:").map_or(alarm.as_str(), |(_, name)| name).to_owned();
                return Ok(Rule::Is(name, state));
            }
        }
        Err(invalid(self.rest))
    }

    fn argument(&mut self) -> Result<String, Error> {
        if !self.mark('(') {
            return Err(invalid(self.rest));
        }
        let rest = self.rest.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (name, after) = match quote {
            Some(quote) => rest[1..].split_once(quote),
            None => rest.find(')').map(|end| rest.split_at(end)),
        }
        .ok_or_else(|| invalid(rest))?;
        let name = name.trim().to_owned();
        self.rest = after;
        if name.is_empty() || !self.mark(')') { Err(invalid(rest)) } else { Ok(name) }
    }

    fn mark(&mut self, mark: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(mark);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start();
        let fits = rest.get(..word.len()).is_some_and(|front| front.eq_ignore_ascii_case(word));
        let ends =
            rest.get(word.len()..).is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'));
        if fits && ends {
            self.rest = &rest[word.len()..];
        }
        fits && ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let state = |name: &str| if name == "a" { "ALARM".to_owned() } else { "OK".to_owned() };
        let cases = [
            ("ALARM(a)", true),
            ("ALARM(\"a\") AND OK('b')", true),
            ("NOT ALARM(a) OR FALSE", false),
            ("(ALARM(a) AND NOT OK(b)) OR TRUE", true),
            ("ALARM(arn:aws:cloudwatch:eu-west-1:0:alarm:a)", true),
            ("INSUFFICIENT_DATA(a)", false),
        ];
        for (text, expected) in cases {
            assert_eq!(Rule::parse(text).unwrap().holds(&state), expected, "{text}");
        }
        assert_eq!(Rule::parse("ALARM(a) OR NOT OK(\"b c\")").unwrap().alarms(), ["a", "b c"]);
        for bad in ["", "ALARM", "ALARM()", "ALARM(a", "ALARM(a) OK(b)", "AT_LEAST(1, ALARM, (a, b))", "ALARM(a) AND"] {
            assert!(Rule::parse(bad).is_err(), "{bad}");
        }
    }
}
