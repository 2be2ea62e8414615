//! `BEGIN … END` of WITH FUNCTION, read into [`Step`]s and the expressions that they evaluate (Trino's grammar, `controlStatement`).

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    CaseWhen, Expr, LambdaFunction, LambdaFunctionParameter, LambdaSyntax, OneOrManyWithParens, Value,
};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Source;
use super::forms::made_ident;
use super::grammar::{bare, closing, text_of};
use super::rewrite::function;
use super::routines::{RETURNED, Routines, expression};
use crate::error::{Error, Result};
use crate::routine::{Label, Step};

/// A routine of statements: its steps, the types of the variables that it declares, and its expressions as lambdas over its
/// parameters and those.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) steps: String,
    pub(super) declared: Vec<String>,
    pub(super) expressions: Vec<Expr>,
}

/// Reads the block that begins at a token; the token behind it.
pub(super) fn program(
    source: &Source<'_>,
    start: usize,
    parameters: &[(String, String)],
    returns: &str,
    known: &mut Routines,
) -> Result<(Program, usize)> {
    let number = known.next();
    let names = parameters.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
    let mut reader = Reader {
        source,
        at: start,
        known,
        number,
        returns,
        types: parameters.iter().map(|(_, ty)| ty.clone()).collect(),
        scopes: vec![names],
        labels: Vec::new(),
        loops: 0,
        expressions: Vec::new(),
    };
    let steps = reader.block()?;
    if !matches!(steps.last(), Some(Step::Return(_))) {
        return Err(Error::user(1006, "MISSING_RETURN", "line 1:1: Function must end in a RETURN statement"));
    }
    let declared = reader.types[parameters.len()..].to_vec();
    let variables = reader.types.len();
    let expressions = reader.expressions.into_iter().map(|body| over_all(body, number, variables)).collect();
    let steps = serde_json::to_string(&steps).map_err(Error::internal)?;
    Ok((Program { steps, declared, expressions }, reader.at))
}

/// A value as a lambda of all variables.
fn over_all(body: Expr, number: usize, variables: usize) -> Expr {
    let parameter =
        |at| LambdaFunctionParameter { name: made_ident(&format!("variable {number} {at}")), data_type: None };
    Expr::Lambda(LambdaFunction {
        params: OneOrManyWithParens::Many((0..variables).map(parameter).collect()),
        body: Box::new(body),
        syntax: LambdaSyntax::Arrow,
    })
}

struct Reader<'a, 'b> {
    source: &'a Source<'b>,
    at: usize,
    known: &'a mut Routines,
    number: usize,
    returns: &'a str,
    /// Of all variables.
    types: Vec<String>,
    scopes: Vec<Vec<(String, usize)>>,
    labels: Vec<(String, Label)>,
    loops: usize,
    expressions: Vec<Expr>,
}

