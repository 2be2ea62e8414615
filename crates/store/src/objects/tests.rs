//! The contract of object bytes, held by disk, bucket and memory.

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
        writer.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    writer.finish().await.unwrap()
}

fn blob(written: &Written<Count>) -> BlobId {
    match &written.body {
        Body::Blob(id) => id.clone(),
        Body::Inline(_) => unreachable!("kept inline"),
    }
}

/// A place in a bucket, with hardly room for copies.
async fn bucket(store: &Arc<dyn object_store::ObjectStore>, folder: PathBuf) -> io::Result<Objects> {
    let bucket =
        Bucket { store: Arc::clone(store), prefix: "a/b".to_owned(), cache_bytes: 40_000, is_owner: Arc::new(|| true) };
    Objects::bucket(bucket, folder, "mine").await
}

#[tokio::test]
async fn nodes_share_a_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn object_store::ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let first = bucket(&store, folder.path().join("1")).await.unwrap();
    let (dead, alive) = (blob(&put(&first, 20_000).await), blob(&put(&first, 9 << 20).await));
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let second = bucket(&store, folder.path().join("2")).await.unwrap();
    assert_eq!(second.read(&alive).await.unwrap(), first.read(&alive).await.unwrap());
    for _ in 0..4 {
        put(&second, 20_000).await;
    }
    // Their copies have given way to others; the bucket has them.
    assert_eq!(second.read(&dead).await.unwrap().len(), 20_000);
    assert_eq!(second.sweep(BTreeSet::from([alive.clone()])).await.unwrap(), 1);
    assert_eq!(second.open(&dead).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    let copy = second.duplicate(&alive).await.unwrap();
    first.delete(vec![alive.clone()]).await;
    assert_eq!(first.read(&copy).await.unwrap().len(), 9 << 20);

    let (path, other) = (folder.path().join("f"), folder.path().join("g/f"));
    std::fs::write(&path, b"code").unwrap();
    first.share_file("f.zip", &path).await.unwrap();
    second.fetch_file("f.zip", &other).await.unwrap();
    assert_eq!(std::fs::read(other).unwrap(), b"code");

    let disk = Objects::disk(folder.path().join("d")).unwrap();
    for id in second.names().await.unwrap() {
        disk.take_over(&second, &id).await.unwrap();
    }
    assert_eq!(disk.read(&copy).await.unwrap(), second.read(&copy).await.unwrap());
    assert_eq!(disk.names().await.unwrap().len(), second.names().await.unwrap().len());
    let moved = blob(&put(&disk, 30_000).await);
    first.take_over(&disk, &moved).await.unwrap();
    assert_eq!(second.read(&moved).await.unwrap(), disk.read(&moved).await.unwrap());
    assert_eq!(second.file_names().await.unwrap(), ["f.zip"]);

    let theirs = Bucket { store, prefix: "/a/b/".to_owned(), cache_bytes: 0, is_owner: Arc::new(|| true) };
    let refused = Objects::bucket(theirs, folder.path().join("3"), "another's").await.unwrap_err();
    assert!(refused.to_string().contains("another installation"), "{refused}");
}

#[tokio::test]
async fn small_bodies_come_back_and_large_ones_are_blobs() {
    let folder = tempfile::tempdir().unwrap();
    let shared =
        bucket(&(Arc::new(object_store::memory::InMemory::new()) as _), folder.path().join("c")).await.unwrap();
    for objects in [Objects::memory(), Objects::disk(folder.path().join("o")).unwrap(), shared] {
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

/// What a seal is given, with what it adds.
struct Marks;
impl Seal for Marks {
    fn seal(&mut self, bytes: &[u8], last: bool) -> io::Result<Vec<u8>> {
        Ok([bytes, if last { b"." } else { b"" }].concat())
    }
}

#[tokio::test]
async fn pieces_of_all_sizes_make_one_body() {
    let folder = tempfile::tempdir().unwrap();
    for objects in [Objects::memory(), Objects::disk(folder.path()).unwrap()] {
        for pieces in
            [vec![9, 5000, 3, 3, 70_000, 1], vec![1 << 20, 7], vec![1 << 20, 1 << 20], vec![5, 0, 9000, 0, 8000]]
        {
            for seal in [None, Some(Box::new(Marks) as Box<dyn Seal>)] {
                let (mut expected, sealed) = (Vec::new(), seal.is_some());
                let mut writer = objects.sealed_writer(Count::default(), seal);
                for (n, len) in pieces.iter().enumerate() {
                    let piece = vec![u8::try_from(n).unwrap(); *len];
                    expected.extend_from_slice(&piece);
                    writer.write(piece.into()).await.unwrap();
                }
                let written = writer.finish().await.unwrap();
                assert_eq!((written.size, written.digest.0), (expected.len() as u64, expected.len() as u64));
                expected.extend(sealed.then_some(b'.'));
                assert_eq!(objects.read(&blob(&written)).await.unwrap(), expected);
            }
        }
    }
}

#[tokio::test]
async fn what_is_being_read_elsewhere_stays_until_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn object_store::ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let objects = bucket(&store, folder.path().join("1")).await.unwrap();
    let (kept, gone) = (blob(&put(&objects, 50_000).await), blob(&put(&objects, 60_000).await));
    // Larger than all copies may be: it is read where it is.
    let (first, second) = (objects.open(&kept).await.unwrap(), objects.open(&kept).await.unwrap());
    assert!(first.file().is_none());
    objects.delete(vec![kept.clone(), gone.clone()]).await;
    assert_eq!(objects.names().await.unwrap(), std::slice::from_ref(&kept));
    assert_eq!(objects.open(&kept).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    drop(first);
    assert_eq!(second.read(0..50_000).await.unwrap().len(), 50_000);
    drop(second);
    // The last reader leaves it to a task to delete it.
    while !objects.names().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(objects.open(&kept).await.unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn a_dropped_writer_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::disk(folder.path()).unwrap();
    let mut writer = objects.writer(());
    for _ in 0..2 {
        writer.write(vec![1; 1024 * 1024].into()).await.unwrap();
    }
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
    for _ in 0..2 {
        torn.write(vec![1; 1024 * 1024].into()).await.unwrap();
    }
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
