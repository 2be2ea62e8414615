//! Task tokens: they name the execution and the task, and cannot be guessed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::{Execution, TaskId};

impl Execution {
    /// What an outside worker answers the task with.
    pub fn token(&self, task: TaskId) -> String {
        let arn = &self.info.execution_arn;
        let seal = Sha256::digest(format!("{:016x}\n{arn}\n{task}", self.root.secret));
        URL_SAFE_NO_PAD.encode(format!("{arn}\n{task}\n{}", hex::encode(&seal[..16])))
    }

    /// The execution's ARN and the task that a token claims to be for; [`Execution::token`] tells whether the claim is true.
    pub fn read_token(token: &str) -> Option<(String, TaskId)> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let mut lines = text.split('\n');
        let (arn, task) = (lines.next()?, TaskId::parse(lines.next()?)?);
        Some((arn.to_owned(), task))
    }
}
