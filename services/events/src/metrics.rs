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
        for metric in of_schedule(met) {
            one(router, &source, "AWS/Scheduler", metric, &group);
        }
        return;
    }
    let names = (parts.next().unwrap_or_default(), parts.next());
    let in_bus = names.1.map(|rule| [("EventBusName", names.0), ("RuleName", rule)]);
    let in_default = [("RuleName", names.0)];
    let dimensions = in_bus.as_ref().map_or(in_default.as_slice(), <[_; 2]>::as_slice);
    let first: &[&str] = match met {
        Met::Attempt(1) if delivery.is_first => &["TriggeredRules", "MatchedEvents"],
        _ => &[],
    };
    for metric in first.iter().chain(of_rule(met)) {
        one(router, &source, "AWS/Events", metric, dimensions);
    }
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
