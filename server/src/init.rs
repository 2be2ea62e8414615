//! `lakerun init`: a pipeline to start from. Its files stand beside this one as they are written.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::output::say;

const FILES: [(&str, &str); 4] = [
    ("template.yaml", include_str!("init/template.yaml")),
    ("pipeline.asl.json", include_str!("init/pipeline.asl.json")),
    ("clean/clean.py", include_str!("init/functions/clean/clean.py")),
    ("sales.csv", include_str!("init/sales.csv")),
];

/// Writes what is not there yet.
pub(crate) fn run(folder: &Path) -> Result<()> {
    for (name, text) in FILES {
        let path = folder.join(name);
        if path.exists() {
            say(&format!("kept     {}", path.display()));
            continue;
        }
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        say(&format!("written  {}", path.display()));
    }
    let stack = stack_of(folder)?;
    say(&format!(
        "\nNext\n  cd {folder}\n  lakerun deploy {stack} template.yaml\n  \
         lakerun cp sales.csv s3://{stack}-lake/incoming/\n  lakerun run {stack} --follow\n  \
         lakerun sql 'SELECT country, sum(amount) AS total FROM {database}.sales GROUP BY country'",
        folder = folder.display(),
        database = stack.replace('-', "_").to_lowercase(),
    ));
    Ok(())
}

/// The name of a folder as that of a stack.
pub(crate) fn stack_of(folder: &Path) -> Result<String> {
    let whole = folder.canonicalize().or_else(|_| std::path::absolute(folder))?;
    let name = whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect())
}
