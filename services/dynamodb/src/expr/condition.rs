//! ConditionExpression and FilterExpression: parse once, evaluate per item.

use std::cmp::Ordering;

use crate::Invalid;
use crate::number::Number;
use crate::value::{Item, Value};

use super::parser::{
    Operand, Parser, no_condition_function, not_allowed_this_way, redundant_parentheses, wrong_operand_count,
    wrong_operand_type,
};
use super::path::Path;
use super::placeholders::Placeholders;

const TYPES: [&str; 10] = ["B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M"];

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition(Test);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Compare(Comparator, Operand, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Exists(Path),
    NotExists(Path),
    HasType(Path, String),
    BeginsWith(Operand, Operand),
    Contains(Operand, Operand),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparator {
    fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Condition {
    /// `parameter` is the request's member, which opens every message.
    pub(crate) fn parse(parameter: &str, source: &str, placeholders: &Placeholders) -> Result<Self, Invalid> {
        Test::parse(source, placeholders).map(Self).map_err(|error| error.within(parameter))
    }

    /// A condition that was not written as text: of the legacy parameters, and of `PartiQL`.
    pub(crate) fn of(test: Test) -> Self {
        Self(test)
    }

    pub(crate) fn holds(&self, item: &Item) -> bool {
        self.0.holds(item)
    }

    /// The top-level attributes that the condition looks at.
    pub(crate) fn attributes(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.0.attributes(&mut found);
        found
    }
}

impl Test {
    pub(super) fn parse(source: &str, placeholders: &Placeholders) -> Result<Self, Invalid> {
        let mut parser = Parser::new(source, placeholders)?;
        let test = any(&mut parser)?;
        parser.end()?;
        Ok(test)
    }

    /// A comparison; what has no order is compared for equality alone.
    pub(crate) fn compare(comparator: Comparator, left: Operand, right: Operand) -> Result<Self, Invalid> {
        if !matches!(comparator, Comparator::Equal | Comparator::NotEqual) {
            for operand in [&left, &right] {
                check_ordered(comparator.symbol(), operand)?;
            }
        }
        check_distinct(comparator.symbol(), &left, &right)?;
        Ok(Self::Compare(comparator, left, right))
    }

    pub(crate) fn has_type(path: Path, name: String) -> Result<Self, Invalid> {
        if !TYPES.contains(&name.as_str()) {
            return Err(Invalid::new(format!(
                "Invalid attribute type name found; type: {name}, valid types: {{{}}}",
                TYPES.join(",")
            )));
        }
        Ok(Self::HasType(path, name))
    }

    pub(crate) fn begins_with(first: Operand, second: Operand) -> Result<Self, Invalid> {
        const NAME: &str = "begins_with";
        for operand in [&first, &second] {
            match operand {
                Operand::Value(value) if !matches!(value, Value::S(_) | Value::B(_)) => {
                    return Err(wrong_operand_type(NAME, value.type_name()));
                }
                Operand::Size(_) => return Err(wrong_operand_type(NAME, "N")),
                _ => {}
            }
        }
        check_distinct(NAME, &first, &second)?;
        Ok(Self::BeginsWith(first, second))
    }

    fn holds(&self, item: &Item) -> bool {
        match self {
            Self::Compare(comparator, left, right) => {
                compare(*comparator, value_of(left, item).as_deref(), value_of(right, item).as_deref())
            }
            Self::Between(operand, low, high) => {
                let (value, low, high) = (value_of(operand, item), value_of(low, item), value_of(high, item));
                compare(Comparator::GreaterOrEqual, value.as_deref(), low.as_deref())
                    && compare(Comparator::LessOrEqual, value.as_deref(), high.as_deref())
            }
            Self::In(operand, list) => {
                let value = value_of(operand, item);
                value.is_some() && list.iter().any(|other| value_of(other, item) == value)
            }
            Self::All(tests) => tests.iter().all(|test| test.holds(item)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(item)),
            Self::Not(test) => !test.holds(item),
            Self::Exists(path) => path.get(item).is_some(),
            Self::NotExists(path) => path.get(item).is_none(),
            Self::HasType(path, name) => path.get(item).is_some_and(|value| value.type_name() == name),
            Self::BeginsWith(operand, prefix) => {
                match (value_of(operand, item).as_deref(), value_of(prefix, item).as_deref()) {
                    (Some(Value::S(text)), Some(Value::S(prefix))) => text.starts_with(prefix.as_str()),
                    (Some(Value::B(bytes)), Some(Value::B(prefix))) => bytes.starts_with(prefix),
                    _ => false,
                }
            }
            Self::Contains(operand, part) => {
                match (value_of(operand, item).as_deref(), value_of(part, item).as_deref()) {
                    (Some(whole), Some(part)) => contains(whole, part),
                    _ => false,
                }
            }
        }
    }

    fn attributes<'a>(&'a self, found: &mut Vec<&'a str>) {
        let mut operands = |operands: &[&'a Operand]| {
            for operand in operands {
                if let Operand::Path(path) | Operand::Size(path) = operand {
                    found.push(&path.attribute);
                }
            }
        };
        match self {
            Self::Compare(_, a, b) | Self::BeginsWith(a, b) | Self::Contains(a, b) => operands(&[a, b]),
            Self::Between(a, b, c) => operands(&[a, b, c]),
            Self::In(operand, list) => {
                operands(&[operand]);
                operands(&list.iter().collect::<Vec<_>>());
            }
            Self::All(tests) | Self::Any(tests) => tests.iter().for_each(|test| test.attributes(found)),
            Self::Not(test) => test.attributes(found),
            Self::Exists(path) | Self::NotExists(path) | Self::HasType(path, _) => found.push(&path.attribute),
        }
    }
}

/// A value of the item or of the expression, or one made on the way.
enum Found<'a> {
    Borrowed(&'a Value),
    Made(Value),
}

impl std::ops::Deref for Found<'_> {
    type Target = Value;

    fn deref(&self) -> &Value {
        match self {
            Self::Borrowed(value) => value,
            Self::Made(value) => value,
        }
    }
}

