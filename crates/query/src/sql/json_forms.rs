//! The grammar of the JSON functions of SQL:2016, which sqlparser has not: `JSON_VALUE(x, 'lax $.a' RETURNING bigint)`
//! becomes a call of `$json_value` with what its words say as one text. Nothing else reads those words, so what is not
//! understood stays as it is and is the parser's mistake to tell.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::grammar::{bare, closing, readable};

const FUNCTIONS: &[&str] = &["json_exists", "json_value", "json_query", "json_object", "json_array"];

/// The call that begins at `at` in words that sqlparser reads, and where it ends.
pub(super) fn call(tokens: &[TokenWithSpan], at: usize) -> Option<(usize, Vec<Token>)> {
    let word = bare(tokens, at)?;
    if word.eq_ignore_ascii_case("json_table") {
        let close = closing(tokens, at + 1).filter(|_| tokens[at + 1].token == Token::LParen)?;
        return Some((close + 1, table(&tokens[at + 2..close])?));
    }
    let name = FUNCTIONS.iter().find(|name| word.eq_ignore_ascii_case(name))?;
    let close = closing(tokens, at + 1).filter(|_| tokens[at + 1].token == Token::LParen)?;
    let inside = &tokens[at + 2..close];
    let arguments = match *name {
        "json_object" => object(inside)?,
        "json_array" => array(inside)?,
        _ => over_path(name, inside)?,
    };
    Some((close + 1, invoked(name, arguments)))
}

fn invoked(name: &str, arguments: Vec<Argument>) -> Vec<Token> {
    let mut out = vec![Token::make_word(&format!("${name}"), Some('"')), Token::LParen];
    for (i, argument) in arguments.into_iter().enumerate() {
        if i > 0 {
            out.push(Token::Comma);
        }
        out.extend(argument);
    }
    out.push(Token::RParen);
    out
}

type Argument = Vec<Token>;

fn raw(text: impl Into<String>) -> Argument {
    vec![Token::EscapedStringLiteral(text.into())]
}

fn null() -> Argument {
    vec![Token::make_keyword("NULL")]
}

fn expression(tokens: &[TokenWithSpan]) -> Option<Argument> {
    (!tokens.is_empty()).then(|| readable(tokens.to_vec()).into_iter().map(|token| token.token).collect())
}

/// Positions of what is not in parentheses.
fn top(tokens: &[TokenWithSpan]) -> Vec<usize> {
    let mut depth = 0i32;
    let mut all = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth -= 1,
            _ if depth == 0 => all.push(at),
            _ => {}
        }
    }
    all
}

fn is(tokens: &[TokenWithSpan], at: usize, words: &[&str]) -> bool {
    words
        .iter()
        .enumerate()
        .all(|(i, wanted)| bare(tokens, at + i).is_some_and(|word| word.eq_ignore_ascii_case(wanted)))
}

/// The parts between commas.
fn parts(tokens: &[TokenWithSpan]) -> Vec<&[TokenWithSpan]> {
    let (mut all, mut start) = (Vec::new(), 0);
    for at in top(tokens) {
        if tokens[at].token == Token::Comma {
            all.push(&tokens[start..at]);
            start = at + 1;
        }
    }
    if start < tokens.len() || start > 0 {
        all.push(&tokens[start..]);
    }
    all
}

/// Cuts `words` off the end.
fn cut(tokens: &mut &[TokenWithSpan], words: &[&str]) -> bool {
    let Some(at) = tokens.len().checked_sub(words.len()).filter(|at| is(tokens, *at, words)) else { return false };
    *tokens = &tokens[..at];
    true
}

/// Cuts `RETURNING type [FORMAT JSON]` off the end.
fn cut_returning(tokens: &mut &[TokenWithSpan], spec: &mut Vec<String>) {
    let Some(at) = top(tokens).into_iter().find(|at| is(tokens, *at, &["RETURNING"])) else { return };
    let mut ty = &tokens[at + 1..];
    cut(&mut ty, &["FORMAT", "JSON"]);
    spec.push(format!("returning={}", super::grammar::text_of(ty)));
    *tokens = &tokens[..at];
}

