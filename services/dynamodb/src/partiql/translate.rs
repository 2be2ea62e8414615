//! The syntax tree to conditions, updates and values. What is not translated is refused by its text.

use std::collections::BTreeSet;

use sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    Subscript, UnaryOperator, Value as Literal,
};

use super::syntax::{Change, Selection, Written};
use super::{Select, Statement};
use crate::Invalid;
use crate::expr::{Comparator, Element, Operand, Path, Term, Test, Update, between};
use crate::number::Number;
use crate::value::{Item, Value};

/// The parameters of a statement while it is translated.
pub(crate) struct Parsed {
    parameters: Vec<Value>,
    used: BTreeSet<usize>,
}

impl Parsed {
    pub(crate) fn new(parameters: Vec<Value>) -> Self {
        Self { parameters, used: BTreeSet::new() }
    }

    pub(super) fn statement(mut self, written: Written) -> Result<Statement, Invalid> {
        let statement = match written {
            Written::Select(selection) => Statement::Select(self.select(selection)?),
            Written::Exists(selection) => Statement::Exists(self.select(selection)?),
            Written::Insert { table, item } => {
                let Value::M(item) = self.value(item)? else {
                    return Err(Invalid::new("Statement wasn't well formed, can't be processed: VALUE must be a map"));
                };
                Statement::Insert { table: only_table(table)?, item }
            }
            Written::Update { table, changes, filter, returning } => {
                let table = only_table(table)?;
                let update = self.update(changes)?;
                let filter = self.where_clause(filter)?;
                Statement::Update { table, update, filter, returning }
            }
            Written::Delete { table, filter, returning } => {
                let table = only_table(table)?;
                let filter = self.where_clause(filter)?;
                Statement::Delete { table, filter, returning }
            }
        };
        if self.used.len() != self.parameters.len() {
            return Err(Invalid::new("Number of parameters in request and statement don't match."));
        }
        Ok(statement)
    }

    fn select(&mut self, selection: Selection) -> Result<Select, Invalid> {
        let mut name = selection.table.into_iter();
        let (table, index) = (name.next().unwrap_or_default(), name.next());
        let projection = selection.projection.map(|list| list.into_iter().map(path).collect()).transpose()?;
        let filter = selection.filter.map(|filter| self.test(filter)).transpose()?;
        let order = selection.order.into_iter().map(|(expr, descends)| {
            let path = path(expr)?;
            Ok((path.attribute, descends))
        });
        Ok(Select { table, index, projection, filter, order: order.collect::<Result<_, Invalid>>()? })
    }

    fn where_clause(&mut self, filter: Option<Expr>) -> Result<Test, Invalid> {
        let filter = filter.ok_or_else(super::no_key)?;
        self.test(filter)
    }

    fn update(&mut self, changes: Vec<Change>) -> Result<Update, Invalid> {
        let mut update = Update::default();
        for change in changes {
            match change {
                Change::Remove(expr) => update.remove(path(expr)?),
                Change::Set(Expr::BinaryOp { left, op: BinaryOperator::Eq, right }) => {
                    let target = path(*left)?;
                    self.set(&mut update, target, *right)?;
                }
                Change::Set(other) => return Err(unsupported(&other)),
            }
        }
        update.check()?;
        Ok(update)
    }

    fn set(&mut self, update: &mut Update, target: Path, value: Expr) -> Result<(), Invalid> {
        if let Expr::Function(function) = &value {
            let (name, arguments) = call(function)?;
            if let ("set_add" | "set_delete", [_, elements]) = (name.as_str(), arguments.as_slice()) {
                let elements = self.value(elements.clone())?;
                if !matches!(elements, Value::Ss(_) | Value::Ns(_) | Value::Bs(_)) {
                    return Err(Invalid::new(format!("{name} needs a set")));
                }
                if name == "set_add" {
                    update.add(target, elements);
                } else {
                    update.delete(target, elements);
                }
                return Ok(());
            }
        }
        let term = self.term(value)?;
        update.set_term(target, term);
        Ok(())
    }

    fn term(&mut self, expr: Expr) -> Result<Term, Invalid> {
        match expr {
            Expr::Nested(inner) => self.term(*inner),
            Expr::BinaryOp { left, op: op @ (BinaryOperator::Plus | BinaryOperator::Minus), right } => {
                let (left, right) = (Box::new(self.term(*left)?), Box::new(self.term(*right)?));
                Ok(if op == BinaryOperator::Plus { Term::Plus(left, right) } else { Term::Minus(left, right) })
            }
            Expr::Function(function) => {
                let (name, arguments) = call(&function)?;
                let Ok([first, second]) = <[Expr; 2]>::try_from(arguments) else {
                    return Err(unsupported(&Expr::Function(function)));
                };
                match name.as_str() {
                    "list_append" => Ok(Term::ListAppend(Box::new(self.term(first)?), Box::new(self.term(second)?))),
                    "if_not_exists" => Ok(Term::IfNotExists(path(first)?, Box::new(self.term(second)?))),
                    _ => Err(unsupported(&Expr::Function(function))),
                }
            }
            expr => Ok(match self.operand(expr)? {
                Operand::Path(path) => Term::Path(path),
                Operand::Value(value) => Term::Value(value),
                Operand::Size(_) => return Err(Invalid::new("size cannot be assigned")),
            }),
        }
    }

