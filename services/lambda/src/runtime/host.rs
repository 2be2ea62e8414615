//! The node's side of an environment on another node: it is made of what the owner tells, and ends with the owner's connection.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use compute::Compute;
use compute::budget::Class;
use compute::nodes::link::{Link, Sender};
use compute::nodes::offer::Does;
use serde_json::Value;
use service::Settings;
use tokio::sync::mpsc;

use super::environment::{Environment, Start};
use super::output::Log;
use super::remote::{Ask, ENVIRONMENT, Opening, Reply, Said};
use super::{Blueprint, Invocation, Templates};
use crate::code::Archive;
use crate::config::Config;
use crate::prepare::{Preparer, Ready};
use crate::streaming::Piece;

/// Messages on their way to the owner.
const MESSAGES: usize = 64;
/// The longest an archive may be.
const MAX_CODE: usize = 300 << 20;

/// What environments are made with that run here for another node.
pub struct Host {
    preparer: Preparer,
    archive: Archive,
    templates: Templates,
    compute: Compute,
    config: Config,
    scratch: PathBuf,
}

impl Host {
    /// `folder`: for code and scratch files. The name of the work and who does it.
    ///
    /// # Errors
    /// A text that says which setting of `[lambda]` is wrong, or what is wrong with its folder.
    pub fn offer(
        settings: &Settings,
        folder: &std::path::Path,
        compute: &Compute,
    ) -> Result<(&'static str, Arc<dyn Does>), String> {
        let config: Config = settings.section("lambda")?;
        let scratch = folder.join("scratch");
        compute::sandbox::empty_folder(&scratch).map_err(|error| error.to_string())?;
        let archive = Archive::new(folder.join("code"), None);
        let preparer = Preparer::new(archive.clone(), compute.envs.clone(), folder.join("runtime"))?;
        let idle = Duration::from_secs(config.template_seconds);
        let templates = Templates::new(compute.budget.clone(), idle, config.read_paths.clone());
        let host = Self { preparer, archive, templates, compute: compute.clone(), config, scratch };
        Ok((ENVIRONMENT, Arc::new(host)))
    }

