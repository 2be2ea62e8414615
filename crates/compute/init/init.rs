//! The first process of a unit of work's own process namespace: it starts the program, takes in what the program's children leave
//! behind, and tells the server how the program ended. When it goes the kernel ends everything else in the namespace.
//!
//! A program of its own because the kernel protects a namespace's first process from its own signals, which a user's program must
//! feel (`kill -9 $$`), and because it must be small: one runs beside every unit. Built by `build.rs` without the standard library.
//!
//! Arguments: where to write the status (a file descriptor), a descriptor of the program or -1, its path, its own arguments. With -2
//! nothing is started: a process that is forked into the namespace from outside has a child, which is the program.

#![no_std]
#![no_main]

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

unsafe extern "C" {
    static environ: *const *const c_char;
    fn atoi(text: *const c_char) -> c_int;
    fn close(file: c_int) -> c_int;
    fn execv(path: *const c_char, arguments: *const *const c_char) -> c_int;
    fn fexecve(file: c_int, arguments: *const *const c_char, environment: *const *const c_char) -> c_int;
    fn fcntl(file: c_int, command: c_int, ...) -> c_int;
    fn fork() -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn write(file: c_int, bytes: *const c_void, count: usize) -> isize;
    fn sigemptyset(set: *mut Signals) -> c_int;
    fn sigaddset(set: *mut Signals, signal: c_int) -> c_int;
    fn sigprocmask(how: c_int, set: *const Signals, old: *mut Signals) -> c_int;
    fn sigwait(set: *const Signals, signal: *mut c_int) -> c_int;
    fn _exit(status: c_int) -> !;
    fn __errno_location() -> *mut c_int;
}

const F_SETFD: c_int = 2;
const FD_CLOEXEC: c_int = 1;
const EINTR: c_int = 4;
const ECHILD: c_int = 10;
const SIGCHLD: c_int = 17;
const SIG_BLOCK: c_int = 0;
/// The descriptor that says that the program comes from outside, and the number that it has then.
const COMES: c_int = -2;
const FIRST: c_int = 3;

/// `sigset_t`, as large as any libc of Linux has it.
#[repr(C, align(8))]
struct Signals([u8; 128]);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: ends the process.
    unsafe { _exit(125) }
}

#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    if count < 5 {
        return 125;
    }
    // SAFETY: the arguments are those of the process, at least five and a null; every call is a plain one of libc.
    unsafe {
        let (status, program) = (atoi(*arguments.add(1)), atoi(*arguments.add(2)));
        let mut children = Signals([0; 128]);
        if program == COMES {
            // Blocked before the first can come, so that none is missed between two looks.
            sigemptyset(&raw mut children);
            sigaddset(&raw mut children, SIGCHLD);
            sigprocmask(SIG_BLOCK, &raw const children, ptr::null_mut());
        }
        let child = if program == COMES { FIRST } else { fork() };
        if child == 0 {
            fcntl(status, F_SETFD, FD_CLOEXEC);
            if program >= 0 {
                fcntl(program, F_SETFD, FD_CLOEXEC);
                fexecve(program, arguments.add(4), environ);
            } else {
                execv(*arguments.add(3), arguments.add(4));
            }
            tell(status, [1, *__errno_location()]);
            _exit(127);
        }
        if child < 0 {
            tell(status, [1, *__errno_location()]);
            return 125;
        }
        // The program's output ends with the program.
        for file in 0..3 {
            close(file);
        }
        loop {
            let mut ended = 0;
            let pid = waitpid(-1, &raw mut ended, 0);
            if pid == child {
                tell(status, [0, ended]);
                return 0;
            }
            if pid < 0 && *__errno_location() == ECHILD && program == COMES {
                let mut signal = 0;
                sigwait(&raw const children, &raw mut signal);
            } else if pid < 0 && *__errno_location() != EINTR {
                return 125;
            }
        }
    }
}

/// Eight bytes: whether the program could not be started, and why or how it ended.
unsafe fn tell(status: c_int, what: [c_int; 2]) {
    // SAFETY: the array is as long as said.
    unsafe {
        write(status, ptr::from_ref(&what).cast(), 8);
    }
}
