//! By what the records of executions are told apart that are kept in several places: a number that an ARN says.
//!
//! A Distributed Map's run and its children are written together, and the run with the execution whose Map it is: they have the number of
//! that execution. Names of runs and of children are drawn here, and begin with the number's two hexadecimal digits.

use crate::json::fingerprint;

/// The number of an execution, or of a Distributed Map's run. Of an execution that a client has named it is the first byte of its ARN's
/// SHA-256: it never changes, since records are found by it.
pub fn shard_key(arn: &str) -> u8 {
    let mut parts = arn.split(':').skip(6);
    let (machine, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let first = |digits: &str| digits.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let drawn = if machine.contains('/') { first(name) } else { None };
    drawn.or_else(|| first(&fingerprint(arn))).unwrap_or_default()
}

/// A name that was drawn, as that of a run or of a child of the execution or the run `arn`.
pub(crate) fn kin(arn: &str, drawn: &str) -> String {
    format!("{:02x}{}", shard_key(arn), drawn.get(2..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{kin, shard_key};

    #[test]
    fn runs_and_children_are_where_their_execution_is() {
        let states = "arn:aws:states:us-east-1:000000000000";
        let execution = format!("{states}:execution:m:e");
        let key = shard_key(&execution);
        let run = format!("{states}:mapRun:m/l:{}", kin(&execution, "ffffffff-0000-4000-8000-000000000000"));
        let child = kin(&run, "01234567-0000-3000-8000-000000000000");
        assert_eq!(child.len(), 36);
        let express = format!("{states}:express:m/l:{child}:{child}");
        let child = format!("{states}:execution:m/l:{child}");
        let within = format!("{states}:mapRun:m/k:{}", kin(&child, "00000000-0000-4000-8000-000000000000"));
        for arn in [run, child, express, within] {
            assert_eq!(shard_key(&arn), key, "{arn}");
        }
        // What is found by it is where it was put: this must not change.
        assert_eq!(key, 0x98);
        let numbers: std::collections::BTreeSet<u8> = (0..100).map(|n| shard_key(&format!("{execution}{n}"))).collect();
        assert!(numbers.len() > 60, "{numbers:?}");
    }
}
