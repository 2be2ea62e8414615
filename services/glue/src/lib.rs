//! Glue: the Data Catalog, crawlers and jobs.
//!
//! `crawl` is the crawler's library and knows nothing of the rest; `jobs` is its own family of operations.

pub mod crawl;
