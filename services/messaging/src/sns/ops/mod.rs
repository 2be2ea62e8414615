//! The operations.

mod confirm_subscription;
mod create_topic;
mod delete_topic;
mod list_subscriptions;
mod list_topics;
mod permissions;
mod publish;
mod subscribe;
mod subscription_attributes;
mod tags;
mod topic_attributes;
mod unsubscribe;

/// Entries on one page of a list.
const PAGE: usize = 100;
