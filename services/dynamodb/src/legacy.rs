//! The parameters of before expressions (`Expected`, `KeyConditions`, `QueryFilter`, `ScanFilter`, `AttributeUpdates`), translated
//! into what expressions are parsed to. Source: DynamoDB Developer Guide, "Legacy conditional parameters".

use std::collections::BTreeMap;

use api_dynamodb::{AttributeValue, AttributeValueUpdate, Condition as Wire, ExpectedAttributeValue};

use crate::expr::{Comparator, Condition, KeyCondition, Operand, Path, SortCondition, Test, Update};
use crate::table::KeySchema;
use crate::value::Value;
use crate::{Invalid, convert};

/// A request's parameters by name, with whether each is set.
pub(crate) type Parameters<'a> = &'a [(&'a str, bool)];

/// Fails for a request in both styles.
pub(crate) fn refuse_mixed(expressions: Parameters<'_>, legacy: Parameters<'_>) -> Result<(), Invalid> {
    let set = |parameters: Parameters<'_>| -> Vec<String> {
        parameters.iter().filter(|(_, set)| *set).map(|(name, _)| (*name).to_owned()).collect()
    };
    let (expressions, legacy) = (set(expressions), set(legacy));
    if expressions.is_empty() || legacy.is_empty() {
        return Ok(());
    }
    Err(Invalid::new(format!(
        "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: \
         {{{}}} Expression parameters: {{{}}}",
        legacy.join(", "),
        expressions.join(", ")
    )))
}

/// `Expected` with its `ConditionalOperator`.
pub(crate) fn expected(
    expected: Option<BTreeMap<String, ExpectedAttributeValue>>,
    operator: Option<&str>,
) -> Result<Option<Condition>, Invalid> {
    check_operator(operator, expected.as_ref().map_or(0, BTreeMap::len))?;
    let mut tests = Vec::new();
    for (name, expected) in expected.into_iter().flatten() {
        check_name(&name)?;
        tests.push(one_expected(&name, expected)?);
    }
    Ok(joined(tests, operator))
}

/// `QueryFilter` or `ScanFilter` with its `ConditionalOperator`.
pub(crate) fn filter(
    filter: Option<BTreeMap<String, Wire>>,
    operator: Option<&str>,
) -> Result<Option<Condition>, Invalid> {
    check_operator(operator, filter.as_ref().map_or(0, BTreeMap::len))?;
    let mut tests = Vec::new();
    for (name, condition) in filter.into_iter().flatten() {
        check_name(&name)?;
        let values = values(condition.attribute_value_list)?;
        tests.push(test(&name, &condition.comparison_operator, values)?);
    }
    Ok(joined(tests, operator))
}

/// `KeyConditions`.
pub(crate) fn key_conditions(conditions: BTreeMap<String, Wire>, schema: &KeySchema) -> Result<KeyCondition, Invalid> {
    let mut parts = Vec::with_capacity(conditions.len());
    for (name, condition) in conditions {
        let values = values(condition.attribute_value_list)?;
        let operator = condition.comparison_operator.as_str();
        // Checked as any condition before it is looked at as one of keys.
        test(&name, operator, values.clone())?;
        let mut values = values.into_iter();
        let mut next = || values.next().ok_or_else(|| wrong_count(operator));
        parts.push((
            name,
            match operator {
                "EQ" => SortCondition::Equal(next()?),
                "LT" => SortCondition::Less(next()?),
                "LE" => SortCondition::LessOrEqual(next()?),
                "GT" => SortCondition::Greater(next()?),
                "GE" => SortCondition::GreaterOrEqual(next()?),
                "BETWEEN" => SortCondition::Between(next()?, next()?),
                "BEGINS_WITH" => SortCondition::BeginsWith(next()?),
                _ => return Err(Invalid::new("Attempted conditional constraint is not an indexable operation")),
            },
        ));
    }
    KeyCondition::of(parts, schema)
}

/// `AttributeUpdates`.
pub(crate) fn updates(updates: BTreeMap<String, AttributeValueUpdate>) -> Result<Update, Invalid> {
    let invalid = |what: String| Invalid::new(format!("One or more parameter values were invalid: {what}"));
    let mut update = Update::default();
    for (name, AttributeValueUpdate { value, action }) in updates {
        let value = value.map(convert::attribute_value).transpose()?;
        let path = Path::top(&name);
        match (action.as_deref().unwrap_or("PUT"), value) {
            ("DELETE", None) => update.remove(path),
            (_, None) => {
                return Err(invalid("Only DELETE action is allowed when no attribute value is specified".to_owned()));
            }
            ("PUT", Some(value)) => update.set(path, value),
            ("ADD", Some(value @ (Value::N(_) | Value::Ss(_) | Value::Ns(_) | Value::Bs(_) | Value::L(_)))) => {
                update.add(path, value);
            }
            ("DELETE", Some(value @ (Value::Ss(_) | Value::Ns(_) | Value::Bs(_)))) => update.delete(path, value),
            ("ADD", Some(other)) => {
                return Err(invalid(format!("ADD action is not supported for the type {}", other.type_name())));
            }
            (_, Some(other)) => {
                return Err(invalid(format!(
                    "DELETE action with value is not supported for the type {}",
                    other.type_name()
                )));
            }
        }
    }
    Ok(update.legacy())
}

/// `AttributesToGet`: each attribute once.
pub(crate) fn check_attributes(names: &[String]) -> Result<(), Invalid> {
    for (at, name) in names.iter().enumerate() {
        check_name(name)?;
        if names[..at].contains(name) {
            return Err(Invalid::new(format!(
                "One or more parameter values were invalid: Duplicate value in attribute name: {name}"
            )));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Invalid> {
    if name.is_empty() { Err(Invalid::new("Empty attribute name")) } else { Ok(()) }
}

fn check_operator(operator: Option<&str>, conditions: usize) -> Result<(), Invalid> {
    // As the engine behind DynamoDB Local 2.6 has it.
    if operator.is_some() && conditions == 1 {
        return Err(Invalid::new(
            "ConditionalOperator can only be used when Filter or Expected has two or more elements",
        ));
    }
    if operator.is_some() && conditions == 0 {
        return Err(Invalid::new(
            "One or more parameter values were invalid: ConditionalOperator cannot be used without Filter or Expected",
        ));
    }
    Ok(())
}

fn joined(mut tests: Vec<Test>, operator: Option<&str>) -> Option<Condition> {
    let test = match (tests.len(), operator) {
        (0, _) => return None,
        (1, _) => tests.pop()?,
        (_, Some("OR")) => Test::Any(tests),
        _ => Test::All(tests),
    };
    Some(Condition::of(test))
}

fn values(list: Option<Vec<AttributeValue>>) -> Result<Vec<Value>, Invalid> {
    list.into_iter().flatten().map(convert::attribute_value).collect()
}

fn one_expected(name: &str, expected: ExpectedAttributeValue) -> Result<Test, Invalid> {
    let invalid = |what: String| Invalid::new(format!("One or more parameter values were invalid: {what}"));
    let ExpectedAttributeValue { value, exists, comparison_operator, attribute_value_list } = expected;
    if value.is_some() && attribute_value_list.is_some() {
        return Err(invalid(format!("Value and AttributeValueList cannot be used together for Attribute: {name}")));
    }
    if let Some(operator) = comparison_operator {
        if exists.is_some() {
            return Err(invalid(format!(
                "Exists and ComparisonOperator cannot be used together for Attribute: {name}"
            )));
        }
        if value.is_none() && attribute_value_list.is_none() && !matches!(operator.as_str(), "NULL" | "NOT_NULL") {
            return Err(invalid(format!(
                "Value or AttributeValueList must be used with ComparisonOperator: {operator} for Attribute: {name}"
            )));
        }
        let values = values(attribute_value_list.or_else(|| value.map(|value| vec![value])))?;
        return test(name, &operator, values);
    }
    if attribute_value_list.is_some() {
        return Err(invalid(format!(
            "AttributeValueList can only be used with a ComparisonOperator for Attribute: {name}"
        )));
    }
    match (exists, value) {
        (None | Some(true), Some(value)) => test(name, "EQ", vec![convert::attribute_value(value)?]),
        (exists @ (None | Some(true)), None) => {
            let exists = exists.map_or("null", |_| "true");
            Err(invalid(format!("Value must be provided when Exists is {exists} for Attribute: {name}")))
        }
        (Some(false), Some(_)) => {
            Err(invalid(format!("Value cannot be used when Exists is false for Attribute: {name}")))
        }
        (Some(false), None) => Ok(Test::NotExists(Path::top(name))),
    }
}

fn wrong_count(operator: &str) -> Invalid {
    Invalid::new(format!(
        "One or more parameter values were invalid: Invalid number of argument(s) for the {operator} ComparisonOperator"
    ))
}

/// One attribute compared as a legacy operator does.
fn test(name: &str, operator: &str, values: Vec<Value>) -> Result<Test, Invalid> {
    let count_fits = match operator {
        "NULL" | "NOT_NULL" => values.is_empty(),
        "IN" => !values.is_empty(),
        "BETWEEN" => values.len() == 2,
        _ => values.len() == 1,
    };
    if !count_fits {
        return Err(wrong_count(operator));
    }
    let fits = |value: &Value| match operator {
        "LT" | "LE" | "GT" | "GE" | "BETWEEN" | "IN" => value.has_order(),
        "CONTAINS" | "NOT_CONTAINS" => value.has_order() || matches!(value, Value::Bool(_) | Value::Null),
        "BEGINS_WITH" => matches!(value, Value::S(_) | Value::B(_)),
        _ => true,
    };
    if let Some(other) = values.iter().find(|value| !fits(value)) {
        return Err(Invalid::new(format!(
            "One or more parameter values were invalid: ComparisonOperator {operator} is not valid for {} \
             AttributeValue type",
            other.type_name()
        )));
    }
    if values.iter().any(|value| value.type_name() != values[0].type_name()) {
        return Err(Invalid::new(
            "One or more parameter values were invalid: AttributeValues inside AttributeValueList must be of same type",
        ));
    }
    let path = Path::top(name);
    let attribute = Operand::Path(path.clone());
    let mut operands = values.into_iter().map(Operand::Value);
    let mut next = || operands.next().ok_or_else(|| wrong_count(operator));
    let compare = |comparator, value| Ok(Test::Compare(comparator, Operand::Path(Path::top(name)), value));
    match operator {
        "EQ" => compare(Comparator::Equal, next()?),
        "NE" => compare(Comparator::NotEqual, next()?),
        "LT" => compare(Comparator::Less, next()?),
        "LE" => compare(Comparator::LessOrEqual, next()?),
        "GT" => compare(Comparator::Greater, next()?),
        "GE" => compare(Comparator::GreaterOrEqual, next()?),
        "NULL" => Ok(Test::NotExists(path)),
        "NOT_NULL" => Ok(Test::Exists(path)),
        "CONTAINS" => Ok(Test::Contains(attribute, next()?)),
        // Only of what is there can be said that it does not contain something.
        "NOT_CONTAINS" => {
            let contains = Test::Contains(attribute, next()?);
            Ok(Test::All(vec![Test::Exists(path), Test::Not(Box::new(contains))]))
        }
        "BEGINS_WITH" => Ok(Test::BeginsWith(attribute, next()?)),
        "IN" => Ok(Test::In(attribute, operands.collect())),
        "BETWEEN" => {
            let (low, high) = (next()?, next()?);
            if let (Operand::Value(low), Operand::Value(high)) = (&low, &high)
                && low.order(high) == Some(std::cmp::Ordering::Greater)
            {
                return Err(Invalid::new(
                    "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
                ));
            }
            Ok(Test::Between(attribute, low, high))
        }
        other => Err(Invalid::new(format!("Unknown ComparisonOperator: {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Item;

    fn item() -> Item {
        serde_json::from_str(r#"{"n":{"N":"2"},"s":{"S":"abc"},"t":{"SS":["x","y"]},"l":{"L":[{"N":"1"}]}}"#).unwrap()
    }

    fn values(text: &str) -> Vec<Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn operators() {
        for (name, operator, list, holds) in [
            ("n", "EQ", r#"[{"N":"2.0"}]"#, true),
            ("n", "NE", r#"[{"S":"2"}]"#, true),
            ("none", "NE", r#"[{"S":"2"}]"#, true),
            ("none", "EQ", r#"[{"S":"2"}]"#, false),
            ("n", "GT", r#"[{"N":"1"}]"#, true),
            ("n", "GT", r#"[{"S":"1"}]"#, false),
            ("n", "BETWEEN", r#"[{"N":"1"},{"N":"2"}]"#, true),
            ("n", "IN", r#"[{"N":"1"},{"N":"2"}]"#, true),
            ("s", "BEGINS_WITH", r#"[{"S":"ab"}]"#, true),
            ("s", "CONTAINS", r#"[{"S":"bc"}]"#, true),
            ("t", "CONTAINS", r#"[{"S":"x"}]"#, true),
            ("l", "CONTAINS", r#"[{"N":"1"}]"#, true),
            ("t", "NOT_CONTAINS", r#"[{"S":"z"}]"#, true),
            ("none", "NOT_CONTAINS", r#"[{"S":"z"}]"#, false),
            ("none", "NULL", "[]", true),
            ("n", "NOT_NULL", "[]", true),
        ] {
            let condition = Condition::of(test(name, operator, values(list)).unwrap());
            assert_eq!(condition.holds(&item()), holds, "{name} {operator} {list}");
        }
    }

    #[test]
    fn refuses() {
        for (operator, list, message) in [
            ("EQ", "[]", "Invalid number of argument(s) for the EQ ComparisonOperator"),
            ("NULL", r#"[{"S":"x"}]"#, "Invalid number of argument(s) for the NULL ComparisonOperator"),
            ("LT", r#"[{"BOOL":true}]"#, "ComparisonOperator LT is not valid for BOOL AttributeValue type"),
            ("BEGINS_WITH", r#"[{"N":"1"}]"#, "ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type"),
            ("IN", r#"[{"N":"1"},{"S":"1"}]"#, "AttributeValues inside AttributeValueList must be of same type"),
        ] {
            let Invalid(found) = test("a", operator, values(list)).unwrap_err();
            assert_eq!(found, format!("One or more parameter values were invalid: {message}"), "{operator}");
        }
        let Invalid(found) = test("a", "BETWEEN", values(r#"[{"N":"2"},{"N":"1"}]"#)).unwrap_err();
        assert!(found.starts_with("The BETWEEN condition was provided a range"));
    }
}
