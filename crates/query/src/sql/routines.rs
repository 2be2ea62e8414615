//! `WITH FUNCTION name(a type, …) RETURNS type RETURN expression`: the expression stands where the query calls the function. Of a routine
//! of statements (`BEGIN … END`) a call of [`ROUTINE`] does, which does them ([`super::routine_body`]).

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, Ident, LambdaFunction, OneOrManyWithParens, Query, Spanned, Value, VisitMut, VisitorMut,
    visit_expressions,
};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Source;
use super::aliases::parameters;
use super::dialect::Trino;
use super::forms::{held, holding, is_random};
use super::grammar::{bare, closing, readable, text_of};
use super::rewrite::{function, name_of, plain_arguments, template};
use super::routine_body::{Program, program};
use crate::error::{Error, Result};

/// A value as one of a parameter's type, and as one of the type that a routine returns: coerced, else an error.
pub(crate) const ARGUMENT: &str = "$argument";
pub(crate) const RETURNED: &str = "$returned";

/// Does the steps of a routine: its text, a null of the type that it returns, its variables, and its expressions as lambdas over them.
pub(crate) const ROUTINE: &str = "$routine";

#[derive(Debug)]
struct Routine {
    parameters: Vec<(String, String)>,
    returns: String,
    /// `RETURNS NULL ON NULL INPUT`
    strict: bool,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Expression(Box<Expr>),
    Statements(Program),
}

/// The routines that a query begins with, and how many names their lambdas have.
#[derive(Debug, Default)]
pub(super) struct Routines(BTreeMap<String, Routine>, usize);

/// Whether routines stand before the query that begins at a token.
pub(super) fn begin(tokens: &[TokenWithSpan]) -> bool {
    word(tokens, 0, "WITH") && word(tokens, 1, "FUNCTION")
}

fn word(tokens: &[TokenWithSpan], at: usize, text: &str) -> bool {
    bare(tokens, at).is_some_and(|word| word.eq_ignore_ascii_case(text))
}

/// Reads them; the token at which the query itself begins.
pub(super) fn read(source: &Source<'_>, start: usize) -> Result<(Routines, usize)> {
    let mut routines = Routines::default();
    if !begin(source.tokens_from(start)) {
        return Ok((routines, start));
    }
    let mut at = start + 1;
    loop {
        let (name, routine, next) = one(source, at, &mut routines)?;
        routines.0.insert(name, routine);
        if source.tokens.get(next).is_some_and(|token| token.token == Token::Comma) {
            at = next + 1;
        } else {
            return Ok((routines, next));
        }
    }
}