/// Cuts `FORMAT JSON [ENCODING UTF8]` off the end.
fn cut_format(tokens: &mut &[TokenWithSpan]) -> bool {
    cut(tokens, &["FORMAT", "JSON"]) || cut(tokens, &["FORMAT", "JSON", "ENCODING", "UTF8"])
}

/// An expression and how it is read: JSON where it says so or is one of these functions' results.
fn formatted(mut tokens: &[TokenWithSpan]) -> Option<(Argument, Argument)> {
    let json = cut_format(&mut tokens)
        || ["json_object", "json_array", "json_query"].iter().any(|name| is(tokens, 0, &[name]))
            && closing(tokens, 1).is_some_and(|close| close + 1 == tokens.len());
    Some((expression(tokens)?, raw(if json { "json" } else { "" })))
}

fn object(mut tokens: &[TokenWithSpan]) -> Option<Vec<Argument>> {
    let mut spec = Vec::new();
    cut_returning(&mut tokens, &mut spec);
    if cut(&mut tokens, &["WITH", "UNIQUE", "KEYS"]) || cut(&mut tokens, &["WITH", "UNIQUE"]) {
        spec.push("unique=yes".to_owned());
    } else if !cut(&mut tokens, &["WITHOUT", "UNIQUE", "KEYS"]) {
        cut(&mut tokens, &["WITHOUT", "UNIQUE"]);
    }
    if cut(&mut tokens, &["ABSENT", "ON", "NULL"]) {
        spec.push("null=absent".to_owned());
    } else {
        cut(&mut tokens, &["NULL", "ON", "NULL"]);
    }
    let mut arguments = vec![raw(spec.join(";"))];
    for part in parts(tokens) {
        let at = top(part).into_iter().find(|at| part[*at].token == Token::Colon || is(part, *at, &["VALUE"]))?;
        let key = &part[..at];
        let key = if is(key, 0, &["KEY"]) && key.len() > 1 { &key[1..] } else { key };
        let (value, format) = formatted(&part[at + 1..])?;
        arguments.extend([expression(key)?, value, format]);
    }
    Some(arguments)
}

fn array(mut tokens: &[TokenWithSpan]) -> Option<Vec<Argument>> {
    let mut spec = Vec::new();
    cut_returning(&mut tokens, &mut spec);
    if cut(&mut tokens, &["NULL", "ON", "NULL"]) {
        spec.push("null=null".to_owned());
    } else {
        cut(&mut tokens, &["ABSENT", "ON", "NULL"]);
    }
    let mut arguments = vec![raw(spec.join(";"))];
    for part in parts(tokens) {
        let (value, format) = formatted(part)?;
        arguments.extend([value, format]);
    }
    Some(arguments)
}

/// Cuts `… ON EMPTY` or `… ON ERROR` off the end; the argument is DEFAULT's.
fn cut_on(tokens: &mut &[TokenWithSpan], key: &str, spec: &mut Vec<String>) -> Option<Argument> {
    let mut rest = *tokens;
    if !cut(&mut rest, &["ON", key]) {
        return Some(null());
    }
    let key = key.to_lowercase();
    for (words, said) in [
        (&["EMPTY", "ARRAY"][..], "array"),
        (&["EMPTY", "OBJECT"], "object"),
        (&["NULL"], "null"),
        (&["ERROR"], "error"),
        (&["TRUE"], "true"),
        (&["FALSE"], "false"),
        (&["UNKNOWN"], "unknown"),
    ] {
        let before = rest;
        // `DEFAULT NULL ON EMPTY` is a default.
        if cut(&mut rest, words) && !rest.last().is_some_and(|_| is(rest, rest.len() - 1, &["DEFAULT"])) {
            spec.push(format!("{key}={said}"));
            *tokens = rest;
            return Some(null());
        }
        rest = before;
    }
    let at = top(rest).into_iter().rev().find(|at| is(rest, *at, &["DEFAULT"]))?;
    let default = expression(&rest[at + 1..])?;
    spec.push(format!("{key}=default"));
    *tokens = &rest[..at];
    Some(default)
}

