//! The text of a statement and its tokens: where each begins, what an error at it says, and parameters put in.

use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::dialect::Trino;
use crate::error::{Error, Result};

/// A statement's text, cut into tokens without white space and comments; a final semicolon is gone.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) text: &'a str,
    pub(crate) tokens: Vec<TokenWithSpan>,
    /// Byte offset of each line's start.
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str) -> Result<Self> {
        let mut tokens = Vec::new();
        Tokenizer::new(&Trino, text).tokenize_with_location_into_buf(&mut tokens).map_err(|error| {
            let text = error.message;
            let quote = match text.as_str() {
                "Unterminated string literal" => "mismatched input '''. ",
                other if other.starts_with("Expected close delimiter") => "mismatched input '\"'. ",
                other if other.contains("hex digit") => "mismatched input. ",
                _ => "",
            };
            Error::syntax(error.location.line, error.location.column, format_args!("{quote}{text}"))
        })?;
        tokens.retain(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
        while tokens.last().is_some_and(|token| token.token == Token::SemiColon) {
            tokens.pop();
        }
        trinos(text, &mut tokens)?;
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let source = Self { text, tokens, lines };
        if let Some(inner) = source.tokens.iter().find(|token| token.token == Token::SemiColon) {
            let at = inner.span.start;
            // The statements of a routine end so.
            if super::routines::begin(&source.tokens) {
                return Ok(source);
            }
            return Err(Error::syntax(at.line, at.column, "mismatched input ';'. Only one sql statement is allowed"));
        }
        Ok(source)
    }

    pub(crate) fn tokens_from(&self, start: usize) -> &[TokenWithSpan] {
        self.tokens.get(start..).unwrap_or_default()
    }

    /// The byte where a location is in the text.
    pub(crate) fn offset(&self, at: Location) -> usize {
        let line = usize::try_from(at.line).unwrap_or(1).saturating_sub(1);
        let Some(start) = self.lines.get(line).copied() else { return self.text.len() };
        let column = usize::try_from(at.column).unwrap_or(1).saturating_sub(1);
        self.text[start..].char_indices().nth(column).map_or(self.text.len(), |(at, _)| start + at)
    }

    /// The text from the token on, without a final semicolon.
    pub(crate) fn text_from(&self, token: usize) -> &'a str {
        let (Some(first), Some(last)) = (self.tokens.get(token), self.tokens.last()) else { return "" };
        let (start, end) = (self.offset(first.span.start), self.offset(last.span.end));
        self.text.get(start..end).unwrap_or_default().trim()
    }

    /// The text between two tokens, the second excluded.
    pub(crate) fn text_between(&self, from: usize, to: usize) -> &'a str {
        let Some(first) = self.tokens.get(from) else { return "" };
        let end = match to.checked_sub(1).and_then(|last| self.tokens.get(last)) {
            Some(last) => self.offset(last.span.end),
            None => self.text.len(),
        };
        self.text.get(self.offset(first.span.start)..end).unwrap_or_default().trim()
    }

    pub(crate) fn mismatched(&self, token: &TokenWithSpan) -> Error {
        let at = token.span.start;
        if token.token == Token::EOF {
            let end = self.tokens.last().map_or((1, 1), |last| (last.span.end.line, last.span.end.column));
            return Error::syntax(end.0, end.1, "mismatched input '<EOF>'");
        }
        Error::syntax(at.line, at.column, format_args!("mismatched input '{}'", token.token))
    }

    /// sqlparser says `… at Line: 1, Column: 8`.
    pub(crate) fn parse_error(&self, error: &ParserError) -> Error {
        let text = match error {
            ParserError::ParserError(text) | ParserError::TokenizerError(text) => text.as_str(),
            ParserError::RecursionLimitExceeded => "statement is too large (stack overflow while parsing)",
        };
        let place = text.rsplit_once(" at Line: ").and_then(|(before, place)| {
            let (line, column) = place.split_once(", Column: ")?;
            Some((before, line.parse::<u64>().ok()?, column.parse::<u64>().ok()?))
        });
        if let Some((before, line, column)) = place {
            let found = before.rsplit_once("found: ").map_or(before, |(_, found)| found);
            return Error::syntax(line, column, format_args!("mismatched input '{found}'. {before}"));
        }
        let end = self.tokens.last().map_or((1, 1), |last| (last.span.end.line, last.span.end.column));
        Error::syntax(end.0, end.1, format_args!("mismatched input '<EOF>'. {text}"))
    }
}

