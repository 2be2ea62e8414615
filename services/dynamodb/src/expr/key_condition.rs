//! KeyConditionExpression: one partition key value and, at most, one condition on the sort key.

use crate::Invalid;
use crate::value::Value;

use super::condition::{Comparator, Test};
use super::parser::Operand;
use super::placeholders::Placeholders;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyCondition {
    pub(crate) partition: Value,
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
    /// `partition` and `sort` are the names of the key attributes of the table or index.
    pub(crate) fn parse(
        source: &str,
        placeholders: &Placeholders,
        partition: &str,
        sort: Option<&str>,
    ) -> Result<Self, Invalid> {
        let test = Test::parse(source, placeholders).map_err(|error| error.within("KeyConditionExpression"))?;
        let mut tests = Vec::new();
        flatten(test, &mut tests)?;
        let mut parts = Vec::new();
        for test in tests {
            parts.push(simple(test)?);
        }
        for (at, (name, _)) in parts.iter().enumerate() {
            if parts[..at].iter().any(|(other, _)| other == name) {
                return Err(Invalid::new("KeyConditionExpressions must only contain one condition per key"));
            }
        }
        if parts.len() > 2 {
            return Err(Invalid::new("Conditions can be of length 1 or 2 only"));
        }
        let place = parts.iter().position(|(name, _)| name == partition);
        let place = place.ok_or_else(|| missed(partition))?;
        let (_, condition) = parts.swap_remove(place);
        let SortCondition::Equal(value) = condition else {
            return Err(Invalid::new("Query key condition not supported"));
        };
        let sort = match (parts.pop(), sort) {
            (None, _) => None,
            (Some((name, condition)), Some(sort)) if name == sort => Some(condition),
            (Some(_), Some(sort)) => return Err(missed(sort)),
            (Some(_), None) => return Err(Invalid::new("Query key condition not supported")),
        };
        Ok(Self { partition: value, sort })
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
    Ok(match test {
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

    fn parse(source: &str) -> Result<KeyCondition, Invalid> {
        let values = serde_json::from_str(r#"{":p":{"S":"p"},":a":{"N":"1"},":b":{"N":"2"}}"#).unwrap();
        let given = Placeholders::new(None, Some(values), &[("KeyConditionExpression", true)]).unwrap();
        KeyCondition::parse(source, &given, "pk", Some("sk"))
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
