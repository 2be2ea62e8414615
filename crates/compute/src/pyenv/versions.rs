//! Where a machine has other versions of Python: on the PATH, and where uv, pyenv and python.org's ways of building put them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Interpreters that may be Python 3.`minor`, the likeliest first. That they are is for the caller to see.
pub(super) fn candidates(minor: u32) -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let data =
        std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".local/share")));
    let uv = std::env::var_os("UV_PYTHON_INSTALL_DIR").map(PathBuf::from).or_else(|| Some(data?.join("uv/python")));
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(|| Some(home?.join(".pyenv")));
    let folders = [uv, pyenv.map(|root| root.join("versions")), Some("/opt/python".into())];
    find(minor, std::env::var_os("PATH").as_deref(), folders.into_iter().flatten())
}

fn find(minor: u32, path: Option<&OsStr>, folders: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let name = format!("python3.{minor}");
    let on_path = path.into_iter().flat_map(std::env::split_paths).chain(["/usr/local/bin".into()]);
    let mut found: Vec<PathBuf> = on_path.map(|folder| folder.join(&name)).filter(|file| file.is_file()).collect();
    for folder in folders {
        let mut installed: Vec<PathBuf> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        // Newer ones sort last, mostly; any of them will do.
        installed.sort_by(|a, b| b.cmp(a));
        found.extend(
            installed.iter().map(|root: &PathBuf| Path::join(root, "bin").join(&name)).filter(|file| file.is_file()),
        );
    }
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_found_by_version() {
        let folder = tempfile::tempdir().unwrap();
        let at = |place: &str| {
            let path = folder.path().join(place);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            path
        };
        let (on_path, by_uv) = (at("bin/python3.7"), at("uv/cpython-3.7.9-linux/bin/python3.7"));
        at("bin/python3.8");
        at("uv/cpython-3.8.20-linux/bin/python3.8");
        let path = folder.path().join("bin");
        assert_eq!(find(7, Some(path.as_os_str()), [folder.path().join("uv")].into_iter()), [on_path, by_uv]);
    }
}
