//! The language of S3 Select, read by a general SQL parser: one SELECT without joins, groups or order.
//! Source: Amazon S3 User Guide, "SQL reference for Amazon S3 Select".

use std::collections::BTreeSet;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr as Sql, FunctionArg, FunctionArgExpr,
    FunctionArguments, GroupByExpr, Ident, LimitClause, SelectItem, SetExpr, Statement, Subscript, TableFactor,
    TrimWhereField, UnaryOperator, Value as Literal,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::Invalid;
use super::value::{Value, moment};

/// Longest expression. Source: S3 User Guide, "Requirements and limits".
const MAX_BYTES: usize = 256 * 1024;
/// Deepest nesting of an expression; a chain of operators nests as deep as it is long.
const MAX_DEPTH: usize = 100;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Query {
    /// What of a record is looked at, from `S3Object`.
    pub(super) from: Vec<Step>,
    /// By which names the FROM's value may be called.
    pub(super) names: Vec<String>,
    /// None for `*`.
    pub(super) columns: Option<Vec<Column>>,
    pub(super) filter: Option<Expr>,
    pub(super) limit: Option<u64>,
    /// What is counted or summed, in the order in which [`Expr::Aggregate`] names them.
    pub(super) aggregates: Vec<(Aggregate, Option<Expr>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) expr: Expr,
    /// As JSON calls it.
    pub(super) name: String,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Name {
        name: String,
        exact: bool,
    },
    Index(usize),
    /// `[*]`
    Each,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Aggregate {
    Count,
    Sum,
    Avg,
    Min,
    Max,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Literal(Value),
    Path(Vec<Step>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    In(Box<Expr>, Vec<Expr>),
    Like {
        text: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<char>,
    },
    /// The second also of what is missing.
    IsNull(Box<Expr>),
    Case {
        operand: Option<Box<Expr>>,
        whens: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Cast(Box<Expr>, Type),
    /// By its name in upper case.
    Function(String, Vec<Expr>),
    Aggregate(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operator {
    And,
    Or,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Concat,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Type {
    Bool,
    Int,
    Float,
    /// Of so many digits, so many of them behind the point.
    Decimal(Option<(u64, i64)>),
    Text,
    Time,
}

fn unsupported(what: impl std::fmt::Display) -> Invalid {
    Invalid::new("UnsupportedSyntax", format!("Encountered invalid syntax: {what} is not supported"))
}

impl Query {
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() > MAX_BYTES {
            return Err(Invalid::new("ExpressionTooLong", "The SQL expression is longer than 256 KB"));
        }
        let (text, path) = without_path(text)?;
        let failed = |error: &dyn std::fmt::Display| Invalid::new("ParseSelectFailure", error.to_string());
        let tokens = Tokenizer::new(&GenericDialect {}, text.trim().trim_end_matches(';')).tokenize();
        let tokens = tokens.map_err(|error| failed(&error))?;
        if tokens.iter().filter(|token| is_operator(token)).count() > MAX_DEPTH {
            return Err(unsupported(format!("an expression of more than {MAX_DEPTH} operators")));
        }
        let parsed = Parser::new(&GenericDialect {}).with_tokens(tokens).parse_statements();
        let mut parsed = parsed.map_err(|error| failed(&error))?;
        let (Some(Statement::Query(query)), true) = (parsed.pop(), parsed.is_empty()) else {
            return Err(unsupported("a statement other than one SELECT"));
        };
        let limit = match query.limit_clause {
            None => None,
            Some(LimitClause::LimitOffset { limit: Some(Sql::Value(limit)), offset: None, limit_by })
                if limit_by.is_empty() =>
            {
                let number = limit.to_string().parse();
                Some(number.map_err(|_| Invalid::new("EvaluatorInvalidArguments", format!("LIMIT {limit}")))?)
            }
            Some(_) => return Err(unsupported("this LIMIT")),
        };
        if query.order_by.is_some() || query.with.is_some() {
            return Err(unsupported("ORDER BY or WITH"));
        }
        let SetExpr::Select(select) = *query.body else { return Err(unsupported("a UNION or VALUES")) };
        let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
        if grouped || select.having.is_some() || select.distinct.is_some() {
            return Err(unsupported("GROUP BY, HAVING or DISTINCT"));
        }
        let [table] = select.from.as_slice() else { return Err(unsupported("a FROM of other than one source")) };
        let TableFactor::Table { name, alias, args: None, .. } = &table.relation else {
            return Err(unsupported("this FROM"));
        };
        if !table.joins.is_empty() {
            return Err(unsupported("JOIN"));
        }
        if !name.to_string().eq_ignore_ascii_case(SOURCE) {
            return Err(Invalid::new(
                "InvalidDataSource",
                format!("Invalid data source type: {name}; only S3Object is"),
            ));
        }
        let mut names = vec![SOURCE.to_owned()];
        names.extend(alias.as_ref().map(|alias| alias.name.value.clone()));
        if alias.is_none()
            && let Some(Step::Name { name, .. }) = path.last()
        {
            names.push(name.clone());
        }
        let mut reader = Reader { names: &names, aggregates: Vec::new(), within: false, depth: 0 };
        let columns = reader.columns(select.projection)?;
        let filter = select.selection.map(|filter| reader.expr(filter)).transpose()?;
        let aggregates = reader.aggregates;
        Ok(Self { from: path, columns, filter, limit, aggregates, names })
    }
}

impl Query {
    /// The names of the members that are looked at, in lower case; none where it may be any.
    pub(super) fn members(&self) -> Option<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        let columns = self.columns.as_ref()?.iter().map(|column| &column.expr);
        let aggregates = self.aggregates.iter().filter_map(|(_, argument)| argument.as_ref());
        let known = columns.chain(&self.filter).chain(aggregates).all(|expr| self.reads(expr, &mut names));
        (known && self.from.iter().all(|step| *step == Step::Each)).then_some(names)
    }

    fn reads(&self, expr: &Expr, names: &mut BTreeSet<String>) -> bool {
        if let Expr::Path(steps) = expr {
            let Some(Step::Name { name, .. }) = steps.first() else { return false };
            // A place, or the record itself.
            let other = name.starts_with('_') || self.names.iter().any(|own| own.eq_ignore_ascii_case(name));
            names.insert(name.to_lowercase());
            return !other;
        }
        expr.within().into_iter().all(|expr| self.reads(expr, names))
    }
}

impl Expr {
    /// What it is made of.
    fn within(&self) -> Vec<&Self> {
        match self {
            Self::Literal(_) | Self::Aggregate(_) | Self::Path(_) => Vec::new(),
            Self::Not(inner) | Self::Negate(inner) | Self::IsNull(inner) | Self::Cast(inner, _) => vec![inner.as_ref()],
            Self::Binary(_, left, right) => vec![left.as_ref(), right.as_ref()],
            Self::Like { text, pattern, .. } => vec![text.as_ref(), pattern.as_ref()],
            Self::In(expr, list) => std::iter::once(expr.as_ref()).chain(list).collect(),
            Self::Function(_, arguments) => arguments.iter().collect(),
            Self::Case { operand, whens, otherwise } => {
                let whens = whens.iter().flat_map(|(when, then)| [when, then]);
                operand.iter().chain(otherwise).map(AsRef::as_ref).chain(whens).collect()
            }
        }
    }
}

const SOURCE: &str = "S3Object";

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(word.keyword, Keyword::AND | Keyword::OR | Keyword::NOT),
        Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod | Token::StringConcat => true,
        _ => false,
    }
}

/// The expression without the path behind `S3Object`, and that path: `S3Object[*].a."b"[*]`.
fn without_path(text: &str) -> Result<(String, Vec<Step>), Invalid> {
    let lower = text.to_ascii_lowercase();
    let bad = || Invalid::new("InvalidDataSource", "The FROM clause does not name S3Object");
    // What is between quotes is no FROM.
    let mut at = None;
    let mut quote = None;
    for (place, byte) in lower.bytes().enumerate() {
        match quote {
            Some(open) if open == byte => quote = None,
            Some(_) => {}
            None if matches!(byte, b'\'' | b'"') => quote = Some(byte),
            None => {
                let rest = &lower[place..];
                if rest.starts_with("from")
                    && rest[4..].trim_start().starts_with("s3object")
                    && rest[4..].starts_with(char::is_whitespace)
                {
                    at = Some(place + 4 + (rest[4..].len() - rest[4..].trim_start().len()) + "s3object".len());
                    break;
                }
            }
        }
    }
    let at = at.ok_or_else(bad)?;
    let mut steps = Vec::new();
    let mut rest = &text[at..];
    loop {
        if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']').ok_or_else(bad)?;
            let index = index.trim();
            steps.push(match index.strip_prefix('\'').and_then(|name| name.strip_suffix('\'')) {
                Some(name) => Step::Name { name: name.to_owned(), exact: true },
                None if index == "*" => Step::Each,
                None => Step::Index(index.parse().map_err(|_| bad())?),
            });
            rest = after;
        } else if let Some(inner) = rest.strip_prefix(".\"") {
            let (name, after) = inner.split_once('"').ok_or_else(bad)?;
            steps.push(Step::Name { name: name.to_owned(), exact: true });
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('.') {
            let end = inner.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inner.len());
            if end == 0 {
                return Err(bad());
            }
            steps.push(Step::Name { name: inner[..end].to_owned(), exact: false });
            rest = &inner[end..];
        } else {
            return Ok((format!("{}{rest}", &text[..at]), steps));
        }
    }
}

