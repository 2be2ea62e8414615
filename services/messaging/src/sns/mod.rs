//! SNS: topics, subscriptions, and deliveries to e-mail, SQS, Lambda and HTTP.
//!
//! Map: [`topic`] topics and subscriptions as records · [`publish`] one message to all who want it · [`deliver`] the task
//! that brings it to one of them · [`ordered`] those of FIFO topics, in their order · [`mail`] SMTP · [`http`] HTTP endpoints, by a [`policy`] of retries · [`sign`] signatures ·
//! [`links`] what messages link to · [`metrics`] what CloudWatch is told · [`recent`] how deliveries went · [`lapse`] what is not confirmed in time · `ops` the operations.
//!
//! Not here: SMS, mobile push.

mod deliver;
mod feedback;
mod guard;
mod http;
mod lapse;
mod links;
mod mail;
mod metrics;
mod ops;
mod ordered;
mod policy;
mod publish;
mod recent;
mod sign;
mod topic;

use std::sync::Arc;

use api_sns::error;
use service::{Platform, Router, operations};
use store::Store;
use wire::Error;

use deliver::{DELIVER, Deliverer, MAIL};
use http::{POST, Poster};
use lapse::{CLEAR, LAPSE};
pub use links::Links;
use mail::{CONFIRM, Smtp};
use ordered::ORDERED;
use sealing::{By, Of, Sealer};
use sign::Signer;

/// The service.
pub(crate) struct Sns {
    store: Store,
    auto_confirm: bool,
    signer: Arc<Signer>,
    sealer: Arc<Sealer>,
    metrics: metrics::Metrics,
    recent: recent::Recent,
}

/// How KMS's refusals are told. Source: SNS API Reference, Publish, "Errors".
fn kms_error(error: &Error) -> Option<Error> {
    let named = match error.code() {
        "AccessDeniedException" => error::kms_access_denied_exception,
        "NotFoundException" => error::kms_not_found_exception,
        "DisabledException" => error::kms_disabled_exception,
        "KMSInvalidStateException" => error::kms_invalid_state_exception,
        _ => return None,
    };
    Some(named(error.message()))
}

const KMS: By = By { via: Some("sns.amazonaws.com"), context: "aws:sns:topicArn", named: kms_error };

/// A topic's messages; their data keys are used for five minutes.
fn of_topic(arn: &str) -> Of<'_> {
    Of { arn, reuse_seconds: 300 }
}

impl std::fmt::Debug for Sns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sns")
    }
}

pub(crate) fn register(platform: &Platform) -> Result<Links, String> {
    let store = platform.control.store().clone();
    let smtp: Smtp = platform.settings.section("smtp")?;
    let settings: http::Settings = platform.settings.section("sns")?;
    let sealer = Arc::new(Sealer::new(KMS));
    let signer = Arc::new(Signer::new(store.clone()));
    let service = Arc::new(Sns {
        store: store.clone(),
        auto_confirm: smtp.auto_confirm,
        signer: signer.clone(),
        sealer: sealer.clone(),
        metrics: metrics::Metrics(platform.router.clone()),
        recent: recent::Recent::since(store.clock().now_ms()),
    });
    operations!(platform.router, service, api_sns:
        AddPermission, ConfirmSubscription, CreateTopic, DeleteTopic, GetSubscriptionAttributes, GetTopicAttributes, ListSubscriptions,
        ListSubscriptionsByTopic, ListTagsForResource, ListTopics, Publish, PublishBatch, RemovePermission, SetSubscriptionAttributes,
        SetTopicAttributes, Subscribe, TagResource, Unsubscribe, UntagResource,
    );
    operations!(platform.router, service, api_lakerun: ListDeliveries);
    platform.router.add_guard("sns", service.clone());
    let router: Arc<Router> = platform.router.clone();
    let deliverer = Arc::new(Deliverer {
        router,
        account: platform.account.clone(),
        endpoint: platform.shown_endpoint(),
        mailer: mail::Mailer::new(smtp)?,
        poster: Poster::new(settings),
        signer,
        sealer,
        store,
        metrics: service.metrics.clone(),
        recent: service.recent.clone(),
    });
    platform.control.register(DELIVER, 8, deliverer.clone());
    platform.control.register(MAIL, 4, deliverer.clone());
    platform.control.register(ORDERED, 8, deliverer.clone());
    platform.control.register(CLEAR, 1, deliverer.clone());
    platform.control.register(POST, 64, deliverer.clone());
    platform.control.register(LAPSE, 1, deliverer.clone());
    platform.control.register(CONFIRM, 2, deliverer);
    Ok(Links(service))
}
