//! Definitions: their texts are kept under their hash, and those in use are ready in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use asl::Definition;
use store::{Key, Tx};
use wire::Error;

use crate::{Engine, ExecutionArn, lock, records};

/// Parsed definitions kept in memory.
const MAX_PARSED: usize = 256;
/// Definitions that are known to be in the store.
const MAX_KNOWN: usize = 10_000;

/// The text of a definition, with its name. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DefinitionText {
    text: Arc<str>,
    name: Arc<str>,
}

impl From<&str> for DefinitionText {
    fn from(text: &str) -> Self {
        Self { text: text.into(), name: records::definition_name(text).into() }
    }
}

impl Deref for DefinitionText {
    type Target = str;
    fn deref(&self) -> &str {
        &self.text
    }
}

impl DefinitionText {
    /// The name that it is kept under.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn key(&self, account: &str, region: &str) -> Key {
        records::definition_key(account, region, &self.name)
    }

    /// Keeps it, in the transaction of whoever needs it.
    pub fn keep(&self, tx: &mut Tx<'_>, account: &str, region: &str) -> Result<(), store::Error> {
        let key = self.key(account, region);
        if tx.has(&key)? { Ok(()) } else { tx.put(key, self.as_bytes()) }
    }
}

/// Those that an engine has in memory.
#[derive(Default)]
pub(crate) struct Definitions {
    parsed: Mutex<BTreeMap<String, Arc<Definition>>>,
    /// Where texts have been found or kept, by the numbers of shards; none is ever taken away.
    known: Mutex<BTreeMap<usize, BTreeSet<Key>>>,
}

impl Definitions {
    pub(crate) fn is_known(&self, shard: usize, key: &Key) -> bool {
        lock(&self.known).get(&shard).is_some_and(|known| known.contains(key))
    }

    /// They are parsed anew when they are needed.
    pub(crate) fn rest(&self) {
        lock(&self.parsed).clear();
    }

    pub(crate) fn now_known(&self, shard: usize, key: Key) {
        let mut all = lock(&self.known);
        let known = all.entry(shard).or_default();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(key);
    }
}

impl Engine {
    /// A definition that was kept with an execution, by its name.
    pub async fn kept_definition(&self, arn: &ExecutionArn, name: &str) -> Result<Arc<Definition>, Error> {
        if let Some(definition) = lock(&self.inner.definitions.parsed).get(name) {
            return Ok(Arc::clone(definition));
        }
        let key = records::definition_key(arn.account(), arn.region(), name);
        let text = self.store_of(arn).read(|tx| tx.get(&key).map_err(Error::from)).await?;
        self.parsed(&String::from_utf8(text.unwrap_or_default()).unwrap_or_default())
    }

    /// A checked definition, ready to run.
    pub fn parsed(&self, text: &str) -> Result<Arc<Definition>, Error> {
        self.parsed_as(&records::definition_name(text), text)
    }

    /// The same, where the name is known.
    pub fn ready(&self, definition: &DefinitionText) -> Result<Arc<Definition>, Error> {
        self.parsed_as(&definition.name, definition)
    }

    fn parsed_as(&self, name: &str, text: &str) -> Result<Arc<Definition>, Error> {
        let mut parsed = lock(&self.inner.definitions.parsed);
        if let Some(definition) = parsed.get(name) {
            return Ok(Arc::clone(definition));
        }
        let definition = Definition::parse_accepted(text)
            .map_err(|found| Error::internal(format!("a stored definition does not parse: {found:?}")))?;
        if parsed.len() >= MAX_PARSED {
            parsed.clear();
        }
        let definition = Arc::new(match self.inner.calls.get() {
            Some(calls) => definition.checked_by(Arc::clone(calls)),
            None => definition,
        });
        parsed.insert(name.to_owned(), Arc::clone(&definition));
        Ok(definition)
    }
}