    fn test(&mut self, expr: Expr) -> Result<Test, Invalid> {
        let negate = |test, negated| if negated { Test::Not(Box::new(test)) } else { test };
        Ok(match expr {
            Expr::Nested(inner) => self.test(*inner)?,
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Test::Not(Box::new(self.test(*expr)?)),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                Test::All(vec![self.test(*left)?, self.test(*right)?])
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                Test::Any(vec![self.test(*left)?, self.test(*right)?])
            }
            Expr::BinaryOp { left, op, right } => {
                let comparator = match op {
                    BinaryOperator::Eq => Comparator::Equal,
                    BinaryOperator::NotEq => Comparator::NotEqual,
                    BinaryOperator::Lt => Comparator::Less,
                    BinaryOperator::LtEq => Comparator::LessOrEqual,
                    BinaryOperator::Gt => Comparator::Greater,
                    BinaryOperator::GtEq => Comparator::GreaterOrEqual,
                    _ => return Err(unsupported(&Expr::BinaryOp { left, op, right })),
                };
                Test::compare(comparator, self.operand(*left)?, self.operand(*right)?)?
            }
            Expr::Between { expr, negated, low, high } => {
                let operand = self.operand(*expr)?;
                negate(between(operand, self.operand(*low)?, self.operand(*high)?)?, negated)
            }
            Expr::InList { expr, list, negated } => {
                let operand = self.operand(*expr)?;
                let list = list.into_iter().map(|one| self.operand(one)).collect::<Result<Vec<_>, _>>()?;
                if list.len() > 100 {
                    return Err(Invalid::new("The IN operator takes at most 100 operands"));
                }
                negate(Test::In(operand, list), negated)
            }
            Expr::IsUnknown(expr) => Test::NotExists(path(*expr)?),
            Expr::IsNotUnknown(expr) => Test::Exists(path(*expr)?),
            Expr::IsNull(expr) => Test::HasType(path(*expr)?, "NULL".to_owned()),
            Expr::IsNotNull(expr) => Test::Not(Box::new(Test::HasType(path(*expr)?, "NULL".to_owned()))),
            Expr::Function(function) => self.function(&function)?,
            other => return Err(unsupported(&other)),
        })
    }

    fn function(&mut self, function: &Function) -> Result<Test, Invalid> {
        let (name, arguments) = call(function)?;
        let unknown = || unsupported(&Expr::Function(function.clone()));
        if let ("attribute_exists" | "attribute_not_exists", [only]) = (name.as_str(), arguments.as_slice()) {
            let path = path(only.clone())?;
            return Ok(if name == "attribute_exists" { Test::Exists(path) } else { Test::NotExists(path) });
        }
        let [first, second] = <[Expr; 2]>::try_from(arguments).map_err(|_| unknown())?;
        match name.as_str() {
            "begins_with" => Test::begins_with(self.operand(first)?, self.operand(second)?),
            "contains" => Ok(Test::Contains(self.operand(first)?, self.operand(second)?)),
            "attribute_type" => match self.value(second)? {
                Value::S(kind) => Test::has_type(path(first)?, kind),
                _ => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }

    fn operand(&mut self, expr: Expr) -> Result<Operand, Invalid> {
        match expr {
            Expr::Nested(inner) => self.operand(*inner),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => {
                Ok(Operand::Path(path(expr)?))
            }
            Expr::Function(function) => match call(&function)? {
                (name, arguments) if name == "size" && arguments.len() == 1 => {
                    Ok(Operand::Size(path(arguments.into_iter().next().unwrap_or(Expr::Function(function)))?))
                }
                _ => Err(unsupported(&Expr::Function(function))),
            },
            other => Ok(Operand::Value(self.value(other)?)),
        }
    }

    /// A literal or a parameter.
    fn value(&mut self, expr: Expr) -> Result<Value, Invalid> {
        match expr {
            Expr::Nested(inner) => self.value(*inner),
            Expr::Value(value) => match value.value {
                Literal::Number(digits, _) => Ok(Value::N(digits.parse()?)),
                Literal::SingleQuotedString(text) => Ok(Value::S(text)),
                Literal::Boolean(yes) => Ok(Value::Bool(yes)),
                Literal::Null => Ok(Value::Null),
                Literal::Placeholder(mark) => self.parameter(&mark),
                other => Err(Invalid::new(format!("Unsupported literal: {other}"))),
            },
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match self.value(*expr)? {
                Value::N(number) => Ok(Value::N(number.negate())),
                _ => Err(Invalid::new("Only numbers can be negative")),
            },
            Expr::UnaryOp { op: UnaryOperator::Plus, expr } => self.value(*expr),
            Expr::Dictionary(fields) => {
                let mut map = Item::new();
                for field in fields {
                    map.insert(field.key.value, self.value(*field.value)?);
                }
                Ok(Value::M(map))
            }
            Expr::Array(Array { elem, named: false }) => {
                Ok(Value::L(elem.into_iter().map(|one| self.value(one)).collect::<Result<_, _>>()?))
            }
            Expr::Array(Array { elem, named: true }) => {
                set(elem.into_iter().map(|one| self.value(one)).collect::<Result<_, _>>()?)
            }
            other => Err(unsupported(&other)),
        }
    }

    fn parameter(&mut self, mark: &str) -> Result<Value, Invalid> {
        let missing = || Invalid::new("Number of parameters in request and statement don't match.");
        let place: usize = mark.trim_start_matches('?').parse().map_err(|_| missing())?;
        let value = self.parameters.get(place).cloned().ok_or_else(missing)?;
        self.used.insert(place);
        Ok(value)
    }
}

/// A set: all of one kind, none twice.
fn set(values: Vec<Value>) -> Result<Value, Invalid> {
    let wrong = || Invalid::new("One or more parameter values were invalid: a set holds values of one type, each once");
    let count = values.len();
    let set = match values.first() {
        Some(Value::S(_)) => Value::Ss(
            values
                .into_iter()
                .map(|value| if let Value::S(text) = value { Ok(text) } else { Err(wrong()) })
                .collect::<Result<_, _>>()?,
        ),
        Some(Value::N(_)) => {
            let number =
                |value| if let Value::N(number) = value { Ok::<Number, Invalid>(number) } else { Err(wrong()) };
            Value::Ns(values.into_iter().map(number).collect::<Result<_, _>>()?)
        }
        Some(Value::B(_)) => Value::Bs(
            values
                .into_iter()
                .map(|value| if let Value::B(bytes) = value { Ok(bytes) } else { Err(wrong()) })
                .collect::<Result<_, _>>()?,
        ),
        _ => return Err(wrong()),
    };
    if set.length() == Some(count) { Ok(set) } else { Err(wrong()) }
}

fn only_table(name: Vec<String>) -> Result<String, Invalid> {
    match <[String; 1]>::try_from(name) {
        Ok([table]) => Ok(table),
        Err(name) => Err(Invalid::new(format!("Items are written to tables, not to indexes: {}", name.join(".")))),
    }
}

/// Name and arguments of a call that has nothing beside them.
fn call(function: &Function) -> Result<(String, Vec<Expr>), Invalid> {
    let refused = || unsupported(&Expr::Function(function.clone()));
    let FunctionArguments::List(list) = &function.args else { return Err(refused()) };
    if function.over.is_some()
        || function.filter.is_some()
        || !list.clauses.is_empty()
        || list.duplicate_treatment.is_some()
    {
        return Err(refused());
    }
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
        _ => Err(refused()),
    };
    let arguments = list.args.iter().map(argument).collect::<Result<_, _>>()?;
    Ok((function.name.to_string().to_ascii_lowercase(), arguments))
}

