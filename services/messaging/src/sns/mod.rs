//! SNS: topics, subscriptions, and deliveries to e-mail, SQS, Lambda and HTTP.
//!
//! Map: [`topic`] topics and subscriptions as records · [`publish`] one message to all who want it · [`deliver`] the task
//! that brings it to one of them · [`mail`] SMTP · [`http`] HTTP endpoints, by a [`policy`] of retries · [`sign`] signatures ·
//! [`links`] what messages link to · [`lapse`] what is not confirmed in time · `ops` the operations.
//!
//! Not here: SMS, mobile push.

mod deliver;
mod guard;
mod http;
mod lapse;
mod links;
mod mail;
mod ops;
mod policy;
mod publish;
mod sign;
mod topic;

use std::sync::Arc;

use service::{Platform, Router, operations};
use store::Store;

use deliver::{DELIVER, Deliverer};
use http::{POST, Poster};
use lapse::LAPSE;
pub use links::Links;
use mail::{CONFIRM, Smtp};
use sign::Signer;

/// The service.
pub(crate) struct Sns {
    store: Store,
    auto_confirm: bool,
    signer: Arc<Signer>,
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
    let signer = Arc::new(Signer::new(store.clone()));
    let service = Arc::new(Sns { store: store.clone(), auto_confirm: smtp.auto_confirm, signer: signer.clone() });
    operations!(platform.router, service, api_sns:
        AddPermission, ConfirmSubscription, CreateTopic, DeleteTopic, GetSubscriptionAttributes, GetTopicAttributes, ListSubscriptions,
        ListSubscriptionsByTopic, ListTagsForResource, ListTopics, Publish, PublishBatch, RemovePermission, SetSubscriptionAttributes,
        SetTopicAttributes, Subscribe, TagResource, Unsubscribe, UntagResource,
    );
    platform.router.add_guard("sns", service.clone());
    let router: Arc<Router> = platform.router.clone();
    let deliverer = Arc::new(Deliverer {
        router,
        account: platform.account.clone(),
        endpoint: platform.endpoint.clone(),
        mailer: mail::Mailer::new(smtp)?,
        poster: Poster::new(settings),
        signer,
        store,
    });
    platform.control.register(DELIVER, 8, deliverer.clone());
    platform.control.register(POST, 16, deliverer.clone());
    platform.control.register(LAPSE, 1, deliverer.clone());
    platform.control.register(CONFIRM, 2, deliverer);
    Ok(Links(service))
}
