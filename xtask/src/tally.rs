//! What a run of all tests comes to: how many passed, failed and were skipped, and why each was skipped. Counted from what libtest and
//! the suites of `conformance/` print, which is shown as it comes, without the lines of tests that passed.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::checks::say;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    skipped: Vec<(u64, String)>,
    /// Steps that ended badly, with the end of what they printed.
    broken: Vec<(String, VecDeque<String>)>,
    /// Suites that passed only when they were run again.
    again: Vec<String>,
}

/// So many of a failed step's last lines are shown once more at the end of the run, where they are found.
const LAST_LINES: usize = 60;

/// Who prints nothing for so long hangs: its processes are ended, and it has failed. Far longer than anything takes on a busy machine
/// between two lines, and short enough for the rest of a run to be heard of.
const SILENCE: Duration = Duration::from_mins(20);
/// Lines that may wait to be counted.
const WAITING: usize = 1000;

/// Not of a test of this: a run that counts would count what it says.
fn show(line: &str) {
    if !cfg!(test) {
        say(line);
    }
}

impl Tally {
    /// Runs a step's program to its end and counts what it prints. A step that fails does not end the run.
    pub(crate) fn run(&mut self, step: &str, command: Command) -> Result<()> {
        if let Some(last) = self.once(step, command, SILENCE)? {
            self.broken.push((step.to_owned(), last));
        }
        Ok(())
    }

    /// As `run`, of a suite with a server of its own. One that fails is run once more, and what it printed the first time stays shown:
    /// if it passes then, the run passes, and its last line names the suite, for a race is a fault too.
    pub(crate) fn suite(&mut self, step: &str, command: impl Fn() -> Command) -> Result<()> {
        let (passed, failed, skipped) = (self.passed, self.failed, self.skipped.len());
        if self.once(step, command(), SILENCE)?.is_none() {
            return Ok(());
        }
        show(&format!("=== {step} failed: once more"));
        (self.passed, self.failed) = (passed, failed);
        self.skipped.truncate(skipped);
        match self.once(step, command(), SILENCE)? {
            None => self.again.push(step.to_owned()),
            Some(last) => self.broken.push((step.to_owned(), last)),
        }
        Ok(())
    }

    /// The last lines of a program that failed.
    fn once(&mut self, step: &str, mut command: Command, silence: Duration) -> Result<Option<VecDeque<String>>> {
        let (out, writer) = std::io::pipe().context("no pipe")?;
        command.stdout(writer.try_clone().context("no pipe")?).stderr(writer);
        let mut child = command.spawn().with_context(|| format!("cannot start {step}"))?;
        // Its ends of the pipe go, so that the child's are the last.
        drop(command);
        let (told, lines) = sync_channel(WAITING);
        std::thread::spawn(move || {
            for line in BufReader::new(out).split(b'\n') {
                if told.send(line).is_err() {
                    return;
                }
            }
        });
        let mut last = VecDeque::new();
        let mut keep = |line: String| {
            show(&line);
            last.push_back(line);
            if last.len() > LAST_LINES {
                last.pop_front();
            }
        };
        loop {
            match lines.recv_timeout(silence) {
                Ok(line) => {
                    let line = String::from_utf8_lossy(&line?).into_owned();
                    if self.note(step, &line) {
                        keep(line);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    keep(format!("{step} printed nothing for {} s and was ended", silence.as_secs()));
                    end(child.id());
                    child.wait()?;
                    return Ok(Some(last));
                }
            }
        }
        Ok(if child.wait()?.success() { None } else { Some(last) })
    }

    pub(crate) fn skip(&mut self, reason: &str) {
        show(&format!("skipped: {reason}"));
        self.skipped.push((1, reason.to_owned()));
    }

    pub(crate) fn step(&mut self, step: &str, run: impl FnOnce() -> Result<()>) {
        match run() {
            Ok(()) => self.passed += 1,
            Err(error) => {
                show(&format!("{error:#}"));
                self.failed += 1;
                self.broken.push((step.to_owned(), VecDeque::from([format!("{error:#}")])));
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
            show(&format!("skipped {count}: {reason}"));
        }
        for (step, last) in &self.broken {
            show(&format!("=== the end of what {step} printed"));
            for line in last {
                show(line);
            }
        }
        let skipped: u64 = self.skipped.iter().map(|(count, _)| count).sum();
        let again = match self.again.as_slice() {
            [] => String::new(),
            again => format!("; passed only when run again: {}", again.join(", ")),
        };
        show(&format!("{} passed, {} failed, {skipped} skipped{again}", self.passed, self.failed));
        if self.failed > 0 || !self.broken.is_empty() {
            let names: Vec<&str> = self.broken.iter().map(|(step, _)| step.as_str()).collect();
            bail!("failed: {}", names.join(", "));
        }
        Ok(())
    }
}

/// Ends a process and all that it has started: what it waits for would hold the pipe.
fn end(process: u32) {
    let mut all = vec![process.to_string()];
    let listed = Command::new("ps").args(["-axo", "pid=,ppid="]).output();
    let listed = listed.map(|listed| String::from_utf8_lossy(&listed.stdout).into_owned()).unwrap_or_default();
    let pairs: Vec<(&str, &str)> =
        listed.lines().filter_map(|line| line.trim().split_once(char::is_whitespace)).collect();
    let mut at = 0;
    while let Some(parent) = all.get(at).cloned() {
        all.extend(pairs.iter().filter(|(_, of)| of.trim() == parent).map(|(pid, _)| (*pid).to_owned()));
        at += 1;
    }
    // One that has ended by itself meanwhile is as good.
    drop(Command::new("kill").arg("-9").args(&all).output());
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

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn a_suite_that_fails_is_run_once_more() {
        let folder = std::env::temp_dir().join(format!("lakerun-tally-{}", std::process::id()));
        let at = folder.display();
        let mut tally = Tally::default();
        // It passes the second time.
        let script =
            format!("mkdir {at} && echo '1 passed, 1 failed' && exit 1; echo '2 passed, 0 failed'; rmdir {at}");
        tally.suite("races", || shell(&script)).unwrap();
        assert_eq!((tally.passed, tally.failed), (2, 0));
        assert_eq!(tally.again, ["races"]);
        tally.suite("fails", || shell("echo why >&2; echo '0 passed, 1 failed'; exit 1")).unwrap();
        assert_eq!(
            tally.broken,
            [("fails".to_owned(), VecDeque::from(["why".to_owned(), "0 passed, 1 failed".to_owned()]))]
        );
        assert_eq!((tally.passed, tally.failed), (2, 1));
        assert_eq!(tally.close().unwrap_err().to_string(), "failed: fails");
    }

    #[test]
    fn what_hangs_is_ended_with_all_that_it_has_started() {
        let mut tally = Tally::default();
        let hangs = shell("echo begins; sleep 1000 & echo $!; wait");
        let last = tally.once("hangs", hangs, Duration::from_secs(5)).unwrap().unwrap();
        assert_eq!(last.iter().map(String::as_str).next_back(), Some("hangs printed nothing for 5 s and was ended"));
        let child = &last[1];
        // It is gone, or is dead and waits for somebody to take note of it.
        let state = Command::new("ps").args(["-o", "stat=", "-p", child]).output().unwrap().stdout;
        assert!(matches!(state.first(), None | Some(b'Z')), "{}", String::from_utf8_lossy(&state));
    }

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
