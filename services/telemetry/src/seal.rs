//! Log events under a group's key of KMS: each batch is encrypted under a data key that CloudWatch Logs asks for in its own name, bound
//! to the group. Sources: CloudWatch Logs User Guide, "Encrypt log data in CloudWatch Logs using AWS Key Management Service"; API
//! Reference, AssociateKmsKey.

use std::sync::Arc;

use api_logs::error::invalid_parameter_exception;
use sealing::{By, DataKey, Of};
use service::Cx;
use store::kv::Pair;
use wire::Error;

use crate::Telemetry;
use crate::logs::{Batch, Group, Scope, Sealed};

pub(crate) const BY: By = By { via: None, context: "aws:logs:arn", named };

/// Seconds for which a data key is used again. Source: AssociateKmsKey, "It can take up to 5 minutes for this operation to take effect".
const REUSE_SECONDS: i64 = 300;

/// What a group's new events are encrypted with.
#[derive(Clone, Debug)]
pub(crate) struct Seal {
    key_id: String,
    arn: String,
    key: Arc<DataKey>,
}

impl Seal {
    pub(crate) fn text(&self, plain: &str) -> Result<String, Error> {
        self.key.seal(&self.arn, plain)
    }

    /// Whether it is of the key that the group has now.
    pub(crate) fn is_of(this: Option<&Self>, group: &Group) -> bool {
        this.map(|seal| &seal.key_id) == group.kms_key_id.as_ref()
    }
}

/// The group as KMS and policies know it.
pub(crate) fn group_arn(account: &str, region: &str, group: &str) -> String {
    format!("arn:aws:logs:{region}:{account}:log-group:{group}")
}

/// The service itself, for a group.
fn service(cx: &Cx, arn: &str) -> Cx {
    cx.as_service(&format!("logs.{}.amazonaws.com", cx.region()), arn)
}

fn of_group(arn: &str) -> Of<'_> {
    Of { arn, reuse_seconds: REUSE_SECONDS }
}

/// KMS's errors as Logs tells them.
fn named(error: &Error) -> Option<Error> {
    match error.code() {
        "AccessDeniedException" => None,
        "NotFoundException" => Some(invalid_parameter_exception("The specified KMS Key Id could not be found.")),
        _ if error.status() < 500 => {
            Some(invalid_parameter_exception(format!("The specified KMS key cannot be used: {}", error.message())))
        }
        _ => None,
    }
}

impl Telemetry {
    /// What a key of KMS gives for a group: it is there, enabled, and lets Logs use it.
    pub(crate) async fn seal_with(&self, cx: &Cx, group: &str, key_id: &str) -> Result<Seal, Error> {
        if !key_id.starts_with("arn:") || !key_id.contains(":key/") {
            return Err(invalid_parameter_exception("The specified KMS Key Id must be the ARN of a key."));
        }
        let arn = group_arn(cx.account(), cx.region(), group);
        let made = self.sealer.data_key(&service(cx, &arn), key_id, of_group(&arn)).await;
        let key = made.map_err(|error| not_allowed(error, &arn))?;
        Ok(Seal { key_id: key_id.to_owned(), arn, key })
    }

    /// What encrypts what a group takes now.
    pub(crate) async fn seal_of(&self, cx: &Cx, scope: &Scope, group: &str) -> Result<Option<Seal>, Error> {
        let found = self.store.read(|tx| scope.load_group(tx, group)).await?;
        match found.kms_key_id {
            Some(key) => self.seal_with(cx, group, &key).await.map(Some),
            None => Ok(None),
        }
    }

    /// A sealed text as it was.
    pub(crate) async fn open(&self, cx: &Cx, group: &str, sealed: &str) -> Result<String, Error> {
        let arn = group_arn(cx.account(), cx.region(), group);
        let opened = self.sealer.open(&service(cx, &arn), of_group(&arn), sealed).await;
        opened.map_err(|error| not_allowed(error, &arn))
    }

    /// Batches as they came, where their group ever had a key.
    pub(crate) async fn opened(
        &self,
        cx: &Cx,
        scope: &Scope,
        group: &str,
        mut batches: Vec<Pair>,
    ) -> Result<Vec<Pair>, Error> {
        let found: Option<Group> = self.store.read(|tx| tx.get_json(scope.group(group))).await?;
        if !found.is_some_and(|group| group.had_key) {
            return Ok(batches);
        }
        for (key, value) in &mut batches {
            let mut batch: Batch = store::kv::decode(key, value)?;
            let Some(Sealed { text, .. }) = batch.sealed.take() else { continue };
            batch.events = serde_json::from_str(&self.open(cx, group, &text).await?).map_err(Error::internal)?;
            *value = serde_json::to_vec(&batch).map_err(Error::internal)?;
        }
        Ok(batches)
    }
}

