//! The partition keys that a request to `DynamoDB` touches (`dynamodb:LeadingKeys`) and the attributes that it names
//! (`dynamodb:Attributes`). Source: `DynamoDB` Developer Guide, "Using IAM policy conditions for fine-grained access control".

use std::borrow::Cow;

use serde_json::{Value, json};
use wire::Error;

use super::context::{at, texts};
use crate::Cx;

/// The operations of items that name their keys.
const OF_ITEMS: [&str; 8] = [
    "BatchGetItem",
    "BatchWriteItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateItem",
];

/// The partition keys that a request touches in a table or index; `None` where they cannot be told. A Scan touches all and names none.
pub(super) async fn keys(
    cx: &Cx,
    operation: &str,
    input: &Value,
    resource: &str,
) -> Result<Option<Vec<String>>, Error> {
    if operation != "Query" && !OF_ITEMS.contains(&operation) {
        return Ok(Some(Vec::new()));
    }
    let (table, index) = table_of(resource);
    let Some(partition) = partition(cx, resource, table, index).await? else { return Ok(None) };
    let key_of = |item: &Value| {
        let key = item.get("Key").or_else(|| item.get("Item")).filter(|value| !value.is_null())?;
        scalar(key.get(&partition)?)
    };
    Ok(match operation {
        "Query" => queried(input, &partition).map(|value| vec![value]),
        _ => items(operation, input, table).iter().map(|item| key_of(item)).collect(),
    })
}

/// Table and index of an ARN.
fn table_of(resource: &str) -> (&str, Option<&str>) {
    let path = resource.split_once(":table/").map_or("", |(_, path)| path);
    (path.split('/').next().unwrap_or_default(), path.split("/index/").nth(1))
}

/// The items of a request that are of a table, each as an object with what a request of one item has: `Key` or `Item`, expressions, ….
fn items<'a>(operation: &str, input: &'a Value, table: &str) -> Vec<Cow<'a, Value>> {
    let names_table = |name: &str| name == table || name.ends_with(&format!(":table/{table}"));
    let mut found = Vec::new();
    match operation {
        "BatchGetItem" | "BatchWriteItem" => {
            let asked = at(input, "RequestItems").and_then(Value::as_object).into_iter().flatten();
            for (_, wanted) in asked.filter(|(name, _)| names_table(name)) {
                let mut rest = wanted.clone();
                if let Some(Value::Array(keys)) = rest.as_object_mut().and_then(|rest| rest.remove("Keys")) {
                    found.extend(keys.into_iter().map(|key| {
                        let mut item = rest.clone();
                        item["Key"] = key;
                        Cow::Owned(item)
                    }));
                }
                let writes = wanted.as_array().into_iter().flatten().filter_map(Value::as_object);
                found.extend(writes.flat_map(serde_json::Map::values).map(Cow::Borrowed));
            }
        }
        "TransactGetItems" | "TransactWriteItems" => {
            let all = at(input, "TransactItems").and_then(Value::as_array).into_iter().flatten();
            let actions = all.filter_map(Value::as_object).flat_map(serde_json::Map::values);
            found.extend(actions.filter(|one| one["TableName"].as_str().is_some_and(names_table)).map(Cow::Borrowed));
        }
        _ => found.push(Cow::Borrowed(input)),
    }
    found
}

/// The name of the partition key of a table, or of one of its indexes; `None` where there is no such table, or where the key has several
/// attributes.
async fn partition(cx: &Cx, arn: &str, table: &str, index: Option<&str>) -> Result<Option<String>, Error> {
    let owner = arn.split(':').nth(4).filter(|account| wire::arn::is_account_id(account));
    let there = owner.map_or_else(|| cx.clone(), |account| cx.in_account(account));
    let described = super::lookup::ask(&there, "dynamodb", "describeTable", json!({ "TableName": table })).await;
    let Ok(described) = described else { return Ok(None) };
    let table = &described["Table"];
    let schema = match index {
        None => &table["KeySchema"],
        Some(index) => ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"]
            .into_iter()
            .flat_map(|kind| table[kind].as_array().into_iter().flatten())
            .find(|one| one["IndexName"] == index)
            .map_or(&Value::Null, |one| &one["KeySchema"]),
    };
    let mut hash = schema.as_array().into_iter().flatten().filter(|key| key["KeyType"] == "HASH");
    let (first, more) = (hash.next(), hash.next());
    Ok(first.filter(|_| more.is_none()).and_then(|key| key["AttributeName"].as_str()).map(str::to_owned))
}

/// The value of a text, number or binary attribute.
fn scalar(value: &Value) -> Option<String> {
    value.as_object()?.values().next()?.as_str().map(str::to_owned)
}

/// The partition that a Query names: in its old form, or as `name = :value` or `:value = name` in its expression.
fn queried(input: &Value, partition: &str) -> Option<String> {
    if let Some(condition) = at(input, "KeyConditions").and_then(|conditions| conditions.get(partition)) {
        return scalar(condition["AttributeValueList"].get(0)?);
    }
    let expression = at(input, "KeyConditionExpression")?.as_str()?;
    let words = expression.replace(['(', ')'], " ").replace('=', " = ");
    let words: Vec<&str> = words.split_whitespace().collect();
    let name = |word: &str| match word.strip_prefix('#') {
        Some(_) => at(input, "ExpressionAttributeNames").and_then(|names| names.get(word)?.as_str()).map(str::to_owned),
        None => Some(word.to_owned()),
    };
    let is_key = |word: &str| name(word).as_deref() == Some(partition);
    let value = words.windows(3).find_map(|three| match three {
        [key, "=", value] if is_key(key) => Some(*value),
        [value, "=", key] if is_key(key) => Some(*value),
        _ => None,
    })?;
    scalar(at(input, "ExpressionAttributeValues")?.get(value)?)
}

