//! The words of a query, each with its place in letters.

use super::Malformed;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// A field, command, function or word operator.
    Name(String),
    /// A field between backticks.
    Field(String),
    Number(f64),
    /// A whole number of more digits than a number holds here.
    Digits(String),
    /// A number with a unit of time: milliseconds.
    Span(i64),
    Text(String),
    Pattern(String),
    Sign(&'static str),
    End,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) word: Word,
    pub(super) at: (usize, usize),
}

const SIGNS: [&str; 20] =
    ["!=", "<=", ">=", "=~", "||", "&&", "=", "<", ">", "+", "-", "*", "/", "^", "%", "(", ")", "[", "]", ","];

/// Units of time, the longest names first, in milliseconds. Source: "Operators and functions", "Time units".
const UNITS: [(&str, i64); 24] = [
    ("milliseconds", 1),
    ("millisecond", 1),
    ("msec", 1),
    ("ms", 1),
    ("seconds", 1000),
    ("second", 1000),
    ("sec", 1000),
    ("s", 1000),
    ("minutes", 60_000),
    ("minute", 60_000),
    ("mins", 60_000),
    ("min", 60_000),
    ("m", 60_000),
    ("hours", 3_600_000),
    ("hour", 3_600_000),
    ("hr", 3_600_000),
    ("h", 3_600_000),
    ("days", 86_400_000),
    ("day", 86_400_000),
    ("d", 86_400_000),
    ("weeks", 604_800_000),
    ("week", 604_800_000),
    ("wk", 604_800_000),
    ("w", 604_800_000),
];

/// The words of a text. `|` is a sign of its own; a `/` begins a pattern where no value can end before it.
pub(super) fn words(text: &str) -> Result<Vec<Token>, Malformed> {
    let letters: Vec<char> = text.chars().collect();
    let mut out: Vec<Token> = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let letter = letters[at];
        let begin = at;
        if letter.is_whitespace() {
            at += 1;
            continue;
        }
        if letter == '#' {
            while at < letters.len() && letters[at] != '\n' {
                at += 1;
            }
            continue;
        }
        let word = match letter {
            '"' | '\'' | '`' => {
                let (inner, next) = quoted(&letters, at, letter)?;
                at = next;
                if letter == '`' { Word::Field(inner) } else { Word::Text(inner) }
            }
            '/' if begins_pattern(&out) => {
                let (inner, next) = quoted(&letters, at, '/')?;
                at = next;
                Word::Pattern(inner)
            }
            _ if letter.is_ascii_digit() => {
                let (word, next) = number(&letters, at)?;
                at = next;
                word
            }
            _ if is_of_name(letter) => {
                while at < letters.len() && is_of_name(letters[at]) {
                    at += 1;
                }
                Word::Name(letters[begin..at].iter().collect())
            }
            _ => {
                let rest: String = letters[at..].iter().take(2).collect();
                let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) else {
                    if letter != '|' {
                        return Err(Malformed::new(format!("unexpected symbol found {letter}"), (at, at + 1)));
                    }
                    out.push(Token { word: Word::Sign("|"), at: (at, at + 1) });
                    at += 1;
                    continue;
                };
                at += sign.len();
                Word::Sign(sign)
            }
        };
        out.push(Token { word, at: (begin, at) });
    }
    out.push(Token { word: Word::End, at: (letters.len(), letters.len()) });
    Ok(out)
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '@' | '.' | '$')
}

/// A `/` after a value divides; after `parse` and the field that it names, a pattern begins.
fn begins_pattern(before: &[Token]) -> bool {
    let is_parse = |token: Option<&Token>| matches!(token.map(|token| &token.word), Some(Word::Name(name)) if name.eq_ignore_ascii_case("parse"));
    let parsed = before.len().checked_sub(2).is_some_and(|at| is_parse(before.get(at)));
    match before.last().map(|token| &token.word) {
        Some(Word::Name(name)) => parsed || matches!(name.to_ascii_lowercase().as_str(), "like" | "parse" | "in"),
        Some(Word::Field(_)) => parsed,
        Some(Word::Number(_) | Word::Digits(_) | Word::Text(_) | Word::Span(_) | Word::Pattern(_)) => false,
        Some(Word::Sign(sign)) => !matches!(*sign, ")" | "]"),
        Some(Word::End) | None => true,
    }
}

/// What is between two equal signs; a backslash before the sign takes its meaning, other backslashes stay in patterns.
fn quoted(letters: &[char], begin: usize, sign: char) -> Result<(String, usize), Malformed> {
    let mut out = String::new();
    let mut at = begin + 1;
    while at < letters.len() {
        match letters[at] {
            '\\' if letters.get(at + 1) == Some(&sign) => {
                out.push(sign);
                at += 1;
            }
            '\\' if sign != '/' && letters.get(at + 1) == Some(&'\\') => {
                out.push('\\');
                at += 1;
            }
            '\\' if sign == '/' && at + 1 < letters.len() => {
                out.push('\\');
                at += 1;
                out.push(letters[at]);
            }
            letter if letter == sign => return Ok((out, at + 1)),
            letter => out.push(letter),
        }
        at += 1;
    }
    Err(Malformed::new(format!("a {sign} is not closed"), (begin, letters.len())))
}

fn number(letters: &[char], begin: usize) -> Result<(Word, usize), Malformed> {
    let mut at = begin;
    while at < letters.len() && (letters[at].is_ascii_digit() || letters[at] == '.') {
        at += 1;
    }
    let digits: String = letters[begin..at].iter().collect();
    let mut end = at;
    while end < letters.len() && is_of_name(letters[end]) {
        end += 1;
    }
    let unit: String = letters[at..end].iter().collect();
    let wrong = || Malformed::new(format!("{digits}{unit} is not a number"), (begin, end));
    if let Some(power) = unit.strip_prefix(['e', 'E']).filter(|power| !power.is_empty()) {
        let text = format!("{digits}e{power}");
        return text.parse().map(|n| (Word::Number(n), end)).map_err(|_| wrong());
    }
    // Source of the bound: fifteen digits are exact in a double.
    if unit.is_empty() && digits.len() > 15 && digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Ok((Word::Digits(digits), end));
    }
    if unit.is_empty() {
        return digits.parse().map(|n| (Word::Number(n), end)).map_err(|_| wrong());
    }
    let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit.to_ascii_lowercase()).ok_or_else(wrong)?;
    let count: i64 = digits.parse().map_err(|_| wrong())?;
    Ok((Word::Span(count.checked_mul(*ms).ok_or_else(wrong)?), end))
}
