//! The grammar of MATCH_RECOGNIZE, as far as sqlparser has it not: whole patterns, SUBSET, RUNNING and FINAL, what to skip to.
//! All of that becomes one name in the place of the pattern ([`Spec::encode`]); navigations become calls such as `$prev`, and
//! a pattern variable before a column becomes `$m0`, `$m1`, … What is not understood stays as it is, for the parser to tell.

use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::grammar::{bare, closing, readable};
use crate::row_pattern::{INPUT, Label, Pattern, Rows, Skip, Spec};

/// How deep a pattern nests.
const DEEPEST: usize = 60;

type Refusal = (String, String);

/// The clause that begins at `at` with the relation before it in words that sqlparser reads, and where they begin and end.
/// sqlparser has the clause behind names of tables only: the relation becomes a query before the columns of PARTITION BY.
pub(super) fn clause(tokens: &[TokenWithSpan], at: usize) -> Option<(usize, usize, Vec<Token>)> {
    if !bare(tokens, at)?.eq_ignore_ascii_case("MATCH_RECOGNIZE") || tokens.get(at + 1)?.token != Token::LParen {
        return None;
    }
    let close = closing(tokens, at + 1)?;
    let inside = &tokens[at + 2..close];
    let mut clause = Clause { tokens: inside, at: 0, names: Names::default(), refusal: None };
    let from = relation_before(tokens, at)?;
    let mut out = vec![Token::make_word(INPUT, Some('"')), tokens[at].token.clone(), Token::LParen];
    out.extend([Token::make_keyword("PARTITION"), Token::make_keyword("BY"), Token::LParen]);
    out.extend([Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")]);
    out.extend(plain(&tokens[from..at]));
    out.push(Token::RParen);
    let rest = clause.read()?;
    if clause.is(0, &["PARTITION", "BY"]) {
        out.push(Token::Comma);
        out.extend(rest.into_iter().skip(2));
    } else {
        out.extend(rest);
    }
    out.push(Token::RParen);
    Some((from, close + 1, out))
}

/// Where the relation begins that ends before `at`.
fn relation_before(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    let mut depth = 0usize;
    for place in (0..at).rev() {
        match &tokens[place].token {
            Token::RParen | Token::RBracket | Token::RBrace => depth += 1,
            Token::LParen | Token::LBracket | Token::LBrace | Token::Comma if depth == 0 => return Some(place + 1),
            Token::LParen | Token::LBracket | Token::LBrace => depth -= 1,
            Token::Word(word)
                if depth == 0
                    && word.quote_style.is_none()
                    && ["FROM", "JOIN", "USING"].iter().any(|end| word.value.eq_ignore_ascii_case(end)) =>
            {
                return Some(place + 1);
            }
            _ => {}
        }
    }
    None
}

#[derive(Default)]
struct Names {
    labels: Vec<String>,
    subsets: Vec<(String, Vec<Label>)>,
}

impl Names {
    fn primary(&self, name: &str) -> Option<Label> {
        self.labels.iter().position(|label| label == name).and_then(|at| Label::try_from(at).ok())
    }

    fn any(&self, name: &str) -> Option<Label> {
        let at = || self.subsets.iter().position(|(subset, _)| subset == name).map(|at| at + self.labels.len());
        self.primary(name).or_else(|| at().and_then(|at| Label::try_from(at).ok()))
    }
}

/// A variable's name: as it stands in quotes, else in capital letters.
fn name_of(token: &TokenWithSpan) -> Option<String> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_some() => Some(word.value.clone()),
        Token::Word(word) => Some(word.value.to_uppercase()),
        _ => None,
    }
}

struct Clause<'a> {
    tokens: &'a [TokenWithSpan],
    at: usize,
    names: Names,
    refusal: Option<Refusal>,
}