struct Reader<'a> {
    names: &'a [String],
    aggregates: Vec<(Aggregate, Option<Expr>)>,
    /// In an aggregate already.
    within: bool,
    depth: usize,
}

impl Reader<'_> {
    fn columns(&mut self, items: Vec<SelectItem>) -> Result<Option<Vec<Column>>, Invalid> {
        if let [SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)] = items.as_slice() {
            return Ok(None);
        }
        let mut columns = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            let (expr, alias) = match item {
                SelectItem::UnnamedExpr(expr) => (self.expr(expr)?, None),
                SelectItem::ExprWithAlias { expr, alias } => (self.expr(expr)?, Some(alias.value)),
                _ => return Err(unsupported("* beside other columns")),
            };
            let own = match &expr {
                Expr::Path(steps) => match steps.last() {
                    Some(Step::Name { name, .. }) => Some(name.clone()),
                    _ => None,
                },
                _ => None,
            };
            let name = alias.or(own).unwrap_or_else(|| format!("_{}", at + 1));
            columns.push(Column { expr, name });
        }
        if !self.aggregates.is_empty() && columns.iter().any(|column| reads_record(&column.expr)) {
            return Err(unsupported("a column beside an aggregate"));
        }
        Ok(Some(columns))
    }

    fn boxed(&mut self, expr: Sql) -> Result<Box<Expr>, Invalid> {
        self.expr(expr).map(Box::new)
    }

    fn expr(&mut self, expr: Sql) -> Result<Expr, Invalid> {
        if self.depth >= MAX_DEPTH {
            return Err(unsupported("an expression that nests so deep"));
        }
        self.depth += 1;
        let read = self.read(expr);
        self.depth -= 1;
        read
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind of expression")]
    fn read(&mut self, expr: Sql) -> Result<Expr, Invalid> {
        Ok(match expr {
            Sql::Value(value) => Expr::Literal(literal(value.value)?),
            Sql::Identifier(name) if name.quote_style == Some('`') => Expr::Literal(ion(&name.value)?),
            Sql::Identifier(name) => self.path(vec![name]),
            Sql::CompoundIdentifier(names) => self.path(names),
            Sql::CompoundFieldAccess { root, access_chain } => self.access(*root, access_chain)?,
            Sql::Nested(inner) => self.expr(*inner)?,
            Sql::UnaryOp { op: UnaryOperator::Not, expr } => Expr::Not(self.boxed(*expr)?),
            Sql::UnaryOp { op: UnaryOperator::Minus, expr } => Expr::Negate(self.boxed(*expr)?),
            Sql::UnaryOp { op: UnaryOperator::Plus, expr } => self.expr(*expr)?,
            chain @ Sql::BinaryOp { .. } => self.chain(chain)?,
            Sql::Between { expr, negated, low, high } => {
                let (expr, low, high) = (self.expr(*expr)?, self.boxed(*low)?, self.boxed(*high)?);
                let above = Expr::Binary(Operator::GreaterOrEqual, Box::new(expr.clone()), low);
                let below = Expr::Binary(Operator::LessOrEqual, Box::new(expr), high);
                negate(negated, Expr::Binary(Operator::And, Box::new(above), Box::new(below)))
            }
            Sql::InList { expr, list, negated } => {
                let expr = self.boxed(*expr)?;
                let list = list.into_iter().map(|one| self.expr(one)).collect::<Result<_, _>>()?;
                negate(negated, Expr::In(expr, list))
            }
            Sql::Like { negated, any: false, expr, pattern, escape_char } => {
                let escape = escape_char.map(|value| value.to_string().trim_matches('\'').to_owned());
                let escape = match escape.as_deref().map(|text| (text.chars().next(), text.chars().count())) {
                    None => None,
                    Some((Some(escape), 1)) => Some(escape),
                    Some(_) => return Err(Invalid::new("LikeInvalidInputs", "ESCAPE must be one character")),
                };
                let (text, pattern) = (self.boxed(*expr)?, self.boxed(*pattern)?);
                negate(negated, Expr::Like { text, pattern, escape })
            }
            Sql::IsNull(expr) => Expr::IsNull(self.boxed(*expr)?),
            Sql::IsNotNull(expr) => Expr::Not(Box::new(Expr::IsNull(self.boxed(*expr)?))),
            Sql::Case { operand, conditions, else_result, .. } => Expr::Case {
                operand: operand.map(|operand| self.boxed(*operand)).transpose()?,
                whens: conditions
                    .into_iter()
                    .map(|when| Ok((self.expr(when.condition)?, self.expr(when.result)?)))
                    .collect::<Result<_, Invalid>>()?,
                otherwise: else_result.map(|otherwise| self.boxed(*otherwise)).transpose()?,
            },
            Sql::Cast { kind: CastKind::Cast, expr, data_type, .. } => {
                Expr::Cast(self.boxed(*expr)?, type_of(&data_type)?)
            }
            Sql::Extract { field, expr, .. } => {
                let part = Expr::Literal(Value::Text(field.to_string().to_ascii_lowercase()));
                Expr::Function("EXTRACT".to_owned(), vec![part, self.expr(*expr)?])
            }
            Sql::Substring { expr, substring_from, substring_for, .. } => {
                let mut arguments = vec![self.expr(*expr)?];
                arguments.push(match substring_from {
                    Some(from) => self.expr(*from)?,
                    None => Expr::Literal(Value::Int(1)),
                });
                if let Some(length) = substring_for {
                    arguments.push(self.expr(*length)?);
                }
                Expr::Function("SUBSTRING".to_owned(), arguments)
            }
            Sql::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "LTRIM",
                    Some(TrimWhereField::Trailing) => "RTRIM",
                    _ => "TRIM",
                };
                let mut arguments = vec![self.expr(*expr)?];
                if let Some(what) = trim_what {
                    arguments.push(self.expr(*what)?);
                }
                Expr::Function(name.to_owned(), arguments)
            }
            Sql::Function(function) => {
                let name = function.name.to_string().to_ascii_uppercase();
                let arguments = match function.args {
                    FunctionArguments::List(list) if list.clauses.is_empty() && list.duplicate_treatment.is_none() => {
                        list.args
                    }
                    FunctionArguments::None => Vec::new(),
                    _ => return Err(unsupported(format!("this call of {name}"))),
                };
                self.function(name, arguments)?
            }
            other => return Err(unsupported(other)),
        })
    }

    /// `a OR b OR c …` nests to the left: read from the innermost on, not one in the other.
    fn chain(&mut self, mut expr: Sql) -> Result<Expr, Invalid> {
        let mut rest = Vec::new();
        while let Sql::BinaryOp { left, op, right } = expr {
            rest.push((operator(&op)?, *right));
            expr = *left;
        }
        let mut read = self.expr(expr)?;
        for (operator, right) in rest.into_iter().rev() {
            read = Expr::Binary(operator, Box::new(read), self.boxed(right)?);
        }
        Ok(read)
    }

    fn function(&mut self, name: String, arguments: Vec<FunctionArg>) -> Result<Expr, Invalid> {
        let kind = match name.as_str() {
            "COUNT" => Some(Aggregate::Count),
            "SUM" => Some(Aggregate::Sum),
            "AVG" => Some(Aggregate::Avg),
            "MIN" => Some(Aggregate::Min),
            "MAX" => Some(Aggregate::Max),
            _ => None,
        };
        if let Some(kind) = kind {
            if self.within {
                return Err(Invalid::new("UnsupportedSyntax", "An aggregate within an aggregate"));
            }
            self.within = true;
            let mut arguments = arguments.into_iter();
            let argument = match (arguments.next(), arguments.next()) {
                (Some(FunctionArg::Unnamed(FunctionArgExpr::Wildcard)), None) if kind == Aggregate::Count => None,
                (Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))), None) => Some(self.expr(expr)?),
                _ => return Err(Invalid::new("EvaluatorInvalidArguments", format!("{name} takes one argument"))),
            };
            self.within = false;
            self.aggregates.push((kind, argument));
            return Ok(Expr::Aggregate(self.aggregates.len() - 1));
        }
        // Ceph's spelling of casts, which its clients write.
        let kind = match name.as_str() {
            "INT" => Some(Type::Int),
            "FLOAT" => Some(Type::Float),
            "STRING" => Some(Type::Text),
            "BOOL" => Some(Type::Bool),
            _ => None,
        };
        if let (Some(kind), [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))]) = (kind, arguments.as_slice()) {
            return Ok(Expr::Cast(self.boxed(expr.clone())?, kind));
        }
        let mut read = Vec::with_capacity(arguments.len());
        for (at, argument) in arguments.into_iter().enumerate() {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else {
                return Err(unsupported(format!("this argument of {name}")));
            };
            // `DATE_ADD(year, …)`: the part of a date is a word.
            read.push(match expr {
                Sql::Identifier(part) if at == 0 && name.starts_with("DATE_") => {
                    Expr::Literal(Value::Text(part.value.to_ascii_lowercase()))
                }
                expr => self.expr(expr)?,
            });
        }
        if !super::eval::is_function(&name, read.len()) {
            return Err(Invalid::new(
                "UnsupportedFunction",
                format!("{name} of {} arguments is no function here", read.len()),
            ));
        }
        Ok(Expr::Function(name, read))
    }

    fn path(&self, names: Vec<Ident>) -> Expr {
        let many = names.len() > 1;
        let mut steps: Vec<Step> = names.into_iter().map(step).collect();
        let called =
            matches!(&steps[0], Step::Name { name, .. } if self.names.iter().any(|own| own.eq_ignore_ascii_case(name)));
        // A name alone may be that of a member, so the whole record is meant only where there is no such member.
        if called && many {
            steps.remove(0);
        }
        Expr::Path(steps)
    }

    fn access(&mut self, root: Sql, chain: Vec<AccessExpr>) -> Result<Expr, Invalid> {
        let Expr::Path(mut steps) = self.expr(root)? else { return Err(unsupported("a path into a value")) };
        let one = steps.len() == 1;
        for access in chain {
            steps.push(match access {
                AccessExpr::Dot(Sql::Identifier(name)) => step(name),
                AccessExpr::Subscript(Subscript::Index { index: Sql::Value(index) }) => match literal(index.value)? {
                    Value::Int(index) => Step::Index(usize::try_from(index).map_err(|_| unsupported("this index"))?),
                    Value::Text(name) => Step::Name { name, exact: true },
                    _ => return Err(unsupported("this index")),
                },
                _ => return Err(unsupported("this path")),
            });
        }
        if one
            && matches!(&steps[0], Step::Name { name, .. } if self.names.iter().any(|own| own.eq_ignore_ascii_case(name)))
        {
            steps.remove(0);
        }
        Ok(Expr::Path(steps))
    }
}