impl PartialEq for Found<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

fn value_of<'a>(operand: &'a Operand, item: &'a Item) -> Option<Found<'a>> {
    match operand {
        Operand::Path(path) => path.get(item).map(Found::Borrowed),
        Operand::Value(value) => Some(Found::Borrowed(value)),
        Operand::Size(path) => {
            let length = path.get(item)?.length()?;
            let number = length.to_string().parse::<Number>().ok()?;
            Some(Found::Made(Value::N(number)))
        }
    }
}

fn compare(comparator: Comparator, left: Option<&Value>, right: Option<&Value>) -> bool {
    let (Some(left), Some(right)) = (left, right) else {
        // Nothing equals what is not there, so two that are missing differ as well.
        return comparator == Comparator::NotEqual;
    };
    let order = left.order(right);
    match comparator {
        Comparator::Equal => left == right,
        Comparator::NotEqual => left != right,
        Comparator::Less => order == Some(Ordering::Less),
        Comparator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparator::Greater => order == Some(Ordering::Greater),
        Comparator::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::S(text), Value::S(part)) => text.contains(part.as_str()),
        (Value::B(bytes), Value::B(part)) => part.is_empty() || bytes.windows(part.len()).any(|window| window == part),
        (Value::Ss(set), Value::S(part)) => set.contains(part),
        (Value::Ns(set), Value::N(part)) => set.contains(part),
        (Value::Bs(set), Value::B(part)) => set.contains(part),
        (Value::L(list), part) => list.contains(part),
        _ => false,
    }
}

fn any(parser: &mut Parser<'_>) -> Result<Test, Invalid> {
    let mut tests = vec![all(parser)?];
    while parser.tokens.take_keyword("OR") {
        parser.operator()?;
        tests.push(all(parser)?);
    }
    Ok(one_or(tests, Test::Any))
}

fn all(parser: &mut Parser<'_>) -> Result<Test, Invalid> {
    let mut tests = vec![not(parser)?];
    while parser.tokens.take_keyword("AND") {
        parser.operator()?;
        tests.push(not(parser)?);
    }
    Ok(one_or(tests, Test::All))
}

