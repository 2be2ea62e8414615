//! Children in their sandbox: limits, isolation, ends.

use std::path::Path;
use std::time::Duration;

use super::{Capture, Command};
use crate::Error;

const KEEP: Capture = Capture { bytes: 4096 };

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

#[tokio::test]
async fn output_is_bounded_and_may_be_binary() {
    let output = shell(r"head -c 100000 /dev/zero; printf '\377\376end'; echo oops >&2; exit 3")
        .output(KEEP, None)
        .await
        .unwrap();
    assert_eq!(output.exit.to_string(), "exit status 3");
    assert_eq!(output.stdout.len(), KEEP.bytes);
    assert!(output.stdout.ends_with(b"\xff\xfeend"));
    assert_eq!(output.stderr, b"oops\n");
}

#[tokio::test]
async fn environment_is_clean() {
    let output = shell("env").env("GIVEN", "1").output(KEEP, None).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("GIVEN=1"));
    assert!(!text.contains("CARGO"), "{text}");
}

#[tokio::test]
async fn timeout_ends_the_whole_group() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = shell("(sleep 1; touch late) & sleep 60");
    command.folder(folder.path()).read_write(folder.path());
    let error = command.output(KEEP, Some(Duration::from_millis(100))).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(_)), "{error}");
    std::thread::sleep(Duration::from_millis(1100));
    assert!(!folder.path().join("late").exists());
}

#[tokio::test]
async fn memory_is_limited() {
    let mut command = Command::new("/usr/bin/env");
    command
        .args(["python3", "-S", "-c", "import time\nb=[]\nwhile True: b.append(b'x'*(1<<20)); time.sleep(0.001)"])
        .memory_mb(64);
    command.env("PATH", std::env::var("PATH").unwrap());
    command.read_only("/root").read_only("/home").read_only("/opt");
    let error = command.output(KEEP, Some(Duration::from_mins(10))).await.unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { limit_mb: 64 }), "{error}");
}

#[tokio::test]
async fn only_its_own_folders_are_seen() {
    if !super::is_isolated().await && super::filesystem::landlock_version() <= 0 {
        return; // Neither namespaces nor Landlock: doctor says so.
    }
    let (mine, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(others.path().join("secret"), "x").unwrap();
    std::fs::write(mine.path().join("read"), "hello").unwrap();
    let script =
        format!("cat read; echo new > written; cat {0}/secret; ls {0}; echo x > {0}/made", others.path().display());
    let mut command = shell(&script);
    command.folder(mine.path()).read_write(mine.path());
    let output = command.output(KEEP, None).await.unwrap();
    assert_eq!(output.stdout, b"hello");
    assert!(mine.path().join("written").exists());
    assert!(!others.path().join("made").exists());
    assert!(!output.exit.success());

    let mut command = shell("cat read; echo new > again");
    command.folder(mine.path()).read_only(mine.path());
    assert_eq!(command.output(KEEP, None).await.unwrap().stdout, b"hello");
    assert!(!mine.path().join("again").exists());
}

#[tokio::test]
async fn a_missing_program_is_an_error() {
    let error = Command::new("/no/such/program").output(KEEP, None).await.unwrap_err();
    assert!(error.to_string().contains("/no/such/program"), "{error}");
}

#[tokio::test]
async fn mounts_are_private() {
    if !super::is_isolated().await {
        return; // Not allowed on this machine: doctor says so.
    }
    let (tmp, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(data.path().join("file"), "data").unwrap();
    let mut command = shell("echo private > /tmp/lakerun-test-made; cat /mnt/drop/file");
    command.mount(tmp.path(), "/tmp").mount(data.path(), "/mnt/drop");
    let output = command.output(KEEP, None).await.unwrap();
    assert_eq!(output.stdout, b"data", "{}", String::from_utf8_lossy(&output.stderr));
    assert!(tmp.path().join("lakerun-test-made").exists());
    assert!(!Path::new("/tmp/lakerun-test-made").exists());
}

#[tokio::test]
async fn merged_output_keeps_its_order() {
    let output = shell("echo 1; echo 2 >&2; echo 3").merged().output(KEEP, None).await.unwrap();
    assert_eq!(output.stdout, b"1\n2\n3\n");
}

/// A data folder below /tmp: what a unit is given lies in what is hidden by its own /tmp.
#[tokio::test]
async fn folders_below_tmp_are_seen_beside_a_tmp_of_its_own() {
    let folder = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
    let (given, temporary) = (folder.path().join("given"), folder.path().join("tmp"));
    for path in [&given, &temporary] {
        std::fs::create_dir(path).unwrap();
    }
    std::fs::write(given.join("file"), "hello").unwrap();
    let mut command = shell("cat file && echo mine > /tmp/own && cat /tmp/own");
    command.folder(&given).read_write(folder.path()).mount(&temporary, "/tmp");
    let output = command.output(KEEP, None).await.unwrap();
    if super::is_isolated().await {
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "hellomine\n",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(std::fs::read_to_string(temporary.join("own")).unwrap(), "mine\n");
    }
}