fn step(name: Ident) -> Step {
    Step::Name { exact: name.quote_style.is_some(), name: name.value }
}

fn negate(negated: bool, expr: Expr) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}

/// Whether it needs a record, beside what aggregates have taken of them.
fn reads_record(expr: &Expr) -> bool {
    matches!(expr, Expr::Path(_)) || expr.within().into_iter().any(reads_record)
}

fn literal(value: Literal) -> Result<Value, Invalid> {
    Ok(match value {
        Literal::Number(text, _) => number(text)?,
        Literal::SingleQuotedString(text) => Value::Text(text),
        Literal::Boolean(value) => Value::Bool(value),
        Literal::Null => Value::Null,
        other => return Err(unsupported(other)),
    })
}

/// A number as it is written: what has a point and no exponent is exact.
fn number(text: String) -> Result<Value, Invalid> {
    let exact = text.contains('.') && !text.contains(['e', 'E']);
    let value = Value::Text(text);
    let number = if exact { value.decimal().map(Value::Decimal) } else { value.number() };
    number.ok_or_else(|| unsupported("this number"))
}

/// A value of Ion between backticks: a moment, a number, a truth, text.
fn ion(text: &str) -> Result<Value, Invalid> {
    let text = text.trim();
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    Ok(match (text, quoted) {
        ("null", _) => Value::Null,
        ("true", _) => Value::Bool(true),
        ("false", _) => Value::Bool(false),
        (_, Some(within)) if !within.contains(['"', '\\']) => Value::Text(within.to_owned()),
        _ => match moment(text) {
            Some(at) => Value::Time(at),
            None => number(text.to_owned()).map_err(|_| unsupported(format!("the Ion literal `{text}`")))?,
        },
    })
}

