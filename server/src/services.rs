//! Which services there are: one line each. Order matters only where a service takes another part of the platform.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use identity::RootKeys;
use serde::Deserialize;
use service::Platform;

/// Section `[compute]` of the settings.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ComputeSection {
    /// The server does not start where functions and jobs could not be kept apart from the rest of the machine.
    require_isolation: bool,
}

/// What the HTTP front needs of the wired services.
pub(crate) struct Wired {
    pub(crate) s3: s3_service::Door,
    pub(crate) objects: Arc<s3_service::S3>,
    pub(crate) lambda: Arc<lambda::Lambda>,
    pub(crate) cloudformation: Arc<cloudformation::CloudFormation>,
    pub(crate) links: messaging::Links,
    pub(crate) glue: Arc<glue::Glue>,
    pub(crate) telemetry: Arc<telemetry::Telemetry>,
    pub(crate) lineage: Arc<lineage::Lineage>,
    pub(crate) sagemaker: Arc<sagemaker::SageMaker>,
    pub(crate) budget: compute::budget::Budget,
}

/// Refuses a machine that cannot do what section `[compute]` requires.
pub(crate) async fn isolation(settings: &service::Settings) -> Result<()> {
    let wanted: ComputeSection = settings.section("compute").map_err(|e| anyhow!(e))?;
    if wanted.require_isolation {
        compute::sandbox::require().await.map_err(|lacks| anyhow!("[compute] require_isolation: {lacks}"))?;
    }
    Ok(())
}

/// Where work runs.
#[derive(Clone)]
pub(crate) struct Where {
    /// On this machine, too.
    pub(crate) here: bool,
    pub(crate) nodes: compute::nodes::Nodes,
}

/// Makes every service and registers its operations and task runners.
pub(crate) async fn wire(platform: &Platform, root: RootKeys, runs: Where) -> Result<Wired> {
    let text = |e: String| anyhow!(e);
    let mut settings = compute::Settings::new(platform.data.join("scratch"));
    settings.env = vec![("AWS_ENDPOINT_URL".to_owned(), platform.endpoint.clone())];
    settings.works_here = runs.here;
    settings.nodes = runs.nodes;
    isolation(&platform.settings).await?;
    let compute = compute::Compute::new(settings)?;
    let identity = identity::register(platform, root);
    let s3 = s3_service::register(platform)?;
    let (sweeping, now) = (s3.clone(), platform.router.now().as_millisecond());
    tokio::spawn(async move {
        let swept = sweeping.sweep(now).await;
        store::metrics::swept("objects", swept.is_ok().then_some(now));
        match swept {
            Ok(0) => {}
            Ok(n) => tracing::info!(blobs = n, "removed what an earlier run had left unnamed"),
            Err(e) => tracing::warn!(error = %e, "object bytes could not be swept"),
        }
    });
    dynamodb::register(platform);
    kms::register(platform).map_err(text)?;
    let lineage = lineage::register(platform);
    secrets::register(platform);
    registry::register(platform);
    let trails = cloudtrail::register(platform).map_err(text)?;
    let cloudformation = cloudformation::register(platform, Some(compute.envs.clone()));
    events::register(platform).map_err(text)?;
    let links = messaging::register(platform).map_err(text)?;
    states::register(platform).map_err(text)?;
    let telemetry = telemetry::register(platform);
    telemetry.start().await?;
    trails.start().await?;
    cloudformation.start().await?;
    let lambda = lambda::register(platform, &compute).map_err(text)?;
    jobs::event::register(&platform.control, &platform.router);
    let glue = glue::register(platform, &compute).map_err(text)?;
    tokio::spawn(Arc::clone(&glue).forget_history());
    athena::register(platform, &compute).map_err(text)?;
    let sagemaker = sagemaker::register(platform, &compute);
    tokio::spawn(identity.clone().sweep_sessions());
    let stores = [&platform.control, &platform.s3, &platform.dynamodb].map(|queue| queue.store().clone());
    tokio::spawn(store::sweep::run(stores.to_vec()));
    tokio::spawn(jobs::sweep::run(platform.router.clone(), platform.control.store().clone()));
    let door = s3_service::Door::new(s3.clone(), &platform.account, &platform.region);
    Ok(Wired {
        cloudformation,
        links,
        glue,
        s3: door,
        objects: s3,
        lambda,
        telemetry,
        lineage,
        sagemaker,
        budget: compute.budget,
    })
}

/// `lakerun operations`: every operation that exists, for COMPATIBILITY.md.
pub(crate) fn print_operations() -> Result<()> {
    use std::io::Write as _;
    let dir = std::env::temp_dir().join(format!("lakerun-operations-{}", std::process::id()));
    let queue = || store::Queue::new(store::Store::memory());
    let platform = Platform {
        router: service::Router::new(),
        control: queue(),
        s3: queue(),
        dynamodb: queue(),
        data: dir.clone(),
        objects: None,
        endpoint: "http://127.0.0.1:1".to_owned(),
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        settings: service::Settings::default(),
    };
    std::fs::create_dir_all(&dir)?;
    let root = RootKeys { access_key: "x".to_owned(), secret_key: "x".to_owned() };
    let alone = Where { here: true, nodes: compute::nodes::Nodes::default() };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(wire(&platform, root, alone))?;
    std::fs::remove_dir_all(&dir)?;
    let mut out = std::io::stdout().lock();
    for spec in platform.router.operations() {
        writeln!(out, "{} {}", spec.service.name, spec.name)?;
    }
    Ok(())
}
