//! Statements and pages: what they refuse, and how much one answer takes.

use super::*;

#[tokio::test]
async fn a_transaction_is_known_by_all_of_its_values() {
    let bench = bench();
    bench.table().await;
    let insert = |bytes: &str| {
        let parameters = json!([{"B": bytes}]);
        json!({"ClientRequestToken": "token-1", "TransactStatements": [
            {"Statement": "INSERT INTO flights VALUE {'pk': 'a', 'sk': 1, 'b': ?}", "Parameters": parameters}]})
    };
    bench.call("executeTransaction", insert("AAAA")).await;
    bench.call("executeTransaction", insert("AAAA")).await;
    let other = bench.try_call("executeTransaction", insert("AAAB")).await.unwrap_err();
    assert_eq!(other.code(), "IdempotentParameterMismatchException");
}

#[tokio::test]
async fn a_statement_asks_the_items_for_what_a_local_index_lacks() {
    let bench = bench();
    bench.table().await;
    for (sk, status) in [(1, "open"), (2, "closed")] {
        bench.put("a", sk, json!({"rank": {"N": sk.to_string()}, "note": {"S": "n"}, "status": {"S": status}})).await;
    }
    let select = |rest: &str| {
        let statement = format!("SELECT * FROM flights.\"by-rank\" WHERE pk = 'a' AND {rest}");
        bench.call("executeStatement", json!({"Statement": statement}))
    };
    let open = select("status = 'open'").await;
    let kept = json!({"pk": {"S": "a"}, "sk": {"N": "1"}, "rank": {"N": "1"}, "note": {"S": "n"}});
    assert_eq!(open["Items"], json!([kept]), "shown as the index keeps it");
    let rest = select("status <> 'open'").await;
    assert_eq!(rest["Items"].as_array().unwrap().len(), 1);
    assert_eq!(rest["Items"][0]["sk"]["N"], "2");
    let some = bench
        .call(
            "executeStatement",
            json!({"Statement": "SELECT status FROM flights.\"by-rank\" WHERE pk = 'a' AND status = 'open'"}),
        )
        .await;
    assert_eq!(some["Items"], json!([{"status": {"S": "open"}}]));
}

#[tokio::test]
async fn a_page_of_an_index_is_as_large_as_the_items_that_it_fetches() {
    let bench = bench();
    bench.table().await;
    let large = "x".repeat(300_000);
    for sk in 0..8 {
        bench.put("a", sk, json!({"rank": {"N": sk.to_string()}, "large": {"S": large}})).await;
    }
    let query = json!({"TableName": "flights", "IndexName": "by-rank", "Select": "ALL_ATTRIBUTES",
        "KeyConditionExpression": "pk = :a", "ExpressionAttributeValues": {":a": {"S": "a"}}});
    let first = bench.call("query", query.clone()).await;
    assert_eq!(first["Count"], 4, "a page ends when it has read a megabyte");
    let mut next = query;
    next["ExclusiveStartKey"] = first["LastEvaluatedKey"].clone();
    let second = bench.call("query", next).await;
    assert_eq!(second["Count"], 4);
    assert_eq!(second["Items"][0]["sk"]["N"], "4");
}

#[tokio::test]
async fn what_is_read_together_has_a_limit() {
    let bench = bench();
    bench.table().await;
    let large = "x".repeat(390_000);
    for sk in 0..11 {
        bench.put("a", sk, json!({"large": {"S": large}})).await;
    }
    let gets: Vec<Value> = (0..11).map(|sk| json!({"Get": {"TableName": "flights", "Key": key("a", sk)}})).collect();
    let ten = bench.call("transactGetItems", json!({"TransactItems": gets[..10]})).await;
    assert_eq!(ten["Responses"].as_array().unwrap().len(), 10);
    let all = bench.try_call("transactGetItems", json!({"TransactItems": gets})).await.unwrap_err();
    assert_eq!(all.code(), "ValidationException");
}

#[tokio::test]
async fn sizes_of_collections_are_told_of_all_writes() {
    let bench = bench();
    bench.table().await;
    let told = json!([{"ItemCollectionKey": {"pk": {"S": "a"}}, "SizeEstimateRangeGB": [0.0, 1.0]}]);
    let put = json!({"TableName": "flights", "Item": key("a", 1), "ReturnItemCollectionMetrics": "SIZE"});
    assert_eq!(bench.call("putItem", put).await["ItemCollectionMetrics"], told[0]);
    let puts: Vec<Value> = [2, 3].map(|sk| json!({"PutRequest": {"Item": key("a", sk)}})).into();
    let batch = json!({"RequestItems": {"flights": puts}, "ReturnItemCollectionMetrics": "SIZE"});
    assert_eq!(bench.call("batchWriteItem", batch).await["ItemCollectionMetrics"]["flights"], told);
    let items = json!([{"Put": {"TableName": "flights", "Item": key("a", 4)}}]);
    let transaction = json!({"TransactItems": items, "ReturnItemCollectionMetrics": "SIZE"});
    assert_eq!(bench.call("transactWriteItems", transaction).await["ItemCollectionMetrics"]["flights"], told);
}

#[tokio::test]
async fn statements_refuse_what_expressions_refuse() {
    let bench = bench();
    bench.table().await;
    bench.put("a", 1, json!({"n": {"N": "1"}, "b": {"BOOL": true}})).await;
    for test in [
        "n BETWEEN 2 AND 1",
        "n BETWEEN 1 AND 'x'",
        "attribute_type(n, 'FOO')",
        "begins_with(n, 1)",
        "b < true",
        "n > [1]",
    ] {
        for statement in [
            format!("SELECT * FROM flights WHERE {test}"),
            format!("UPDATE flights SET x = 1 WHERE pk = 'a' AND sk = 1 AND {test}"),
            format!("DELETE FROM flights WHERE pk = 'a' AND sk = 1 AND {test}"),
        ] {
            let refused =
                bench.try_call("executeStatement", json!({"Statement": statement})).await.expect_err(&statement);
            assert_eq!(refused.code(), "ValidationException", "{statement}");
        }
    }
    let exists = "EXISTS(SELECT * FROM flights WHERE pk = 'a' AND sk = 1)";
    let alone = bench.try_call("executeStatement", json!({"Statement": exists})).await.unwrap_err();
    let batch = bench.call("batchExecuteStatement", json!({"Statements": [{"Statement": exists}]})).await;
    assert_eq!(batch["Responses"][0]["Error"]["Message"], alone.message());
    let insert = json!({"TransactStatements": [{"Statement": "INSERT INTO flights VALUE {'pk': 'a', 'sk': 1}"}]});
    let twice = bench.try_call("executeTransaction", insert).await.unwrap_err();
    assert_eq!(twice.fields()["CancellationReasons"][0]["Code"], "DuplicateItem");
}
