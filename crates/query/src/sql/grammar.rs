//! What Trino's grammar has and sqlparser's has not, put into words that sqlparser reads, token by token: structured
//! types in casts, rows of VALUES without parentheses, `FOR TIMESTAMP AS OF`. What it cannot express otherwise travels
//! as a type or a name that [`super::rewrite`] knows.

use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

/// The type that stands for one which sqlparser cannot read: its only modifier is the type's text.
pub(super) const TYPE: &str = "trino_type";

/// Begins a text that is no time but the name of a version.
pub(super) const REFERENCE: char = '\u{1}';

/// Types that sqlparser would misread or not read at all.
const UNREADABLE: &[&str] = &[
    "ARRAY",
    "MAP",
    "ROW",
    "INTERVAL",
    "UNKNOWN",
    "IPADDRESS",
    "IPPREFIX",
    "HYPERLOGLOG",
    "P4HYPERLOGLOG",
    "QDIGEST",
    "TDIGEST",
    "SETDIGEST",
    "COLOR",
    "GEOMETRY",
    "SPHERICALGEOGRAPHY",
    "JSON2016",
];

/// Words that end a list of VALUES.
const AFTER_VALUES: &[&str] = &["ORDER", "LIMIT", "OFFSET", "FETCH", "UNION", "EXCEPT", "INTERSECT"];

/// The tokens in words that sqlparser reads.
pub(super) fn readable(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut changes: Vec<Change> = Vec::new();
    for at in 0..tokens.len() {
        if let Some((to, with)) = super::json_forms::call(&tokens, at) {
            changes.push(Change { from: at, to, with });
        }
        if let Some((from, to, with)) = super::row_pattern::clause(&tokens, at) {
            changes.push(Change { from, to, with });
        }
        if let Some(text) = unescaped(&tokens, at) {
            changes.push(Change { from: at, to: at + 3, with: vec![Token::SingleQuotedString(text)] });
        }
        if let Some(change) = star_names(&tokens, at) {
            changes.push(change);
        }
        match keyword(&tokens, at) {
            Some("CAST" | "TRY_CAST") if tokens.get(at + 1).is_some_and(|next| next.token == Token::LParen) => {
                cast_type(&tokens, at + 1, &mut changes);
            }
            // `IPADDRESS '::1'` → `CAST('::1' AS trino_type('ipaddress'))`
            Some("IPADDRESS") => {
                if let Some(Token::SingleQuotedString(text)) = tokens.get(at + 1).map(|next| &next.token) {
                    let mut with = vec![Token::make_keyword("CAST"), Token::LParen];
                    with.extend([Token::SingleQuotedString(text.clone()), Token::make_keyword("AS")]);
                    with.extend([Token::make_word(TYPE, None), Token::LParen]);
                    with.extend([Token::SingleQuotedString("ipaddress".to_owned()), Token::RParen, Token::RParen]);
                    changes.push(Change { from: at, to: at + 2, with });
                }
            }
            // `TRIM(LEADING FROM x)` → `TRIM(LEADING ' ' FROM x)`
            Some("LEADING" | "TRAILING" | "BOTH") if keyword(&tokens, at + 1) == Some("FROM") => {
                let with = vec![Token::SingleQuotedString(" ".to_owned())];
                changes.push(Change { from: at + 1, to: at + 1, with });
            }
            Some("TRIM") => plain_trim(&tokens, at, &mut changes),
            Some("TABLE") => {
                table_query(&tokens, at, &mut changes);
                exclude_columns(&tokens, at, &mut changes);
            }
            Some("GROUP") => group_quantifier(&tokens, at, &mut changes),
            Some("UNION" | "EXCEPT" | "INTERSECT") => corresponding(&tokens, at, &mut changes),
            Some("VALUES") => {
                values(&tokens, at + 1, &mut changes);
                quantified_values(&tokens, at, &mut changes);
            }
            Some("FOR")
                if matches!(
                    keyword(&tokens, at + 1),
                    Some("TIMESTAMP" | "VERSION" | "SYSTEM_TIME" | "SYSTEM_VERSION")
                ) && keyword(&tokens, at + 2) == Some("AS")
                    && keyword(&tokens, at + 3) == Some("OF") =>
            {
                let word = match (keyword(&tokens, at + 1), tokens.get(at + 4).map(|token| &token.token)) {
                    // sqlparser has versions that are numbers only: a name travels where a time would.
                    (Some("VERSION" | "SYSTEM_VERSION"), Some(Token::SingleQuotedString(name))) => {
                        let name = Token::SingleQuotedString(format!("{REFERENCE}{name}"));
                        changes.push(Change { from: at + 4, to: at + 5, with: vec![name] });
                        "TIMESTAMP"
                    }
                    (Some("VERSION" | "SYSTEM_VERSION"), _) => "VERSION",
                    _ => "TIMESTAMP",
                };
                changes.push(Change { from: at, to: at + 2, with: vec![Token::make_keyword(word)] });
            }
            _ => {}
        }
    }
    apply(tokens, changes)
}

