//! What a run of all tests comes to: how many passed, failed and were skipped, and why each was skipped. Counted from what libtest and
//! the suites of `conformance/` print, which is shown as it comes, without the lines of tests that passed.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::checks::say;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    skipped: Vec<(u64, String)>,
    /// Steps that ended badly.
    broken: Vec<String>,
}

impl Tally {
    /// Runs a step's program to its end and counts what it prints. A step that fails does not end the run.
    pub(crate) fn run(&mut self, step: &str, command: &mut Command) -> Result<()> {
        let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {step}"))?;
        let out = child.stdout.take().context("the output is piped")?;
        for line in BufReader::new(out).lines() {
            let line = line?;
            if self.note(step, &line) {
                say(&line);
            }
        }
        if !child.wait()?.success() {
            self.broken.push(step.to_owned());
        }
        Ok(())
    }

    pub(crate) fn skip(&mut self, reason: &str) {
        say(&format!("skipped: {reason}"));
        self.skipped.push((1, reason.to_owned()));
    }

    pub(crate) fn step(&mut self, step: &str, run: impl FnOnce() -> Result<()>) {
        match run() {
            Ok(()) => self.passed += 1,
            Err(error) => {
                say(&format!("{error:#}"));
                self.failed += 1;
                self.broken.push(step.to_owned());
            }
        }
    }

    /// Counts a line; whether it is worth showing.
    fn note(&mut self, step: &str, line: &str) -> bool {
        if let Some(result) = line.strip_prefix("test result: ") {
            let number = |what: &str| {
                result.split([';', '.']).find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
            };
            let (passed, failed): (u64, u64) = (number("passed").unwrap_or(0), number("failed").unwrap_or(0));
            self.passed += passed;
            self.failed += failed;
            return passed + failed > 0;
        }
        if let Some((name, how)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            if let Some(reason) = how.strip_prefix("ignored") {
                self.skipped.push((1, format!("{name}{reason}")));
            }
            return how.starts_with("FAILED");
        }
        if let Some(reason) = line.strip_prefix("skipped: ") {
            // Said by a test that then passed, or by a suite that counts it itself.
            self.passed = self.passed.saturating_sub(1);
            self.skipped.push((1, reason.to_owned()));
            return true;
        }
        if let Some([passed, failed, skipped]) = closing(line) {
            self.passed += passed;
            self.failed += failed;
            self.skipped.extend((skipped > 0).then(|| (skipped, format!("cases of {step}, which says why"))));
        }
        !(line.is_empty() || line.starts_with("running ") || line == "successes:")
    }

    /// The last line of the run; an error where something failed.
    pub(crate) fn close(self) -> Result<()> {
        for (count, reason) in &self.skipped {
            say(&format!("skipped {count}: {reason}"));
        }
        let skipped: u64 = self.skipped.iter().map(|(count, _)| count).sum();
        say(&format!("{} passed, {} failed, {skipped} skipped", self.passed, self.failed));
        if self.failed > 0 || !self.broken.is_empty() {
            bail!("failed: {}", self.broken.join(", "));
        }
        Ok(())
    }
}

/// `12 passed, 0 failed, 3 skipped`, the closing line of a suite; the last part may be wanting.
fn closing(line: &str) -> Option<[u64; 3]> {
    let mut counts = [0; 3];
    let parts: Vec<&str> = line.split(", ").collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    for ((count, part), what) in counts.iter_mut().zip(parts).zip([" passed", " failed", " skipped"]) {
        *count = part.strip_suffix(what)?.parse().ok()?;
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_tests_print() {
        let mut tally = Tally::default();
        let shown: Vec<&str> = [
            "running 0 tests",
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test a::d ... ignored, needs a network",
            "skipped: no python3",
            "test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.50s",
            "5 passed, 1 failed, 2 skipped",
            "3 passed, 0 failed",
        ]
        .into_iter()
        .filter(|line| tally.note("suite", line))
        .collect();
        assert_eq!(shown.len(), 5, "{shown:?}");
        let skipped = [(1, "a::d, needs a network"), (1, "no python3"), (2, "cases of suite, which says why")];
        let skipped = skipped.map(|(count, reason)| (count, reason.to_owned())).to_vec();
        assert_eq!((tally.passed, tally.failed, tally.skipped), (10, 2, skipped));
    }
}
