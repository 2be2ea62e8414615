//! Subscribe: the same endpoint is subscribed once.

use api_sns::{Subscribe, SubscribeInput, SubscribeResponse};
use async_trait::async_trait;
use reqwest::Url;
use service::{Cx, Handle};
use store::NewTask;
use wire::Error;
use wire::arn::Arn;

use crate::sns::Sns;
use crate::sns::http::{POST, Post, What};
use crate::sns::lapse::Lapse;
use crate::sns::mail::CONFIRM;
use crate::sns::topic::{Subscription, Topic, invalid};

#[async_trait]
impl Handle<Subscribe> for Sns {
    async fn handle(&self, cx: &Cx, req: SubscribeInput) -> Result<SubscribeResponse, Error> {
        let endpoint = req.endpoint.unwrap_or_default();
        check(&req.protocol, &endpoint)?;
        let mut new = Subscription::new(cx, &req.topic_arn, &req.protocol, &endpoint);
        let attributes = req.attributes.unwrap_or_default();
        // What a filter may be depends on its scope.
        let scope = attributes.get_key_value("FilterPolicyScope");
        for (name, value) in scope.into_iter().chain(&attributes) {
            new.set(name, value)?;
        }
        if new.is_http() || req.protocol.starts_with("email") && !self.auto_confirm {
            new.token = Some(cx.uuid().replace('-', ""));
        }
        let now = cx.now();
        let subscription = cx
            .write(&self.store, move |tx| {
                let topic = Topic::load(tx, &new.topic_arn)?;
                if topic.is_on("FifoTopic") && new.protocol != "sqs" {
                    return Err(invalid("Endpoint Reason: FIFO topics deliver to queues only"));
                }
                if !topic.is_on("FifoTopic") && new.protocol == "sqs" && new.endpoint.strip_suffix(".fifo").is_some() {
                    return Err(invalid(
                        "Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics",
                    ));
                }
                let all = tx.list_json::<Subscription>(Subscription::of_topic(&new.topic_arn)?, 100_000)?;
                let same = |one: &&Subscription| (&one.protocol, &one.endpoint) == (&new.protocol, &new.endpoint);
                let known = all.iter().find(same).cloned();
                let subscription = match known {
                    Some(known) if known.attributes != new.attributes && !new.attributes.is_empty() => {
                        return Err(invalid(
                            "Attributes Reason: Subscription already exists with different attributes",
                        ));
                    }
                    Some(known) => known,
                    None => {
                        new.save(tx)?;
                        new.clone()
                    }
                };
                if let Some(token) = &subscription.token {
                    let named = |kind: &str| NewTask::new(kind, format!("{kind}/{token}"));
                    let task = if subscription.is_http() {
                        named(POST).payload(&Post::new(What::Confirmation(subscription.arn.clone())))
                    } else {
                        named(CONFIRM).payload(&subscription.arn)
                    };
                    tx.enqueue(task?)?;
                    Lapse::Pending(subscription.arn.clone()).plan(tx, token, now)?;
                }
                Ok(subscription)
            })
            .await?;
        let arn = match (&subscription.token, req.return_subscription_arn) {
            (Some(_), None | Some(false)) => "pending confirmation".to_owned(),
            _ => subscription.arn,
        };
        Ok(SubscribeResponse { subscription_arn: Some(arn) })
    }
}

fn check(protocol: &str, endpoint: &str) -> Result<(), Error> {
    let arn_of = |service: &str| Arn::parse(endpoint).is_some_and(|arn| arn.service == service);
    let fits = match protocol {
        "email" | "email-json" => endpoint.split_once('@').is_some_and(|(name, domain)| {
            !name.is_empty() && !domain.is_empty() && !endpoint.contains(char::is_whitespace)
        }),
        "sqs" => arn_of("sqs"),
        "lambda" => arn_of("lambda"),
        "http" | "https" => endpoint
            .split_once("://")
            .is_some_and(|(scheme, _)| scheme == protocol && Url::parse(endpoint).is_ok_and(|url| url.has_host())),
        "sms" | "application" | "firehose" => {
            return Err(Error::not_implemented(format!("Subscribe: protocol {protocol}")));
        }
        _ => return Err(invalid(format!("Amazon SNS does not support this protocol string: {protocol}"))),
    };
    if fits {
        return Ok(());
    }
    Err(invalid(match protocol {
        "sqs" => "SQS endpoint ARN",
        "lambda" => "Lambda endpoint ARN",
        "http" | "https" => "Endpoint must match the specified protocol",
        _ => "Email address",
    }))
}