fn one_or(mut tests: Vec<Test>, join: impl FnOnce(Vec<Test>) -> Test) -> Test {
    match tests.pop() {
        Some(only) if tests.is_empty() => only,
        Some(last) => {
            tests.push(last);
            join(tests)
        }
        None => join(tests),
    }
}

fn not(parser: &mut Parser<'_>) -> Result<Test, Invalid> {
    if parser.tokens.take_keyword("NOT") {
        parser.operator()?;
        return parser.nested(not).map(|test| Test::Not(Box::new(test)));
    }
    if !parser.operand_in_parentheses() && parser.tokens.take("(") {
        let at = parser.tokens.place();
        let doubled = parser.tokens.is_symbol("(") && !parser.operand_in_parentheses();
        let test = parser.nested(any)?;
        // `((…))`, not `((…) AND (…))`.
        if doubled && parser.tokens.closed_at(at) == Some(parser.tokens.place()) {
            return Err(redundant_parentheses());
        }
        parser.tokens.expect(")")?;
        return Ok(test);
    }
    simple(parser)
}

/// A comparison or a function that answers yes or no.
fn simple(parser: &mut Parser<'_>) -> Result<Test, Invalid> {
    if let Some(function) = parser.function_ahead()
        && function != "size"
        && !function.eq_ignore_ascii_case("NOT")
    {
        let test = call(parser, &function)?;
        // What answers yes or no is compared with nothing.
        let compared = ["=", "<>", "<", "<=", ">", ">="].iter().any(|symbol| parser.tokens.is_symbol(symbol));
        return if compared || parser.tokens.is_keyword("BETWEEN") || parser.tokens.is_keyword("IN") {
            Err(not_allowed_this_way(&function))
        } else {
            Ok(test)
        };
    }
    let left = parser.operand()?;
    if parser.tokens.take_keyword("BETWEEN") {
        parser.operator()?;
        let low = parser.operand()?;
        if !parser.tokens.take_keyword("AND") {
            return Err(parser.tokens.syntax_error());
        }
        let high = parser.operand()?;
        return between(left, low, high);
    }
    if parser.tokens.take_keyword("IN") {
        parser.operator()?;
        let list = parser.arguments(Parser::operand)?;
        if list.len() > 100 {
            return Err(wrong_operand_count("IN", list.len()));
        }
        list.iter().try_for_each(|other| check_distinct("IN", &left, other))?;
        return Ok(Test::In(left, list));
    }
    let comparator = match () {
        () if parser.tokens.take("=") => Comparator::Equal,
        () if parser.tokens.take("<>") => Comparator::NotEqual,
        () if parser.tokens.take("<=") => Comparator::LessOrEqual,
        () if parser.tokens.take(">=") => Comparator::GreaterOrEqual,
        () if parser.tokens.take("<") => Comparator::Less,
        () if parser.tokens.take(">") => Comparator::Greater,
        () => {
            return Err(if matches!(left, Operand::Size(_)) && parser.tokens.at_end() {
                not_allowed_this_way("size")
            } else {
                parser.tokens.syntax_error()
            });
        }
    };
    parser.operator()?;
    let right = parser.operand()?;
    Test::compare(comparator, left, right)
}

fn check_distinct(operator: &str, first: &Operand, other: &Operand) -> Result<(), Invalid> {
    match (first, other) {
        (Operand::Path(a), Operand::Path(b)) if a == b => Err(Invalid::new(format!(
            "The first operand must be distinct from the remaining operands for this operator or function; \
             operator: {operator}, first operand: {a}"
        ))),
        _ => Ok(()),
    }
}

fn check_ordered(symbol: &str, operand: &Operand) -> Result<(), Invalid> {
    match operand {
        Operand::Value(value) if !value.has_order() => Err(wrong_operand_type(symbol, value.type_name())),
        _ => Ok(()),
    }
}

