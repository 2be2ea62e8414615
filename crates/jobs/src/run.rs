//! The steps of a job.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use service::Router;
use service::attempts::Outcome;
use service::meter::Measured;
use store::{Clock, Done, NewTask, Runner, Store, Task};
use tokio::sync::watch;
use wire::Error;

use crate::life::{Life, Noted};
use crate::{Attempt, Ended, Kind, Limits, Loaded, Next, Used, Who, Worked};

/// Keys live longer than the work may take by this much.
const MARGIN: Duration = Duration::from_mins(10);
/// Of work that ends by itself.
const LONGEST: Duration = Duration::from_hours(12);
/// A job whose workers are gone so many times may be what ends them.
const MOVES: u32 = 10;
/// Before another attempt.
const PAUSE: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);

pub(crate) struct Jobs<K: Kind> {
    pub(crate) kind: Arc<K>,
    pub(crate) store: Store,
    pub(crate) router: Arc<Router>,
}

#[async_trait]
impl<K: Kind> Runner for Jobs<K> {
    async fn run(&self, task: Task) -> Done {
        let place = match task.payload::<K::Payload>() {
            Ok(place) => place,
            Err(error) => {
                tracing::error!(task = task.id, %error, "a job cannot be read and is dropped");
                return Done::Finished;
            }
        };
        let job = Job { jobs: self, task: &task, place };
        match job.carry_out().await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(job = task.id, %error, "a job is interrupted; it goes on in a while");
                Done::RetryAfter(PAUSE)
            }
        }
    }
}

/// One run of a job's task.
struct Job<'a, K: Kind> {
    jobs: &'a Jobs<K>,
    task: &'a Task,
    place: K::Payload,
}

/// How the work of an attempt came to its end.
enum Left<E> {
    Worked(Worked<E>),
    /// It was told to stop, or is no longer wanted.
    Cut,
}

/// What the last transaction found.
enum Recorded {
    /// Now, or it was over before.
    Over { now: bool },
    /// It was asked to stop before its end was known.
    Stopped,
}

