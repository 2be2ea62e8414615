//! `lakerun worker KIND`: the child's side of heavy, user-driven work. Each kind is a function of a library crate.

use anyhow::{Result, bail};
use compute::worker::serve;

/// SQL planners recurse: a condition of a hundred terms is a hundred deep, as dbt asks for the partitions of a table by. What a stack does
/// not use costs nothing but room in the limit of data.
const STACK: usize = 8 << 20;
const PLANNING: usize = 256 << 20;

pub(crate) fn run(kind: &str) -> Result<()> {
    let kind = kind.to_owned();
    let thread = std::thread::Builder::new().name("worker".to_owned()).stack_size(PLANNING);
    match thread.spawn(move || serve_kind(&kind))?.join() {
        Ok(ended) => ended,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn serve_kind(kind: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK).enable_all().build()?;
    runtime.block_on(async {
        match kind {
            "crawl" => serve(glue::worker::handle).await?,
            "onnx" => serve(sagemaker::worker::onnx).await?,
            #[cfg(feature = "sql")]
            "query" => {
                serve(|request| {
                    Box::pin(async move {
                        let reply = query::worker::run(request).await;
                        serde_json::to_value(reply)
                            .map_err(|e| compute::worker::Failure::new("InternalFailure", e.to_string()))
                    })
                })
                .await?;
            }
            _ => bail!("unknown kind of worker: {kind}"),
        }
        Ok(())
    })
}