/// `U&'x#0041' UESCAPE '#'`
fn unescaped(tokens: &[TokenWithSpan], at: usize) -> Option<String> {
    let Token::UnicodeStringLiteral(text) = &tokens[at].token else { return None };
    if !bare(tokens, at + 1)?.eq_ignore_ascii_case("UESCAPE") {
        return None;
    }
    let Token::SingleQuotedString(escape) = &tokens.get(at + 2)?.token else { return None };
    let mut escapes = escape.chars();
    let (Some(escape), None) = (escapes.next(), escapes.next()) else { return None };
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != escape {
            out.push(c);
            continue;
        }
        let digits: String = match rest.clone().next()? {
            next if next == escape => {
                rest.next();
                out.push(escape);
                continue;
            }
            '+' => {
                rest.next();
                rest.by_ref().take(6).collect()
            }
            _ => rest.by_ref().take(4).collect(),
        };
        if !matches!(digits.len(), 4 | 6) {
            return None;
        }
        out.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
    }
    Some(out)
}

/// Tokens `from..to` are to be others.
struct Change {
    from: usize,
    to: usize,
    with: Vec<Token>,
}

fn apply(tokens: Vec<TokenWithSpan>, mut changes: Vec<Change>) -> Vec<TokenWithSpan> {
    if changes.is_empty() {
        return tokens;
    }
    changes.sort_by_key(|change| (change.from, change.to));
    let mut out = Vec::with_capacity(tokens.len() + changes.len() * 4);
    let mut at = 0;
    for change in changes {
        if change.from < at {
            continue;
        }
        out.extend_from_slice(&tokens[at..change.from]);
        let span = tokens.get(change.from).or_else(|| tokens.last()).map_or_else(Span::empty, |token| token.span);
        out.extend(change.with.into_iter().map(|token| TokenWithSpan { token, span }));
        at = change.to;
    }
    out.extend_from_slice(&tokens[at..]);
    out
}

/// The keyword at a position, upper case as far as it is one of those that matter here.
fn keyword(tokens: &[TokenWithSpan], at: usize) -> Option<&'static str> {
    const KNOWN: &[&str] = &[
        "CAST",
        "TRY_CAST",
        "VALUES",
        "FOR",
        "TIMESTAMP",
        "VERSION",
        "SYSTEM_TIME",
        "SYSTEM_VERSION",
        "AS",
        "OF",
        "ROW",
        "FROM",
        "LEADING",
        "TRAILING",
        "BOTH",
        "TRIM",
        "TABLE",
        "GROUP",
    ];
    let word = bare(tokens, at)?;
    KNOWN.iter().chain(UNREADABLE).chain(AFTER_VALUES).find(|known| word.eq_ignore_ascii_case(known)).copied()
}

pub(super) fn bare(tokens: &[TokenWithSpan], at: usize) -> Option<&str> {
    match &tokens.get(at)?.token {
        Token::Word(Word { value, quote_style: None, .. }) => Some(value),
        _ => None,
    }
}

/// The parenthesis or bracket that closes the one at `open`.
pub(super) fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// `CAST(x AS ARRAY(ROW(a INTEGER)))` → `CAST(x AS trino_type('array(row(a integer))'))`
fn cast_type(tokens: &[TokenWithSpan], open: usize, changes: &mut Vec<Change>) {
    let Some(close) = closing(tokens, open) else { return };
    let mut depth = 0i32;
    let mut start = None;
    for at in open..close {
        match tokens[at].token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth -= 1,
            _ if depth == 1 && keyword(tokens, at) == Some("AS") => start = Some(at + 1),
            _ => {}
        }
    }
    let Some(start) = start else { return };
    let unreadable = keyword(tokens, start).is_some_and(|word| UNREADABLE.contains(&word));
    if unreadable {
        let text = text_of(&tokens[start..close]);
        let with = vec![Token::make_word(TYPE, None), Token::LParen, Token::SingleQuotedString(text), Token::RParen];
        changes.push(Change { from: start, to: close, with });
    }
}

