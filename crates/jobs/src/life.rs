//! What is stored of a job's course: that it was asked to stop, how its work ended before that was confirmed, and attempts that were
//! lost. A row is there only between those moments and the job's end.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Key, Tx};
use wire::Error;

use crate::Used;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Life {
    pub(crate) v: u32,
    pub(crate) stop: bool,
    pub(crate) ended: Option<Noted>,
    /// Attempts whose worker was gone: they are not among the job's tries.
    #[serde(default)]
    pub(crate) lost: u32,
    /// Attempts that came to nothing: the job's tries so far.
    #[serde(default)]
    pub(crate) tried: u32,
}

/// How the work ended: from here on it is not done again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Noted {
    pub(crate) end: Value,
    pub(crate) used: Used,
}

pub(crate) fn prefix() -> Key {
    Key::new("\u{1}job")
}

fn key(id: &str) -> Key {
    prefix().push(id)
}

impl Life {
    pub(crate) fn of(tx: &mut Tx<'_>, id: &str) -> Result<Self, Error> {
        Ok(tx.get_json(key(id))?.unwrap_or_default())
    }

    pub(crate) fn put(self, tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
        Ok(tx.put_json(key(id), &Self { v: 1, ..self })?)
    }

    pub(crate) fn forget(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
        // Most jobs have none: a row is looked for rather than its absence written.
        if tx.has(key(id))? {
            tx.delete(key(id))?;
        }
        Ok(())
    }
}