impl<K: Kind> Job<'_, K> {
    async fn carry_out(&self) -> Result<Done, Error> {
        let (kind, id) = (&self.jobs.kind, &self.task.id);
        let (life, loaded) =
            self.jobs.store.read(|tx| Ok::<_, Error>((Life::of(tx, id)?, kind.load(tx, &self.place)?))).await?;
        let (plan, is_stopping) = match loaded {
            Loaded::Over => return self.forget().await,
            Loaded::Stopping(plan) => (plan, true),
            Loaded::Todo(plan) => (plan, life.stop),
        };
        let older = kind.older(&plan);
        let older = older.as_deref();
        if let Some(Noted { end, used }) = life.ended {
            let end = serde_json::from_value(end).map_err(Error::internal)?;
            return self.wind_up(end, used, older).await;
        }
        if is_stopping {
            return self.wind_up(kind.stopped(), Used::default(), older).await;
        }
        if self.settled().await?.is_some() {
            return self.wind_up(kind.stopped(), Used::default(), older).await;
        }
        if !K::GOES_ON {
            self.finish(older, Outcome::Rollback).await?;
        }
        self.attempt(&plan, (life.lost, life.tried)).await
    }

    /// Attempts before this one: those that were lost, and those that came to nothing. How often the task was on the queue tells neither,
    /// for storage has its bad moments too.
    async fn attempt(&self, plan: &K::Plan, (lost, tried): (u32, u32)) -> Result<Done, Error> {
        let (kind, router, id) = (&self.jobs.kind, &self.jobs.router, &self.task.id);
        let limits = kind.limits(plan);
        let name = format!("{id}#{}", router.uuid());
        let credentials = match kind.who(&self.place, plan, &name).await? {
            Who::Nobody(end) => return self.wind_up(end, Used::default(), None).await,
            Who::Platform => None,
            Who::As(principal) => {
                let valid = longest(K::WAITS, limits.timeout) + MARGIN;
                let valid = jiff::SignedDuration::try_from(valid).map_err(Error::internal)?;
                Some(router.identity().lend_attempt(&principal, &name, valid).await?)
            }
        };
        let key = credentials.as_ref().map(|keys| keys.access_key.clone());
        router.attempts().open(&name);
        let attempt = Attempt::new(&name, credentials);
        let left = match self.begin().await {
            Ok(true) => Ok(self.work(plan, &attempt, limits).await),
            Ok(false) => Ok(Left::Cut),
            Err(error) => Err(error),
        };
        // Whoever worked is gone, and nothing of it may come any more.
        router.attempts().close(id);
        if let Some(key) = key {
            router.identity().revoke(&key).await?;
        }
        match left? {
            Left::Cut => self.cut().await,
            Left::Worked(Worked::Passing(end)) if tried + 1 < limits.tries => {
                self.count(|life| Life { tried: life.tried + 1, ..life }).await?;
                self.again(end, &attempt).await
            }
            Left::Worked(Worked::Lost(end)) if lost + 1 < MOVES => {
                self.count(|life| Life { lost: life.lost + 1, ..life }).await?;
                self.again(end, &attempt).await
            }
            Left::Worked(Worked::Passing(end) | Worked::Lost(end) | Worked::Ended(end)) => {
                self.note(end, attempt.used()).await
            }
        }
    }

    /// Notes what the attempt was.
    async fn count(&self, counted: fn(Life) -> Life) -> Result<(), Error> {
        let id = self.task.id.clone();
        let write = self.jobs.store.write(move |tx| {
            if !tx.has_task(&id)? {
                return Ok(());
            }
            counted(Life::of(tx, &id)?).put(tx, &id)
        });
        write.await
    }

    /// Another attempt.
    async fn again(&self, end: K::End, attempt: &Attempt) -> Result<Done, Error> {
        if self.settled().await?.is_some() {
            return self.wind_up(end, attempt.used(), None).await;
        }
        tracing::warn!(job = self.task.id, ?end, "an attempt came to nothing; another one is made");
        // Between two attempts nothing of the job is anywhere.
        self.finish(None, Outcome::Rollback).await?;
        Ok(Done::RetryAfter(PAUSE))
    }

    /// False: the job is no longer on the queue.
    async fn begin(&self) -> Result<bool, Error> {
        if !K::BEGINS {
            return Ok(true);
        }
        let (kind, id, place) = (self.jobs.kind.clone(), self.task.id.clone(), self.place.clone());
        let now = self.jobs.router.now();
        self.jobs
            .store
            .write(move |tx| {
                let wanted = tx.has_task(&id)? && !Life::of(tx, &id)?.stop;
                if wanted {
                    kind.begin(tx, &place, now)?;
                }
                Ok(wanted)
            })
            .await
    }

    async fn work(&self, plan: &K::Plan, attempt: &Attempt, limits: Limits) -> Left<K::End> {
        let kind = &self.jobs.kind;
        let started = attempt.started.subscribe();
        tokio::select! {
            biased;
            () = self.task.cancelled(), if !K::GOES_ON => Left::Cut,
            worked = kind.work(&self.place, plan, attempt) => Left::Worked(worked),
            () = time_is_up(&**self.jobs.router.clock(), K::WAITS, limits.timeout, started) => Left::Worked(Worked::Ended(kind.timed_out(plan))),
        }
    }

    /// Notes how the work ended, where that must be known before what it wrote is confirmed.
    async fn note(&self, end: K::End, used: Used) -> Result<Done, Error> {
        self.jobs.router.keep_lineage(&self.task.id).await?;
        if self.jobs.router.holds_attempts(&self.task.id).await? {
            let noted = Noted { end: serde_json::to_value(&end).map_err(Error::internal)?, used };
            let id = self.task.id.clone();
            let written = self.jobs.store.write(move |tx| {
                let life = Life::of(tx, &id)?;
                let wanted = !life.stop && tx.has_task(&id)?;
                debug_assert!(life.ended.is_none(), "{id}: its end is known, and its work was done again");
                if wanted {
                    Life { ended: Some(noted.clone()), ..life }.put(tx, &id)?;
                }
                Ok::<_, Error>(wanted)
            });
            if !written.await? {
                return self.cut().await;
            }
        }
        self.wind_up(end, used, None).await
    }

    /// The work was cut short: the job was stopped, or nobody wants it any more.
    async fn cut(&self) -> Result<Done, Error> {
        let id = &self.task.id;
        let read = self.jobs.store.read(|tx| Ok::<_, Error>((tx.has_task(id)?, Life::of(tx, id)?.stop)));
        match read.await? {
            (true, true) => self.wind_up(self.jobs.kind.stopped(), Used::default(), None).await,
            (true, false) => {
                if self.settled().await?.is_some() {
                    return self.wind_up(self.jobs.kind.stopped(), Used::default(), None).await;
                }
                self.finish(None, Outcome::Rollback).await?;
                Ok(Done::RetryAfter(jiff::SignedDuration::ZERO))
            }
            (false, _) => self.forget().await,
        }
    }

    /// How the job ends if it has done what cannot be undone.
    async fn settled(&self) -> Result<Option<K::End>, Error> {
        let Some(end) = self.jobs.kind.settled() else { return Ok(None) };
        Ok(self.jobs.router.is_settled(&self.task.id).await?.then_some(end))
    }

    /// Confirms or undoes what was written, then records the end.
    async fn wind_up(&self, end: K::End, mut used: Used, older: Option<&str>) -> Result<Done, Error> {
        let (mut end, mut older) = (end, older);
        if self.jobs.kind.outcome(&end) == Outcome::Rollback
            && let Some(settled) = self.settled().await?
        {
            // From here on it ends so, also after a crash and if it was asked to stop.
            let noted = Noted { end: serde_json::to_value(&settled).map_err(Error::internal)?, used };
            let id = self.task.id.clone();
            let written = self.jobs.store.write(move |tx| {
                let life = Life::of(tx, &id)?;
                Life { ended: Some(noted.clone()), ..life }.put(tx, &id)
            });
            written.await?;
            end = settled;
        }
        loop {
            used.written_bytes += self.finish(older.take(), self.jobs.kind.outcome(&end)).await?;
            let ended = Ended { end: end.clone(), used, at: self.jobs.router.now() };
            match self.record(ended).await? {
                Recorded::Over { now } => {
                    if now {
                        self.jobs.kind.recorded(&self.place).await;
                    }
                    break;
                }
                Recorded::Stopped => end = self.jobs.kind.stopped(),
            }
        }
        self.measure(&used);
        Ok(Done::Committed)
    }

    async fn record(&self, ended: Ended<K::End>) -> Result<Recorded, Error> {
        let (kind, id, place) = (self.jobs.kind.clone(), self.task.id.clone(), self.place.clone());
        let stopped = serde_json::to_value(kind.stopped()).map_err(Error::internal)?;
        let is_stopped = serde_json::to_value(&ended.end).map_err(Error::internal)? == stopped;
        self.jobs
            .store
            .write(move |tx| {
                if !tx.has_task(&id)? {
                    return Ok(Recorded::Over { now: false });
                }
                let life = Life::of(tx, &id)?;
                if life.stop && life.ended.is_none() && !is_stopped {
                    return Ok(Recorded::Stopped);
                }
                let next = kind.end(tx, &place, &ended)?;
                Life::forget(tx, &id)?;
                match next {
                    Next::Over => tx.finish_task(&id)?,
                    Next::Again(place, at) => tx.enqueue(NewTask::new(K::NAME, &id).payload(&place)?.at(at))?,
                }
                Ok(Recorded::Over { now: true })
            })
            .await
    }

    /// There is no such job, or it is over: nothing of it stays behind.
    async fn forget(&self) -> Result<Done, Error> {
        let outcome = if self.settled().await?.is_some() { Outcome::Commit } else { Outcome::Rollback };
        self.finish(None, outcome).await?;
        let id = self.task.id.clone();
        self.jobs
            .store
            .write(move |tx| {
                Life::forget(tx, &id)?;
                Ok::<_, Error>(tx.finish_task(&id)?)
            })
            .await?;
        Ok(Done::Committed)
    }

    async fn finish(&self, older: Option<&str>, outcome: Outcome) -> Result<u64, Error> {
        let router = &self.jobs.router;
        let mut bytes = router.finish_attempts(&self.task.id, outcome).await?;
        if let Some(older) = older {
            bytes += router.finish_attempts(older, outcome).await?;
        }
        Ok(bytes)
    }

    /// Counts what the job used among the platform's own metrics.
    fn measure(&self, used: &Used) {
        let router = &self.jobs.router;
        #[expect(clippy::cast_precision_loss, reason = "a metric is a float")]
        let figures = [
            ("CPUTime", used.cpu_ms as f64, "Milliseconds"),
            ("PeakMemory", used.peak_bytes as f64, "Bytes"),
            ("BytesRead", used.read_bytes as f64, "Bytes"),
            ("BytesWritten", used.written_bytes as f64, "Bytes"),
        ];
        for (metric, value, unit) in figures.into_iter().filter(|(_, value, _)| *value > 0.0) {
            let (account, region) = K::scope(&self.place);
            let dimensions = &[("JobKind", K::NAME)];
            router.measure(Measured { account, region, namespace: "Lakerun/Jobs", metric, dimensions, value, unit });
        }
    }
}

