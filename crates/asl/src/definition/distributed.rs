//! What a Map in distributed mode has beyond one that is inline.

use super::Amount;
use crate::settings::{ReaderConfig, ReaderSource, WriterTransformation};
use crate::template::Template;

#[derive(Debug)]
pub(crate) struct Distributed {
    /// Part of the ARNs of its runs and children.
    pub(crate) label: String,
    pub(crate) express: bool,
    /// The text of the definition that its children run.
    pub(crate) processor: String,
    pub(crate) reader: Option<ItemReader>,
    pub(crate) batcher: Option<ItemBatcher>,
    pub(crate) writer: Option<ResultWriter>,
}

#[derive(Debug)]
pub(crate) struct ItemReader {
    pub(crate) source: ReaderSource,
    pub(crate) parameters: Option<Template>,
    pub(crate) config: ReaderConfig,
    pub(crate) max_items: Option<Amount>,
}

#[derive(Debug)]
pub(crate) struct ItemBatcher {
    pub(crate) max_items: Option<Amount>,
    pub(crate) max_bytes: Option<Amount>,
    pub(crate) input: Option<Template>,
}

#[derive(Debug)]
pub(crate) struct ResultWriter {
    pub(crate) parameters: Option<Template>,
    pub(crate) transformation: Option<WriterTransformation>,
    /// `OutputType` JSONL.
    pub(crate) lines: bool,
}