pub(crate) fn between(operand: Operand, low: Operand, high: Operand) -> Result<Test, Invalid> {
    for side in [&operand, &low, &high] {
        check_ordered("BETWEEN", side)?;
    }
    [&low, &high].into_iter().try_for_each(|bound| check_distinct("BETWEEN", &operand, bound))?;
    if let (Operand::Value(low), Operand::Value(high)) = (&low, &high) {
        match low.order(high) {
            None => {
                return Err(Invalid::new(format!(
                    "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: \
                     AttributeValue: {low}, upper bound operand: AttributeValue: {high}"
                )));
            }
            Some(Ordering::Greater) => {
                return Err(Invalid::new(format!(
                    "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower \
                     bound operand: AttributeValue: {low}, upper bound operand: AttributeValue: {high}"
                )));
            }
            Some(_) => {}
        }
    }
    Ok(Test::Between(operand, low, high))
}

fn call(parser: &mut Parser<'_>, function: &str) -> Result<Test, Invalid> {
    let wanted = match function {
        "attribute_exists" | "attribute_not_exists" => 1,
        "attribute_type" | "begins_with" | "contains" => 2,
        _ => return Err(no_condition_function(function)),
    };
    parser.operator()?;
    parser.tokens.next();
    let arguments = parser.nested(|parser| parser.arguments(Parser::operand))?;
    if arguments.len() != wanted {
        return Err(wrong_operand_count(function, arguments.len()));
    }
    let mut arguments = arguments.into_iter();
    let first = arguments.next().ok_or_else(|| wrong_operand_count(function, 0))?;
    let Some(second) = arguments.next() else {
        let path = path_only(function, first)?;
        return Ok(if function == "attribute_exists" { Test::Exists(path) } else { Test::NotExists(path) });
    };
    match function {
        "attribute_type" => {
            check_distinct(function, &first, &second)?;
            let Operand::Value(value) = second else {
                return Err(wrong_operand_type(function, "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"));
            };
            let Value::S(name) = value else { return Err(wrong_operand_type(function, value.type_name())) };
            let path = path_only(function, first)?;
            Test::has_type(path, name)
        }
        "begins_with" => Test::begins_with(first, second),
        _ => {
            check_distinct(function, &first, &second)?;
            Ok(Test::Contains(first, second))
        }
    }
}