fn path(expr: Expr) -> Result<Path, Invalid> {
    let attribute = |ident: &Ident| Element::Attribute(ident.value.clone());
    match expr {
        Expr::Nested(inner) => path(*inner),
        Expr::Identifier(ident) => Ok(Path { attribute: ident.value, rest: Vec::new() }),
        Expr::CompoundIdentifier(idents) => match idents.split_first() {
            Some((first, rest)) => {
                Ok(Path { attribute: first.value.clone(), rest: rest.iter().map(attribute).collect() })
            }
            None => Err(Invalid::new("an empty path")),
        },
        Expr::CompoundFieldAccess { root, access_chain } => {
            let mut path = path(*root)?;
            for access in access_chain {
                match access {
                    AccessExpr::Dot(Expr::Identifier(ident)) => path.rest.push(attribute(&ident)),
                    AccessExpr::Subscript(Subscript::Index { index: Expr::Value(value) }) => match value.value {
                        Literal::Number(digits, _) => {
                            let index = digits.parse::<u32>().map_err(|_| {
                                Invalid::new(format!("List index is not within the allowable range; index: [{digits}]"))
                            })?;
                            path.rest.push(Element::Index(index as usize));
                        }
                        Literal::SingleQuotedString(name) => path.rest.push(Element::Attribute(name)),
                        other => return Err(Invalid::new(format!("Unsupported index: {other}"))),
                    },
                    other => return Err(Invalid::new(format!("Unsupported path: {other}"))),
                }
            }
            Ok(path)
        }
        other => Err(unsupported(&other)),
    }
}

fn unsupported(expr: &Expr) -> Invalid {
    Invalid::new(format!("Unsupported expression in statement: {expr}"))
}
