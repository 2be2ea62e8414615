//! A process that waits for statements: the environment, the engine and the sandbox of a job, with `lakerun_spark.repl` in the place of
//! a script. Orders go to it and what it says of them comes back as lines of JSON; what they mean is the service's and the program's.

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;

use super::{Job, Prepared, Spark, Stream, forward};
use crate::Error;
use crate::budget::Class;
use crate::sandbox::{Meter, Used};

/// The longest line that it says: the program cuts what a statement prints far below that.
const MOST_BYTES: u64 = 8 << 20;

/// The ends of a process's lines.
#[derive(Debug)]
pub struct Interaction {
    /// What it is told, a line each. It ends when nobody can tell it anything any more.
    pub orders: mpsc::Receiver<String>,
    pub said: mpsc::Sender<String>,
    /// What it prints on its standard error, and what is done before it begins.
    pub lines: mpsc::Sender<(Stream, String)>,
}

impl Spark {
    /// Waits for a place on this machine and for the environment, calls `started`, answers how the process ended: none where it was
    /// told nothing more, else why. Dropping the future kills it.
    pub async fn interact(
        &self,
        job: &Job,
        with: Interaction,
        started: impl Future<Output = ()> + Send,
        used: &mut Used,
    ) -> Result<Option<String>, Error> {
        let Interaction { mut orders, said, lines } = with;
        let _permit = self.0.budget.acquire(Class::User, job.promised_mb()).await;
        let Prepared { mut command, folder: _folder, memory_mb, .. } = self.prepared(job, &lines).await?;
        command.args(["-m", "lakerun_spark.repl", &job.kind]).args(&job.arguments).stdin();
        started.await;
        let mut child = command.spawn().await?;
        let meter = Meter::new(child.group());
        let mut input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let errors = child.stderr.take();
        let tells = async {
            while let Some(mut order) = orders.recv().await {
                order.push('\n');
                let Some(input) = input.as_mut() else { continue };
                // One that is gone shows by its end.
                let _ = input.write_all(order.as_bytes()).await;
            }
            // It ends by itself when its input does.
            drop(input.take());
        };
        let hears = async {
            let mut line = Vec::new();
            while let Ok(1..) = (&mut output).take(MOST_BYTES).read_until(b'\n', &mut line).await {
                // Nobody listens: it is about to be ended.
                let _ = said.send(String::from_utf8_lossy(&line).trim_end().to_owned()).await;
                line.clear();
            }
        };
        let talk = async { tokio::join!(tells, hears, forward(errors, Stream::Error, &lines)) };
        tokio::pin!(talk);
        let mut over = false;
        let exit = loop {
            tokio::select! {
                exit = child.wait() => {
                    *used = meter.used();
                    break exit?;
                }
                _ = &mut talk, if !over => over = true,
                () = meter.exceeds(Some(memory_mb)) => {
                    *used = meter.used();
                    return Ok(Some(format!("the session used more than its {memory_mb} MB of memory (OutOfMemory)")));
                }
            }
        };
        if !over {
            let _ = tokio::time::timeout(super::LINGER, &mut talk).await;
        }
        Ok((!exit.success()).then(|| format!("the session's process has ended: {exit}")))
    }
}
