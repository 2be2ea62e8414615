//! The contract of object bytes, held by disk and memory.

use std::collections::BTreeSet;

use futures::StreamExt as _;

use super::*;

#[derive(Default)]
struct Count(u64);
impl Digest for Count {
    fn update(&mut self, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }
}

async fn put(objects: &Objects, len: usize) -> Written<Count> {
    let mut writer = objects.writer(Count::default());
    let body: Vec<u8> = (0..=250).cycle().take(len).collect();
    for chunk in body.chunks(70_001) {
        writer.write(chunk).await.unwrap();
    }
    writer.finish().await.unwrap()
}

fn blob(written: &Written<Count>) -> BlobId {
    match &written.body {
        Body::Blob(id) => id.clone(),
        Body::Inline(_) => unreachable!("kept inline"),
    }
}

#[tokio::test]
async fn small_bodies_come_back_and_large_ones_are_blobs() {
    let folder = tempfile::tempdir().unwrap();
    for objects in [Objects::memory(), Objects::disk(folder.path().join("o")).unwrap()] {
        for len in [0, 1, INLINE_LIMIT] {
            let written = put(&objects, len).await;
            assert_eq!((written.size, written.digest.0), (len as u64, len as u64));
            assert!(matches!(written.body, Body::Inline(b) if b.len() == len));
        }
        for len in [INLINE_LIMIT + 1, 1024 * 1024, 3 * 1024 * 1024 + 17] {
            let written = put(&objects, len).await;
            assert_eq!((written.size, written.digest.0), (len as u64, len as u64));
            let id = blob(&written);
            assert_eq!(objects.read(&id).await.unwrap().len(), len);
            let opened = objects.open(&id).await.unwrap();
            let copy = objects.duplicate(&id).await.unwrap();
            objects.delete(vec![id.clone()]).await;
            assert!(objects.open(&id).await.is_err());
            assert_eq!(opened.read(250..253).await.unwrap().as_ref(), [250, 0, 1]);
            let chunks: Vec<_> = objects.open(&copy).await.unwrap().stream(1..len as u64).collect().await;
            assert_eq!(chunks.into_iter().map(|c| c.unwrap().len()).sum::<usize>(), len - 1);
        }
    }
}

#[tokio::test]
async fn a_dropped_writer_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::disk(folder.path()).unwrap();
    let mut writer = objects.writer(());
    writer.write(&vec![1; 2 * 1024 * 1024]).await.unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 1);
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_sweep_spares_the_living_and_this_run() {
    let folder = tempfile::tempdir().unwrap();
    let before = Objects::disk(folder.path()).unwrap();
    let dead = blob(&put(&before, 20_000).await);
    let alive = blob(&put(&before, 20_000).await);
    let mut torn = before.writer(());
    torn.write(&vec![1; 2 * 1024 * 1024]).await.unwrap();
    std::mem::forget(torn);

    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let after = Objects::disk(folder.path()).unwrap();
    let fresh = blob(&put(&after, 20_000).await);
    assert_eq!(after.sweep(BTreeSet::from([alive.clone()])).await.unwrap(), 2);
    assert!(after.open(&dead).await.is_err());
    for id in [alive, fresh] {
        assert_eq!(after.read(&id).await.unwrap().len(), 20_000);
    }
}
