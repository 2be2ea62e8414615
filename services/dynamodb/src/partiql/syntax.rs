//! Text to a syntax tree. Tokens and expressions are sqlparser's; the four statements, which are not SQL's, are put together here
//! out of its pieces.

use sqlparser::ast::{Array, Expr, Ident, ObjectNamePart};
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::Returning;
use crate::Invalid;

/// Deepest nesting of an expression.
const MAX_DEPTH: usize = 50;

/// A statement as written. Names may be quoted; values are expressions.
#[derive(Debug)]
pub(super) enum Written {
    Select(Selection),
    Insert { table: Vec<String>, item: Expr },
    Update { table: Vec<String>, changes: Vec<Change>, filter: Option<Expr>, returning: Option<Returning> },
    Delete { table: Vec<String>, filter: Option<Expr>, returning: Option<Returning> },
    Exists(Selection),
}

#[derive(Debug)]
pub(super) struct Selection {
    /// None: `*`
    pub(super) projection: Option<Vec<Expr>>,
    pub(super) table: Vec<String>,
    pub(super) filter: Option<Expr>,
    pub(super) order: Vec<(Expr, bool)>,
}

#[derive(Debug)]
pub(super) enum Change {
    /// `path = value`, one expression.
    Set(Expr),
    Remove(Expr),
}

/// What differs from SQL: maps in braces, sets in `<<…>>`, lists after IN, and IS MISSING.
#[derive(Debug)]
struct PartiQl;

impl Dialect for PartiQl {
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_ascii_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_ascii_alphanumeric() || ch == '_' || ch == '$'
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '"'
    }

    fn supports_dictionary_syntax(&self) -> bool {
        true
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        match parser.peek_token().token {
            Token::ShiftLeft => Some(set(parser)),
            // A list is written in brackets alone; ARRAY is how a set is told from it here.
            Token::Word(word) if word.keyword == Keyword::ARRAY && word.quote_style.is_none() => {
                Some(Err(ParserError::ParserError("Unexpected token: ARRAY".to_owned())))
            }
            _ => None,
        }
    }

    fn parse_infix(&self, parser: &mut Parser<'_>, expr: &Expr, _precedence: u8) -> Option<Result<Expr, ParserError>> {
        if parser.peek_keyword(Keyword::IS) {
            return Some(is(parser, expr));
        }
        let negated = parser.parse_keyword(Keyword::NOT);
        if parser.peek_keyword(Keyword::IN) && parser.peek_nth_token(1).token == Token::LBracket {
            parser.next_token();
            parser.next_token();
            return Some(parser.parse_array_expr(false).map(|list| Expr::InList {
                expr: Box::new(expr.clone()),
                list: match list {
                    Expr::Array(array) => array.elem,
                    other => vec![other],
                },
                negated,
            }));
        }
        if negated {
            parser.prev_token();
        }
        None
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        // The end of a set, not an operator.
        matches!(parser.peek_token().token, Token::ShiftRight).then_some(Ok(0))
    }
}

fn set(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::ShiftLeft)?;
    let elem = parser.parse_comma_separated0(Parser::parse_expr, Token::ShiftRight)?;
    parser.expect_token(&Token::ShiftRight)?;
    Ok(Expr::Array(Array { elem, named: true }))
}

fn is(parser: &mut Parser<'_>, expr: &Expr) -> Result<Expr, ParserError> {
    parser.next_token();
    let negated = parser.parse_keyword(Keyword::NOT);
    let expr = Box::new(expr.clone());
    if parser.parse_keyword(Keyword::NULL) {
        return Ok(if negated { Expr::IsNotNull(expr) } else { Expr::IsNull(expr) });
    }
    if take_word(parser, "MISSING") {
        return Ok(if negated { Expr::IsNotUnknown(expr) } else { Expr::IsUnknown(expr) });
    }
    parser.expected("NULL or MISSING", parser.peek_token())
}

/// Takes the unquoted word, in any case, if it is next.
fn take_word(parser: &mut Parser<'_>, wanted: &str) -> bool {
    let found = matches!(&parser.peek_token().token,
        Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted));
    if found {
        parser.next_token();
    }
    found
}

pub(super) fn parse(source: &str) -> Result<Written, Invalid> {
    read(source).map_err(|error| {
        let text = match error {
            ParserError::ParserError(text) | ParserError::TokenizerError(text) => text,
            ParserError::RecursionLimitExceeded => "the statement nests too deep".to_owned(),
        };
        Invalid::new(format!("Statement wasn't well formed, can't be processed: {text}"))
    })
}

fn read(source: &str) -> Result<Written, ParserError> {
    let mut tokens = Tokenizer::new(&PartiQl, source).tokenize_with_location()?;
    number_placeholders(&mut tokens);
    let mut parser = Parser::new(&PartiQl).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let written = statement(&mut parser)?;
    let _ = parser.consume_token(&Token::SemiColon);
    match parser.peek_token().token {
        Token::EOF => Ok(written),
        _ => parser.expected("the end of the statement", parser.peek_token()),
    }
}