/// `TRIM(x, y)` is a call as any other, which sqlparser does not read.
fn plain_trim(tokens: &[TokenWithSpan], at: usize, changes: &mut Vec<Change>) {
    let Some(close) =
        tokens.get(at + 1).filter(|next| next.token == Token::LParen).and_then(|_| closing(tokens, at + 1))
    else {
        return;
    };
    let (mut depth, mut listed) = (0i32, false);
    for inner in at + 1..close {
        match tokens[inner].token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth -= 1,
            Token::Comma if depth == 1 => listed = true,
            _ if depth == 1 && keyword(tokens, inner) == Some("FROM") => return,
            _ => {}
        }
    }
    if listed {
        changes.push(Change { from: at, to: at + 1, with: vec![Token::make_word("trim", Some('"'))] });
    }
}

/// `TABLE name` → `SELECT * FROM name`
fn table_query(tokens: &[TokenWithSpan], at: usize, changes: &mut Vec<Change>) {
    let before = at.checked_sub(1);
    let starts = before.is_none_or(|before| {
        matches!(tokens[before].token, Token::LParen | Token::RParen)
            || bare(tokens, before).is_some_and(|word| {
                ["UNION", "ALL", "DISTINCT", "EXCEPT", "INTERSECT", "CORRESPONDING"]
                    .iter()
                    .any(|w| word.eq_ignore_ascii_case(w))
            })
    });
    if starts && matches!(tokens.get(at + 1).map(|next| &next.token), Some(Token::Word(_))) {
        let with = vec![Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")];
        changes.push(Change { from: at, to: at + 1, with });
    }
}

/// Stands first among what the right side of a set operation with CORRESPONDING selects.
pub(super) const CORRESPONDING: &str = "$corresponding";
/// The same, of one that lists its columns.
pub(super) const CORRESPONDING_BY: &str = "$corresponding_by";

/// `UNION CORRESPONDING SELECT a` → `UNION SELECT "$corresponding", a`
fn corresponding(tokens: &[TokenWithSpan], at: usize, changes: &mut Vec<Change>) {
    let word = |at: usize, text: &str| bare(tokens, at).is_some_and(|word| word.eq_ignore_ascii_case(text));
    let quantifier = usize::from(word(at + 1, "ALL") || word(at + 1, "DISTINCT"));
    let at = at + 1 + quantifier;
    if !word(at, "CORRESPONDING") {
        return;
    }
    let columns = (at + 2, closing(tokens, at + 2));
    let (mut start, name) = match columns {
        (open, Some(close)) if word(at + 1, "BY") && tokens[open].token == Token::LParen => {
            (close + 1, CORRESPONDING_BY)
        }
        _ => (at + 1, CORRESPONDING),
    };
    let end = start;
    while tokens.get(start).is_some_and(|token| token.token == Token::LParen) {
        start += 1;
    }
    // VALUES have no names, and those of TABLE are not listed: the parser stops at the word.
    if !word(start, "SELECT") {
        return;
    }
    changes.push(Change { from: at, to: end, with: Vec::new() });
    let quantifier = usize::from(word(start + 1, "ALL") || word(start + 1, "DISTINCT"));
    let from = start + 1 + quantifier;
    changes.push(Change { from, to: from, with: vec![Token::make_word(name, Some('"')), Token::Comma] });
}

/// Stands first in a GROUP BY whose sets of keys are to be distinct.
pub(super) const DISTINCT_GROUPS: &str = "$distinct_groups";

/// `GROUP BY ALL x` → `GROUP BY x`, `GROUP BY DISTINCT x` → `GROUP BY "$distinct_groups", x`
fn group_quantifier(tokens: &[TokenWithSpan], at: usize, changes: &mut Vec<Change>) {
    let word = |at: usize, text: &str| bare(tokens, at).is_some_and(|word| word.eq_ignore_ascii_case(text));
    let keys_follow = match tokens.get(at + 3).map(|token| &token.token) {
        Some(Token::LParen) => true,
        Some(Token::Word(_)) => {
            !["HAVING", "ORDER", "LIMIT", "OFFSET", "FETCH", "UNION", "EXCEPT", "INTERSECT", "WINDOW"]
                .iter()
                .any(|next| word(at + 3, next))
        }
        _ => false,
    };
    if !word(at + 1, "BY") || !keys_follow {
        return;
    }
    if word(at + 2, "ALL") {
        changes.push(Change { from: at + 2, to: at + 3, with: Vec::new() });
    } else if word(at + 2, "DISTINCT") {
        let with = vec![Token::make_word(DISTINCT_GROUPS, Some('"')), Token::Comma];
        changes.push(Change { from: at + 2, to: at + 3, with });
    }
}

/// `.* AS (a, b)` → `.* EXCLUDE ("$named_star", a, b)`
fn star_names(tokens: &[TokenWithSpan], at: usize) -> Option<Change> {
    let is = |at: usize, token: &Token| tokens.get(at).is_some_and(|found| found.token == *token);
    let named = is(at, &Token::Period)
        && is(at + 1, &Token::Mul)
        && bare(tokens, at + 2).is_some_and(|word| word.eq_ignore_ascii_case("AS"))
        && is(at + 3, &Token::LParen);
    let marker = Token::make_word(super::stars::NAMED, Some('"'));
    let with = vec![Token::make_word("EXCLUDE", None), Token::LParen, marker, Token::Comma];
    named.then_some(Change { from: at + 2, to: at + 4, with })
}

/// `TABLE(exclude_columns(input => TABLE(x), columns => DESCRIPTOR(a)))` → `(SELECT * EXCLUDE (a) FROM x)`
fn exclude_columns(tokens: &[TokenWithSpan], at: usize, changes: &mut Vec<Change>) {
    let word = |at: usize, text: &str| bare(tokens, at).is_some_and(|word| word.eq_ignore_ascii_case(text));
    let opens = |at: usize| tokens.get(at).is_some_and(|token| token.token == Token::LParen);
    if !(opens(at + 1) && word(at + 2, "exclude_columns") && opens(at + 3)) {
        return;
    }
    let Some(end) = closing(tokens, at + 1) else { return };
    let inside = |name: &str| {
        let open = (at + 4..end).find(|i| word(*i, name) && opens(i + 1))? + 1;
        Some((open, closing(tokens, open)?))
    };
    let (Some((table, table_end)), Some((list, list_end))) = (inside("TABLE"), inside("DESCRIPTOR")) else { return };
    let mut with = vec![Token::LParen, Token::make_keyword("SELECT"), Token::Mul, Token::make_word("EXCLUDE", None)];
    with.extend([Token::LParen, Token::make_word(super::stars::WITHOUT, Some('"')), Token::Comma]);
    with.extend(tokens[list + 1..=list_end].iter().map(|token| match &token.token {
        Token::Word(word) => Token::make_word(&word.value.to_lowercase(), Some('"')),
        other => other.clone(),
    }));
    with.push(Token::make_keyword("FROM"));
    let query = ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|first| word(table + 1, first)) || opens(table + 1);
    let mut after = vec![Token::RParen];
    if query {
        with.push(Token::LParen);
        after.splice(0..0, [Token::RParen, Token::make_keyword("AS"), Token::make_word("excluded_columns", None)]);
    }
    changes.push(Change { from: at, to: table + 1, with });
    changes.push(Change { from: table_end, to: end + 1, with: after });
}

