//! A data folder says what of its server is not in it: commands that look into the folder alone would take it for empty.

use std::path::Path;

use anyhow::{Result, bail};

use crate::settings::Settings;

const FILE: &str = "elsewhere";

/// Notes what these settings keep elsewhere.
///
/// # Errors
/// When the folder's server kept something elsewhere that this one would look for in it.
pub(crate) fn note(settings: &Settings) -> Result<()> {
    let before = noted(&settings.data);
    let now = [("store", settings.store.is_some()), ("objects", settings.objects.is_some())];
    for (name, is_elsewhere) in now {
        if before.iter().any(|noted| noted == name) && !is_elsewhere {
            bail!(
                "the data folder {} is of a server whose `{name}` was elsewhere: set it, or choose another folder",
                settings.data.display()
            );
        }
    }
    let names: Vec<&str> = now.iter().filter(|(_, is_elsewhere)| *is_elsewhere).map(|(name, _)| *name).collect();
    if names != before {
        crate::up::write_private(&settings.data.join(FILE), names.join("\n").as_bytes())?;
    }
    Ok(())
}

/// # Errors
/// When not all is in the folder.
pub(crate) fn refuse(data: &Path) -> Result<()> {
    match noted(data).as_slice() {
        [] => Ok(()),
        names => bail!(
            "of the server of {} this is not in the folder: {} (docs/scale.md says how it is copied)",
            data.display(),
            names.join(", ")
        ),
    }
}

fn noted(data: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(data.join(FILE)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
