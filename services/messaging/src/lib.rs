//! SQS and SNS: queues, topics, and their deliveries, e-mail among them.

mod permissions;
mod sns;
mod sqs;

use service::Platform;
pub use sns::Links;

/// Adds the operations to the router and the tasks to the queue; answers what follows the links in messages.
///
/// # Errors
/// A text that says what is wrong with the section `[smtp]` of the settings.
pub fn register(platform: &Platform) -> Result<Links, String> {
    sqs::register(platform);
    sns::register(platform)
}
