//! Regular expressions: matched in linear time, compiled within a bound of size.

/// The largest compiled pattern, in bytes.
const MAX_COMPILED_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) source: String,
    /// Nothing when the pattern needs what is not supported, such as looking around.
    pub(super) regex: Option<regex::Regex>,
}

impl Pattern {
    pub(super) fn new(source: String, flags: &str) -> Self {
        let regex = regex::RegexBuilder::new(&source)
            .case_insensitive(flags.contains('i'))
            .multi_line(flags.contains('m'))
            .size_limit(MAX_COMPILED_BYTES)
            .nest_limit(100)
            .build()
            .ok();
        Self { source, regex }
    }
}