/// `FUNCTION name(a type, …) RETURNS type [characteristics] RETURN expression`
fn one(source: &Source<'_>, start: usize, known: &mut Routines) -> Result<(String, Routine, usize)> {
    let tokens = &source.tokens;
    let unread = |at: usize| match tokens.get(at) {
        Some(token) => source.mismatched(token),
        None => Error::syntax(1, 1, "mismatched input '<EOF>'"),
    };
    let name = match tokens.get(start + 1).map(|token| &token.token) {
        Some(Token::Word(name)) if word(tokens, start, "FUNCTION") => name.value.to_lowercase(),
        _ => return Err(unread(start)),
    };
    let open = start + 2;
    let close = tokens
        .get(open)
        .filter(|token| token.token == Token::LParen)
        .and_then(|_| closing(tokens, open))
        .ok_or_else(|| unread(open))?;
    let mut parameters: Vec<(String, String)> = Vec::new();
    for (from, to) in listed(tokens, open + 1, close) {
        let Some(Token::Word(parameter)) = tokens.get(from).map(|token| &token.token) else { return Err(unread(from)) };
        if from + 1 >= to {
            return Err(unread(to));
        }
        let parameter = parameter.value.to_lowercase();
        if parameters.iter().any(|(other, _)| *other == parameter) {
            let text = format!("line 1:1: Duplicate function parameter name: {parameter}");
            return Err(Error::user(1006, "INVALID_ARGUMENTS", text));
        }
        parameters.push((parameter, text_of(&tokens[from + 1..to])));
    }
    if !word(tokens, close + 1, "RETURNS") {
        return Err(unread(close + 1));
    }
    let ends =
        ["RETURN", "BEGIN", "LANGUAGE", "DETERMINISTIC", "NOT", "RETURNS", "CALLED", "SECURITY", "COMMENT", "WITH"];
    let (ty, mut at) = (close + 2, close + 2);
    while at < tokens.len() && (at == ty || !ends.iter().any(|end| word(tokens, at, end))) {
        at = if tokens[at].token == Token::LParen {
            closing(tokens, at).map_or(tokens.len(), |end| end + 1)
        } else {
            at + 1
        };
    }
    let returns = text_of(&tokens[ty..at.min(tokens.len())]);
    let strict = characteristics(source, &mut at)?;
    if word(tokens, at, "BEGIN") {
        let (program, end) = program(source, at, &parameters, &returns, known)?;
        return Ok((name, Routine { parameters, returns, strict, body: Body::Statements(program) }, end));
    }
    if !word(tokens, at, "RETURN") {
        return Err(unread(at));
    }
    let rest = readable(source.tokens_from(at + 1).to_vec());
    let mut parser = Parser::new(&Trino).with_recursion_limit(100).with_tokens_with_locations(rest);
    let mut body = parser.parse_expr().map_err(|error| source.parse_error(&error))?;
    let next = parser.peek_token();
    let place = tokens.iter().position(|token| next.token != Token::EOF && token.span == next.span);
    let place = place.ok_or_else(|| unread(tokens.len()))?;
    let places = parameters
        .iter()
        .enumerate()
        .map(|(at, (name, _))| (name.clone(), Expr::Value(Value::Placeholder(format!("${}", at + 1)).into())));
    resolve(&mut body, places.collect(), known)?;
    Ok((name, Routine { parameters, returns, strict, body: Body::Expression(Box::new(body)) }, place))
}

/// The tokens of an expression of a routine's, whose variables are called so and stand for those.
pub(super) fn expression(
    source: &Source<'_>,
    tokens: &[TokenWithSpan],
    names: Vec<(String, Expr)>,
    known: &mut Routines,
) -> Result<Expr> {
    let tokens = readable(tokens.to_vec());
    let mut parser = Parser::new(&Trino).with_recursion_limit(100).with_tokens_with_locations(tokens);
    let mut body = parser.parse_expr().map_err(|error| source.parse_error(&error))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        return Err(source.mismatched(&next));
    }
    resolve(&mut body, names, known)?;
    Ok(body)
}

