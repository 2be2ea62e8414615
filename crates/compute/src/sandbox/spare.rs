//! A unit that stands by: namespaces, a root, a user and a fork of a template are there before it is known what is to run in them. What
//! then comes is its own alone: its folders, as mounts that the fork puts over empty ones, its variables and limits. Nothing of a user's
//! has run in it, it has no keys, and it becomes one unit only. The fork keeps what it takes to enter units until it knows, and then
//! drops it as every fork does.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::root::{self, Entry};
use super::template::{self, Being, Template};
use super::{Child, Command, Group, Meter, Whose, spawner};
use crate::Error;

/// The folders that may come later.
const MOST_PLACES: usize = 4;

/// Dropping it ends it.
#[derive(Debug)]
pub struct Spare {
    child: Child,
    orders: OwnedFd,
    user: Option<u32>,
    /// What it sees already, but for `places`.
    entries: BTreeMap<PathBuf, Entry>,
    places: Vec<PathBuf>,
    merged: bool,
    /// Private memory that it has before it is anything.
    pub loaded_mb: u64,
}

impl Spare {
    /// Has one stand by for units like `command`, whose folders at `places` are shown later; they are there, and empty, before.
    pub async fn start(template: &Template, command: &Command, places: &[&Path]) -> Result<Self, Error> {
        assert!(places.len() <= MOST_PLACES, "an order has few files");
        // A server that is not root may not, outside of its units.
        root::tree(Path::new("/etc")).map_err(Error::io("showing a folder later"))?;
        let (ours, theirs) = template::pair().map_err(Error::io("making a socket"))?;
        let (child, user, streams) = command.unit(command.merged).await?;
        let standing = template.stand_by(&theirs, child.group().0, &streams).await;
        standing.map_err(Error::io("having a unit stand by"))?;
        let loaded_mb = Meter::new(child.group()).peak_mb();
        let places: Vec<_> = places.iter().map(|place| (*place).to_owned()).collect();
        let (entries, _) = apart(command, &places);
        Ok(Self { child, orders: ours, user, entries, places, merged: command.merged, loaded_mb })
    }

    /// Whether it can be a unit of this command.
    pub fn fits(&self, command: &Command) -> bool {
        let (entries, shown) = apart(command, &self.places);
        let is_shown = |entry: &Entry| matches!(entry, Entry::Host { writable: false, .. });
        command.whose == Whose::Unit
            && command.merged == self.merged
            && !command.stdin
            && entries == self.entries
            && shown.len() == self.places.len()
            && shown.values().all(is_shown)
    }

    pub fn group(&self) -> Group {
        self.child.group()
    }

    pub fn is_alive(&mut self) -> bool {
        !self.child.has_ended()
    }

    /// Makes it the unit of a command that fits.
    pub async fn become_unit(mut self, command: &Command) -> Result<Child, Error> {
        let becoming = || Error::io("making a unit of one that stands by");
        let (_, shown) = apart(command, &self.places);
        let (mut attached, mut trees) = (Vec::new(), Vec::new());
        for (place, entry) in shown {
            let Entry::Host { path, .. } = entry else { continue };
            attached.push(place.to_string_lossy().into_owned());
            trees.push(root::tree(&path).map_err(becoming())?);
        }
        let taken = spawner::Taken { limits: command.limits(), user: self.user, view: command.view(true) };
        let being = Being::of(command, &taken, attached).map_err(becoming())?;
        being.tell(&self.orders, taken.view.as_ref(), &trees).await.map_err(becoming())?;
        self.child.memory_mb = command.memory_mb;
        Ok(self.child)
    }
}

/// What a command's unit sees, and what of it is at these places.
fn apart(command: &Command, places: &[PathBuf]) -> (BTreeMap<PathBuf, Entry>, BTreeMap<PathBuf, Entry>) {
    command.entries().into_iter().partition(|(place, _)| !places.contains(place))
}
