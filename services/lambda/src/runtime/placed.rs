//! An environment, wherever it runs.

use std::time::Duration;

use compute::budget::{Budget, Permit};
use compute::pool::Warm;
use jobs::log::Stream;
use service::Cx;

use super::environment::{self, Start};
use super::output::Log;
use super::remote::Remote;
use super::{Blueprint, Invocation, InvocationEnd, Keys, Templates};
use crate::code::Archive;

pub(crate) enum Environment {
    Here(Box<environment::Environment>),
    There(Remote),
}

/// What starts are made with.
#[derive(Clone, Copy)]
pub(crate) struct Means<'a> {
    pub(crate) templates: &'a Templates,
    pub(crate) archive: &'a Archive,
    pub(crate) budget: &'a Budget,
}

impl Environment {
    /// Starts it where the permit says. `cx` acts for the platform, to write the log.
    ///
    /// # Errors
    /// [`compute::Error::NodeLost`]: nothing of the function has run.
    pub(crate) async fn start(
        blueprint: &Blueprint,
        keys: &Keys,
        permit: Permit,
        means: Means<'_>,
        cx: &Cx,
    ) -> Result<Self, compute::Error> {
        let (name, token) = (stream_name(cx, &blueprint.version), cx.uuid());
        let log = Stream::open(cx.clone(), blueprint.log_group.clone(), name.clone());
        if permit.node().is_some() {
            let start = Start { keys, token, stream: &name, log: Log::Stream(log) };
            return Remote::start(blueprint, start, permit, means, cx).await.map(Self::There);
        }
        let start = Start { keys, token, stream: &name, log: Log::Stream(log) };
        let environment = environment::Environment::start(blueprint, start, permit, means.templates).await?;
        Ok(Self::Here(Box::new(environment)))
    }

    /// Waits until it can be invoked.
    pub(crate) async fn ready(&mut self) -> Result<(), InvocationEnd> {
        match self {
            Self::Here(environment) => environment.ready().await,
            Self::There(remote) => remote.ready().await,
        }
    }

    pub(crate) async fn invoke(&mut self, invocation: Invocation<'_>) -> InvocationEnd {
        match self {
            Self::Here(environment) => environment.invoke(invocation).await,
            Self::There(remote) => remote.invoke(invocation).await,
        }
    }

    /// A line of the platform's in the function's log.
    pub(crate) async fn say(&self, line: String) {
        match self {
            Self::Here(environment) => environment.say(line).await,
            Self::There(remote) => remote.say(line, false).await,
        }
    }

    /// The first line of an invocation.
    pub(crate) async fn begin(&self, line: String) {
        match self {
            Self::Here(environment) => environment.begin(line).await,
            Self::There(remote) => remote.say(line, true).await,
        }
    }

    /// The end of what was said since `begin`.
    pub(crate) async fn tail(&self) -> Vec<u8> {
        match self {
            Self::Here(environment) => environment.tail().await,
            Self::There(remote) => remote.tail().await,
        }
    }

    pub(crate) fn peak_memory_mb(&self) -> u64 {
        match self {
            Self::Here(environment) => environment.peak_memory_mb(),
            Self::There(remote) => remote.peak_memory_mb(),
        }
    }

    /// How long its start took, told once.
    pub(crate) fn start_took(&mut self) -> Option<Duration> {
        match self {
            Self::Here(environment) => environment.start_took(),
            Self::There(remote) => remote.start_took(),
        }
    }

    /// The keys that it was started with, where it runs on another node and may outlive what is known of it.
    pub(crate) fn keys_there(&self) -> Option<&str> {
        match self {
            Self::Here(_) => None,
            Self::There(remote) => Some(remote.access_key()),
        }
    }
}

impl Warm for Environment {
    fn is_alive(&mut self) -> bool {
        match self {
            Self::Here(environment) => environment.is_alive(),
            Self::There(remote) => remote.is_alive(),
        }
    }

    fn age(&self) -> Duration {
        match self {
            Self::Here(environment) => environment.age(),
            Self::There(remote) => remote.age(),
        }
    }
}

/// `2026/01/31/[$LATEST]0123…`
fn stream_name(cx: &Cx, version: &str) -> String {
    format!("{}/[{version}]{}", cx.now().strftime("%Y/%m/%d"), cx.uuid().replace('-', ""))
}
