//! KeyConditionExpression: one value for each partition key attribute and, from left to right, conditions on the sort key attributes,
//! all but the last of which are equalities. Tables have one attribute of each kind, global indexes up to four.

use crate::Invalid;
use crate::table::KeySchema;
use crate::value::Value;

use super::condition::{Comparator, Test};
use super::parser::Operand;
use super::placeholders::Placeholders;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyCondition {
    /// A value for each attribute of the partition key.
    pub(crate) partition: Vec<Value>,
    /// Values of the leading sort key attributes.
    pub(crate) sort_prefix: Vec<Value>,
    /// The condition on the sort key attribute after those.
    pub(crate) sort: Option<SortCondition>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SortCondition {
    Equal(Value),
    Less(Value),
    LessOrEqual(Value),
    Greater(Value),
    GreaterOrEqual(Value),
    Between(Value, Value),
    BeginsWith(Value),
}

impl SortCondition {
    /// The value or values that must have the sort key's type.
    pub(crate) fn values(&self) -> Vec<&Value> {
        match self {
            Self::Equal(value)
            | Self::Less(value)
            | Self::LessOrEqual(value)
            | Self::Greater(value)
            | Self::GreaterOrEqual(value)
            | Self::BeginsWith(value) => vec![value],
            Self::Between(low, high) => vec![low, high],
        }
    }
}

impl KeyCondition {
    pub(crate) fn parse(source: &str, placeholders: &Placeholders, schema: &KeySchema) -> Result<Self, Invalid> {
        let test = Test::parse(source, placeholders).map_err(|error| error.within("KeyConditionExpression"))?;
        let mut tests = Vec::new();
        flatten(test, &mut tests)?;
        let parts = tests.into_iter().map(simple).collect::<Result<Vec<_>, _>>()?;
        for (at, (name, _)) in parts.iter().enumerate() {
            if parts[..at].iter().any(|(other, _)| other == name) {
                return Err(Invalid::new("KeyConditionExpressions must only contain one condition per key"));
            }
        }
        Self::of(parts, schema)
    }

    /// Of conditions on attributes, at most one on each.
    pub(crate) fn of(mut parts: Vec<(String, SortCondition)>, schema: &KeySchema) -> Result<Self, Invalid> {
        let most = if schema.is_multiple() { schema.names().count() } else { 2 };
        if parts.is_empty() || parts.len() > most {
            return Err(Invalid::new("Conditions can be of length 1 or 2 only"));
        }
        let mut take = |name: &str| {
            let place = parts.iter().position(|(own, _)| own == name)?;
            Some(parts.swap_remove(place).1)
        };
        let mut partition = Vec::with_capacity(schema.partition.len());
        for name in &schema.partition {
            match take(name) {
                Some(SortCondition::Equal(value)) => partition.push(value),
                Some(_) => return Err(Invalid::new("Query key condition not supported")),
                None => return Err(missed(name)),
            }
        }
        let (mut sort_prefix, mut sort, mut open) = (Vec::new(), None, None);
        for name in &schema.sort {
            match (take(name), &sort) {
                (None, _) => open = open.or(Some(name)),
                // Attributes are conditions from left to right, and nothing follows a range.
                (Some(_), _) if open.is_some() => return Err(missed(open.map_or("", |name| name))),
                (Some(condition), None) => sort = Some(condition),
                (Some(condition), Some(SortCondition::Equal(value))) => {
                    sort_prefix.push(value.clone());
                    sort = Some(condition);
                }
                (Some(_), Some(_)) => return Err(Invalid::new("Query key condition not supported")),
            }
        }
        match (parts.first(), schema.sort.first()) {
            (None, _) => Ok(Self { partition, sort_prefix, sort }),
            (Some(_), Some(name)) => Err(missed(open.unwrap_or(name))),
            (Some(_), None) => Err(Invalid::new("Query key condition not supported")),
        }
    }
}

fn missed(name: &str) -> Invalid {
    Invalid::new(format!("Query condition missed key schema element: {name}"))
}

fn flatten(test: Test, into: &mut Vec<Test>) -> Result<(), Invalid> {
    match test {
        Test::All(tests) => tests.into_iter().try_for_each(|test| flatten(test, into)),
        Test::Any(_) => Err(unsupported("OR")),
        Test::Not(_) => Err(unsupported("NOT")),
        Test::In(..) => Err(unsupported("IN")),
        Test::Exists(_) => Err(unsupported("attribute_exists")),
        Test::NotExists(_) => Err(unsupported("attribute_not_exists")),
        Test::HasType(..) => Err(unsupported("attribute_type")),
        Test::Contains(..) => Err(unsupported("contains")),
        Test::Compare(Comparator::NotEqual, ..) => Err(unsupported("<>")),
        simple => {
            into.push(simple);
            Ok(())
        }
    }
}

fn unsupported(operator: &str) -> Invalid {
    Invalid::new(format!("Invalid operator used in KeyConditionExpression: {operator}"))
}

/// The attribute and what is asked of it.
fn simple(test: Test) -> Result<(String, SortCondition), Invalid> {
    let malformed =
        || Invalid::new("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition");
    let no_name = || Invalid::new("Invalid condition in KeyConditionExpression: No key attribute specified");
    Ok(match test {
        Test::Compare(_, Operand::Size(_), _) | Test::Compare(_, _, Operand::Size(_)) => {
            return Err(Invalid::new("KeyConditionExpressions cannot contain nested operations"));
        }
        Test::Compare(comparator, Operand::Path(path), Operand::Value(value)) => {
            (top(path)?, compare(comparator, value))
        }
        Test::Compare(comparator, Operand::Value(value), Operand::Path(path)) => {
            let turned = match comparator {
                Comparator::Less => Comparator::Greater,
                Comparator::LessOrEqual => Comparator::GreaterOrEqual,
                Comparator::Greater => Comparator::Less,
                Comparator::GreaterOrEqual => Comparator::LessOrEqual,
                same => same,
            };
            (top(path)?, compare(turned, value))
        }
        Test::Between(Operand::Path(path), Operand::Value(low), Operand::Value(high)) => {
            (top(path)?, SortCondition::Between(low, high))
        }
        Test::BeginsWith(Operand::Path(path), Operand::Value(prefix)) => {
            (top(path)?, SortCondition::BeginsWith(prefix))
        }
        Test::Compare(_, Operand::Value(_), Operand::Value(_))
        | Test::Between(Operand::Value(_), Operand::Value(_), Operand::Value(_))
        | Test::BeginsWith(Operand::Value(_), Operand::Value(_)) => return Err(no_name()),
        _ => return Err(malformed()),
    })
}

fn top(path: super::Path) -> Result<String, Invalid> {
    if path.rest.is_empty() {
        Ok(path.attribute)
    } else {
        Err(Invalid::new("KeyConditionExpressions cannot have conditions on nested attributes"))
    }
}

fn compare(comparator: Comparator, value: Value) -> SortCondition {
    match comparator {
        Comparator::Less => SortCondition::Less(value),
        Comparator::LessOrEqual => SortCondition::LessOrEqual(value),
        Comparator::Greater => SortCondition::Greater(value),
        Comparator::GreaterOrEqual => SortCondition::GreaterOrEqual(value),
        Comparator::Equal | Comparator::NotEqual => SortCondition::Equal(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_of(source: &str, partition: &[&str], sort: &[&str]) -> Result<KeyCondition, Invalid> {
        let values = serde_json::from_str(r#"{":p":{"S":"p"},":a":{"N":"1"},":b":{"N":"2"}}"#).unwrap();
        let given = Placeholders::new(None, Some(values), &[("KeyConditionExpression", true)]).unwrap();
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        KeyCondition::parse(source, &given, &KeySchema { partition: names(partition), sort: names(sort) })
    }

    fn parse(source: &str) -> Result<KeyCondition, Invalid> {
        parse_of(source, &["pk"], &["sk"])
    }

    #[test]
    fn parses() {
        assert_eq!(parse("pk = :p").unwrap().sort, None);
        assert!(matches!(parse("sk > :a AND pk = :p").unwrap().sort, Some(SortCondition::Greater(_))));
        assert!(matches!(parse("pk = :p AND :a > sk").unwrap().sort, Some(SortCondition::Less(_))));
        assert!(matches!(
            parse("(pk = :p) and (sk BETWEEN :a AND :b)").unwrap().sort,
            Some(SortCondition::Between(..))
        ));
    }

    #[test]
    fn several_attributes_from_left_to_right() {
        let schema: (&[&str], &[&str]) = (&["p", "q"], &["s", "t", "u"]);
        let parse = |source| parse_of(source, schema.0, schema.1);
        assert_eq!(parse("p = :p AND q = :a").unwrap().partition.len(), 2);
        let found = parse("q = :a AND p = :p AND t < :b AND s = :a").unwrap();
        assert_eq!(found.sort_prefix.len(), 1);
        assert!(matches!(found.sort, Some(SortCondition::Less(_))));
        for (source, message) in [
            ("p = :p", "Query condition missed key schema element: q"),
            ("p = :p AND q = :a AND t = :a", "Query condition missed key schema element: s"),
            ("p = :p AND q = :a AND s < :a AND t = :a", "Query key condition not supported"),
        ] {
            assert_eq!(parse(source).unwrap_err().0, message, "{source}");
        }
    }

    #[test]
    fn refuses() {
        for (source, message) in [
            ("sk = :a", "Query condition missed key schema element: pk"),
            ("pk > :p", "Query key condition not supported"),
            ("pk = :p AND another = :a", "Query condition missed key schema element: sk"),
            ("pk = :p OR sk = :a", "Invalid operator used in KeyConditionExpression: OR"),
            ("pk = :p AND pk = :p", "KeyConditionExpressions must only contain one condition per key"),
        ] {
            assert_eq!(parse(source).unwrap_err().0, message, "{source}");
        }
    }
}
