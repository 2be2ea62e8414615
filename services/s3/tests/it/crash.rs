//! The process is killed while it writes: what was acknowledged is there and whole, nothing else is named.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use store::Store;
use store::objects::Objects;

use crate::World;

const FOLDER: &str = "LAKERUN_S3_CRASH_FOLDER";

fn open(folder: &Path) -> World {
    World::over(Store::open(&folder.join("s3.db")).unwrap(), Objects::disk(folder.join("objects")).unwrap())
}

/// Bytes that tell which object and how long it is.
fn body(n: usize) -> Bytes {
    let len = [100, 20_000, 1_500_000][n % 3] + n;
    format!("{n}:{len}:").bytes().cycle().take(len).collect::<Vec<u8>>().into()
}

/// Run by the test below, in a process of its own.
#[tokio::test]
async fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let world = open(Path::new(&folder));
    world.root("PUT", "/bucket", "").await;
    for n in 0.. {
        assert_eq!(world.root("PUT", &format!("/bucket/k{n}"), body(n)).await.status, 200);
        // One key that is overwritten all the time, and an upload in parts.
        assert_eq!(world.root("PUT", "/bucket/same", body(n)).await.status, 200);
        let begun = world.root("POST", &format!("/bucket/m{n}?uploads"), "").await.text();
        let id = begun.split_once("<UploadId>").unwrap().1.split_once('<').unwrap().0.to_owned();
        let part = world.root("PUT", &format!("/bucket/m{n}?partNumber=1&uploadId={id}"), body(n)).await;
        let etag = part.headers["etag"].to_str().unwrap();
        let complete = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
        );
        assert_eq!(world.root("POST", &format!("/bucket/m{n}?uploadId={id}"), complete).await.status, 200);
        eprintln!("done {n}");
    }
}

#[tokio::test]
async fn a_killed_server_has_no_torn_objects() {
    let folder = tempfile::tempdir().unwrap();
    for rounds in [1, 7] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut acknowledged = 0;
        while acknowledged < rounds {
            let line = lines.next().unwrap().unwrap();
            acknowledged += usize::from(line.starts_with("done "));
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let world = open(folder.path());
        world.s3.sweep(i64::MAX).await.unwrap();
        for n in 0..acknowledged {
            for key in [format!("k{n}"), format!("m{n}")] {
                assert_eq!(world.root("GET", &format!("/bucket/{key}"), "").await.body, body(n), "{key}");
            }
        }
        let list = world.root("GET", "/bucket?list-type=2", "").await.text();
        for key in list.split("<Key>").skip(1).map(|t| t.split_once('<').unwrap().0) {
            let got = world.root("GET", &format!("/bucket/{key}"), "").await;
            let text = got.text();
            let n: usize = text.split(':').next().unwrap().parse().unwrap();
            assert_eq!(got.body, body(n), "{key}");
        }
        // Nothing is on disk that is not named.
        let named = list.matches("<Key>").count() + uploads(&world).await;
        let files: usize = std::fs::read_dir(folder.path().join("objects/blobs"))
            .unwrap()
            .map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap().count())
            .sum();
        assert!(files <= named, "{files} blobs for {named} objects and uploads");
        assert_eq!(std::fs::read_dir(folder.path().join("objects/tmp")).unwrap().count(), 0);
    }
}

async fn uploads(world: &World) -> usize {
    world.root("GET", "/bucket?uploads", "").await.text().matches("<Upload>").count()
}