fn not_allowed(error: Error, arn: &str) -> Error {
    if !error.is("AccessDeniedException") {
        return error;
    }
    let text = format!("The specified KMS key does not exist or is not allowed to be used with Arn '{arn}'");
    Error::new("AccessDeniedException", 400, text)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use api_kms::{
        Decrypt, DecryptRequest, DecryptResponse, GenerateDataKey, GenerateDataKeyRequest, GenerateDataKeyResponse,
    };
    use async_trait::async_trait;
    use serde_json::{Value, json};
    use service::authorization::{Guard, ResourcePolicy};
    use service::{Handle, Platform, Principal, Router, Settings};
    use store::{Queue, Store};
    use wire::Blob;

    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:000000000000:key/k";

    /// One key, which may be disabled; it remembers the context that it was asked with.
    #[derive(Default)]
    struct Keys {
        off: AtomicBool,
    }

    impl Keys {
        fn check(&self, cx: &Cx, context: Option<&std::collections::BTreeMap<String, String>>) -> Result<(), Error> {
            let arn = "arn:aws:logs:eu-west-1:000000000000:log-group:g";
            assert_eq!(cx.service().map(|by| by.name.as_str()), Some("logs.eu-west-1.amazonaws.com"));
            assert_eq!(context.and_then(|context| context.get("aws:logs:arn")).map(String::as_str), Some(arn));
            if self.off.load(Ordering::SeqCst) { Err(api_kms::error::disabled_exception("off")) } else { Ok(()) }
        }
    }

    #[async_trait]
    impl Handle<GenerateDataKey> for Keys {
        async fn handle(&self, cx: &Cx, req: GenerateDataKeyRequest) -> Result<GenerateDataKeyResponse, Error> {
            self.check(cx, req.encryption_context.as_ref())?;
            Ok(GenerateDataKeyResponse {
                plaintext: Some(Blob::new(vec![7; 32])),
                ciphertext_blob: Some(Blob::new(b"sealed".to_vec())),
                ..GenerateDataKeyResponse::default()
            })
        }
    }

    #[async_trait]
    impl Handle<Decrypt> for Keys {
        async fn handle(&self, cx: &Cx, req: DecryptRequest) -> Result<DecryptResponse, Error> {
            self.check(cx, req.encryption_context.as_ref())?;
            Ok(DecryptResponse { plaintext: Some(Blob::new(vec![7; 32])), ..DecryptResponse::default() })
        }
    }

    /// The key's policy lets Logs use it, as its user guide asks for.
    #[async_trait]
    impl Guard for Keys {
        async fn policy(&self, _: &Cx, _: &str, _: &str) -> Result<Option<ResourcePolicy>, Error> {
            let policy = json!({ "Version": "2012-10-17", "Statement": {
                "Effect": "Allow", "Principal": { "Service": "logs.eu-west-1.amazonaws.com" }, "Action": "kms:*", "Resource": "*",
                "Condition": { "ArnEquals": { "kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-west-1:000000000000:log-group:g" } },
            } });
            Ok(Some(ResourcePolicy { policy, must_allow: true }))
        }
    }

    async fn call(cx: &Cx, operation: &str, input: Value) -> Result<Value, Error> {
        cx.call_json("cloudwatchlogs", operation, input).await
    }

    #[tokio::test]
    async fn events_of_a_group_with_a_key_are_kept_encrypted() {
        let router = Router::new();
        let queue = || Queue::new(Store::memory());
        let platform = Platform {
            router: router.clone(),
            control: queue(),
            s3: queue(),
            dynamodb: queue(),
            data: std::path::PathBuf::new(),
            objects: None,
            endpoint: "http://127.0.0.1:4566".to_owned(),
            account: "000000000000".to_owned(),
            region: "eu-west-1".to_owned(),
            settings: Settings::default(),
        };
        let keys = Arc::new(Keys::default());
        router.add_guard("kms", keys.clone());
        service::operations!(router, keys, api_kms: GenerateDataKey, Decrypt);
        let service = crate::register(&platform);
        let cx = Cx::new(router, Principal::root("000000000000"), "000000000000", "eu-west-1");
        keys.off.store(true, Ordering::SeqCst);
        let refused = call(&cx, "createLogGroup", json!({"LogGroupName": "g", "KmsKeyId": KEY})).await.unwrap_err();
        assert!(refused.code().contains("InvalidParameter"), "{refused:?}");
        keys.off.store(false, Ordering::SeqCst);
        call(&cx, "createLogGroup", json!({"LogGroupName": "g", "KmsKeyId": KEY})).await.unwrap();
        call(&cx, "createLogStream", json!({"LogGroupName": "g", "LogStreamName": "s"})).await.unwrap();
        let put = |text: &str| {
            let events = json!([{"Timestamp": cx.now().as_millisecond(), "Message": text}]);
            json!({"LogGroupName": "g", "LogStreamName": "s", "LogEvents": events})
        };
        call(&cx, "putLogEvents", put("a secret")).await.unwrap();
        let scope = Scope::of(&cx);
        let kept = service.store.read(|tx| tx.scan_prefix(scope.events("g"), 10)).await.unwrap();
        let text = String::from_utf8_lossy(&kept[0].1).into_owned();
        assert!(!text.contains("a secret") && text.contains("sealed"), "{text}");
        let read = json!({"LogGroupName": "g", "LogStreamName": "s", "StartFromHead": true});
        let shown = call(&cx, "getLogEvents", read.clone()).await.unwrap();
        assert_eq!(shown["Events"][0]["Message"], "a secret");
        // Without a key what comes is in the clear, and what was sealed is still read.
        call(&cx, "disassociateKmsKey", json!({"LogGroupName": "g"})).await.unwrap();
        call(&cx, "putLogEvents", put("plain")).await.unwrap();
        let shown = call(&cx, "getLogEvents", read).await.unwrap();
        assert_eq!(
            (&shown["Events"][0]["Message"], &shown["Events"][1]["Message"]),
            (&json!("a secret"), &json!("plain"))
        );
    }
}
