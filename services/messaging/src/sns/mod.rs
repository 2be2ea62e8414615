//! SNS: topics, subscriptions, and deliveries to e-mail, SQS, Lambda and HTTP.
//!
//! Map: [`topic`] topics and subscriptions as records · [`publish`] one message to all who want it · [`deliver`] the task
//! that brings it to one of them · [`mail`] SMTP · `ops` the operations.
//!
//! Not here: SMS, mobile push, message signatures.

mod deliver;
mod guard;
mod mail;
mod ops;
mod publish;
mod topic;

use std::sync::Arc;

use service::{Platform, Router, operations};
use store::Store;

use deliver::{DELIVER, Deliverer};
use mail::{CONFIRM, Smtp};

/// The service.
#[derive(Debug)]
pub(crate) struct Sns {
    store: Store,
    auto_confirm: bool,
}

pub(crate) fn register(platform: &Platform) -> Result<(), String> {
    let store = platform.control.store().clone();
    let smtp: Smtp = platform.settings.section("smtp")?;
    let service = Arc::new(Sns { store: store.clone(), auto_confirm: smtp.auto_confirm });
    operations!(platform.router, service, api_sns:
        AddPermission, ConfirmSubscription, CreateTopic, DeleteTopic, GetSubscriptionAttributes, GetTopicAttributes, ListSubscriptions,
        ListSubscriptionsByTopic, ListTagsForResource, ListTopics, Publish, PublishBatch, RemovePermission, SetSubscriptionAttributes,
        SetTopicAttributes, Subscribe, TagResource, Unsubscribe, UntagResource,
    );
    platform.router.add_guard("sns", service);
    let router: Arc<Router> = platform.router.clone();
    let deliverer = Arc::new(Deliverer {
        router,
        account: platform.account.clone(),
        endpoint: platform.endpoint.clone(),
        mailer: mail::Mailer::new(smtp)?,
        store,
    });
    platform.control.register(DELIVER, 8, deliverer.clone());
    platform.control.register(CONFIRM, 2, deliverer);
    Ok(())
}
