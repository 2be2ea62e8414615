//! How operations are called: the table of all operations ([`Router`]), what a handler is ([`Handle`]), what it is given
//! ([`Cx`]), and the ports through which the platform knows principals ([`identity`]) and attempts ([`attempts`]).
//!
//! A service crate is a struct that implements [`Handle`] once per operation, and a function that registers it:
//!
//! ```ignore
//! pub fn register(platform: &Platform) -> Arc<Secrets> {
//!     let service = Arc::new(Secrets { store: platform.control.store().clone() });
//!     operations!(platform.router, service, api_secretsmanager: CreateSecret, GetSecretValue);
//!     platform.control.register("secrets:expire", 4, service.clone());   // where it has a Runner
//!     service
//! }
//! ```
//!
//! Doors: `cx.call::<api_sqs::SendMessage>(input)` is the typed one, `cx.call_json("sqs", "sendMessage", parameters)` the one
//! of Step Functions and Scheduler (PascalCase JSON), [`Router::call_canonical`] the one of HTTP. All three authorise.
//!
//! Not here: HTTP, signatures (see `wire::sigv4` and the server), any service.

pub mod attempts;
pub mod audit;
pub mod authorization;
mod cx;
pub mod identity;
pub mod lineage;
pub mod listeners;
pub mod meter;
mod platform;
pub mod policy;
mod refused;
mod router;
pub mod trace;

pub use cx::{ActingService, Cx, Origin, Principal, SessionContext};
pub use platform::{AccountSettings, Accounts, Platform, Settings};
pub use router::{Audience, Handle, Router, refusal};

/// Registers a service's operations: `operations!(router, service, api_sqs: SendMessage, ReceiveMessage)`.
#[macro_export]
macro_rules! operations {
    ($router:expr, $service:expr, $api:ident: $($operation:ident),+ $(,)?) => {
        $( $router.register::<$api::$operation, _>(&$service); )+
    };
}
