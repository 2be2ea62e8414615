//! What a child sees of the file system: a Landlock rule set, made before the fork and applied after it. Best effort: on a
//! kernel without Landlock children run unconfined, and `lakerun doctor` says so.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _, RulesetError, Scope, path_beneath_rules,
};

/// Programs, libraries, certificates, name resolution, time zones, and what runtimes ask about the machine.
pub(super) const SYSTEM: &[&str] = &[
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/etc",
    "/proc",
    "/nix/store",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
    "/var/lib/ca-certificates",
];
pub(super) const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// Rules of newer kernels are left out on older ones.
const NEWEST: ABI = ABI::V6;

/// The rule set for a process that runs `program`; `None` where the kernel has no Landlock.
pub(super) fn view(program: &Path, read: &[PathBuf], write: &[PathBuf]) -> Option<OwnedFd> {
    match rules(program, read, write) {
        Ok(rules) => rules.into(),
        Err(error) => {
            static WARNED: OnceLock<()> = OnceLock::new();
            WARNED.get_or_init(|| tracing::warn!(%error, "child processes are not confined to their folders"));
            None
        }
    }
}

/// For a process that has a root of its own: no signals and no abstract sockets beyond it.
pub(super) fn scopes() -> Option<OwnedFd> {
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    ruleset.scope(Scope::from_all(NEWEST)).and_then(Ruleset::create).ok()?.into()
}

fn rules(program: &Path, read: &[PathBuf], write: &[PathBuf]) -> Result<RulesetCreated, RulesetError> {
    let system = SYSTEM.iter().map(Path::new).chain(std::iter::once(program));
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(system, AccessFs::from_read(NEWEST)))?
        .add_rules(path_beneath_rules(read, AccessFs::from_read(NEWEST)))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::from_all(NEWEST)))?
        .add_rules(path_beneath_rules(write, AccessFs::from_all(NEWEST)))
}

#[expect(unsafe_code, reason = "the version is asked by a plain system call")]
/// 0 or less where there is none.
pub(super) fn landlock_version() -> i64 {
    const VERSION: libc::c_uint = 1;
    // SAFETY: with this flag the call takes no memory of ours.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0_usize, VERSION) }
}