    /// Code that is there, fetched from the owner where it was not.
    async fn ready(&self, blueprint: &Blueprint, link: &mut Link) -> io::Result<Result<Ready, String>> {
        let (code, layers) = &blueprint.archives;
        for name in layers.iter().chain([code]) {
            if self.archive.file(name).exists() {
                continue;
            }
            link.send(&Said::Need { name: name.clone() }).await?;
            let mut bytes = Vec::new();
            loop {
                match link.recv().await? {
                    Ask::Code { last: true, .. } => break,
                    Ask::Code { bytes: piece, .. } => {
                        bytes.extend(STANDARD.decode(piece).map_err(io::Error::other)?);
                        if bytes.len() > MAX_CODE {
                            return Err(io::Error::other("an archive without end"));
                        }
                    }
                    Ask::NoCode { why } => return Ok(Err(format!("fetching the code: {why}"))),
                    _ => return Err(io::Error::other("something else than the code")),
                }
            }
            let archive = self.archive.clone();
            let kept = tokio::task::spawn_blocking(move || archive.keep(&bytes)).await.map_err(io::Error::other)?;
            match kept {
                Ok(kept) if kept.name == *name => {}
                Ok(_) => return Ok(Err("the code came damaged".to_owned())),
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        Ok(self.preparer.ready(code, layers, &blueprint.runtime).await)
    }

    async fn start(&self, opening: Opening, link: &mut Link, log: Log) -> io::Result<Result<Environment, String>> {
        let Opening { mut blueprint, keys, token, stream } = opening;
        let ready = match self.ready(&blueprint, link).await? {
            Ok(ready) => ready,
            Err(why) => return Ok(Err(why)),
        };
        blueprint.kind = ready.kind;
        blueprint.note.clone_from(&ready.note);
        blueprint.code = ready.code;
        blueprint.layers = ready.layers;
        blueprint.scratch.clone_from(&self.scratch);
        blueprint.read.clone_from(&self.config.read_paths);
        let permit = self.compute.budget.acquire(Class::User, blueprint.budget_mb()).await;
        let start = Start { keys: &keys, token, stream: &stream, log };
        let environment = Environment::start(&blueprint, start, permit, &self.templates).await;
        Ok(environment.map_err(|error| error.to_string()))
    }
}

#[async_trait]
impl Does for Host {
    async fn work(&self, what: Value, mut link: Link) -> io::Result<()> {
        let opening: Opening = serde_json::from_value(what)?;
        let (say, mut lines) = mpsc::channel(MESSAGES);
        let environment = match self.start(opening, &mut link, Log::Far(say)).await? {
            Ok(environment) => environment,
            Err(why) => return link.send(&Said::Failed { why }).await,
        };
        link.send(&Said::Started).await?;
        let Link { mut receiver, mut sender } = link;
        let (messages, mut outgoing) = mpsc::channel(MESSAGES);
        let (asks, asked) = mpsc::channel(MESSAGES);
        tokio::select! {
            done = drive(environment, asked, messages) => done,
            done = async {
                loop {
                    asks.send(receiver.recv::<Ask>().await?).await.map_err(io::Error::other)?;
                }
            } => done,
            done = tell(&mut sender, &mut lines, &mut outgoing) => done,
        }
    }
}

/// What goes to the owner: an answer comes after the lines that were said before it.
async fn tell(
    sender: &mut Sender,
    lines: &mut mpsc::Receiver<String>,
    outgoing: &mut mpsc::Receiver<Said>,
) -> io::Result<()> {
    loop {
        let said = tokio::select! {
            biased;
            Some(line) = lines.recv() => Said::Log { line },
            Some(said) = outgoing.recv() => said,
            else => return Ok(()),
        };
        sender.send(&said).await?;
    }
}

/// Does what is asked, one after the other.
async fn drive(
    mut environment: Environment,
    mut asked: mpsc::Receiver<Ask>,
    messages: mpsc::Sender<Said>,
) -> io::Result<()> {
    while let Some(ask) = asked.recv().await {
        let reply = match ask {
            Ask::Ready => {
                let end = environment.ready().await.err().map(Into::into);
                Reply::Ready { took: environment.start_took(), end }
            }
            Ask::Say { line, begins: false } => {
                environment.say(line).await;
                Reply::Said
            }
            Ask::Say { line, begins: true } => {
                environment.begin(line).await;
                Reply::Said
            }
            Ask::Tail => Reply::Tail { bytes: STANDARD.encode(environment.tail().await) },
            Ask::Invoke { request_id, function_arn, payload, client_context, trace, keys, streams } => {
                let (sink, mut pieces) = mpsc::channel(MESSAGES);
                let invocation = Invocation {
                    request_id: &request_id,
                    function_arn: &function_arn,
                    payload: STANDARD.decode(payload).map_err(io::Error::other)?.into(),
                    client_context,
                    trace,
                    keys,
                    sink: streams.then_some(sink),
                };
                let end = {
                    let invoke = environment.invoke(invocation);
                    tokio::pin!(invoke);
                    loop {
                        tokio::select! {
                            biased;
                            Some(piece) = pieces.recv() => forward(piece, &messages).await,
                            end = &mut invoke => break end,
                        }
                    }
                };
                while let Ok(piece) = pieces.try_recv() {
                    forward(piece, &messages).await;
                }
                Reply::Ended { end: end.into(), peak_mb: environment.peak_memory_mb() }
            }
            Ask::Code { .. } | Ask::NoCode { .. } => return Err(io::Error::other("code that was not asked for")),
        };
        messages.send(Said::Reply(reply)).await.map_err(io::Error::other)?;
    }
    Ok(())
}

/// A piece of a streamed response.
async fn forward(piece: Piece, messages: &mpsc::Sender<Said>) {
    let said = match piece {
        Piece::Head { content_type } => Said::Head { content_type },
        Piece::Data(bytes) => Said::Data { bytes: STANDARD.encode(bytes) },
        // The owner's own.
        Piece::Began { .. } | Piece::End(_) | Piece::Refused(_) => return,
    };
    // Who has gone does not hear it.
    let _ = messages.send(said).await;
}
