//! What a unit of work may do: a user of its own where the server is root, no capabilities, no system calls that only administrators
//! and exploits use.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, OnceLock};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// User numbers for units where the server is root; outside of what systems give to people and to services.
const FIRST_USER: u32 = 50_000;
const USERS: u32 = 10_000;

/// The user that the next unit runs as; `None` where the server cannot change users.
pub(super) fn next_user() -> Option<u32> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static MAPPED: OnceLock<bool> = OnceLock::new();
    let usable = rustix::process::geteuid().is_root() && *MAPPED.get_or_init(|| is_mapped(FIRST_USER + USERS));
    usable.then(|| FIRST_USER + NEXT.fetch_add(1, Ordering::Relaxed) % USERS)
}

/// Whether this namespace has a user of that number.
fn is_mapped(user: u32) -> bool {
    std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default().lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(_), Some(Ok(count))) = (fields.next(), fields.next(), fields.next()) else {
            return false;
        };
        (first..first.saturating_add(count)).contains(&user.into())
    })
}

/// Runs between fork and exec: becomes `user` for good. Its pipes become that user's, so that `/dev/stdout` can be opened.
#[expect(unsafe_code, reason = "users are changed by plain system calls")]
pub(super) fn become_user(user: u32) -> io::Result<()> {
    // SAFETY: `state` is valid for the calls; the others take no memory of ours.
    unsafe {
        for file in 0..3 {
            let mut state: libc::stat = std::mem::zeroed();
            if libc::fstat(file, &raw mut state) == 0 && state.st_mode & libc::S_IFMT == libc::S_IFIFO {
                libc::fchown(file, user, user);
            }
        }
        check(libc::setgroups(0, std::ptr::null()))?;
        check(libc::setresgid(user, user, user))?;
        check(libc::setresuid(user, user, user))
    }
}

/// Runs between fork and exec, before the user changes: nothing that is executed later can have a capability.
#[expect(unsafe_code, reason = "capabilities are dropped by plain system calls")]
pub(super) fn forget_bounding_set() {
    // SAFETY: takes no memory of ours. A number that this kernel does not know ends the loop's use; without the right to do it there
    // is nothing to drop.
    unsafe {
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        for capability in 0..64 {
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
    }
}

/// Runs between fork and exec: drops all capabilities that are held now.
#[expect(unsafe_code, reason = "capabilities are dropped by plain system calls")]
pub(super) fn drop_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    let header = Header { version: 0x2008_0522, pid: 0 };
    let none = [0_u32; 6];
    // SAFETY: header and data have the layout of version 3, `capset(2)`.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) })
}

/// Runs between fork and exec: what a template keeps through its exec, and nothing besides: enough to enter the namespaces of a unit
/// and to become its user there.
#[expect(unsafe_code, reason = "capabilities are kept by plain system calls")]
pub(super) fn keep_what_enters_units() -> io::Result<()> {
    /// `CAP_CHOWN`, `CAP_SETGID`, `CAP_SETUID`, `CAP_SETPCAP`, `CAP_SYS_CHROOT`, `CAP_SYS_PTRACE`, `CAP_SYS_ADMIN`.
    const KEPT: [u32; 7] = [0, 6, 7, 8, 18, 19, 21];
    const MASK: u32 = {
        let (mut mask, mut at) = (0, 0);
        while at < KEPT.len() {
            mask |= 1 << KEPT[at];
            at += 1;
        }
        mask
    };
    let header = [0x2008_0522_u32, 0];
    // Effective, permitted, inheritable; then the same of the upper half.
    let kept = [MASK, MASK, MASK, 0, 0, 0];
    // SAFETY: header and data have the layout of version 3, `capset(2)`; the others take no memory of ours.
    unsafe {
        for capability in (0..64).filter(|capability| !KEPT.contains(capability)) {
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
        check(libc::syscall(libc::SYS_capset, header.as_ptr(), kept.as_ptr()))?;
        // A program that is not root's keeps none but those.
        for capability in KEPT {
            check(libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, capability, 0, 0))?;
        }
    }
    Ok(())
}

/// Filters of system calls, made once; `None` on a kernel or machine without.
pub(super) fn filters() -> Option<&'static [BpfProgram; 2]> {
    static FILTERS: LazyLock<Option<[BpfProgram; 2]>> = LazyLock::new(|| match make() {
        Ok(filters) => Some(filters),
        Err(error) => {
            tracing::warn!(%error, "system calls of child processes are not filtered");
            None
        }
    });
    FILTERS.as_ref()
}

/// Runs between fork and exec.
pub(super) fn filter(filters: &[BpfProgram; 2]) -> io::Result<()> {
    filters.iter().try_for_each(|one| seccompiler::apply_filter(one).map_err(|_| io::Error::last_os_error()))
}

/// Refused whatever their arguments: administration of the machine, other processes' memory, namespaces, and what has been the way
/// into kernels. About what container runtimes refuse (moby's default profile).
const REFUSED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_name_to_handle_at,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];
/// Families of sockets that reach around the machine's own network: raw packets, virtual machines' hosts, the kernel's ciphers.
const REFUSED_FAMILIES: [libc::c_int; 3] = [libc::AF_PACKET, libc::AF_VSOCK, libc::AF_ALG];
/// Namespaces, as flags of `clone`.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

fn make() -> Result<[BpfProgram; 2], String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let mut when = |call: libc::c_long, conditions: Vec<SeccompCondition>| -> Result<(), String> {
        let rule = SeccompRule::new(conditions).map_err(|error| error.to_string())?;
        rules.entry(call).or_default().push(rule);
        Ok(())
    };
    let is = |argument: u8, operator: SeccompCmpOp, value: libc::c_int| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, u64::from(value.cast_unsigned()))
            .map_err(|error| error.to_string())
    };
    for flag in NAMESPACES {
        let mask = u64::from(flag.cast_unsigned());
        when(libc::SYS_clone, vec![is(0, SeccompCmpOp::MaskedEq(mask), flag)?])?;
    }
    for family in REFUSED_FAMILIES {
        when(libc::SYS_socket, vec![is(0, SeccompCmpOp::Eq, family)?])?;
    }
    // NETLINK_SOCK_DIAG: who talks to whom on this machine.
    when(libc::SYS_socket, vec![is(0, SeccompCmpOp::Eq, libc::AF_NETLINK)?, is(2, SeccompCmpOp::Eq, 4)?])?;
    // Typing into the terminal of whoever started the server.
    when(libc::SYS_ioctl, vec![is(1, SeccompCmpOp::Eq, 0x5412)?])?;
    let compile = |rules, error: libc::c_int| -> Result<BpfProgram, String> {
        let action = SeccompAction::Errno(error.cast_unsigned());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch);
        filter.and_then(TryInto::try_into).map_err(|error| error.to_string())
    };
    let refused = compile(rules, libc::EPERM)?;
    // Its flags lie in memory, out of a filter's sight: libc takes `clone` instead when it is told that this one is unknown.
    let unknown = compile(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)?;
    Ok([refused, unknown])
}

fn check(result: impl Into<i64>) -> io::Result<()> {
    if result.into() < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_filters_compile() {
        assert!(super::filters().is_some());
    }
}
