//! Time and chance as a port: servers read the machine's, the simulation makes its own. What is stored, queued or decided
//! takes both from here and from nowhere else, so that a seed replays.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Where time and chance come from.
pub trait Clock: Debug + Send + Sync {
    fn now(&self) -> jiff::Timestamp;
    /// Returns after `time` has passed.
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
    /// 128 random bits: for ids and secrets.
    fn random(&self) -> u128;

    fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }

    /// A random number in `[0, 1)`.
    fn fraction(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let numerator = (self.random() >> 75) as f64;
        numerator / 9_007_199_254_740_992.0
    }

    /// A random UUID.
    fn uuid(&self) -> String {
        uuid::Builder::from_random_bytes(self.random().to_be_bytes()).into_uuid().to_string()
    }
}

/// The machine's own.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(time))
    }
    fn random(&self) -> u128 {
        rand::random()
    }
}
