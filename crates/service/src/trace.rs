//! Traces: of which one a call is part, how that is told to what is called, and the port to which finished spans go. Where nobody
//! exports them no call is part of any, and nothing of this costs anything.
//!
//! Sources: W3C Trace Context, "traceparent Header"; AWS X-Ray Developer Guide, "Tracing header"; the OpenTelemetry specification's
//! mapping of X-Ray's ids.

use std::fmt;

/// A span, by its trace's id and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    pub trace: u128,
    /// 0: of a trace that nothing has begun yet.
    pub span: u64,
}

impl TraceContext {
    /// As `traceparent` has it, and as it is kept.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_known = version.len() == 2 && version != "ff" && flags.len() == 2;
        if !is_known || trace.len() != 32 || span.len() != 16 || (version == "00" && parts.next().is_some()) {
            return None;
        }
        Some(Self { trace: number(trace)?, span: u64::try_from(number(span)?).ok()? }).filter(|found| found.trace != 0)
    }

    /// As X-Ray's header has it: `Root=1-67891233-abcdef012345678912345678;Parent=463ac35c9f6413ad;Sampled=1`.
    pub fn parse_x_ray(text: &str) -> Option<Self> {
        let field = |name: &str| {
            text.split(';').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('=')).map(str::trim)
        };
        let root: Vec<&str> = field("Root")?.split('-').collect();
        let ["1", seconds, rest] = root[..] else { return None };
        if seconds.len() != 8 || rest.len() != 24 {
            return None;
        }
        let trace = number(&[seconds, rest].concat()).filter(|trace| *trace != 0)?;
        let span = field("Parent").filter(|parent| parent.len() == 16).and_then(number);
        Some(Self { trace, span: span.and_then(|span| u64::try_from(span).ok()).unwrap_or_default() })
    }

    /// The same in the form of X-Ray, which functions are given.
    pub fn x_ray(self) -> String {
        let trace = format!("{:032x}", self.trace);
        let (seconds, rest) = trace.split_at(8);
        format!("Root=1-{seconds}-{rest};Parent={:016x};Sampled=1", self.span)
    }
}

/// `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`: it is recorded.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-01", self.trace, self.span)
    }
}

/// Lower-case digits alone, as both texts have them.
fn number(digits: &str) -> Option<u128> {
    let is_hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex { u128::from_str_radix(digits, 16).ok() } else { None }
}

/// Something that took time, over.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub at: TraceContext,
    /// 0: none.
    pub parent: u64,
    pub name: String,
    /// It waited for something outside.
    pub calls: bool,
    pub started_ms: i64,
    pub ended_ms: i64,
    pub attributes: Vec<(&'static str, Attribute)>,
    /// The name of the error that it ended with.
    pub error: Option<String>,
    /// What happened meanwhile, and when.
    pub events: Vec<(i64, &'static str)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    Text(String),
    Number(i64),
    Flag(bool),
}

/// Takes finished spans: at once, in memory. Where there is no room for them they are counted, and gone.
pub trait Tracer: Send + Sync {
    /// Is there any use in making spans at the moment?
    fn has_room(&self) -> bool;
    fn export(&self, spans: Vec<Span>);
    /// An execution's spans were not made.
    fn missed(&self);
}

#[cfg(test)]
mod tests {
    use super::TraceContext;

    #[test]
    fn both_forms_are_read_as_they_are_written() {
        let (w3c, x_ray) = (
            "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        );
        let found = TraceContext::parse(w3c).unwrap();
        assert_eq!(TraceContext::parse_x_ray(x_ray), Some(found));
        assert_eq!((found.to_string().as_str(), found.x_ray().as_str()), (w3c, x_ray));
        let root = TraceContext::parse_x_ray("Self=1-a; Root=1-5759e988-bd862e3fe1be46a994272793").unwrap();
        assert_eq!(root, TraceContext { span: 0, ..found });
        // Of a later version more may follow.
        let later = "cc-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01-what";
        assert_eq!(TraceContext::parse(later), Some(found));
    }

    #[test]
    fn what_is_neither_is_nothing() {
        for wrong in [
            "",
            "00",
            "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8",
            "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01-more",
            "ff-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
            "00-5759E988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
            "00-+759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
            "00-00000000000000000000000000000000-53995c3f42cd8ad8-01",
        ] {
            assert_eq!(TraceContext::parse(wrong), None, "{wrong}");
        }
        for wrong in ["", "Root=1-5759e988", "Root=2-5759e988-bd862e3fe1be46a994272793", "Parent=53995c3f42cd8ad8"] {
            assert_eq!(TraceContext::parse_x_ray(wrong), None, "{wrong}");
        }
    }
}
