//! Random machines through `asl` alone: they end as the evaluator says, their histories are well formed, and the same events give
//! the same commands, also when the execution is stored and taken up again between any two.

use std::ops::Range;

use asl::Status;
use serde_json::{Value, json};

use crate::bare::{drive, parse, replay};
use crate::chance::Chance;
use crate::evaluate::{alike, evaluate};
use crate::generate::generate;
use crate::oracle::check_history;

/// How many there were, and what was seen of them.
#[derive(Debug, Default)]
pub struct Counts {
    pub machines: u64,
    pub states: usize,
    /// Those whose every end the evaluator could name.
    pub followed: u64,
    pub succeeded: u64,
}

/// JSONata machines are made where the language has them.
pub fn has_jsonata() -> bool {
    let tried = json!({"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Succeed", "Output": "{% 1 + 1 %}"}}});
    let ended = parse(&tried).and_then(|definition| drive(&definition, &json!({}), &mut Chance::new(0)));
    ended.is_ok_and(|ended| ended.outcome.status == Status::Succeeded)
}

/// The first seed that goes wrong is told with all that is needed to see why.
pub fn check(seeds: Range<u64>) -> Result<Counts, String> {
    let mut counts = Counts::default();
    let jsonata = has_jsonata();
    for seed in seeds {
        let mut chance = Chance::new(seed);
        let made = generate(&mut chance, jsonata, false);
        let written = made.machine.definition(made.language);
        let story = |fault: String| format!("machine of seed {seed}\n{written}\ninput {}\n{fault}", made.input);
        let definition = parse(&written).map_err(story)?;
        let ended = drive(&definition, &made.input, &mut chance).map_err(story)?;
        check_history(&ended.history).map_err(|fault| story(format!("{fault}\n{:#?}", ended.history)))?;
        let outcome = &ended.outcome;
        counts.machines += 1;
        counts.states += made.machine.size();
        counts.succeeded += u64::from(outcome.status == Status::Succeeded);
        if let Ok(ends) = evaluate(&made.machine, &made.input, false) {
            counts.followed += 1;
            let expected = ends.iter().any(|end| match (end, outcome.status) {
                (Ok(value), Status::Succeeded) => {
                    outcome.output.as_ref().is_some_and(|found| alike(value, found.value()))
                }
                (Err(failure), Status::Failed) => {
                    outcome.error.as_deref() == Some(failure.error.as_str())
                        && alike(&json!(failure.cause), &outcome.cause.clone().map_or_else(|| json!(""), Value::from))
                }
                _ => false,
            });
            if !expected {
                return Err(story(format!("expected {ends:?}\nfound {outcome:?}")));
            }
        }
        for reload in [false, true] {
            let again = replay(&definition, &made.input, &ended.told, reload).map_err(story)?;
            let differs = ended.answers.iter().zip(&again).position(|(first, second)| first != second);
            if let Some(n) = differs {
                return Err(story(format!(
                    "told again (reload {reload}), event {n}, {:?}, is answered\n{}\nnot\n{}",
                    ended.told[n].1, again[n], ended.answers[n]
                )));
            }
        }
    }
    Ok(counts)
}