/// Puts what names stand for in their place, and routines where they are called.
fn resolve(body: &mut Expr, names: Vec<(String, Expr)>, known: &mut Routines) -> Result<()> {
    let asks = visit_expressions(body, |expr| match expr {
        Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    if asks.is_break() {
        return Err(Error::not_supported("line 1:1: Queries are not allowed in functions"));
    }
    // One routine's body may come to stand within a lambda of another's.
    let mut scope = Scope { names, lambdas: Vec::new(), count: known.1, error: None };
    let _ = VisitMut::visit(body, &mut scope);
    known.1 = scope.count;
    match scope.error {
        Some(error) => Err(error),
        None => known.call(body),
    }
}

/// Reads what stands between the type and the body; whether the result is null where an argument is.
fn characteristics(source: &Source<'_>, at: &mut usize) -> Result<bool> {
    let tokens = &source.tokens;
    let mut strict = false;
    loop {
        let is = |words: &[&str]| words.iter().enumerate().all(|(i, text)| word(tokens, *at + i, text));
        *at += if is(&["RETURNS", "NULL", "ON", "NULL", "INPUT"]) {
            strict = true;
            5
        } else if is(&["CALLED", "ON", "NULL", "INPUT"]) {
            4
        } else if is(&["NOT", "DETERMINISTIC"]) || is(&["LANGUAGE", "SQL"]) || is(&["COMMENT"]) {
            2
        } else if is(&["DETERMINISTIC"]) {
            1
        } else if is(&["SECURITY"]) {
            return Err(Error::not_supported("Security mode not supported for inline functions"));
        } else if is(&["LANGUAGE"]) || is(&["WITH"]) {
            return Err(Error::not_supported("WITH FUNCTION in other languages than SQL"));
        } else {
            return Ok(strict);
        };
    }
}

/// The items of a list between two tokens.
fn listed(tokens: &[TokenWithSpan], from: usize, to: usize) -> Vec<(usize, usize)> {
    let (mut items, mut start, mut at) = (Vec::new(), from, from);
    while at < to {
        match tokens[at].token {
            Token::LParen => at = closing(tokens, at).unwrap_or(to),
            Token::Comma => {
                items.push((start, at));
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    if from < to {
        items.push((start, to));
    }
    items
}

/// Puts numbers in the place of a body's parameters, and gives its lambdas names that no argument has, nor any other routine: not in
/// lower case, as all names of a statement are.
struct Scope {
    /// The names of parameters and variables, the inner ones last, and what they stand for.
    names: Vec<(String, Expr)>,
    lambdas: Vec<Vec<(String, String)>>,
    count: usize,
    error: Option<Error>,
}

impl Scope {
    fn renamed(&self, name: &Ident) -> Option<Ident> {
        let lower = name.value.to_lowercase();
        let found = self.lambdas.iter().rev().flatten().find(|(own, _)| *own == lower)?;
        Some(Ident::with_quote('"', &found.1))
    }
}

impl VisitorMut for Scope {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Lambda(lambda) => {
                let mut names = Vec::new();
                for own in parameters(lambda) {
                    self.count += 1;
                    names.push((own, format!("Routine {}", self.count)));
                }
                rename(lambda, &names);
                self.lambdas.push(names);
            }
            Expr::Identifier(name) => {
                if let Some(new) = self.renamed(name) {
                    *name = new;
                } else if let Some(value) = self.value(name) {
                    *expr = value;
                } else if !["current_date", "current_timestamp", "current_time", "localtime", "localtimestamp"]
                    .contains(&name.value.to_lowercase().as_str())
                {
                    let at = name.span.start;
                    let text = format!(
                        "line {}:{}: Column '{}' cannot be resolved",
                        at.line.max(1),
                        at.column.max(1),
                        name.value
                    );
                    self.error.get_or_insert_with(|| Error::user(1006, "COLUMN_NOT_FOUND", text));
                    return ControlFlow::Break(());
                }
            }
            Expr::CompoundIdentifier(parts) => {
                let first = parts.remove(0);
                let root = if let Some(new) = self.renamed(&first) {
                    Expr::Identifier(new)
                } else if let Some(value) = self.value(&first) {
                    value
                } else {
                    let text = format!("line 1:1: Column '{}' cannot be resolved", first.value);
                    self.error.get_or_insert_with(|| Error::user(1006, "COLUMN_NOT_FOUND", text));
                    return ControlFlow::Break(());
                };
                *expr = std::mem::take(parts).into_iter().fold(root, |value, name| {
                    let access = datafusion::sql::sqlparser::ast::AccessExpr::Dot(Expr::Identifier(name));
                    Expr::CompoundFieldAccess { root: Box::new(value), access_chain: vec![access] }
                });
                return ControlFlow::Continue(());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Lambda(_)) {
            self.lambdas.pop();
        }
        ControlFlow::Continue(())
    }
}

impl Scope {
    fn value(&self, name: &Ident) -> Option<Expr> {
        let found = self.names.iter().rev().find(|(own, _)| name.value.eq_ignore_ascii_case(own));
        found.map(|(_, value)| value.clone())
    }
}

fn rename(lambda: &mut LambdaFunction, names: &[(String, String)]) {
    let all: Vec<_> = match &mut lambda.params {
        OneOrManyWithParens::One(one) => vec![one],
        OneOrManyWithParens::Many(many) => many.iter_mut().collect(),
    };
    for (parameter, (_, new)) in all.into_iter().zip(names) {
        parameter.name = Ident::with_quote('"', new);
    }
}

impl Routines {
    /// A number that no other routine or lambda has.
    pub(super) fn next(&mut self) -> usize {
        self.1 += 1;
        self.1
    }

    /// Puts the routines' expressions where a query calls them.
    pub(super) fn inline(&self, query: &mut Query) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { self.call(query) }
    }

    fn call(&self, node: &mut impl VisitMut) -> Result<()> {
        struct Calls<'a>(&'a Routines, Option<Error>);
        impl VisitorMut for Calls<'_> {
            type Break = ();
            fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
                let Expr::Function(call) = &*expr else { return ControlFlow::Continue(()) };
                let Some(routine) = name_of(call).and_then(|name| self.0.0.get(&name)) else {
                    return ControlFlow::Continue(());
                };
                match routine.applied(call) {
                    Ok(new) => *expr = new,
                    Err(error) => {
                        self.1 = Some(error);
                        return ControlFlow::Break(());
                    }
                }
                ControlFlow::Continue(())
            }
        }
        let mut calls = Calls(self, None);
        let _ = VisitMut::visit(node, &mut calls);
        calls.1.map_or(Ok(()), Err)
    }
}

