//! What a session's process is told and says, until the session is stopped, or has had nothing to do for its `IdleTimeout`. Its time
//! begins when it is ready, and stands still while statements are under way.

use std::time::Duration;

use serde::Deserialize;
use store::Clock;
use tokio::sync::mpsc;
use wire::Error;

use super::Order;
use super::run::End;

/// What a session's process says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said {
    pub(super) ready: bool,
    pub(super) failed: Option<String>,
    pub(super) started: Option<i32>,
    pub(super) done: Option<i32>,
    pub(super) cancelled: Option<i32>,
    pub(super) output: Output,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Output {
    pub(super) status: Option<String>,
    pub(super) data: Option<Data>,
    pub(super) execution_count: Option<i32>,
    pub(super) error_name: Option<String>,
    pub(super) error_value: Option<String>,
    pub(super) traceback: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Data {
    pub(super) text_plain: Option<String>,
}

/// The ends of the talk: what the service is asked, and the process's two.
pub(super) struct Ends {
    pub(super) heard: mpsc::UnboundedReceiver<Order>,
    pub(super) tells: mpsc::Sender<String>,
    pub(super) said: mpsc::Receiver<String>,
}

/// `note` records what the process says.
pub(super) async fn talk<N, F>(mut ends: Ends, clock: &dyn Clock, idle_time: Duration, note: N) -> Result<End, Error>
where
    N: Fn(Said) -> F,
    F: Future<Output = Result<(), Error>>,
{
    let (mut ready, mut open) = (false, 0_usize);
    loop {
        let idle = async {
            if ready && open == 0 {
                clock.sleep(idle_time).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            order = ends.heard.recv() => match order {
                Some(Order::Run { number, code }) => {
                    open += 1;
                    tell(&ends.tells, &serde_json::json!({ "run": number, "code": code })).await;
                }
                Some(Order::Cancel { number }) => tell(&ends.tells, &serde_json::json!({ "cancel": number })).await,
                Some(Order::Stop) | None => return Ok(End::of("STOPPED")),
            },
            line = ends.said.recv() => {
                // How it ended the process tells.
                let Some(line) = line else { return std::future::pending().await };
                let Ok(said) = serde_json::from_str::<Said>(&line) else { continue };
                if let Some(why) = said.failed {
                    return Ok(End::failed(why));
                }
                ready |= said.ready;
                open = open.saturating_sub(usize::from(said.done.is_some() || said.cancelled.is_some()));
                note(said).await?;
            }
            () = idle => return Ok(End::of("TIMEOUT")),
        }
    }
}

async fn tell(tells: &mpsc::Sender<String>, order: &serde_json::Value) {
    // Nobody takes it: the process is gone, which is seen by its end.
    let _ = tells.send(order.to_string()).await;
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};

    use tokio::sync::oneshot;

    use super::*;

    /// A clock that says who sleeps for how long, and wakes them when it is told.
    #[derive(Debug)]
    struct Told(mpsc::UnboundedSender<(Duration, oneshot::Sender<()>)>);

    impl Clock for Told {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }

        fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            let (wakes, woken) = oneshot::channel();
            let _ = self.0.send((time, wakes));
            Box::pin(async move { woken.await.unwrap_or(()) })
        }

        fn random(&self) -> u128 {
            0
        }
    }

    fn json(line: &str) -> serde_json::Value {
        serde_json::from_str(line).unwrap()
    }

    #[tokio::test]
    async fn a_session_ends_when_it_has_had_nothing_to_do() {
        let (sleeps, mut sleepers) = mpsc::unbounded_channel();
        let (orders, heard) = mpsc::unbounded_channel();
        let (tells, mut told) = mpsc::channel(16);
        let (says, said) = mpsc::channel(16);
        let noted = Arc::new(Mutex::new(0));
        let count = Arc::clone(&noted);
        let session = tokio::spawn(async move {
            let note = |_| {
                *count.lock().unwrap() += 1;
                std::future::ready(Ok(()))
            };
            talk(Ends { heard, tells, said }, &Told(sleeps), Duration::from_mins(7), note).await
        });
        // Before it is ready it may take as long as it needs; a statement may wait for that.
        orders.send(Order::Run { number: 1, code: "1".to_owned() }).unwrap();
        assert_eq!(json(&told.recv().await.unwrap()), serde_json::json!({ "run": 1, "code": "1" }));
        assert!(sleepers.try_recv().is_err());
        for line in [r#"{"ready": true}"#, "no JSON", r#"{"started": 1}"#] {
            says.send(line.to_owned()).await.unwrap();
        }
        orders.send(Order::Run { number: 2, code: "2".to_owned() }).unwrap();
        told.recv().await.unwrap();
        says.send(r#"{"done": 1, "output": {"Status": "ok"}}"#.to_owned()).await.unwrap();
        orders.send(Order::Cancel { number: 2 }).unwrap();
        assert_eq!(json(&told.recv().await.unwrap()), serde_json::json!({ "cancel": 2 }));
        assert!(sleepers.try_recv().is_err(), "its second statement is under way");
        says.send(r#"{"cancelled": 2}"#.to_owned()).await.unwrap();
        let (time, forgotten) = sleepers.recv().await.unwrap();
        assert_eq!(time, Duration::from_mins(7));
        // One more statement begins its time anew.
        orders.send(Order::Run { number: 3, code: "3".to_owned() }).unwrap();
        told.recv().await.unwrap();
        assert!(forgotten.is_closed() && sleepers.try_recv().is_err());
        says.send(r#"{"done": 3}"#.to_owned()).await.unwrap();
        let (_, wakes) = sleepers.recv().await.unwrap();
        wakes.send(()).unwrap();
        assert_eq!(session.await.unwrap().unwrap(), End::of("TIMEOUT"));
        assert_eq!(*noted.lock().unwrap(), 5);
    }
}
