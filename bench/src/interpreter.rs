//! The language alone: what a transition costs with the history events that it would store, encoded as they are stored.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow};
use asl::{Command, Definition, Event, Execution, Info, MachineType, Payload, Status, Timestamp};

use crate::machines;
use crate::measure::{self, say};

const STATES: usize = 500;

pub(crate) fn run(transitions: u64, bytes: usize) -> Result<()> {
    let text = machines::chain(STATES).to_string();
    let definition = Definition::parse(&text, MachineType::Standard).map_err(|found| anyhow!("{found:?}"))?;
    let definition = Arc::new(definition);
    let input = format!("{{\"a\":[1,2,3],\"text\":\"{}\"}}", "x".repeat(bytes.saturating_sub(24)));
    let mut best = f64::MAX;
    let rounds = transitions.div_ceil(STATES as u64).max(10);
    let (mut encoded, begun, cpu) = (0, Instant::now(), measure::cpu_ms(std::process::id())?);
    for _ in 0..rounds {
        let one = Instant::now();
        let info = Info {
            execution_arn: "arn:aws:states:us-east-1:000000000000:execution:bench:bench".to_owned(),
            name: "bench".to_owned(),
            input: Payload::inline(input.clone()),
            ..Info::default()
        };
        let mut execution = Execution::new(Arc::clone(&definition), info, [1, 2]);
        let mut commands = Vec::new();
        execution.handle(Timestamp(0), Event::Started, &mut commands);
        if execution.status() != Status::Succeeded {
            return Err(anyhow!("the chain did not end in one turn"));
        }
        let events = commands.into_iter().filter_map(|command| match command {
            Command::Record(event) => Some(event),
            _ => None,
        });
        encoded += engine::encode_history(events.collect())?.len();
        best = best.min(one.elapsed().as_secs_f64() * 1e6 / measure::count(STATES));
    }
    let done = measure::count(STATES) * measure::count(usize::try_from(rounds)?);
    let wall = begun.elapsed().as_secs_f64() * 1e6 / done;
    let cpu = (measure::cpu_ms(std::process::id())? - cpu) * 1000.0 / done;
    say(
        "interpreter",
        &[
            ("transitions", format!("{done}")),
            ("input bytes", input.len().to_string()),
            ("us each", format!("mean {wall:.2} best {best:.2} cpu {cpu:.2}")),
            ("history bytes each", format!("{:.0}", measure::count(encoded) / done)),
        ],
    );
    Ok(())
}
