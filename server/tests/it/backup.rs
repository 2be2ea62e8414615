//! Copies of the data folder, of a server that works and of one that does not; objects that rot.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use crate::{Server, root};

/// Bytes that tell which object they are, of a size that lies with the records or in a file of its own.
fn content(n: usize) -> Vec<u8> {
    format!("{n}:").bytes().cycle().take([200, 90_000, 1_400_000][n % 3]).collect()
}

fn put(server: &Server, n: usize) {
    let (status, text) = server.call(&root(), "s3", ("PUT", &format!("/backed-up/k{n}")), &[], &content(n));
    assert_eq!(status, 200, "{text}");
    let item = json!({"TableName": "numbers", "Item": {"n": {"N": n.to_string()}}});
    let (status, text) = server.json(&root(), "dynamodb", "DynamoDB_20120810.PutItem", &item.to_string());
    assert_eq!(status, 200, "{text}");
}

/// The object's bytes; none where there is no such object.
fn get(server: &Server, n: usize) -> Option<Vec<u8>> {
    let answer = server.whole(&root(), "s3", ("GET", &format!("/backed-up/k{n}")), &[], b"");
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    match &answer[9..12] {
        b"200" => Some(answer[end..].to_vec()),
        status => {
            assert_eq!(status, b"404", "{}", String::from_utf8_lossy(&answer[..end]));
            None
        }
    }
}

fn has_item(server: &Server, n: usize) -> bool {
    let key = json!({"TableName": "numbers", "Key": {"n": {"N": n.to_string()}}});
    let (status, found) = server.json(&root(), "dynamodb", "DynamoDB_20120810.GetItem", &key.to_string());
    assert_eq!(status, 200, "{found}");
    found["Item"].is_object()
}

fn lakerun(words: &[&str], data: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lakerun")).args(words).arg("--data").arg(data).output().unwrap()
}

fn done(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    out.into_owned()
}

#[test]
fn a_working_servers_folder_is_copied_as_of_one_moment_and_comes_back() {
    let server = Arc::new(Server::start());
    assert_eq!(server.call(&root(), "s3", ("PUT", "/backed-up"), &[], b"").0, 200);
    let table = json!({
        "TableName": "numbers", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "n", "AttributeType": "N"}],
    });
    assert_eq!(server.json(&root(), "dynamodb", "DynamoDB_20120810.CreateTable", &table.to_string()).0, 200);
    (0..6).for_each(|n| put(&server, n));

    // Writes and deletes go on while it is copied.
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(6)));
    let writer = {
        let (server, stop, written) = (Arc::clone(&server), Arc::clone(&stop), Arc::clone(&written));
        std::thread::spawn(move || {
            for n in 6.. {
                put(&server, n);
                written.store(n + 1, Ordering::SeqCst);
                if n % 4 == 0 {
                    let gone = ("DELETE", format!("/backed-up/k{}", n - 1));
                    assert_eq!(server.call(&root(), "s3", (gone.0, &gone.1), &[], b"").0, 204);
                }
                if stop.load(Ordering::SeqCst) {
                    return;
                }
            }
        })
    };
    let folder = tempfile::tempdir().unwrap();
    let (copy, restored) = (folder.path().join("copy"), folder.path().join("restored"));
    while written.load(Ordering::SeqCst) < 9 {
        std::thread::yield_now();
    }
    let before = written.load(Ordering::SeqCst);
    let told = done(&lakerun(&["backup", copy.to_str().unwrap()], server.data.path()));
    assert!(told.contains("copied"), "{told}");
    let after = written.load(Ordering::SeqCst);
    stop.store(true, Ordering::SeqCst);
    writer.join().unwrap();

    // Nothing is written over, and no half copy is taken.
    assert!(!lakerun(&["backup", copy.to_str().unwrap()], server.data.path()).status.success());
    assert!(!lakerun(&["restore", folder.path().to_str().unwrap()], &folder.path().join("none")).status.success());
    done(&lakerun(&["restore", copy.to_str().unwrap()], &restored));
    assert!(!lakerun(&["restore", copy.to_str().unwrap()], &restored).status.success());

    let second = Server::start_on(&restored);
    let mut kept = 0;
    for n in 0..=after + 1 {
        let object = get(&second, n);
        assert!(object.as_ref().is_none_or(|bytes| *bytes == content(n)), "k{n} is torn");
        // Deleted by the writer, perhaps after the moment; what follows a deletion tells nothing of it.
        let may_be_gone = n >= 7 && n % 4 == 3;
        assert!(n >= before || may_be_gone || object.is_some(), "k{n} was acknowledged before the copy was begun");
        // An item is written after its object: with it, the object is there.
        assert!(!has_item(&second, n) || may_be_gone || object.is_some(), "item {n} without its object");
        kept += usize::from(object.is_some());
    }
    assert!(kept >= 6, "{kept}");
    put(&second, 100_000);
    assert!(get(&second, 100_000).is_some());
    // The copy is no part of the first server.
    assert!(get(&server, 100_000).is_none());
}

#[test]
fn a_scrub_finds_the_byte_that_has_changed() {
    let server = Server::start();
    assert_eq!(server.call(&root(), "s3", ("PUT", "/backed-up"), &[], b"").0, 200);
    let table = json!({
        "TableName": "numbers", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "n", "AttributeType": "N"}],
    });
    assert_eq!(server.json(&root(), "dynamodb", "DynamoDB_20120810.CreateTable", &table.to_string()).0, 200);
    (0..3).for_each(|n| put(&server, n));
    let whole = done(&lakerun(&["doctor", "--scrub"], server.data.path()));
    assert!(whole.contains("scrubbed 3 objects"), "{whole}");

    let blobs = server.data.path().join("objects/blobs");
    let mut files: Vec<_> =
        std::fs::read_dir(blobs).unwrap().flat_map(|f| std::fs::read_dir(f.unwrap().path()).unwrap()).collect();
    let largest =
        files.drain(..).map(|f| f.unwrap().path()).max_by_key(|f| std::fs::metadata(f).unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&largest, bytes).unwrap();

    let scrubbed = lakerun(&["doctor", "--scrub"], server.data.path());
    let told = String::from_utf8_lossy(&scrubbed.stdout);
    assert!(!scrubbed.status.success() && told.contains("DAMAGED  backed-up/k2"), "{told}");
}