/// How long an attempt may be under way.
fn longest(waits: Option<Duration>, timeout: Option<Duration>) -> Duration {
    timeout.map_or(LONGEST, |timeout| waits.unwrap_or_default() + timeout)
}

/// Returns when an attempt has waited, or worked, for too long.
async fn time_is_up(
    clock: &dyn Clock,
    waits: Option<Duration>,
    timeout: Option<Duration>,
    mut started: watch::Receiver<()>,
) {
    let Some(timeout) = timeout else { return std::future::pending().await };
    let mut left = waits.unwrap_or(timeout);
    loop {
        tokio::select! {
            biased;
            Ok(()) = started.changed() => left = timeout,
            () = clock.sleep(left) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::sync::Mutex;

    use super::*;

    const MINUTES: Duration = Duration::from_mins(10);
    const DAY: Duration = Duration::from_hours(24);

    /// Sleeps for ever but where it is told how long a sleep ends, and notes what was slept.
    #[derive(Debug, Default)]
    struct Sleeps {
        asked: Mutex<Vec<Duration>>,
        ends: Option<Duration>,
    }

    impl Clock for Sleeps {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
        fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            self.asked.lock().unwrap().push(time);
            if self.ends == Some(time) { Box::pin(std::future::ready(())) } else { Box::pin(std::future::pending()) }
        }
        fn random(&self) -> u128 {
            0
        }
    }

    #[tokio::test]
    async fn what_is_waited_for_is_not_of_the_time_of_the_work() {
        let clock = Sleeps { ends: Some(MINUTES), ..Sleeps::default() };
        let (started, seen) = watch::channel(());
        let mut up = pin!(time_is_up(&clock, Some(DAY), Some(MINUTES), seen));
        tokio::select! {
            biased;
            () = &mut up => panic!("it waits for its place yet"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(*clock.asked.lock().unwrap(), [DAY]);
        started.send_replace(());
        up.await;
        assert_eq!(*clock.asked.lock().unwrap(), [DAY, MINUTES]);
    }

    #[tokio::test]
    async fn other_work_has_its_time_from_the_beginning() {
        let clock = Sleeps { ends: Some(MINUTES), ..Sleeps::default() };
        let (_started, seen) = watch::channel(());
        time_is_up(&clock, None, Some(MINUTES), seen).await;
        assert_eq!(*clock.asked.lock().unwrap(), [MINUTES]);
    }

    #[test]
    fn keys_last_as_long_as_the_work() {
        assert_eq!(longest(Some(DAY), Some(MINUTES)), DAY + MINUTES);
        assert_eq!(longest(None, Some(MINUTES)), MINUTES);
        assert_eq!(longest(Some(DAY), None), LONGEST);
    }
}
