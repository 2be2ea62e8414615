//! The operations over a store in memory. The queue is not started, so queries stay QUEUED: what a worker makes of them is
//! tested in crate `query`.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that panics has failed, which is what is meant"
)]

use std::sync::Arc;

use serde_json::{Value, json};
use service::{Cx, Platform, Principal, Router, Settings};
use store::{Queue, Store};

mod sweep;

struct Bench {
    cx: Cx,
    platform: Platform,
}

fn bench() -> Bench {
    bench_on(Router::new(), &Store::memory())
}

fn bench_on(router: Arc<Router>, store: &Store) -> Bench {
    let queue = || Queue::new(store.clone());
    let platform = Platform {
        router: Arc::clone(&router),
        control: queue(),
        s3: queue(),
        dynamodb: queue(),
        data: std::env::temp_dir(),
        objects: None,
        endpoint: "http://127.0.0.1:1".to_owned(),
        account: "000000000000".to_owned(),
        region: "eu-west-1".to_owned(),
        settings: Settings::default(),
    };
    let scratch = std::env::temp_dir().join(format!("athena-test-{}", std::process::id()));
    let compute = compute::Compute::new(compute::Settings::new(scratch)).unwrap();
    drop(athena::register(&platform, &compute).unwrap());
    let cx = Cx::new(router, Principal::root("000000000000"), "000000000000", "eu-west-1");
    Bench { cx, platform }
}