fn over_path(name: &str, mut tokens: &[TokenWithSpan]) -> Option<Vec<Argument>> {
    let mut spec = Vec::new();
    let error = cut_on(&mut tokens, "ERROR", &mut spec)?;
    let empty = cut_on(&mut tokens, "EMPTY", &mut spec)?;
    if name == "json_query" {
        cut(&mut tokens, &["ON", "SCALAR", "STRING"]);
        if cut(&mut tokens, &["OMIT", "QUOTES"]) {
            spec.push("quotes=omit".to_owned());
        } else if cut(&mut tokens, &["KEEP", "QUOTES"]) {
            spec.push("quotes=keep".to_owned());
        }
        if cut(&mut tokens, &["WRAPPER"]) {
            cut(&mut tokens, &["ARRAY"]);
            let kind = if cut(&mut tokens, &["CONDITIONAL"]) {
                "conditional"
            } else {
                cut(&mut tokens, &["UNCONDITIONAL"]);
                "unconditional"
            };
            let kind = if cut(&mut tokens, &["WITHOUT"]) { "without" } else { kind };
            if kind != "without" && !cut(&mut tokens, &["WITH"]) {
                return None;
            }
            spec.push(format!("wrapper={kind}"));
        }
    }
    if name != "json_exists" {
        cut_returning(&mut tokens, &mut spec);
    }
    let mut passing: &[TokenWithSpan] = &[];
    if let Some(at) = top(tokens).into_iter().find(|at| is(tokens, *at, &["PASSING"])) {
        passing = &tokens[at + 1..];
        tokens = &tokens[..at];
    }
    let [input, path] = parts(tokens)[..] else { return None };
    let mut input = input;
    cut_format(&mut input);
    let [TokenWithSpan { token: Token::SingleQuotedString(path), .. }] = path else { return None };
    let mut arguments = vec![expression(input)?, raw(path), raw(spec.join(";")), empty, error];
    for part in parts(passing) {
        let at = part.len().checked_sub(2).filter(|at| is(part, *at, &["AS"]))?;
        let Token::Word(word) = &part[at + 1].token else { return None };
        let name = if word.quote_style.is_some() { word.value.clone() } else { word.value.to_uppercase() };
        let (value, format) = formatted(&part[..at])?;
        arguments.extend([raw(name), value, format]);
    }
    Some(arguments)
}

/// `JSON_TABLE(x, 'lax $[*]' COLUMNS (…))` → `LATERAL (SELECT … FROM UNNEST("$json_items"(x, …)) WITH ORDINALITY AS …)`.
/// Of nested paths that stand side by side there may be one.
fn table(tokens: &[TokenWithSpan]) -> Option<Vec<Token>> {
    let at = top(tokens).into_iter().find(|at| is(tokens, *at, &["COLUMNS"]))?;
    let close = closing(tokens, at + 1)?;
    let mut spec = Vec::new();
    match &tokens[close + 1..] {
        [] => {}
        rest if is(rest, 0, &["EMPTY", "ON", "ERROR"]) && rest.len() == 3 => {}
        rest if is(rest, 0, &["ERROR", "ON", "ERROR"]) && rest.len() == 3 => spec.push("error=error"),
        _ => return None,
    }
    let mut arguments = over_path("json_items", &tokens[..at])?;
    arguments[2] = raw(spec.join(";"));
    let mut shown = Shown { columns: Vec::new(), from: unnested(arguments, 0) };
    shown.add(&tokens[at + 2..close], 0)?;
    let mut out = vec![Token::make_keyword("LATERAL"), Token::LParen, Token::make_keyword("SELECT")];
    for (i, column) in shown.columns.into_iter().enumerate() {
        if i > 0 {
            out.push(Token::Comma);
        }
        out.extend(column);
    }
    out.push(Token::make_keyword("FROM"));
    out.extend(shown.from);
    out.push(Token::RParen);
    Some(out)
}