fn operator(operator: &BinaryOperator) -> Result<Operator, Invalid> {
    Ok(match operator {
        BinaryOperator::And => Operator::And,
        BinaryOperator::Or => Operator::Or,
        BinaryOperator::Eq => Operator::Equal,
        BinaryOperator::NotEq => Operator::NotEqual,
        BinaryOperator::Lt => Operator::Less,
        BinaryOperator::LtEq => Operator::LessOrEqual,
        BinaryOperator::Gt => Operator::Greater,
        BinaryOperator::GtEq => Operator::GreaterOrEqual,
        BinaryOperator::Plus => Operator::Add,
        BinaryOperator::Minus => Operator::Subtract,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        BinaryOperator::Modulo => Operator::Modulo,
        BinaryOperator::StringConcat => Operator::Concat,
        other => return Err(unsupported(other)),
    })
}

fn type_of(kind: &DataType) -> Result<Type, Invalid> {
    Ok(match kind {
        DataType::Bool | DataType::Boolean => Type::Bool,
        DataType::Int(None) | DataType::Integer(None) => Type::Int,
        DataType::Float(_) | DataType::Real | DataType::Double(_) | DataType::DoublePrecision => Type::Float,
        DataType::Decimal(digits) | DataType::Numeric(digits) | DataType::Dec(digits) => Type::Decimal(exact(digits)?),
        DataType::String(None) | DataType::Varchar(None) | DataType::Char(None) | DataType::Text => Type::Text,
        DataType::Timestamp(None, _) => Type::Time,
        other => return Err(Invalid::new("InvalidDataType", format!("CAST to {other} is not supported"))),
    })
}

/// The digits of a decimal: at most 38, none of them behind the point where that is not said.
fn exact(digits: &ExactNumberInfo) -> Result<Option<(u64, i64)>, Invalid> {
    let (precision, scale) = match digits {
        ExactNumberInfo::None => return Ok(None),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    if !(1..=38).contains(&precision) || !(0..=38).contains(&scale) || scale > i64::try_from(precision).unwrap_or(0) {
        return Err(Invalid::new("InvalidDataType", format!("CAST to DECIMAL({precision}, {scale}) is not supported")));
    }
    Ok(Some((precision, scale)))
}
