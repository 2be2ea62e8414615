//! What CloudWatch is told of deliveries: rules' in `AWS/Events`, by `RuleName` and, of other buses than the default one, `EventBusName`;
//! schedules' in `AWS/Scheduler`, by `ScheduleGroup`. Sources: EventBridge User Guide, "Monitoring Amazon EventBridge"; Scheduler User Guide,
//! "Monitoring Amazon EventBridge Scheduler with Amazon CloudWatch".

use service::Router;
use service::meter::Measured;
use wire::Error;
use wire::arn::Arn;

use crate::deliver::Delivery;

/// What has become of a delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Met<'a> {
    /// The target is called for the time of that number, from 1.
    Attempt(u32),
    Delivered,
    /// A call failed, which may be tried again.
    Error(&'a Error),
    GivenUp,
    DeadLetter {
        taken: bool,
    },
}

/// Tells of one.
pub(crate) fn tell(router: &Router, delivery: &Delivery, met: Met<'_>) {
    let Some(source) = Arn::parse(&delivery.source_arn) else { return };
    let mut parts = source.resource.split('/').skip(1);
    if source.service == "scheduler" {
        let group = [("ScheduleGroup", parts.next().unwrap_or_default())];
        return of_schedule(met).iter().for_each(|metric| one(router, &source, "AWS/Scheduler", metric, &group));
    }
    let names = (parts.next().unwrap_or_default(), parts.next());
    let tell = |metrics: &[&str]| {
        let tell = |of: &[(&str, &str)]| {
            metrics.iter().for_each(|metric| one(router, &source, "AWS/Events", metric, of));
        };
        match names {
            (bus, Some(rule)) => tell(&[("EventBusName", bus), ("RuleName", rule)]),
            (rule, None) => tell(&[("RuleName", rule)]),
        }
    };
    if matches!(met, Met::Attempt(1)) && delivery.is_first {
        tell(&["TriggeredRules", "MatchedEvents"]);
    }
    tell(of_rule(met));
}

fn of_rule(met: Met<'_>) -> &'static [&'static str] {
    match met {
        Met::Attempt(0 | 1) => &["InvocationAttempts"],
        Met::Attempt(_) => &["InvocationAttempts", "RetryInvocationAttempts"],
        Met::Delivered => &["Invocations", "SuccessfulInvocationAttempts"],
        Met::Error(_) => &[],
        Met::GivenUp => &["Invocations", "FailedInvocations"],
        Met::DeadLetter { taken: true } => &["InvocationsSentToDlq"],
        Met::DeadLetter { taken: false } => &["InvocationsFailedToBeSentToDlq"],
    }
}

fn of_schedule(met: Met<'_>) -> &'static [&'static str] {
    match met {
        Met::Attempt(_) => &["InvocationAttemptCount"],
        Met::Delivered => &[],
        Met::Error(error) if error.status() < 500 && crate::deliver::may_be_repeated(error) => {
            &["TargetErrorCount", "TargetErrorThrottledCount"]
        }
        Met::Error(_) => &["TargetErrorCount"],
        Met::GivenUp => &["InvocationDroppedCount"],
        Met::DeadLetter { taken: true } => &["InvocationsSentToDeadLetterCount"],
        Met::DeadLetter { taken: false } => &["InvocationsFailedToBeSentToDeadLetterCount"],
    }
}

fn one(router: &Router, source: &Arn, namespace: &str, metric: &str, dimensions: &[(&str, &str)]) {
    let (account, region) = (source.account.as_str(), source.region.as_str());
    router.measure(Measured { account, region, namespace, metric, dimensions, value: 1.0, unit: "Count" });
}