/// `UNNEST("$json_items"(…)) WITH ORDINALITY AS json_table_0 (item_0, number_0)`
fn unnested(arguments: Vec<Argument>, level: usize) -> Vec<Token> {
    let mut out = vec![Token::make_keyword("UNNEST"), Token::LParen];
    out.extend(invoked("json_items", arguments));
    out.extend([Token::RParen, Token::make_keyword("WITH"), Token::make_keyword("ORDINALITY")]);
    out.extend([Token::make_keyword("AS"), own("json_table", level), Token::LParen, own("item", level)]);
    out.extend([Token::Comma, own("number", level), Token::RParen]);
    out
}

fn own(name: &str, level: usize) -> Token {
    Token::make_word(&format!("{name}_{level}"), Some('"'))
}

/// What a JSON_TABLE's columns come to.
struct Shown {
    columns: Vec<Vec<Token>>,
    from: Vec<Token>,
}

impl Shown {
    fn add(&mut self, tokens: &[TokenWithSpan], level: usize) -> Option<()> {
        let mut nested = false;
        for column in parts(tokens) {
            if is(column, 0, &["NESTED"]) {
                let path = if is(column, 1, &["PATH"]) { 2 } else { 1 };
                let Token::SingleQuotedString(text) = &column.get(path)?.token else { return None };
                let close = closing(column, path + 2).filter(|close| close + 1 == column.len())?;
                if nested || !is(column, path + 1, &["COLUMNS"]) {
                    return None;
                }
                nested = true;
                let arguments = vec![vec![own("item", level)], raw(text), raw(""), null(), null()];
                self.from.extend([Token::make_keyword("LEFT"), Token::make_keyword("JOIN")]);
                self.from.extend(unnested(arguments, level + 1));
                self.from.extend([Token::make_keyword("ON"), Token::make_keyword("TRUE")]);
                self.add(&column[path + 3..close], level + 1)?;
                continue;
            }
            let Token::Word(name) = &column.first()?.token else { return None };
            let mut shown = if is(column, 1, &["FOR", "ORDINALITY"]) && column.len() == 3 {
                vec![own("number", level)]
            } else {
                // The path of a column without one is its name as SQL:2016 has it: in capital letters unless it is quoted.
                let key = if name.quote_style.is_some() { name.value.clone() } else { name.value.to_uppercase() };
                value(&key, &column[1..], level, column[0].span)?
            };
            shown.extend([Token::make_keyword("AS"), column[0].token.clone()]);
            self.columns.push(shown);
        }
        Some(())
    }
}

/// `type [FORMAT JSON] [PATH 'path'] …` of an item, as JSON_VALUE or JSON_QUERY would say it.
fn value(
    name: &str,
    column: &[TokenWithSpan],
    level: usize,
    span: datafusion::sql::sqlparser::tokenizer::Span,
) -> Option<Vec<Token>> {
    const TAIL: &[&str] = &["WITH", "WITHOUT", "DEFAULT", "NULL", "ERROR", "EMPTY", "KEEP", "OMIT"];
    let with = |token: Token| TokenWithSpan { token, span };
    let path_at = top(column).into_iter().find(|at| is(column, *at, &["PATH"]));
    let tail_at = match path_at {
        Some(at) => at + 2,
        None => {
            top(column).into_iter().find(|at| TAIL.iter().any(|word| is(column, *at, &[word]))).unwrap_or(column.len())
        }
    };
    let mut ty = &column[..path_at.unwrap_or(tail_at)];
    let kind = if cut(&mut ty, &["FORMAT", "JSON"]) { "json_query" } else { "json_value" };
    let path = match path_at {
        Some(at) => column.get(at + 1)?.clone(),
        None => with(Token::SingleQuotedString(format!("lax $.\"{name}\""))),
    };
    let mut call = vec![with(own("item", level)), with(Token::Comma), path, with(Token::make_keyword("RETURNING"))];
    call.extend_from_slice(ty);
    call.extend_from_slice(column.get(tail_at..)?);
    Some(invoked(kind, over_path(kind, &call)?))
}
