//! Builds `init/init.rs`, the first process of every sandbox, with the compiler that builds this crate: the server carries it.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=init/init.rs");
    println!("cargo::rerun-if-changed=build.rs");
    let set = |name: &str| std::env::var(name).unwrap_or_default();
    let output = PathBuf::from(set("OUT_DIR")).join("init");
    let mut command = Command::new(set("RUSTC"));
    command.args(["--edition=2024", "--crate-type=bin", "--crate-name=lakerun_init", "-Copt-level=s", "-Cpanic=abort"]);
    command.args(["-Cstrip=symbols", "-Clink-arg=-lc", "--target", &set("TARGET"), "init/init.rs", "-o"]).arg(&output);
    if let Some(linker) = std::env::var_os("RUSTC_LINKER") {
        let mut argument = std::ffi::OsString::from("-Clinker=");
        argument.push(linker);
        command.arg(argument);
    }
    let status = command.status().expect("the compiler starts");
    assert!(status.success(), "init/init.rs could not be built");
}