impl Clause<'_> {
    fn read(&mut self) -> Option<Vec<Token>> {
        let pattern_at =
            self.find(0, |clause, at| clause.is(at, &["PATTERN"]) && clause.token(at + 1) == Some(&Token::LParen))?;
        let pattern_end = closing(self.tokens, pattern_at + 1)?;
        // Names come first: MEASURES stands before them.
        let mut reader = PatternReader {
            tokens: &self.tokens[pattern_at + 2..pattern_end],
            at: 0,
            names: &mut self.names,
            refusal: &mut self.refusal,
        };
        let pattern = reader.alternation(0)?;
        if reader.at != reader.tokens.len() {
            return None;
        }
        self.at = pattern_end + 1;
        if self.word("SUBSET") {
            self.subsets()?;
        }
        let define = self.at;
        self.at = 0;
        let measures_at = self.find(0, |clause, at| clause.is(at, &["MEASURES"])).filter(|at| *at < pattern_at);
        let options_at = self
            .find(measures_at.unwrap_or(0), |clause, at| {
                clause.is(at, &["ONE", "ROW", "PER", "MATCH"])
                    || clause.is(at, &["ALL", "ROWS", "PER", "MATCH"])
                    || clause.is(at, &["AFTER", "MATCH", "SKIP"])
                    || (clause.is(at, &["INITIAL"]) || clause.is(at, &["SEEK"])) && at + 1 == pattern_at
            })
            .filter(|at| *at < pattern_at)
            .unwrap_or(pattern_at);
        let (rows, skip) = self.options(options_at, pattern_at, &pattern)?;
        let mut out = plain(&self.tokens[..measures_at.unwrap_or(options_at)]);
        if let Some(measures_at) = measures_at {
            out.push(self.tokens[measures_at].token.clone());
            out.extend(self.expressions(&self.tokens[measures_at + 1..options_at])?);
        }
        let (defined, definitions) = self.definitions(define)?;
        let spec = Spec {
            labels: std::mem::take(&mut self.names.labels),
            subsets: std::mem::take(&mut self.names.subsets),
            pattern,
            rows,
            skip,
            defined,
        };
        let spec = Spec::encode(&self.refusal.take().map_or(Ok(spec), Err));
        out.extend([
            self.tokens[pattern_at].token.clone(),
            Token::LParen,
            Token::make_word(&spec, Some('"')),
            Token::RParen,
        ]);
        out.extend(definitions);
        Some(out)
    }

    fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at).map(|token| &token.token)
    }

    fn is(&self, at: usize, words: &[&str]) -> bool {
        words
            .iter()
            .enumerate()
            .all(|(i, wanted)| bare(self.tokens, at + i).is_some_and(|word| word.eq_ignore_ascii_case(wanted)))
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.is(self.at, &[word]);
        self.at += usize::from(found);
        found
    }

    fn words(&mut self, words: &[&str]) -> bool {
        let found = self.is(self.at, words);
        if found {
            self.at += words.len();
        }
        found
    }

    /// The first position outside of parentheses where this holds.
    fn find(&self, from: usize, holds: impl Fn(&Self, usize) -> bool) -> Option<usize> {
        let mut at = from;
        while at < self.tokens.len() {
            if holds(self, at) {
                return Some(at);
            }
            at = match self.tokens[at].token {
                Token::LParen | Token::LBracket | Token::LBrace => closing(self.tokens, at)? + 1,
                _ => at + 1,
            };
        }
        None
    }

    fn refuse(&mut self, at: usize, code: &str, text: &str) {
        let place = self.tokens.get(at).map_or_else(|| Location::new(1, 1), |token| token.span.start);
        self.refusal.get_or_insert_with(|| (code.to_owned(), format!("line {}:{}: {text}", place.line, place.column)));
    }

    fn subsets(&mut self) -> Option<()> {
        loop {
            let at = self.at;
            let name = name_of(self.tokens.get(at)?)?;
            if self.token(at + 1) != Some(&Token::Eq) || self.token(at + 2) != Some(&Token::LParen) {
                return None;
            }
            if self.names.primary(&name).is_some() {
                let text =
                    format!("union pattern variable name: {name} is a duplicate of primary pattern variable name");
                self.refuse(at, "INVALID_LABEL", &text);
            } else if self.names.any(&name).is_some() {
                let text = format!("union pattern variable name: {name} is declared twice");
                self.refuse(at, "INVALID_LABEL", &text);
            }
            let close = closing(self.tokens, at + 2)?;
            let mut united = Vec::new();
            for element in (at + 3..close).step_by(2) {
                let element_name = name_of(&self.tokens[element])?;
                if element + 1 < close && self.token(element + 1) != Some(&Token::Comma) {
                    return None;
                }
                if let Some(label) = self.names.primary(&element_name) {
                    united.push(label);
                } else {
                    let text = format!("subset element: {element_name} is not a primary pattern variable");
                    self.refuse(element, "INVALID_LABEL", &text);
                }
            }
            self.names.subsets.push((name, united));
            self.at = close + 1;
            if self.token(self.at) != Some(&Token::Comma) {
                return Some(());
            }
            self.at += 1;
        }
    }

    /// What stands between MEASURES and PATTERN.
    fn options(&mut self, from: usize, to: usize, pattern: &Pattern) -> Option<(Rows, Skip)> {
        self.at = from;
        let rows = if self.words(&["ALL", "ROWS", "PER", "MATCH"]) {
            if self.words(&["OMIT", "EMPTY", "MATCHES"]) {
                Rows::Omit
            } else if self.words(&["WITH", "UNMATCHED", "ROWS"]) {
                Rows::WithUnmatched
            } else {
                self.words(&["SHOW", "EMPTY", "MATCHES"]);
                Rows::Show
            }
        } else {
            self.words(&["ONE", "ROW", "PER", "MATCH"]);
            Rows::One
        };
        let mut skip = Skip::PastLast;
        if self.words(&["AFTER", "MATCH", "SKIP"]) {
            if self.words(&["TO", "NEXT", "ROW"]) {
                skip = Skip::ToNext;
            } else if !self.words(&["PAST", "LAST", "ROW"]) {
                if !self.word("TO") {
                    return None;
                }
                let is_word = |clause: &Self, at: usize| at < to && name_of(&clause.tokens[at]).is_some();
                let first = is_word(self, self.at + 1) && self.word("FIRST");
                if !first && is_word(self, self.at + 1) {
                    self.word("LAST");
                }
                let name = name_of(self.tokens.get(self.at)?)?;
                let label = self.names.any(&name).unwrap_or_else(|| {
                    self.refuse(
                        self.at,
                        "INVALID_LABEL",
                        &format!("{name} is not a primary or union pattern variable"),
                    );
                    0
                });
                skip = if first { Skip::ToFirst(label) } else { Skip::ToLast(label) };
                self.at += 1;
            }
        }
        if self.words(&["SEEK"]) {
            self.refuse(
                self.at - 1,
                "NOT_SUPPORTED",
                "Pattern search modifier: SEEK is not allowed in MATCH_RECOGNIZE clause",
            );
        } else if self.words(&["INITIAL"]) {
            self.refuse(
                self.at - 1,
                "NOT_SUPPORTED",
                "Pattern search modifier: INITIAL is not allowed in MATCH_RECOGNIZE clause",
            );
        }
        if rows == Rows::WithUnmatched && excludes(pattern) {
            let text =
                "Pattern exclusion syntax is not allowed when ALL ROWS PER MATCH WITH UNMATCHED ROWS is specified";
            self.refuse(to, "INVALID_ROW_PATTERN", text);
        }
        (self.at == to).then_some((rows, skip))
    }

    /// DEFINE, its variables as columns are named.
    fn definitions(&mut self, from: usize) -> Option<(Vec<Label>, Vec<Token>)> {
        self.at = from;
        if !self.word("DEFINE") {
            return None;
        }
        let mut out = vec![Token::make_keyword("DEFINE")];
        let mut defined: Vec<Label> = Vec::new();
        loop {
            let at = self.at;
            let name = name_of(self.tokens.get(at)?)?;
            if !self.is(at + 1, &["AS"]) {
                return None;
            }
            let label = self.names.primary(&name).unwrap_or_else(|| {
                self.refuse(
                    at,
                    "INVALID_LABEL",
                    &format!("defined variable: {name} is not a primary pattern variable"),
                );
                Label::MAX
            });
            if defined.contains(&label) && label != Label::MAX {
                self.refuse(at, "INVALID_LABEL", &format!("pattern variable with name: {name} is defined twice"));
            }
            defined.push(label);
            let end = self.find(at + 2, |clause, at| clause.token(at) == Some(&Token::Comma));
            let end = end.unwrap_or(self.tokens.len());
            out.extend([Token::make_word(&format!("$m{label}"), Some('"')), Token::make_keyword("AS")]);
            out.extend(self.expressions(&self.tokens[at + 2..end])?);
            if end == self.tokens.len() {
                return Some((defined, out));
            }
            out.push(Token::Comma);
            self.at = end + 1;
        }
    }

    fn expressions(&self, tokens: &[TokenWithSpan]) -> Option<Vec<Token>> {
        Some(plain(&self.navigations(tokens)?))
    }

    /// Variables, navigations and their modes in words that sqlparser reads.
    fn navigations(&self, tokens: &[TokenWithSpan]) -> Option<Vec<TokenWithSpan>> {
        let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let put =
                |out: &mut Vec<TokenWithSpan>, new: Token| out.push(TokenWithSpan { token: new, span: token.span });
            let quoted = |name: String| Token::make_word(&name, Some('"'));
            let calls = tokens.get(at + 1).is_some_and(|next| next.token == Token::LParen);
            let after_period = out.last().is_some_and(|last| last.token == Token::Period);
            let word = bare(tokens, at).map(str::to_lowercase).unwrap_or_default();
            match word.as_str() {
                "running" | "final" if tokens.get(at + 1).is_some_and(|next| name_of(next).is_some()) => {
                    let open = at + 2;
                    let close = closing(tokens, open).filter(|_| tokens[open].token == Token::LParen)?;
                    put(&mut out, quoted(format!("${word}")));
                    put(&mut out, Token::LParen);
                    out.extend(self.navigations(&tokens[at + 1..=close])?);
                    put(&mut out, Token::RParen);
                    at = close + 1;
                    continue;
                }
                "prev" | "next" | "first" | "last" | "match_number" if calls => {
                    put(&mut out, quoted(format!("${word}")));
                    at += 1;
                    continue;
                }
                "classifier" if calls => {
                    put(&mut out, quoted("$classifier".to_owned()));
                    if let (Some(name), Some(Token::RParen)) =
                        (tokens.get(at + 2).and_then(name_of), tokens.get(at + 3).map(|token| &token.token))
                    {
                        put(&mut out, Token::LParen);
                        match self.names.any(&name) {
                            Some(label) => {
                                put(&mut out, quoted(format!("$m{label}")));
                                put(&mut out, Token::Period);
                                put(&mut out, quoted(ANY.to_owned()));
                            }
                            None => put(&mut out, Token::SingleQuotedString(name)),
                        }
                        at += 3;
                    } else {
                        at += 1;
                    }
                    continue;
                }
                _ => {}
            }
            let before_period = tokens.get(at + 1).is_some_and(|next| next.token == Token::Period);
            if before_period
                && !after_period
                && let Some(label) = name_of(token).and_then(|name| self.names.any(&name))
            {
                put(&mut out, quoted(format!("$m{label}")));
                put(&mut out, Token::Period);
                at += 2;
                if tokens.get(at).is_some_and(|next| next.token == Token::Mul) {
                    put(&mut out, quoted(ANY.to_owned()));
                    at += 1;
                }
                continue;
            }
            out.push(token.clone());
            at += 1;
        }
        Some(out)
    }
}

