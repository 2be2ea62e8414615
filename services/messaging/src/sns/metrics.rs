//! What CloudWatch is told of topics: `AWS/SNS`, by `TopicName`. Source: SNS Developer Guide, "Monitoring Amazon SNS topics using CloudWatch".

use std::sync::Arc;

use service::Router;
use service::meter::Measured;
use wire::arn::Arn;

#[derive(Clone)]
pub(super) struct Metrics(pub(super) Arc<Router>);

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Delivered,
    /// For good; of HTTP endpoints each try.
    Failed,
    RedrivenToDlq,
    FailedToRedriveToDlq,
}

impl Metrics {
    /// Messages of so many bytes were published, which so many filters held back.
    pub(super) fn published(&self, topic_arn: &str, sizes: &[usize], filtered: usize) {
        let Some(topic) = Arn::parse(topic_arn).filter(|_| !sizes.is_empty()) else { return };
        self.tell(&topic, "NumberOfMessagesPublished", sizes.len(), "Count");
        for bytes in sizes {
            self.tell(&topic, "PublishSize", *bytes, "Bytes");
        }
        if filtered > 0 {
            self.tell(&topic, "NumberOfNotificationsFilteredOut", filtered, "Count");
        }
    }

    pub(super) fn ended(&self, topic_arn: &str, ended: Ended) {
        let Some(topic) = Arn::parse(topic_arn) else { return };
        let metric = match ended {
            Ended::Delivered => "NumberOfNotificationsDelivered",
            Ended::Failed => "NumberOfNotificationsFailed",
            Ended::RedrivenToDlq => "NumberOfNotificationsRedrivenToDlq",
            Ended::FailedToRedriveToDlq => "NumberOfNotificationsFailedToRedriveToDlq",
        };
        self.tell(&topic, metric, 1, "Count");
    }

    #[expect(clippy::cast_precision_loss, reason = "a metric is a float")]
    fn tell(&self, topic: &Arn, metric: &str, value: usize, unit: &str) {
        let (account, region, value) = (topic.account.as_str(), topic.region.as_str(), value as f64);
        let dimensions = &[("TopicName", topic.resource.as_str())];
        self.0.measure(Measured { account, region, namespace: "AWS/SNS", metric, dimensions, value, unit });
    }
}
