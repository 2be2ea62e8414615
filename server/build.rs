//! Links the server without position independence where that is the platform's choice alone (glibc): the loader had to write 380,000
//! addresses into six megabytes at each start of the server and of each worker, which took a third of the time to the first answer,
//! and kept those pages from being given back. See `docs/decisions/010-fixed-addresses.md`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |part: &str| std::env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