/// The column that every row of a variable has.
pub(crate) const ANY: &str = "$any";

fn plain(tokens: &[TokenWithSpan]) -> Vec<Token> {
    readable(tokens.to_vec()).into_iter().map(|token| token.token).collect()
}

fn excludes(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::Exclude(_) => true,
        Pattern::Concat(all) | Pattern::Or(all) | Pattern::Permute(all) => all.iter().any(excludes),
        Pattern::Repeat { inner, .. } => excludes(inner),
        Pattern::Empty | Pattern::Label(_) | Pattern::Start | Pattern::End => false,
    }
}

struct PatternReader<'a> {
    tokens: &'a [TokenWithSpan],
    at: usize,
    names: &'a mut Names,
    refusal: &'a mut Option<Refusal>,
}

impl PatternReader<'_> {
    fn token(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|token| &token.token)
    }

    fn eat(&mut self, wanted: &Token) -> bool {
        let found = self.token() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn alternation(&mut self, depth: usize) -> Option<Pattern> {
        if depth > DEEPEST {
            return None;
        }
        let mut all = vec![self.concatenation(depth)?];
        while self.eat(&Token::Pipe) {
            all.push(self.concatenation(depth)?);
        }
        Some(if all.len() == 1 { all.remove(0) } else { Pattern::Or(all) })
    }

    fn concatenation(&mut self, depth: usize) -> Option<Pattern> {
        let mut all = Vec::new();
        loop {
            let closes = self.token() == Some(&Token::Minus)
                && self.tokens.get(self.at + 1).is_some_and(|next| next.token == Token::RBrace);
            if closes || matches!(self.token(), None | Some(Token::Pipe | Token::RParen | Token::Comma)) {
                break;
            }
            let one = self.primary(depth)?;
            all.push(self.quantified(one)?);
        }
        match all.len() {
            0 => None,
            1 => all.pop(),
            _ => Some(Pattern::Concat(all)),
        }
    }

    fn primary(&mut self, depth: usize) -> Option<Pattern> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        match &token.token {
            Token::Caret => Some(Pattern::Start),
            Token::Placeholder(text) if text == "$" => Some(Pattern::End),
            Token::LParen if self.eat(&Token::RParen) => Some(Pattern::Empty),
            Token::LParen => {
                let inner = self.alternation(depth + 1)?;
                self.eat(&Token::RParen).then_some(inner)
            }
            Token::LBrace => {
                if !self.eat(&Token::Minus) {
                    return None;
                }
                let inner = self.alternation(depth + 1)?;
                (self.eat(&Token::Minus) && self.eat(&Token::RBrace)).then(|| Pattern::Exclude(Box::new(inner)))
            }
            Token::Word(word)
                if word.quote_style.is_none()
                    && word.value.eq_ignore_ascii_case("PERMUTE")
                    && self.token() == Some(&Token::LParen) =>
            {
                self.at += 1;
                let mut all = vec![self.alternation(depth + 1)?];
                while self.eat(&Token::Comma) {
                    all.push(self.alternation(depth + 1)?);
                }
                self.eat(&Token::RParen).then_some(Pattern::Permute(all))
            }
            _ => {
                let name = name_of(token)?;
                let label = self.names.primary(&name).or_else(|| {
                    self.names.labels.push(name);
                    Label::try_from(self.names.labels.len() - 1).ok()
                })?;
                Some(Pattern::Label(label))
            }
        }
    }

    fn quantified(&mut self, inner: Pattern) -> Option<Pattern> {
        let place = self.tokens.get(self.at).map_or_else(|| Location::new(1, 1), |token| token.span.start);
        let is_question = |token: Option<&Token>| matches!(token, Some(Token::Placeholder(text)) if text == "?");
        let (min, max) = match self.token() {
            Some(Token::Mul) => (0, None),
            Some(Token::Plus) => (1, None),
            other if is_question(other) => (0, Some(1)),
            Some(Token::LBrace) if self.tokens.get(self.at + 1).is_none_or(|next| next.token != Token::Minus) => {
                self.at += 1;
                let min = self.number();
                let bounds =
                    if self.eat(&Token::Comma) { (min.unwrap_or(0), self.number()) } else { (min?, Some(min?)) };
                if self.token() != Some(&Token::RBrace) {
                    return None;
                }
                bounds
            }
            _ => return Some(inner),
        };
        self.at += 1;
        let mut refuse = |code: &str, text: &str| {
            let text = format!("line {}:{}: {text}", place.line, place.column);
            self.refusal.get_or_insert_with(|| (code.to_owned(), text));
        };
        if max == Some(0) {
            let text = "Pattern quantifier upper bound must be greater than or equal to 1";
            refuse("NUMERIC_VALUE_OUT_OF_RANGE", text);
        } else if max.is_some_and(|max| max < min) {
            refuse("INVALID_RANGE", "Pattern quantifier lower bound must not exceed upper bound");
        }
        let reluctant = is_question(self.token());
        self.at += usize::from(reluctant);
        Some(Pattern::Repeat { inner: Box::new(inner), min, max, reluctant })
    }

    fn number(&mut self) -> Option<u32> {
        let Some(Token::Number(text, _)) = self.token() else { return None };
        let number = text.parse().ok()?;
        self.at += 1;
        Some(number)
    }
}
