//! S3 alone behind a socket, to try clients on without building the whole server:
//! `S3_LISTEN=127.0.0.1:4000 cargo test -p s3-service --test it -- --ignored serve`. Keys: `root` and `other`, both with `secret`.

use std::convert::Infallible;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3_service::{Peer, Settings};
use service::Router;
use store::Store;
use store::objects::Objects;

use crate::{Keys, World};

#[tokio::test]
#[ignore = "serves until it is stopped"]
async fn serve() {
    let address = std::env::var("S3_LISTEN").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let folder = tempfile::tempdir().unwrap();
    let router = Router::new();
    router.set_identity(std::sync::Arc::new(Keys));
    let settings = Settings {
        object_ownership: "ObjectWriter".to_owned(),
        block_public_access: false,
        kms_keys: vec!["one".to_owned()],
        lifecycle_day_seconds: 2,
        ..Settings::default()
    };
    let objects = Objects::disk(folder.path().join("objects")).unwrap();
    let store = Store::open(&folder.path().join("s3.sqlite")).unwrap();
    let world = World::with(router, store, objects, settings);
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        let door = world.door.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let door = door.clone();
                async move {
                    let (mut parts, body) = request.into_parts();
                    parts.extensions.insert(Peer { address: peer.ip(), secure: false, by_tls: false });
                    let request = http::Request::from_parts(parts, s3s::Body::from(body));
                    Ok::<_, Infallible>(door.serve(request).await)
                }
            });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