impl<'a> Reader<'a, '_> {
    fn tokens(&self) -> &'a [TokenWithSpan] {
        &self.source.tokens
    }

    fn is(&self, word: &str) -> bool {
        self.is_at(self.at, word)
    }

    fn is_at(&self, at: usize, word: &str) -> bool {
        bare(self.tokens(), at).is_some_and(|own| own.eq_ignore_ascii_case(word))
    }

    fn is_token(&self, at: usize, token: &Token) -> bool {
        self.tokens().get(at).is_some_and(|own| own.token == *token)
    }

    fn take(&mut self, word: &str) -> bool {
        let is = self.is(word);
        self.at += usize::from(is);
        is
    }

    fn unread(&self) -> Error {
        match self.tokens().get(self.at) {
            Some(token) => self.source.mismatched(token),
            None => Error::syntax(1, 1, "mismatched input '<EOF>'"),
        }
    }

    fn expect(&mut self, words: &[&str]) -> Result<()> {
        words.iter().try_for_each(|word| if self.take(word) { Ok(()) } else { Err(self.unread()) })
    }

    fn semicolon(&mut self) -> Result<()> {
        if !self.is_token(self.at, &Token::SemiColon) {
            return Err(self.unread());
        }
        self.at += 1;
        Ok(())
    }

    fn name(&mut self) -> Result<String> {
        match self.tokens().get(self.at).map(|token| &token.token) {
            Some(Token::Word(word)) => {
                self.at += 1;
                Ok(word.value.to_lowercase())
            }
            _ => Err(self.unread()),
        }
    }

    /// `BEGIN [DECLARE …;]* [statement;]* END`
    fn block(&mut self) -> Result<Vec<Step>> {
        self.expect(&["BEGIN"])?;
        self.scopes.push(Vec::new());
        let mut steps = Vec::new();
        while self.take("DECLARE") {
            self.declare(&mut steps)?;
            self.semicolon()?;
        }
        steps.extend(self.statements(&["END"])?);
        self.expect(&["END"])?;
        self.scopes.pop();
        Ok(steps)
    }

    /// `a, b type [DEFAULT value]`
    fn declare(&mut self, steps: &mut Vec<Step>) -> Result<()> {
        let mut names = vec![self.name()?];
        while self.is_token(self.at, &Token::Comma) {
            self.at += 1;
            names.push(self.name()?);
        }
        let start = self.at;
        while self.at < self.tokens().len() && !self.is("DEFAULT") && !self.is_token(self.at, &Token::SemiColon) {
            self.at = match self.tokens()[self.at].token {
                Token::LParen => closing(self.tokens(), self.at).map_or_else(|| self.tokens().len(), |end| end + 1),
                _ => self.at + 1,
            };
        }
        if self.at == start {
            return Err(self.unread());
        }
        let ty = text_of(&self.tokens()[start..self.at]);
        let default = if self.take("DEFAULT") {
            let value = self.expression(&[])?;
            Some(self.of_type(value, &ty))
        } else {
            None
        };
        for name in names {
            if self.scopes.iter().flatten().any(|(other, _)| *other == name) {
                let text = format!("line 1:1: Variable already declared in this scope: {name}");
                return Err(Error::user(1006, "ALREADY_EXISTS", text));
            }
            let variable = self.types.len();
            self.types.push(ty.clone());
            if let Some(scope) = self.scopes.last_mut() {
                scope.push((name, variable));
            }
            steps.push(match default {
                Some(value) => Step::Set(variable, value),
                None => Step::Clear(variable),
            });
        }
        Ok(())
    }

    /// Statements up to one of the words, which is left.
    fn statements(&mut self, ends: &[&str]) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        while !ends.iter().any(|end| self.is(end)) {
            self.statement(&mut steps)?;
            self.semicolon()?;
        }
        Ok(steps)
    }

    /// As [`Self::statements`], where there has to be one.
    fn some_statements(&mut self, ends: &[&str]) -> Result<Vec<Step>> {
        if ends.iter().any(|end| self.is(end)) {
            return Err(self.unread());
        }
        self.statements(ends)
    }

    fn statement(&mut self, steps: &mut Vec<Step>) -> Result<()> {
        if self.is("BEGIN") {
            steps.extend(self.block()?);
            return Ok(());
        }
        let step = if self.take("RETURN") {
            let value = self.expression(&[])?;
            let returns = self.returns.to_owned();
            Step::Return(self.of_type(value, &returns))
        } else if self.take("SET") {
            let at =
                self.tokens().get(self.at).map_or((1, 1), |token| (token.span.start.line, token.span.start.column));
            let name = self.name()?;
            let Some(variable) = self.variable(&name) else {
                let text = format!("line {}:{}: Variable cannot be resolved: {name}", at.0, at.1);
                return Err(Error::user(1006, "NOT_FOUND", text));
            };
            if !self.is_token(self.at, &Token::Eq) {
                return Err(self.unread());
            }
            self.at += 1;
            let value = self.expression(&[])?;
            let ty = self.types[variable].clone();
            Step::Set(variable, self.of_type(value, &ty))
        } else if self.take("IF") {
            self.branches()?
        } else if self.take("CASE") {
            self.case()?
        } else if self.take("LEAVE") {
            Step::Leave(self.label()?)
        } else if self.take("ITERATE") {
            Step::Iterate(self.label()?)
        } else {
            self.repetition()?
        };
        steps.push(step);
        Ok(())
    }

    /// `condition THEN … [ELSEIF condition THEN …]* [ELSE …] END IF`
    fn branches(&mut self) -> Result<Step> {
        let mut branches = Vec::new();
        loop {
            let condition = self.condition(&["THEN"])?;
            self.expect(&["THEN"])?;
            branches.push((condition, self.some_statements(&["ELSEIF", "ELSE", "END"])?));
            if !self.take("ELSEIF") {
                break;
            }
        }
        let otherwise = if self.take("ELSE") { self.some_statements(&["END"])? } else { Vec::new() };
        self.expect(&["END", "IF"])?;
        Ok(Step::If(branches, otherwise))
    }

    /// `[operand] WHEN … THEN … [ELSE …] END CASE`
    fn case(&mut self) -> Result<Step> {
        let operand = if self.is("WHEN") { None } else { Some(self.expression(&["WHEN"])?) };
        let (mut values, mut lists, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
        while self.take("WHEN") {
            if operand.is_some() {
                values.push(self.expression(&["THEN"])?);
            } else {
                conditions.push(self.condition(&["THEN"])?);
            }
            self.expect(&["THEN"])?;
            lists.push(self.some_statements(&["WHEN", "ELSE", "END"])?);
        }
        if lists.is_empty() {
            return Err(self.unread());
        }
        let otherwise = if self.take("ELSE") { self.some_statements(&["END"])? } else { Vec::new() };
        self.expect(&["END", "CASE"])?;
        let Some(operand) = operand else {
            return Ok(Step::If(conditions.into_iter().zip(lists).collect(), otherwise));
        };
        let number = |n: usize| Expr::Value(Value::Number(n.to_string(), false).into());
        let conditions = values
            .into_iter()
            .enumerate()
            .map(|(at, condition)| CaseWhen { condition, result: number(at) })
            .collect::<Vec<_>>();
        let which = Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: Some(Box::new(operand)),
            else_result: Some(Box::new(number(conditions.len()))),
            conditions,
        };
        lists.push(otherwise);
        self.expressions.push(which);
        Ok(Step::Choose(self.expressions.len() - 1, lists))
    }

    /// `[label:] LOOP … | WHILE … | REPEAT …`
    fn repetition(&mut self) -> Result<Step> {
        let label = self.loops;
        self.loops += 1;
        let named = self.is_token(self.at + 1, &Token::Colon);
        let name = if named { Some(self.name()?) } else { None };
        self.at += usize::from(named);
        let depth = self.labels.len();
        self.labels.extend(name.map(|name| (name, label)));
        let step = if self.take("LOOP") {
            let steps = self.some_statements(&["END"])?;
            self.expect(&["END", "LOOP"])?;
            Step::Loop(label, steps)
        } else if self.take("WHILE") {
            let condition = self.condition(&["DO"])?;
            self.expect(&["DO"])?;
            let steps = self.some_statements(&["END"])?;
            self.expect(&["END", "WHILE"])?;
            Step::While(label, condition, steps)
        } else if self.take("REPEAT") {
            let steps = self.some_statements(&["UNTIL"])?;
            self.expect(&["UNTIL"])?;
            let condition = self.condition(&["END"])?;
            self.expect(&["END", "REPEAT"])?;
            Step::Repeat(label, steps, condition)
        } else {
            return Err(self.unread());
        };
        self.labels.truncate(depth);
        Ok(step)
    }

    fn label(&mut self) -> Result<Label> {
        let name = self.name()?;
        let found = self.labels.iter().rev().find(|(own, _)| *own == name).map(|(_, label)| *label);
        found.ok_or_else(|| Error::user(1006, "NOT_FOUND", format!("line 1:1: Label not defined: {name}")))
    }

    fn variable(&self, name: &str) -> Option<usize> {
        self.scopes.iter().rev().flatten().find(|(own, _)| own == name).map(|(_, variable)| *variable)
    }

    fn condition(&mut self, ends: &[&str]) -> Result<usize> {
        let condition = self.expression(ends)?;
        Ok(self.of_type(condition, "boolean"))
    }

    /// The place of an expression as one of a type.
    fn of_type(&mut self, value: Expr, ty: &str) -> usize {
        let ty = Expr::Value(Value::EscapedStringLiteral(ty.to_owned()).into());
        self.expressions.push(function(RETURNED, vec![value, ty]));
        self.expressions.len() - 1
    }

    /// The expression up to a semicolon or one of the words, those of its own CASE aside.
    fn expression(&mut self, ends: &[&str]) -> Result<Expr> {
        let start = self.at;
        let mut cases = 0usize;
        while let Some(token) = self.tokens().get(self.at) {
            match token.token {
                Token::SemiColon => break,
                Token::LParen | Token::LBracket => {
                    self.at = closing(self.tokens(), self.at).ok_or_else(|| self.unread())? + 1;
                    continue;
                }
                _ if cases == 0 && ends.iter().any(|end| self.is(end)) => break,
                _ if self.is("CASE") => cases += 1,
                _ if self.is("END") => cases = cases.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
        if self.at == start {
            return Err(self.unread());
        }
        let names = self.scopes.iter().flatten().map(|(name, variable)| {
            let own = Expr::Identifier(made_ident(&format!("variable {} {variable}", self.number)));
            (name.clone(), own)
        });
        let names = names.collect();
        expression(self.source, &self.tokens()[start..self.at], names, self.known)
    }
}
