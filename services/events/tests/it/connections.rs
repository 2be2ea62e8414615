//! Connections, over a stand-in for Secrets Manager.

use api_secretsmanager::{
    CreateSecret, CreateSecretRequest, CreateSecretResponse, DeleteSecret, DeleteSecretRequest, DeleteSecretResponse,
    GetSecretValue, GetSecretValueRequest, GetSecretValueResponse, PutSecretValue, PutSecretValueRequest,
    PutSecretValueResponse, UpdateSecret, UpdateSecretRequest, UpdateSecretResponse,
};
use async_trait::async_trait;
use serde_json::{Value, json};
use service::{Cx, Handle};
use wire::Error;

use crate::{Bench, Sink, bench};

#[async_trait]
impl Handle<CreateSecret> for Sink {
    async fn handle(&self, cx: &Cx, req: CreateSecretRequest) -> Result<CreateSecretResponse, Error> {
        let arn = cx.arn("secretsmanager", format!("secret:{}-AbCdEf", req.name));
        self.1.lock().unwrap().insert(arn.clone(), req.secret_string.unwrap_or_default());
        Ok(CreateSecretResponse { arn: Some(arn), ..Default::default() })
    }
}

#[async_trait]
impl Handle<PutSecretValue> for Sink {
    async fn handle(&self, _: &Cx, req: PutSecretValueRequest) -> Result<PutSecretValueResponse, Error> {
        self.1.lock().unwrap().insert(req.secret_id, req.secret_string.unwrap_or_default());
        Ok(PutSecretValueResponse::default())
    }
}

#[async_trait]
impl Handle<UpdateSecret> for Sink {
    async fn handle(&self, _: &Cx, req: UpdateSecretRequest) -> Result<UpdateSecretResponse, Error> {
        if let Some(text) = req.secret_string {
            self.1.lock().unwrap().insert(req.secret_id, text);
        }
        Ok(UpdateSecretResponse::default())
    }
}

#[async_trait]
impl Handle<GetSecretValue> for Sink {
    async fn handle(&self, _: &Cx, req: GetSecretValueRequest) -> Result<GetSecretValueResponse, Error> {
        let secret_string = self.1.lock().unwrap().get(&req.secret_id).cloned();
        Ok(GetSecretValueResponse { secret_string, ..Default::default() })
    }
}

#[async_trait]
impl Handle<DeleteSecret> for Sink {
    async fn handle(&self, _: &Cx, req: DeleteSecretRequest) -> Result<DeleteSecretResponse, Error> {
        self.1.lock().unwrap().remove(&req.secret_id);
        Ok(DeleteSecretResponse::default())
    }
}

impl Bench {
    async fn connection(&self) -> Value {
        self.call("eventbridge", "describeConnection", json!({"Name": "api"})).await
    }

    fn secret(&self, described: &Value) -> Value {
        let secrets = self.sink.1.lock().unwrap();
        serde_json::from_str(&secrets[described["SecretArn"].as_str().unwrap()]).unwrap()
    }
}

fn basic() -> Value {
    json!({"BasicAuthParameters": {"Username": "u", "Password": "secret"}})
}

#[tokio::test]
async fn credentials_are_kept_as_a_secret_and_never_told() {
    let bench = bench();
    let new = json!({"Name": "api", "AuthorizationType": "BASIC", "AuthParameters": basic()});
    let made = bench.call("eventbridge", "createConnection", new.clone()).await;
    let arn = made["ConnectionArn"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws:events:eu-west-1:000000000000:connection/api/"), "{arn}");
    assert_eq!(made["ConnectionState"], "AUTHORIZED");
    let described = bench.connection().await;
    assert_eq!(described["AuthParameters"], json!({"BasicAuthParameters": {"Username": "u"}}));
    assert_eq!(described["ConnectionArn"], made["ConnectionArn"]);
    let secret = described["SecretArn"].as_str().unwrap();
    let prefix = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:events!connection/api/";
    assert!(secret.starts_with(prefix), "{secret}");
    assert_eq!(bench.secret(&described), json!({"username": "u", "password": "secret"}));
    let twice = bench.cx.call_json("eventbridge", "createConnection", new).await.unwrap_err();
    assert_eq!((twice.code(), twice.message()), ("ResourceAlreadyExistsException", "Connection api already exists."));
    assert_eq!(bench.sink.1.lock().unwrap().len(), 1);

    let key = json!({"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "v"}});
    let change =
        json!({"Name": "api", "AuthorizationType": "API_KEY", "AuthParameters": key, "Description": "for the api"});
    bench.call("eventbridge", "updateConnection", change).await;
    let described = bench.connection().await;
    assert_eq!(
        (&described["AuthorizationType"], &described["Description"]),
        (&json!("API_KEY"), &json!("for the api"))
    );
    assert_eq!(described["SecretArn"], secret);
    assert_eq!(bench.secret(&described), json!({"api_key_name": "k", "api_key_value": "v"}));
    let wrong = json!({"Name": "api", "AuthParameters": basic()});
    let wrong = bench.cx.call_json("eventbridge", "updateConnection", wrong).await.unwrap_err();
    assert_eq!(wrong.code(), "ValidationException");
}

#[tokio::test]
async fn a_connection_can_lose_its_credentials_and_get_others() {
    let bench = bench();
    let new = json!({"Name": "api", "AuthorizationType": "BASIC", "AuthParameters": basic()});
    bench.call("eventbridge", "createConnection", new).await;
    bench.call("eventbridge", "deauthorizeConnection", json!({"Name": "api"})).await;
    let left = bench.connection().await;
    assert_eq!(
        (&left["ConnectionState"], &left["SecretArn"], &left["AuthParameters"]),
        (&json!("DEAUTHORIZED"), &Value::Null, &Value::Null)
    );
    assert!(bench.sink.1.lock().unwrap().is_empty());
    bench.call("eventbridge", "updateConnection", json!({"Name": "api", "AuthParameters": basic()})).await;
    assert_eq!(bench.connection().await["ConnectionState"], "AUTHORIZED");
    let listed = bench.call("eventbridge", "listConnections", json!({"NamePrefix": "a"})).await;
    assert_eq!(listed["Connections"].as_array().unwrap().len(), 1);
    let none = bench.call("eventbridge", "listConnections", json!({"ConnectionState": "CREATING"})).await;
    assert_eq!(none["Connections"], json!([]));
    let deleted = bench.call("eventbridge", "deleteConnection", json!({"Name": "api"})).await;
    assert_eq!(deleted["ConnectionState"], "DELETING");
    assert!(bench.sink.1.lock().unwrap().is_empty());
    let gone = bench.cx.call_json("eventbridge", "describeConnection", json!({"Name": "api"})).await.unwrap_err();
    assert_eq!(gone.code(), "ResourceNotFoundException");
}
