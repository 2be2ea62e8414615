//! The partition keys that a request to `DynamoDB` touches (`dynamodb:LeadingKeys`) and the attributes that it names
//! (`dynamodb:Attributes`). Source: `DynamoDB` Developer Guide, "Using IAM policy conditions for fine-grained access control".

use serde_json::{Value, json};
use wire::Error;

use super::context::{at, texts};
use crate::Cx;

/// The partition keys that a request touches in a table or index. A Scan touches all and names none.
pub(super) async fn keys(cx: &Cx, operation: &str, input: &Value, resource: &str) -> Result<Vec<String>, Error> {
    let path = resource.split_once(":table/").map_or("", |(_, path)| path);
    let table = path.split('/').next().unwrap_or_default();
    let Some(partition) = partition(cx, table, path.split("/index/").nth(1)).await? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let mut of = |map: Option<&Value>| found.extend(map.and_then(|map| scalar(map.get(&partition)?)));
    let names_table = |name: &str| name == table || name.ends_with(&format!(":table/{table}"));
    match operation {
        "BatchGetItem" | "BatchWriteItem" => {
            for (name, wanted) in at(input, "RequestItems").and_then(Value::as_object).into_iter().flatten() {
                if !names_table(name) {
                    continue;
                }
                for key in at(wanted, "Keys").or(Some(wanted)).and_then(Value::as_array).into_iter().flatten() {
                    let inner = at(key, "PutRequest.Item").or_else(|| at(key, "DeleteRequest.Key")).unwrap_or(key);
                    of(Some(inner));
                }
            }
        }
        "TransactGetItems" | "TransactWriteItems" => {
            for item in at(input, "TransactItems").and_then(Value::as_array).into_iter().flatten() {
                for action in item.as_object().into_iter().flat_map(serde_json::Map::values) {
                    if action["TableName"].as_str().is_some_and(names_table) {
                        of(action.get("Key").or_else(|| action.get("Item")).filter(|v| !v.is_null()));
                    }
                }
            }
        }
        "Query" => found.extend(queried(input, &partition)),
        _ => of(at(input, "Key").or_else(|| at(input, "Item"))),
    }
    Ok(found)
}

/// The name of the partition key of a table, or of one of its indexes.
async fn partition(cx: &Cx, table: &str, index: Option<&str>) -> Result<Option<String>, Error> {
    let described = super::lookup::ask(cx, "dynamodb", "describeTable", json!({ "TableName": table })).await;
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
    let hash = schema.as_array().into_iter().flatten().find(|key| key["KeyType"] == "HASH");
    Ok(hash.and_then(|key| key["AttributeName"].as_str()).map(str::to_owned))
}

/// The value of a text, number or binary attribute.
fn scalar(value: &Value) -> Option<String> {
    value.as_object()?.values().next()?.as_str().map(str::to_owned)
}

/// The partition that a Query names: in its old form, or as `name = :value` in its expression.
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
    let value = words.windows(3).find(|three| three[1] == "=" && name(three[0]).as_deref() == Some(partition))?[2];
    scalar(at(input, "ExpressionAttributeValues")?.get(value)?)
}

/// The attributes that a request names at the top of its items.
pub(super) fn attributes(input: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for path in ["AttributesToGet[]", "Item@keys", "Key@keys", "AttributeUpdates@keys", "Expected@keys"] {
        texts(input, path, &mut found);
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
    found.sort_unstable();
    found.dedup();
    found
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
        assert_eq!(attributes(&query), ["day", "user"]);
    }
}
