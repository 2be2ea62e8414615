//! What Lambda's event source mappings and EventBridge's pipes have in common: batches of a source, which are held, cut and tried again.
//!
//! Map: [`hidden`] messages of a queue that stay hidden while their batch waits · [`retries`] what becomes of a batch that failed · [`cut`]
//! batches that are larger than an invocation may be. Not here: how sources are read, and what is called.

pub mod cut;
pub mod hidden;
pub mod retries;
