//! SQS and SNS: queues, topics, and their deliveries, e-mail among them.

mod permissions;
mod sns;
mod sqs;

use service::Platform;

/// Adds the operations to the router and the tasks to the queue.
///
/// # Errors
/// A text that says what is wrong with the section `[smtp]` of the settings.
pub fn register(platform: &Platform) -> Result<(), String> {
    sqs::register(platform);
    sns::register(platform)
}