/// A type's text with single blanks, quoted names as they are.
pub(super) fn text_of(tokens: &[TokenWithSpan]) -> String {
    let mut text = String::new();
    for token in tokens {
        let word = matches!(token.token, Token::Word(_) | Token::Number(..));
        if word && text.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '"' | ')' | '>')) {
            text.push(' ');
        }
        match &token.token {
            Token::Word(Word { value, quote_style: None, .. }) => text.push_str(&value.to_lowercase()),
            Token::Word(Word { value, quote_style: Some(_), .. }) => {
                text.push('"');
                text.push_str(&value.replace('"', "\"\""));
                text.push('"');
            }
            other => text.push_str(&other.to_string()),
        }
        if token.token == Token::Comma {
            text.push(' ');
        }
    }
    text
}

/// Words behind which an expression stands.
const BEFORE_EXPRESSIONS: &[&str] =
    &["ALL", "ANY", "SOME", "EXISTS", "SELECT", "WHEN", "THEN", "ELSE", "AND", "OR", "NOT", "WHERE"];

/// `ALL (VALUES …)` → `ALL (SELECT * FROM (VALUES …) AS quantified_values)`
fn quantified_values(tokens: &[TokenWithSpan], values: usize, changes: &mut Vec<Change>) {
    let Some(open) = values.checked_sub(1).filter(|open| tokens[*open].token == Token::LParen) else { return };
    let before = open.checked_sub(1);
    let quantified = before
        .and_then(|at| bare(tokens, at))
        .is_some_and(|word| BEFORE_EXPRESSIONS.iter().any(|known| word.eq_ignore_ascii_case(known)))
        || before.is_some_and(|at| {
            matches!(
                tokens[at].token,
                Token::Eq
                    | Token::Neq
                    | Token::Lt
                    | Token::LtEq
                    | Token::Gt
                    | Token::GtEq
                    | Token::Plus
                    | Token::Minus
                    | Token::Mul
                    | Token::Div
            )
        });
    let (true, Some(close)) = (quantified, closing(tokens, open)) else { return };
    let with = vec![Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM"), Token::LParen];
    changes.push(Change { from: values, to: values, with });
    let with = vec![Token::RParen, Token::make_keyword("AS"), Token::make_word("quantified_values", None)];
    changes.push(Change { from: close, to: close, with });
}

/// `VALUES 1, (2), ROW(3)` → `VALUES (1), (2), (3)`
fn values(tokens: &[TokenWithSpan], start: usize, changes: &mut Vec<Change>) {
    let mut from = start;
    loop {
        let mut at = from;
        let ended = loop {
            match tokens.get(at).map(|token| &token.token) {
                None | Some(Token::RParen | Token::SemiColon | Token::EOF) => break true,
                Some(Token::Comma) => break false,
                Some(Token::LParen | Token::LBracket | Token::LBrace) => match closing(tokens, at) {
                    Some(close) => at = close + 1,
                    None => return,
                },
                Some(_) => match keyword(tokens, at) {
                    Some(word) if at > from && AFTER_VALUES.contains(&word) => break true,
                    _ => at += 1,
                },
            }
        };
        if at == from {
            return;
        }
        let group = |open: usize| {
            tokens[open].token == Token::LParen && closing(tokens, open).is_some_and(|close| close + 1 == at)
        };
        let is_row = keyword(tokens, from) == Some("ROW") && from + 1 < at && group(from + 1);
        if is_row && !is_row_of_row(&tokens[from + 2..at - 1]) {
            changes.push(Change { from, to: from + 1, with: Vec::new() });
        } else if !group(from) {
            changes.push(Change { from, to: from, with: vec![Token::LParen] });
            changes.push(Change { from: at, to: at, with: vec![Token::RParen] });
        }
        if ended {
            return;
        }
        from = at + 1;
    }
}

/// Whether what stands in `ROW(…)` is one value that may be a row itself, which is not the row of VALUES then.
fn is_row_of_row(inside: &[TokenWithSpan]) -> bool {
    let mut depth = 0usize;
    let alone = inside.iter().all(|token| {
        match token.token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => return false,
            _ => {}
        }
        true
    });
    alone && matches!(keyword(inside, 0), Some("ROW" | "CAST" | "TRY_CAST"))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    use super::super::dialect::Trino;
    use super::*;

    #[test]
    fn trino_only_grammar_becomes_readable() {
        for (sql, expected) in [
            (
                "CAST(x AS ARRAY(ROW(a INTEGER, \"B\" VARCHAR(3))))",
                "CAST(x AS trino_type('array(row(a integer, \"B\" varchar(3)))'))",
            ),
            (
                "CAST(CAST(x AS JSON) AS MAP(VARCHAR,INTEGER))",
                "CAST(CAST(x AS JSON)AS trino_type('map(varchar, integer)'))",
            ),
            ("TRY_CAST((SELECT a AS b) AS ARRAY<INT>)", "TRY_CAST((SELECT a AS b)AS trino_type('array<int>'))"),
            ("VALUES 1, (2), ROW(3, 4), (1) + 1 ORDER BY 1", "VALUES(1),(2),(3,4),((1)+1)ORDER BY 1"),
            ("VALUES ROW(ROW(1, 2)), ROW(1)", "VALUES(ROW(ROW(1,2))),(1)"),
            ("(VALUES (1, 'a'), (2, 'b')) t", "(VALUES(1,'a'),(2,'b'))t"),
            ("(VALUES 1, ARRAY[1, 2][1])", "(VALUES(1),(ARRAY[1,2][1]))"),
            ("1 > ALL (VALUES 1, 2)", "1 > ALL (SELECT * FROM (VALUES (1), (2)) AS quantified_values)"),
            ("t FOR VERSION AS OF 1", "t VERSION AS OF 1"),
        ] {
            assert_eq!(
                readable(read(sql)).iter().map(plain).collect::<Vec<_>>(),
                read(expected).iter().map(plain).collect::<Vec<_>>()
            );
        }
    }

    fn read(sql: &str) -> Vec<TokenWithSpan> {
        let tokens = Tokenizer::new(&Trino, sql).tokenize_with_location().unwrap();
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect()
    }

    fn plain(token: &TokenWithSpan) -> String {
        token.token.to_string()
    }
}