impl Bench {
    async fn call(&self, operation: &str, input: Value) -> Value {
        self.try_call(operation, input).await.unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    async fn try_call(&self, operation: &str, input: Value) -> Result<Value, wire::Error> {
        self.cx.call_json("athena", operation, input).await
    }

    async fn fails(&self, operation: &str, input: Value, message: &str) {
        let error = self.try_call(operation, input).await.expect_err(message);
        assert_eq!(error.code(), "InvalidRequestException");
        assert!(error.message().starts_with(message), "{}", error.message());
    }

    async fn start(&self, sql: &str) -> String {
        let input = json!({"QueryString": sql, "ResultConfiguration": {"OutputLocation": "s3://results/x/"},
            "QueryExecutionContext": {"Database": "db"}});
        self.call("startQueryExecution", input).await["QueryExecutionId"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_query_is_queued_and_stopped() {
    let bench = bench();
    let id = bench.start("SELECT 1").await;
    let execution = bench.call("getQueryExecution", json!({"QueryExecutionId": id})).await["QueryExecution"].clone();
    assert_eq!(execution["Status"]["State"], "QUEUED");
    assert_eq!(execution["StatementType"], "DML");
    assert_eq!(execution["ResultConfiguration"]["OutputLocation"], format!("s3://results/x/{id}.csv"));
    assert_eq!(execution["QueryExecutionContext"], json!({"Database": "db", "Catalog": "awsdatacatalog"}));
    assert_eq!(execution["EngineVersion"]["EffectiveEngineVersion"], "Athena engine version 3");
    bench
        .fails("getQueryResults", json!({"QueryExecutionId": id}), "Query has not yet finished. Current state: QUEUED")
        .await;
    for _ in 0..2 {
        bench.call("stopQueryExecution", json!({"QueryExecutionId": id})).await;
    }
    let execution = bench.call("getQueryExecution", json!({"QueryExecutionId": id})).await["QueryExecution"].clone();
    assert_eq!(execution["Status"]["State"], "CANCELLED");
    assert_eq!(execution["Status"]["StateChangeReason"], "Query cancelled by user");
    bench.fails("getQueryExecution", json!({"QueryExecutionId": "nope"}), "QueryExecution nope was not found").await;
    let batch = bench.call("batchGetQueryExecution", json!({"QueryExecutionIds": [id, "nope"]})).await;
    assert_eq!(batch["QueryExecutions"].as_array().unwrap().len(), 1);
    assert_eq!(batch["UnprocessedQueryExecutionIds"][0]["QueryExecutionId"], "nope");
}

#[tokio::test]
async fn a_token_starts_one_query() {
    let bench = bench();
    let input = |sql: &str| {
        json!({"QueryString": sql, "ClientRequestToken": "0123456789abcdef0123456789abcdef",
            "ResultConfiguration": {"OutputLocation": "s3://results/"}})
    };
    let first = bench.call("startQueryExecution", input("SELECT 1")).await;
    assert_eq!(bench.call("startQueryExecution", input("SELECT 1")).await, first);
    bench.fails("startQueryExecution", input("SELECT 2"), "Idempotent parameters do not match").await;
    bench.call("createWorkGroup", json!({"Name": "g"})).await;
    for (member, other) in [
        ("QueryExecutionContext", json!({"Database": "other"})),
        ("ResultConfiguration", json!({"OutputLocation": "s3://elsewhere/"})),
        ("ExecutionParameters", json!(["1"])),
        ("WorkGroup", json!("g")),
    ] {
        let mut asked = input("SELECT 1");
        asked[member] = other;
        bench.fails("startQueryExecution", asked, "Idempotent parameters do not match").await;
    }
    let listed = bench.call("listQueryExecutions", json!({})).await;
    assert_eq!(listed["QueryExecutionIds"], json!([first["QueryExecutionId"]]));
}

#[tokio::test]
async fn a_token_names_one_query() {
    let bench = bench();
    let input = |database: &str| {
        json!({"Name": "q", "Database": database, "QueryString": "SELECT 1",
            "ClientRequestToken": "0123456789abcdef0123456789abcdef"})
    };
    let first = bench.call("createNamedQuery", input("a")).await;
    assert_eq!(bench.call("createNamedQuery", input("a")).await, first);
    bench.fails("createNamedQuery", input("b"), "Idempotent parameters do not match").await;
    bench.call("deleteNamedQuery", first.clone()).await;
    assert_ne!(bench.call("createNamedQuery", input("a")).await, first);
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let bench = bench();
    let input = |sql: &str| json!({"QueryString": sql, "ResultConfiguration": {"OutputLocation": "s3://results/"}});
    bench.fails("startQueryExecution", input("THIS IS NOT SQL"), "line 1:1: mismatched input 'THIS'").await;
    bench.fails("startQueryExecution", json!({"QueryString": "SELECT 1"}), "No output location provided.").await;
    let place = json!({"QueryString": "SELECT 1", "ResultConfiguration": {"OutputLocation": "/tmp"}});
    bench.fails("startQueryExecution", place, "outputLocation is not a valid S3 path.").await;
    let group = json!({"QueryString": "SELECT 1", "WorkGroup": "nope"});
    bench.fails("startQueryExecution", group, "WorkGroup nope is not found.").await;
    bench.fails("startQueryExecution", input("EXECUTE nope"), "PreparedStatement nope was not found").await;
}

#[tokio::test]
async fn workgroups_say_where_results_go() {
    let bench = bench();
    let configuration = json!({"ResultConfiguration": {"OutputLocation": "s3://group/out"}});
    bench
        .call(
            "createWorkGroup",
            json!({"Name": "g", "Configuration": configuration, "Tags": [{"Key": "a", "Value": "1"}]}),
        )
        .await;
    bench.fails("createWorkGroup", json!({"Name": "g"}), "WorkGroup is already created").await;
    let group = bench.call("getWorkGroup", json!({"WorkGroup": "g"})).await["WorkGroup"].clone();
    assert_eq!(
        (&group["State"], &group["Configuration"]["EnforceWorkGroupConfiguration"]),
        (&json!("ENABLED"), &json!(true))
    );
    let start = json!({"QueryString": "SHOW TABLES", "WorkGroup": "g", "ResultConfiguration": {"OutputLocation": "s3://mine/"}});
    let id = bench.call("startQueryExecution", start.clone()).await["QueryExecutionId"].clone();
    let execution = bench.call("getQueryExecution", json!({"QueryExecutionId": id})).await["QueryExecution"].clone();
    assert_eq!(
        execution["ResultConfiguration"]["OutputLocation"],
        format!("s3://group/out/{}.txt", id.as_str().unwrap())
    );
    let updates =
        json!({"EnforceWorkGroupConfiguration": false, "ResultConfigurationUpdates": {"RemoveOutputLocation": true}});
    bench
        .call("updateWorkGroup", json!({"WorkGroup": "g", "State": "DISABLED", "ConfigurationUpdates": updates}))
        .await;
    bench.fails("startQueryExecution", start, "WorkGroup g is disabled.").await;
    let listed = bench.call("listWorkGroups", json!({})).await["WorkGroups"].clone();
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|group| group["Name"].clone()).collect();
    assert_eq!(names, ["g", "primary"]);
    let arn = "arn:aws:athena:eu-west-1:000000000000:workgroup/g";
    bench.call("tagResource", json!({"ResourceARN": arn, "Tags": [{"Key": "b", "Value": "2"}]})).await;
    bench.call("untagResource", json!({"ResourceARN": arn, "TagKeys": ["a"]})).await;
    assert_eq!(
        bench.call("listTagsForResource", json!({"ResourceARN": arn})).await["Tags"],
        json!([{"Key": "b", "Value": "2"}])
    );
    bench.fails("deleteWorkGroup", json!({"WorkGroup": "g"}), "WorkGroup g is not empty").await;
    bench.call("stopQueryExecution", json!({"QueryExecutionId": id})).await;
    bench.call("deleteWorkGroup", json!({"WorkGroup": "g", "RecursiveDeleteOption": true})).await;
    bench.fails("getWorkGroup", json!({"WorkGroup": "g"}), "WorkGroup g is not found.").await;
    bench.fails("getQueryExecution", json!({"QueryExecutionId": id}), "QueryExecution").await;
}

/// Athena User Guide, "Override client-side settings".
#[tokio::test]
async fn whose_settings_hold() {
    let bench = bench();
    let own = json!({"OutputLocation": "s3://group/", "ExpectedBucketOwner": "111111111111",
        "EncryptionConfiguration": {"EncryptionOption": "SSE_KMS", "KmsKey": "k"}});
    let sse = json!({"EncryptionOption": "SSE_S3"});
    for enforced in [true, false] {
        let configuration = json!({"ResultConfiguration": own, "EnforceWorkGroupConfiguration": enforced});
        let name = if enforced { "enforced" } else { "free" };
        bench.call("createWorkGroup", json!({"Name": name, "Configuration": configuration})).await;
    }
    let elsewhere = json!({"OutputLocation": "s3://mine/", "ExpectedBucketOwner": "222222222222"});
    for (group, client, place, owner, encryption) in [
        ("enforced", elsewhere.clone(), "s3://group/", json!("111111111111"), "SSE_KMS"),
        ("enforced", json!({"EncryptionConfiguration": sse}), "s3://group/", json!("111111111111"), "SSE_KMS"),
        ("free", elsewhere, "s3://mine/", json!("222222222222"), "SSE_KMS"),
        // Whose the workgroup's bucket is says nothing of another.
        ("free", json!({"OutputLocation": "s3://mine/"}), "s3://mine/", Value::Null, "SSE_KMS"),
        ("free", json!({"EncryptionConfiguration": sse}), "s3://group/", json!("111111111111"), "SSE_S3"),
        ("free", Value::Null, "s3://group/", json!("111111111111"), "SSE_KMS"),
    ] {
        let start = json!({"QueryString": "SELECT 1", "WorkGroup": group, "ResultConfiguration": client});
        let id = bench.call("startQueryExecution", start).await["QueryExecutionId"].clone();
        let shown = bench.call("getQueryExecution", json!({"QueryExecutionId": id})).await;
        let shown = &shown["QueryExecution"]["ResultConfiguration"];
        assert_eq!(shown["OutputLocation"], format!("{place}{}.csv", id.as_str().unwrap()), "{group} {client}");
        assert_eq!(shown["ExpectedBucketOwner"], owner, "{group} {client}");
        assert_eq!(shown["EncryptionConfiguration"]["EncryptionOption"], encryption, "{group} {client}");
    }
}

#[tokio::test]
async fn settings_that_nothing_would_obey_are_refused() {
    let bench = bench();
    let with = |configuration: Value| json!({"Name": "g", "Configuration": configuration});
    let encrypted = |encryption: Value| with(json!({"ResultConfiguration": {"EncryptionConfiguration": encryption}}));
    for (input, message) in [
        (
            with(json!({"EngineVersion": {"SelectedEngineVersion": "Athena engine version 2"}})),
            "Engine version Athena engine version 2 is not",
        ),
        (
            with(json!({"EngineVersion": {"SelectedEngineVersion": "PySpark engine version 3"}})),
            "Engine version PySpark",
        ),
        (
            with(json!({"ManagedQueryResultsConfiguration": {"Enabled": true}})),
            "Managed query results are not supported",
        ),
        (encrypted(json!({"EncryptionOption": "CSE_KMS", "KmsKey": "k"})), "EncryptionOption CSE_KMS is not supported"),
        (encrypted(json!({"EncryptionOption": "SSE_KMS"})), "KmsKey must be specified"),
        (encrypted(json!({"EncryptionOption": "SSE_S3", "KmsKey": "k"})), "KmsKey must not be specified"),
    ] {
        bench.fails("createWorkGroup", input, message).await;
    }
    let chosen = json!({"EngineVersion": {"SelectedEngineVersion": "Athena engine version 3"}});
    bench.call("createWorkGroup", with(chosen)).await;
    let version = json!({"EngineVersion": {"SelectedEngineVersion": "Athena engine version 4"}});
    let update = json!({"WorkGroup": "g", "ConfigurationUpdates": version});
    bench.fails("updateWorkGroup", update, "Engine version Athena engine version 4").await;
    let found = bench.call("getWorkGroup", json!({"WorkGroup": "g"})).await;
    let version = &found["WorkGroup"]["Configuration"]["EngineVersion"];
    assert_eq!(version["SelectedEngineVersion"], "Athena engine version 3");
    let start = json!({"QueryString": "SELECT 1", "ResultConfiguration": {"OutputLocation": "s3://b/",
        "EncryptionConfiguration": {"EncryptionOption": "CSE_KMS", "KmsKey": "k"}}});
    bench.fails("startQueryExecution", start, "EncryptionOption CSE_KMS").await;
}

#[tokio::test]
async fn lists_come_in_pages_newest_first() {
    let bench = bench();
    let mut started = Vec::new();
    for i in 0..5 {
        started.push(bench.start(&format!("SELECT {i}")).await);
    }
    let (mut token, mut listed) = (Value::Null, Vec::new());
    loop {
        let page = bench.call("listQueryExecutions", json!({"MaxResults": 2, "NextToken": token})).await;
        listed.extend(page["QueryExecutionIds"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()));
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(listed.len(), 5);
    listed.sort();
    started.sort();
    assert_eq!(listed, started);
}

#[tokio::test]
async fn named_queries_prepared_statements_and_catalogs() {
    let bench = bench();
    let query = json!({"Name": "q", "Database": "db", "QueryString": "SELECT 1"});
    let id = bench.call("createNamedQuery", query).await["NamedQueryId"].clone();
    bench.call("updateNamedQuery", json!({"NamedQueryId": id, "Name": "r", "QueryString": "SELECT 2"})).await;
    let found = bench.call("getNamedQuery", json!({"NamedQueryId": id})).await["NamedQuery"].clone();
    assert_eq!(
        (&found["Name"], &found["QueryString"], &found["WorkGroup"]),
        (&json!("r"), &json!("SELECT 2"), &json!("primary"))
    );
    assert_eq!(bench.call("listNamedQueries", json!({})).await["NamedQueryIds"], json!([id]));
    bench.call("deleteNamedQuery", json!({"NamedQueryId": id})).await;
    bench.fails("getNamedQuery", json!({"NamedQueryId": id}), "NamedQuery").await;

    let statement = json!({"StatementName": "st", "WorkGroup": "primary", "QueryStatement": "SELECT ?"});
    bench.call("createPreparedStatement", statement.clone()).await;
    bench.fails("createPreparedStatement", statement, "PreparedStatement st already exists").await;
    bench.start("EXECUTE st USING 'x'").await;
    let missing = bench.try_call("getPreparedStatement", json!({"StatementName": "tt", "WorkGroup": "primary"})).await;
    assert_eq!(missing.unwrap_err().code(), "ResourceNotFoundException");

    bench
        .call(
            "createDataCatalog",
            json!({"Name": "lake", "Type": "GLUE", "Parameters": {"catalog-id": "000000000000"}}),
        )
        .await;
    let catalogs = bench.call("listDataCatalogs", json!({})).await["DataCatalogsSummary"].clone();
    let names: Vec<_> = catalogs.as_array().unwrap().iter().map(|catalog| catalog["CatalogName"].clone()).collect();
    assert_eq!(names, ["AwsDataCatalog", "lake"]);
    bench.fails("createDataCatalog", json!({"Name": "x", "Type": "LAMBDA"}), "Data catalogs of type LAMBDA").await;
    let foreign = json!({"Name": "lake", "Type": "GLUE", "Parameters": {"catalog-id": "111111111111"}});
    bench.fails("updateDataCatalog", foreign, "Data catalogs of other accounts are not supported").await;
    let foreign = json!({"Name": "far", "Type": "GLUE", "Parameters": {"catalog-id": "111111111111"}});
    bench.fails("createDataCatalog", foreign, "Data catalogs of other accounts are not supported").await;
    bench.fails("getDataCatalog", json!({"Name": "nope"}), "DataCatalog nope was not found").await;
}