fn path_only(function: &str, operand: Operand) -> Result<Path, Invalid> {
    match operand {
        Operand::Path(path) => Ok(path),
        Operand::Value(_) | Operand::Size(_) => Err(Invalid::new(format!(
            "Operator or function requires a document path; operator or function: {function}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::path::Element;

    fn placeholders() -> Placeholders {
        let names = [("#s", "status"), ("#d", "a.b")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let values = serde_json::from_str(
            r#"{":one":{"N":"1"},":two":{"N":"2.0"},":x":{"S":"x"},":b":{"BOOL":true},":l":{"L":[]},":ten":{"N":"10"},":t":{"S":"SS"}}"#,
        )
        .unwrap();
        Placeholders::new(Some(names.into()), Some(values), &[("ConditionExpression", true)]).unwrap()
    }

    fn item() -> Item {
        serde_json::from_str(
            r#"{"status":{"S":"xyz"},"n":{"N":"2"},"m":{"M":{"k":{"L":[{"N":"1"},{"S":"x"}]}}},"tags":{"SS":["x","y"]},"a.b":{"BOOL":true}}"#,
        )
        .unwrap()
    }

    #[test]
    fn evaluates() {
        for (source, expected) in [
            ("n = :two", true),
            ("n <> :two", false),
            ("n < :two", false),
            ("n <= :two AND n > :one", true),
            ("absent = :two", false),
            ("absent <> :two", true),
            ("absent <> gone", true),
            ("absent = gone", false),
            ("(n = :two)", true),
            ("((n = :two) AND (n > :one))", true),
            ("(n) = (:two)", true),
            ("(size(tags)) = :two", true),
            ("NOT absent = :two", true),
            ("n BETWEEN :one AND :two", true),
            ("n between :one and :two OR absent = :x", true),
            ("n IN (:one, :two)", true),
            ("#s IN (:one)", false),
            ("attribute_exists(m.k[1])", true),
            ("attribute_exists(m.k[2])", false),
            ("attribute_not_exists(absent)", true),
            ("attribute_type(tags, :t)", true),
            ("begins_with(#s, :x)", true),
            ("contains(tags, :x)", true),
            ("contains(#s, :x)", true),
            ("contains(m.k, :one)", true),
            ("size(tags) = :two", true),
            ("size(n) = :two", false),
            ("#d = :b", true),
            ("n > :ten OR n = :two AND #d = :b", true),
            ("(n > :ten OR n = :two) AND NOT #d = :b", false),
        ] {
            let condition = Condition::parse("ConditionExpression", source, &placeholders()).unwrap();
            assert_eq!(condition.holds(&item()), expected, "{source}");
        }
    }

    #[test]
    fn refuses() {
        for (source, message) in [
            ("", "The expression can not be empty;"),
            ("n = ", r#"Syntax error; token: "<EOF>", near: "= ""#),
            ("n == :one", r#"Syntax error; token: "=", near: "== :one""#),
            ("n ! :one", r#"Syntax error; token: "!", near: "n ! :one""#),
            ("n != :one", r#"Syntax error; token: "!", near: "n !=""#),
            ("  and n = :one", r#"Syntax error; token: "and", near: "  and n""#),
            ("between = :one", r#"Syntax error; token: "between", near: "between =""#),
            ("m.k[01] = :one", r#"Syntax error; token: "1", near: "01]""#),
            (
                "attribute_exists(n) = :b",
                "The function is not allowed to be used this way in an expression; function: attribute_exists",
            ),
            (
                "if_not_exists(n, :one) = :one",
                "The function is not allowed in a condition expression; function: if_not_exists",
            ),
            (
                "size(size(tags)) = :two",
                "Incorrect operand type for operator or function; operator or function: size, operand type: N",
            ),
            ("n = :none", "An expression attribute value used in expression is not defined; attribute value: :none"),
            (
                "#none = :x",
                "An expression attribute name used in the document path is not defined; attribute name: #none",
            ),
            ("status = :x", "Attribute name is a reserved keyword; reserved keyword: status"),
            ("foo(n)", "Invalid function name; function: foo"),
            (
                "begins_with(n)",
                "Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1",
            ),
            (
                "begins_with(n, :one)",
                "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
            ),
            ("n < :b", "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"),
            (
                "n = n",
                "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [n]",
            ),
            (
                "n BETWEEN :two AND :one",
                "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}",
            ),
            (
                "attribute_exists(:x)",
                "Operator or function requires a document path; operator or function: attribute_exists",
            ),
            ("size(tags)", "The function is not allowed to be used this way in an expression; function: size"),
            ("((n = :one))", "The expression has redundant parentheses;"),
            ("((n = :one OR n = :two))", "The expression has redundant parentheses;"),
            ("((n)) = :one", "The expression has redundant parentheses;"),
            ("_n = :one", r#"Syntax error; token: "_", near: "_n""#),
            (
                "begins_with(n, n)",
                "The first operand must be distinct from the remaining operands for this operator or function; operator: begins_with, first operand: [n]",
            ),
        ] {
            let Invalid(found) = Condition::parse("ConditionExpression", source, &placeholders()).unwrap_err();
            assert_eq!(found, format!("Invalid ConditionExpression: {message}"), "{source}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{}n = :one{}", "(".repeat(2000), ")".repeat(2000));
        assert!(Condition::parse("FilterExpression", &deep, &placeholders()).is_err());
        assert!(Condition::parse("FilterExpression", &"NOT ".repeat(1000), &placeholders()).is_err());
    }

    #[test]
    fn unused_placeholders_are_told() {
        let given = placeholders();
        Condition::parse("ConditionExpression", "#s = :one", &given).unwrap();
        let Invalid(message) = given.all_used().unwrap_err();
        assert_eq!(message, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#d}");
    }

    #[test]
    fn paths_are_parsed() {
        let given = placeholders();
        let mut parser = Parser::new("a.#d[3][0].c", &given).unwrap();
        let path = parser.path().unwrap();
        assert_eq!(path.attribute, "a");
        assert_eq!(path.rest[0], Element::Attribute("a.b".into()));
        assert_eq!(path.to_string(), "[a, a.b, [3], [0], c]");
    }
}
