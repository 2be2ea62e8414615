//! What was uploaded leaves the disk when no function, version or layer names it any more. An hour passes between finding that and
//! taking it away: an invocation may still run from it, and a call that sent it may be about to name it.

use std::collections::BTreeSet;
use std::sync::Weak;
use std::time::Duration;

use serde::de::DeserializeOwned;
use store::{Key, Tx};
use wire::Error;

use crate::Lambda;
use crate::code::merged;
use crate::function::{Function, Version};
use crate::layer::LayerVersion;

/// Between two looks; the longest that an invocation runs is a quarter of it.
const LOOK: Duration = Duration::from_hours(1);

/// Looks for as long as the service is there.
pub(crate) async fn run(lambda: Weak<Lambda>) {
    let mut before = BTreeSet::new();
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(lambda) = lambda.upgrade() else { return };
        match lambda.clean(&before).await {
            Ok(unnamed) => before = unnamed,
            Err(error) => tracing::warn!(%error, "code that nobody names could not be taken away"),
        }
    }
}

impl Lambda {
    /// Takes away what was unnamed the last time and still is. What is unnamed now.
    async fn clean(&self, before: &BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
        let named = self.store.read(named).await?;
        let (archive, before) = (self.archive.clone(), before.clone());
        let work = tokio::task::spawn_blocking(move || {
            let unnamed = archive.unnamed(&named)?;
            for name in unnamed.intersection(&before) {
                archive.discard(name, LOOK)?;
            }
            Ok::<_, std::io::Error>(unnamed)
        });
        let unnamed = work.await.map_err(Error::internal)?.map_err(Error::internal)?;
        self.preparer.forget();
        Ok(unnamed)
    }
}

/// All archives that records name, and the folders that are made of them, of all accounts and regions. A record that cannot be read is
/// an error: what it names must stay.
fn named(tx: &mut Tx<'_>) -> Result<BTreeSet<String>, Error> {
    fn all<T: DeserializeOwned>(tx: &mut Tx<'_>, kind: &str) -> Result<Vec<T>, Error> {
        Ok(tx.list_json(Key::new("lambda").push(kind), usize::MAX >> 1)?)
    }
    let mut named = BTreeSet::new();
    let latest = all::<Function>(tx, "function")?.into_iter().map(|function| function.latest);
    for version in latest.collect::<Vec<_>>().into_iter().chain(all::<Version>(tx, "version")?) {
        named.insert(merged(&version.layers));
        named.insert(version.code);
        named.extend(version.layers);
    }
    named.extend(all::<LayerVersion>(tx, "layer")?.into_iter().map(|layer| layer.code));
    Ok(named)
}
