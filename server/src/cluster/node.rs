//! What a node that stands by does for the owner, where `compute` is among its roles: functions, jobs, queries, crawls, transforms.

use std::io;
use std::time::Duration;

use anyhow::{Result, anyhow};
use async_trait::async_trait;
use compute::nodes;
use compute::nodes::link::{Keys, MAGIC, Wire};
use compute::nodes::offer::Offer;
use compute::spark::Spark;
use front::{Counted, Tls};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::settings::Settings;

/// A connection must be there within this.
const CONNECT: Duration = Duration::from_secs(5);
/// Before an owner that was not reached is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What this node can do. Folders of its own: what it does as the owner has others.
pub(super) async fn offer(settings: &Settings) -> Result<Offer> {
    let folder = std::path::absolute(&settings.data)?.join("node");
    let sections = settings.sections();
    let mut wanted = compute::Settings::new(folder.join("scratch"));
    crate::services::isolation(&sections).await?;
    wanted.works_here = true;
    let compute = compute::Compute::new(wanted)?;
    let standby = glue::standby(&sections).map_err(|error| anyhow!(error))?;
    let spark = Spark::new(folder.join("spark"), &compute, standby);
    let functions = lambda::Host::offer(&sections, &folder.join("lambda"), &compute).map_err(|error| anyhow!(error))?;
    Ok(Offer::new(compute, spark, vec![functions]))
}

/// Works for whoever owns the stores, until dropped.
pub(super) async fn work(
    offer: Option<Offer>,
    mut owner: watch::Receiver<Option<front::Owner>>,
    own: &str,
    tls: Option<Tls>,
) {
    let Some(offer) = offer else { return std::future::pending().await };
    let dial = Dial(tls);
    loop {
        let known = owner.borrow_and_update().clone();
        let Some(known) = known else {
            if owner.changed().await.is_err() {
                return std::future::pending().await;
            }
            continue;
        };
        let keys = Keys { secret: known.key.secret.clone(), fence: known.key.fence };
        let joined = async {
            let wire = nodes::Dial::dial(&dial, &known.address).await?;
            tracing::info!(owner = known.address, "working for the owner");
            offer.join(wire, &keys, own).await
        };
        tokio::select! {
            ended = joined => {
                if let Err(error) = ended {
                    tracing::warn!(owner = known.address, %error, "no longer working for the owner");
                }
                tokio::time::sleep(AGAIN).await;
            }
            // That nobody owns the stores is what a database says that was away for a while, until the owner has told it otherwise: as long
            // as the owner is there, it goes on, and this node with it. One that is gone says nothing any more.
            _ = owner.wait_for(|now| now.as_ref().is_some_and(|now| *now != known)) => {}
        }
    }
}

/// Connections to other nodes: by TLS where it is set, which both ends must have.
#[derive(Debug)]
pub(super) struct Dial(pub(super) Option<Tls>);

#[async_trait]
impl nodes::Dial for Dial {
    async fn dial(&self, address: &str) -> io::Result<Wire> {
        let connecting = async {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            stream.write_all(MAGIC).await?;
            Ok::<Wire, io::Error>(match &self.0 {
                Some(tls) => Box::new(tls.connect(stream, address).await?),
                None => Box::new(stream),
            })
        };
        tokio::time::timeout(CONNECT, connecting).await?
    }
}

/// The other end of it.
pub(super) async fn accepted(stream: Counted<TcpStream>, tls: Option<Tls>) -> io::Result<Wire> {
    Ok(match tls {
        Some(tls) => Box::new(stream.by_tls(&tls).await?),
        None => Box::new(stream),
    })
}