/// The attributes that a request names at the top of its items, of those that are of the table.
pub(super) fn attributes(operation: &str, input: &Value, resource: &str) -> Vec<String> {
    let (table, _) = table_of(resource);
    let mut found = Vec::new();
    for item in items(operation, input, table) {
        attributes_of(&item, &mut found);
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Members of a request of one item whose keys or elements are names of attributes.
const NAMES: [&str; 8] = [
    "AttributesToGet[]",
    "Item@keys",
    "Key@keys",
    "AttributeUpdates@keys",
    "Expected@keys",
    "KeyConditions@keys",
    "QueryFilter@keys",
    "ScanFilter@keys",
];

fn attributes_of(input: &Value, found: &mut Vec<String>) {
    for path in NAMES {
        texts(input, path, found);
    }
    let names = at(input, "ExpressionAttributeNames");
    for member in [
        "ProjectionExpression",
        "FilterExpression",
        "KeyConditionExpression",
        "UpdateExpression",
        "ConditionExpression",
    ] {
        let text = at(input, member).and_then(Value::as_str).unwrap_or_default();
        let words = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '#' | ':' | '.' | '-')));
        for word in words.filter_map(|word| word.split('.').next()) {
            let plain = member == "ProjectionExpression" || !RESERVED.contains(&word.to_ascii_uppercase().as_str());
            match word.chars().next() {
                Some('#') => found.extend(names.and_then(|names| names.get(word)?.as_str()).map(str::to_owned)),
                Some(c) if plain && (c.is_alphabetic() || c == '_') => found.push(word.to_owned()),
                _ => {}
            }
        }
    }
}

/// Words of expressions that are no attributes.
const RESERVED: [&str; 17] = [
    "AND",
    "OR",
    "NOT",
    "IN",
    "BETWEEN",
    "SET",
    "REMOVE",
    "ADD",
    "DELETE",
    "ATTRIBUTE_EXISTS",
    "ATTRIBUTE_NOT_EXISTS",
    "ATTRIBUTE_TYPE",
    "BEGINS_WITH",
    "CONTAINS",
    "SIZE",
    "IF_NOT_EXISTS",
    "LIST_APPEND",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_query_names() {
        let query = json!({"KeyConditionExpression": "#d > :x AND (user = :u)", "ExpressionAttributeNames": {"#d": "day"},
            "ExpressionAttributeValues": {":u": {"S": "ann"}, ":x": {"N": "1"}}});
        assert_eq!(queried(&query, "user"), Some("ann".to_owned()));
        assert_eq!(queried(&query, "day"), None);
        assert_eq!(attributes("Query", &query, TABLE), ["day", "user"]);
        let turned = json!({"KeyConditionExpression": ":u=user AND :x < #d", "ExpressionAttributeNames": {"#d": "day"},
            "ExpressionAttributeValues": {":u": {"S": "ann"}, ":x": {"N": "1"}}});
        assert_eq!(queried(&turned, "user"), Some("ann".to_owned()));
        assert_eq!(attributes("Query", &turned, TABLE), ["day", "user"]);
        let old = json!({"KeyConditions": {"user": {}}, "QueryFilter": {"city": {}}});
        assert_eq!(attributes("Query", &old, TABLE), ["city", "user"]);
    }

    const TABLE: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/t";

    #[test]
    fn what_requests_of_many_items_name() {
        let check = |operation: &str, input: &Value, keys: &[&str], names: &[&str]| {
            let found: Option<Vec<String>> = items(operation, input, "t")
                .iter()
                .map(|item| item.get("Key").or_else(|| item.get("Item")).and_then(|key| scalar(key.get("user")?)))
                .collect();
            assert_eq!(found.unwrap(), keys, "{operation}");
            assert_eq!(attributes(operation, input, TABLE), names, "{operation}");
        };
        let other = json!({"Keys": [{"user": {"S": "eve"}, "other": {"S": "x"}}]});
        check(
            "BatchGetItem",
            &json!({"RequestItems": {"u": other, TABLE: {
                "Keys": [{"user": {"S": "ann"}}, {"user": {"S": "bob"}}],
                "ProjectionExpression": "#p, city", "ExpressionAttributeNames": {"#p": "pay"}}}}),
            &["ann", "bob"],
            &["city", "pay", "user"],
        );
        check(
            "BatchWriteItem",
            &json!({"RequestItems": {"t": [
                {"PutRequest": {"Item": {"user": {"S": "ann"}, "pay": {"N": "1"}}}},
                {"DeleteRequest": {"Key": {"user": {"S": "bob"}}}}]}}),
            &["ann", "bob"],
            &["pay", "user"],
        );
        check(
            "TransactWriteItems",
            &json!({"TransactItems": [
                {"Put": {"TableName": "t", "Item": {"user": {"S": "ann"}, "pay": {"N": "1"}}}},
                {"Update": {"TableName": TABLE, "Key": {"user": {"S": "bob"}}, "UpdateExpression": "SET #c = :c",
                    "ExpressionAttributeNames": {"#c": "city"}}},
                {"Put": {"TableName": "u", "Item": {"user": {"S": "eve"}, "other": {"S": "x"}}}}]}),
            &["ann", "bob"],
            &["city", "pay", "user"],
        );
    }
}
