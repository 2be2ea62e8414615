//! The shape descriptions that generated code carries, so that one generic walker per protocol serves every operation.
//! They are plain statics: shapes refer to each other by reference, recursion included.

/// A shape of the model: what a JSON value of it looks like on every wire.
#[derive(Debug)]
pub enum Shape {
    Structure(Structure),
    List(List),
    Map(Map),
    /// `min`/`max` in characters; `pattern` as in the model (not all are valid for Rust's regex; those are skipped).
    String {
        min: Option<u64>,
        max: Option<u64>,
        pattern: Option<&'static str>,
        values: &'static [&'static str],
        /// What is told of it tells nothing that it holds.
        sensitive: bool,
    },
    Integer {
        min: Option<i64>,
        max: Option<i64>,
    },
    Float,
    Boolean,
    Blob {
        min: Option<u64>,
        max: Option<u64>,
    },
    Timestamp {
        iso: bool,
    },
    /// Free JSON.
    Document,
}

#[derive(Debug)]
pub struct Structure {
    pub name: &'static str,
    pub members: &'static [Member],
    /// The member that is the whole HTTP body (restJson, restXml).
    pub payload: Option<&'static str>,
}

#[derive(Debug)]
pub struct List {
    pub member: &'static Shape,
    /// Name of one element in query and XML ("member" unless the model says otherwise).
    pub element: &'static str,
    pub flattened: bool,
    pub min: Option<u64>,
    pub max: Option<u64>,
}

#[derive(Debug)]
pub struct Map {
    pub key: &'static Shape,
    pub value: &'static Shape,
    pub key_name: &'static str,
    pub value_name: &'static str,
    pub flattened: bool,
    pub max: Option<u64>,
}

#[derive(Debug)]
pub struct Member {
    /// The model's name, which is also the canonical JSON key.
    pub name: &'static str,
    /// The name on the wire, where it differs (locationName).
    pub wire: &'static str,
    pub shape: &'static Shape,
    pub required: bool,
    pub location: Location,
    pub idempotency_token: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    Body,
    Uri,
    Query,
    Header,
    /// All headers with this prefix, as a map.
    Headers,
    StatusCode,
}

impl Structure {
    pub fn member(&self, name: &str) -> Option<&'static Member> {
        self.members.iter().find(|m| m.name == name)
    }
}

impl Shape {
    pub fn as_structure(&self) -> Option<&Structure> {
        match self {
            Self::Structure(s) => Some(s),
            _ => None,
        }
    }

    pub(crate) fn is_sensitive(&self) -> bool {
        matches!(self, Self::String { sensitive: true, .. })
    }
}
