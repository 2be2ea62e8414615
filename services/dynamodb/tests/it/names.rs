//! Tables by their ARN: what is read and written is what policies were asked about.

use async_trait::async_trait;
use service::identity::{Credentials, Identity};
use wire::Error;

use super::*;

const ARN: &str = "arn:aws:dynamodb:eu-west-1:000000000000:table/";

/// Lets everybody do everything, and notes what it was asked.
#[derive(Default)]
struct Asked(std::sync::Mutex<Vec<(String, String)>>);

#[async_trait]
impl Identity for Asked {
    async fn credentials(&self, _: &str) -> Result<Option<Credentials>, Error> {
        Ok(None)
    }
    async fn authorize(&self, _: &Principal, action: &str, resource: &str) -> Result<(), Error> {
        self.0.lock().unwrap().push((action.to_owned(), resource.to_owned()));
        Ok(())
    }
    async fn role_session(&self, role_arn: &str, session: &str, _: Option<&str>) -> Result<Principal, Error> {
        Ok(Principal::role(role_arn, session, None))
    }
    async fn issue(&self, _: &Principal, _: jiff::SignedDuration) -> Result<Credentials, Error> {
        Err(Error::not_implemented("keys"))
    }
    async fn revoke(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

#[tokio::test]
async fn an_arn_names_one_table() {
    let bench = bench();
    bench.table().await;
    bench.put("a", 1, json!({"note": {"S": "x"}})).await;
    let whole = format!("{ARN}flights");
    assert_eq!(bench.call("getItem", json!({"TableName": whole, "Key": key("a", 1)})).await["Item"]["pk"]["S"], "a");
    // What a policy knows as `app-x:table/flights`, of another region, of another account.
    let others = [
        format!("{ARN}app-x:table/flights"),
        format!("{ARN}app-x/flights"),
        "arn:aws:dynamodb:eu-west-2:000000000000:table/flights".to_owned(),
        "arn:aws:dynamodb:eu-west-1:111111111111:table/flights".to_owned(),
        "arn:aws-x:dynamodb:eu-west-1:000000000000:table/flights".to_owned(),
    ];
    let recovery =
        json!({"TableName": "flights", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}});
    bench.call("updateContinuousBackups", recovery).await;
    for name in &others {
        let tries = [
            ("getItem", json!({"TableName": name, "Key": key("a", 1)})),
            ("putItem", json!({"TableName": name, "Item": key("b", 1)})),
            ("scan", json!({"TableName": name})),
            ("batchGetItem", json!({"RequestItems": {name.as_str(): {"Keys": [key("a", 1)]}}})),
            ("createBackup", json!({"TableName": name, "BackupName": "saved"})),
            ("deleteTable", json!({"TableName": name})),
            ("tagResource", json!({"ResourceArn": name, "Tags": [{"Key": "a", "Value": "b"}]})),
            ("exportTableToPointInTime", json!({"TableArn": name, "S3Bucket": "lake"})),
            (
                "restoreTableToPointInTime",
                json!({"SourceTableArn": name, "TargetTableName": "other", "UseLatestRestorableTime": true}),
            ),
            ("executeStatement", json!({"Statement": format!("SELECT * FROM \"{name}\"")})),
        ];
        for (operation, input) in tries {
            let refused = bench.try_call(operation, input).await.expect_err(operation);
            assert!(refused.status() < 500, "{operation} {name}: {refused}");
        }
    }
    // Where an ARN is asked for, a policy is asked about the text as it stands.
    for (operation, input) in [
        ("exportTableToPointInTime", json!({"TableArn": "flights", "S3Bucket": "lake"})),
        (
            "restoreTableToPointInTime",
            json!({"SourceTableArn": "flights", "TargetTableName": "other", "UseLatestRestorableTime": true}),
        ),
        ("getResourcePolicy", json!({"ResourceArn": "flights"})),
    ] {
        assert_eq!(bench.try_call(operation, input).await.unwrap_err().code(), "ValidationException", "{operation}");
    }
    assert_eq!(bench.call("scan", json!({"TableName": "flights", "Select": "COUNT"})).await["Count"], 1);
}

#[tokio::test]
async fn a_table_is_made_under_its_own_name() {
    let bench = bench();
    bench.table().await;
    let create = |name: &str| {
        let (definitions, keys) = (
            json!([{"AttributeName": "pk", "AttributeType": "S"}]),
            json!([{"AttributeName": "pk", "KeyType": "HASH"}]),
        );
        bench.try_call("createTable", json!({"TableName": name, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": definitions, "KeySchema": keys}))
    };
    let made = create(&format!("{ARN}made")).await.unwrap();
    assert_eq!(made["TableDescription"]["TableName"], "made");
    let there = create("arn:aws:dynamodb:eu-west-2:000000000000:table/elsewhere").await.unwrap_err();
    assert_eq!(there.code(), "ValidationException");
    let backup = bench.call("createBackup", json!({"TableName": "flights", "BackupName": "saved"})).await;
    let back = json!({"BackupArn": backup["BackupDetails"]["BackupArn"], "TargetTableName": "back"});
    let restored = bench.call("restoreTableFromBackup", back).await;
    assert_eq!(restored["TableDescription"]["TableArn"], format!("{ARN}back"));
    assert_eq!(bench.call("describeTable", json!({"TableName": "back"})).await["Table"]["TableName"], "back");
}

#[tokio::test]
async fn a_statement_asks_for_the_table_that_it_names() {
    let router = Router::new();
    let asked = Arc::new(Asked::default());
    router.set_identity(asked.clone());
    let bench = bench_on(&router);
    bench.table().await;
    let role = bench.cx.as_principal(Principal::role("arn:aws:iam::000000000000:role/r", "s", None));
    let statements = [
        (format!("SELECT * FROM \"{ARN}flights\""), "dynamodb:PartiQLSelect", "flights"),
        (format!("SELECT * FROM \"{ARN}flights\".\"by-city\""), "dynamodb:PartiQLSelect", "flights/index/by-city"),
        ("SELECT * FROM flights".to_owned(), "dynamodb:PartiQLSelect", "flights"),
        (format!("INSERT INTO \"{ARN}flights\" VALUE {{'pk': 'a', 'sk': 1}}"), "dynamodb:PartiQLInsert", "flights"),
        (format!("DELETE FROM \"{ARN}flights\" WHERE pk = 'a' AND sk = 1"), "dynamodb:PartiQLDelete", "flights"),
    ];
    for (statement, action, resource) in statements {
        asked.0.lock().unwrap().clear();
        role.call_json("dynamodb", "executeStatement", json!({"Statement": statement})).await.unwrap();
        let noted = asked.0.lock().unwrap().clone();
        assert!(noted.contains(&(action.to_owned(), format!("{ARN}{resource}"))), "{statement}: {noted:?}");
    }
}