/// What sqlparser's tokens are and Trino's are not: `==`, texts side by side; and numbers as Trino writes them, `1_000`, `0xFF`.
fn trinos(text: &str, tokens: &mut Vec<TokenWithSpan>) -> Result<()> {
    let mut at = 0;
    while at < tokens.len() {
        let next = tokens.get(at + 1).map(|next| (next.token.clone(), next.span));
        let limited = at > 0
            && matches!(&tokens[at - 1].token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("LIMIT"));
        let this = &mut tokens[at];
        let start = this.span.start;
        let unread = |place: Location, what: &str| {
            Err(Error::syntax(place.line, place.column, format_args!("mismatched input '{what}'")))
        };
        match (&this.token, next) {
            (Token::DoubleEq, _) => return unread(start, "="),
            // OFFSET stands before LIMIT.
            (Token::Number(..), Some((Token::Word(word), place)))
                if limited && word.quote_style.is_none() && word.value.eq_ignore_ascii_case("OFFSET") =>
            {
                return unread(place.start, "OFFSET");
            }
            (Token::SingleQuotedString(_), Some((Token::SingleQuotedString(second), place))) => {
                return unread(place.start, &format!("'{second}'"));
            }
            (Token::HexStringLiteral(digits), _) if character(text, start) == Some('0') => {
                let digits = digits.replace('_', "");
                match i64::from_str_radix(&digits, 16) {
                    Ok(number) => this.token = Token::Number(number.to_string(), false),
                    Err(_) => return unread(start, &format!("0x{digits}")),
                }
            }
            (Token::Number(number, false), Some((Token::Word(word), place))) if place.start == this.span.end => {
                let Some(number) = continued(number, &word.value) else { return unread(place.start, &word.value) };
                this.token = Token::Number(number, false);
                this.span.end = place.end;
                tokens.remove(at + 1);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// `1` and `_000`, `0` and `b101`, `0` and `o17`.
fn continued(number: &str, rest: &str) -> Option<String> {
    let digits = rest.trim_start_matches(['b', 'B', 'o', 'O', '_']).replace('_', "");
    match (number, rest.chars().next()?.to_ascii_lowercase()) {
        ("0", 'b') => i64::from_str_radix(&digits, 2).ok().map(|n| n.to_string()),
        ("0", 'o') => i64::from_str_radix(&digits, 8).ok().map(|n| n.to_string()),
        (_, '_') if rest[1..].chars().all(|c| c.is_ascii_digit() || c == '_') && !digits.is_empty() => {
            Some(format!("{number}{digits}"))
        }
        _ => None,
    }
}

fn character(text: &str, at: Location) -> Option<char> {
    let (line, column) =
        (usize::try_from(at.line).ok()?.checked_sub(1)?, usize::try_from(at.column).ok()?.checked_sub(1)?);
    text.lines().nth(line)?.chars().nth(column)
}

/// As [`with_parameters`], where no parameters are none and not those of a later statement.
pub(super) fn exactly(sql: &str, parameters: &[String]) -> Result<String> {
    let source = Source::new(sql)?;
    let places =
        source.tokens.iter().filter(|token| matches!(&token.token, Token::Placeholder(mark) if mark == "?")).count();
    if parameters.is_empty() && places > 0 {
        let text = format!("line 1:20: Incorrect number of parameters: expected {places} but found 0");
        return Err(Error::user(1006, "INVALID_PARAMETER_USAGE", text));
    }
    with_parameters(sql, parameters)
}

/// Puts the parameters, which are texts of SQL literals, in the place of `?`, in order.
pub(crate) fn with_parameters(sql: &str, parameters: &[String]) -> Result<String> {
    if parameters.is_empty() {
        return Ok(sql.to_owned());
    }
    let source = Source::new(sql)?;
    let mut out = String::with_capacity(sql.len());
    let mut values = parameters.iter();
    let (mut places, mut done) = (0, 0);
    // All else stays as it is written: what sqlparser prints of a text with apostrophes in it is another text.
    for token in source.tokens.iter().filter(|token| matches!(token.token, Token::Placeholder(_))) {
        places += 1;
        out.push_str(sql.get(done..source.offset(token.span.start)).unwrap_or_default());
        out.push_str(&values.next().map_or_else(|| "?".to_owned(), |value| literal(value)));
        done = source.offset(token.span.end);
    }
    out.push_str(sql.get(done..).unwrap_or_default());
    if places != parameters.len() {
        return Err(Error::user(
            1006,
            "INVALID_PARAMETER_USAGE",
            format_args!("line 1:1: Incorrect number of parameters: expected {places} but found {}", parameters.len()),
        ));
    }
    Ok(out)
}

/// A parameter is the text of a literal; a bare word, which would be a column's name, is meant as a text.
fn literal(value: &str) -> String {
    let text = value.trim();
    let bare = text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    let keyword =
        ["true", "false", "null", "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"]
            .iter()
            .any(|keyword| text.eq_ignore_ascii_case(keyword));
    if bare && !keyword { format!("'{text}'") } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_take_the_places_of_marks() {
        let sql = "SELECT '?', x -- ?\nFROM t WHERE a = ? AND \"b?\" > ?";
        assert_eq!(
            with_parameters("SELECT ?, ?", &["Paris".to_owned(), "TRUE".to_owned()]).unwrap(),
            "SELECT 'Paris', TRUE"
        );
        let done = with_parameters(sql, &["'it''s'".to_owned(), "1".to_owned()]).unwrap();
        assert_eq!(done, "SELECT '?', x -- ?\nFROM t WHERE a = 'it''s' AND \"b?\" > 1");
        let quotes = "SELECT 'it''s', '''''', 'C:\\''', \"a\"\"b\", U&'x\\0041''' /* ? */ WHERE a = ?;";
        assert_eq!(with_parameters(quotes, &["''''".to_owned()]).unwrap(), quotes.replace("= ?", "= ''''"));
        assert!(with_parameters(sql, &["1".to_owned()]).is_err());
    }

    #[test]
    fn offsets_survive_lines_and_wide_characters() {
        let source = Source::new("SELECT 'ü'\n  , x ;").unwrap();
        assert_eq!(source.text_from(2), ", x");
        assert_eq!(source.text_between(1, 2), "'ü'");
    }
}