impl Routine {
    fn applied(&self, call: &Function) -> Result<Expr> {
        let name = name_of(call).unwrap_or_default();
        let types: Vec<&str> = self.parameters.iter().map(|(_, ty)| ty.as_str()).collect();
        let given = plain_arguments(call).filter(|given| given.len() == types.len() && call.over.is_none());
        let Some(given) = given else {
            let at = call.name.span().start;
            let text = format!(
                "line {}:{}: Unexpected parameters for function {name}. Expected: {name}({})",
                at.line.max(1),
                at.column.max(1),
                types.join(", ")
            );
            return Err(Error::user(1006, "FUNCTION_NOT_FOUND", text));
        };
        let text = |text: &str| Expr::Value(Value::EscapedStringLiteral(text.to_owned()).into());
        let mut arguments = Vec::with_capacity(given.len());
        for (value, ty) in given.into_iter().zip(&types) {
            let expected = format!("{name}({})", types.join(", "));
            arguments.push(function(ARGUMENT, vec![value, text(ty), text(&expected)]));
        }
        let unread = || Error::internal("a routine's body was not read");
        // An argument is evaluated once, however often its parameter is named.
        let random = arguments.iter().any(is_random).then(|| std::mem::take(&mut arguments));
        if let Some(random) = &random {
            arguments = held(random.len()).ok_or_else(unread)?;
        }
        let body = self.with_arguments(arguments).ok_or_else(unread)?;
        match random {
            Some(random) => holding(random, body).ok_or_else(unread),
            None => Ok(body),
        }
    }

    fn with_arguments(&self, arguments: Vec<Expr>) -> Option<Expr> {
        let text = |text: &str| Expr::Value(Value::EscapedStringLiteral(text.to_owned()).into());
        let body = match &self.body {
            Body::Expression(body) => filled(body.as_ref(), &arguments)?,
            Body::Statements(program) => {
                let null =
                    |ty: &str| function(ARGUMENT, vec![Expr::Value(Value::Null.into()), text(ty), text("a variable")]);
                let mut all = vec![text(&program.steps), null(&self.returns)];
                all.extend(arguments.iter().cloned());
                all.extend(program.declared.iter().map(|ty| null(ty)));
                all.extend(program.expressions.iter().cloned());
                function(ROUTINE, all)
            }
        };
        let body = function(RETURNED, vec![body, text(&self.returns)]);
        if !self.strict || arguments.is_empty() {
            return Some(body);
        }
        let nulls: Vec<String> = (1..=arguments.len()).map(|i| format!("${i} IS NULL")).collect();
        let mut all = arguments;
        all.push(body);
        template(&format!("CASE WHEN {} THEN NULL ELSE ${} END", nulls.join(" OR "), all.len()), &all)
    }
}

/// A body with its arguments, which are not looked at again: what they hold is done.
fn filled(body: &Expr, arguments: &[Expr]) -> Option<Expr> {
    struct Fill<'a>(&'a [Expr], bool);
    impl VisitorMut for Fill<'_> {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Value(value) = &*expr
                && let Value::Placeholder(number) = &value.value
            {
                match number.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()).and_then(|n| self.0.get(n - 1)) {
                    Some(argument) => *expr = argument.clone(),
                    None => self.1 = false,
                }
            }
            ControlFlow::Continue(())
        }
    }
    let mut body = body.clone();
    let mut fill = Fill(arguments, true);
    let _ = VisitMut::visit(&mut body, &mut fill);
    fill.1.then_some(body)
}