/// Each `?` gets its place among them: parameters count in the order of the text.
fn number_placeholders(tokens: &mut [TokenWithSpan]) {
    let marks = tokens.iter_mut().filter(|token| matches!(&token.token, Token::Placeholder(mark) if mark == "?"));
    for (at, token) in marks.enumerate() {
        token.token = Token::Placeholder(format!("?{at}"));
    }
}

fn statement(parser: &mut Parser<'_>) -> Result<Written, ParserError> {
    if parser.parse_keyword(Keyword::SELECT) {
        return Ok(Written::Select(selection(parser)?));
    }
    if parser.parse_keyword(Keyword::EXISTS) {
        parser.expect_token(&Token::LParen)?;
        parser.expect_keyword(Keyword::SELECT)?;
        let inner = selection(parser)?;
        parser.expect_token(&Token::RParen)?;
        return Ok(Written::Exists(inner));
    }
    if parser.parse_keyword(Keyword::INSERT) {
        parser.expect_keyword(Keyword::INTO)?;
        let table = name(parser)?;
        if !take_word(parser, "VALUE") {
            return parser.expected("VALUE", parser.peek_token());
        }
        return Ok(Written::Insert { table, item: parser.parse_expr()? });
    }
    if parser.parse_keyword(Keyword::UPDATE) {
        let table = name(parser)?;
        let changes = changes(parser)?;
        let filter = filter(parser)?;
        return Ok(Written::Update { table, changes, filter, returning: returning(parser)? });
    }
    if parser.parse_keyword(Keyword::DELETE) {
        parser.expect_keyword(Keyword::FROM)?;
        let table = name(parser)?;
        let filter = filter(parser)?;
        return Ok(Written::Delete { table, filter, returning: returning(parser)? });
    }
    parser.expected("SELECT, INSERT, UPDATE or DELETE", parser.peek_token())
}

fn selection(parser: &mut Parser<'_>) -> Result<Selection, ParserError> {
    let projection =
        if parser.consume_token(&Token::Mul) { None } else { Some(parser.parse_comma_separated(Parser::parse_expr)?) };
    parser.expect_keyword(Keyword::FROM)?;
    let table = name(parser)?;
    let filter = filter(parser)?;
    let mut order = Vec::new();
    if parser.parse_keywords(&[Keyword::ORDER, Keyword::BY]) {
        order = parser.parse_comma_separated(|parser| {
            let expr = parser.parse_expr()?;
            let descends = parser.parse_keyword(Keyword::DESC);
            if !descends {
                let _ = parser.parse_keyword(Keyword::ASC);
            }
            Ok((expr, descends))
        })?;
    }
    Ok(Selection { projection, table, filter, order })
}

fn changes(parser: &mut Parser<'_>) -> Result<Vec<Change>, ParserError> {
    let mut changes = Vec::new();
    loop {
        if parser.parse_keyword(Keyword::SET) {
            changes.extend(parser.parse_comma_separated(Parser::parse_expr)?.into_iter().map(Change::Set));
        } else if parser.parse_keyword(Keyword::REMOVE) {
            changes.extend(parser.parse_comma_separated(Parser::parse_expr)?.into_iter().map(Change::Remove));
        } else if changes.is_empty() {
            return parser.expected("SET or REMOVE", parser.peek_token());
        } else {
            return Ok(changes);
        }
    }
}

fn filter(parser: &mut Parser<'_>) -> Result<Option<Expr>, ParserError> {
    if parser.parse_keyword(Keyword::WHERE) { parser.parse_expr().map(Some) } else { Ok(None) }
}

fn returning(parser: &mut Parser<'_>) -> Result<Option<Returning>, ParserError> {
    if !parser.parse_keyword(Keyword::RETURNING) {
        return Ok(None);
    }
    let modified = take_word(parser, "MODIFIED");
    if !modified && !take_word(parser, "ALL") {
        return parser.expected("ALL or MODIFIED", parser.peek_token());
    }
    let old = take_word(parser, "OLD");
    if !old && !take_word(parser, "NEW") {
        return parser.expected("OLD or NEW", parser.peek_token());
    }
    parser.expect_token(&Token::Mul)?;
    Ok(Some(match (modified, old) {
        (false, true) => Returning::AllOld,
        (false, false) => Returning::AllNew,
        (true, true) => Returning::ModifiedOld,
        (true, false) => Returning::ModifiedNew,
    }))
}

/// `table` or `table.index`, each quoted or not.
fn name(parser: &mut Parser<'_>) -> Result<Vec<String>, ParserError> {
    let name = parser.parse_object_name(false)?;
    let part = |part: ObjectNamePart| match part {
        ObjectNamePart::Identifier(Ident { value, .. }) => Ok(value),
        other @ ObjectNamePart::Function(_) => Err(ParserError::ParserError(format!("Unexpected name: {other}"))),
    };
    let parts = name.0.into_iter().map(part).collect::<Result<Vec<_>, _>>()?;
    if parts.len() > 2 {
        return Err(ParserError::ParserError(format!("Unexpected name: {}", parts.join("."))));
    }
    Ok(parts)
}
