//! Scalars of generated shapes that Rust has no serde form for: binary data and points in time.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Number;

/// Binary data: base64 text in JSON, raw bytes in Rust. Cheap to clone.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Blob(pub Bytes);

impl Blob {
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
    pub(crate) fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
    }
    pub(crate) fn from_base64(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok().map(Self::from)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl From<Vec<u8>> for Blob {
    fn from(v: Vec<u8>) -> Self {
        Self(v.into())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.to_base64())
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::from_base64(&text).ok_or_else(|| de::Error::custom("invalid base64"))
    }
}

/// A point in time. JSON form: seconds since 1970 as a number with milliseconds, as awsJson has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub jiff::Timestamp);

impl Default for Timestamp {
    fn default() -> Self {
        Self(jiff::Timestamp::UNIX_EPOCH)
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(t: jiff::Timestamp) -> Self {
        Self(t)
    }
}

impl Timestamp {
    /// From milliseconds since 1970; out-of-range values are clamped to the epoch.
    pub fn from_millis(ms: i64) -> Self {
        Self(jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
    }
    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }
    /// `2017-01-01T00:00:00.000Z`, as Step Functions, query and XML protocols write times.
    pub fn to_iso(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
    }
    /// Accepts ISO 8601 with any offset.
    pub fn parse_iso(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(Self)
    }
    /// Seconds since 1970, a whole number where they are whole.
    pub(crate) fn to_number(self) -> Number {
        let ms = self.as_millis();
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double exactly")]
        let fraction = (ms % 1000 != 0).then(|| Number::from_f64(ms as f64 / 1000.0)).flatten();
        fraction.unwrap_or_else(|| (ms / 1000).into())
    }
    fn from_seconds(s: f64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the check that jiff makes")]
        let ms = (s * 1000.0).round() as i64;
        jiff::Timestamp::from_millisecond(ms).ok().map(Self)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.to_number().serialize(s)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl de::Visitor<'_> for V {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time: seconds since 1970, or ISO 8601")
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Timestamp, E> {
                jiff::Timestamp::from_second(v).map(Timestamp).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Timestamp, E> {
                self.visit_i64(i64::try_from(v).map_err(E::custom)?)
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Timestamp, E> {
                Timestamp::from_seconds(v).ok_or_else(|| E::custom("time out of range"))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Timestamp, E> {
                Timestamp::parse_iso(v)
                    .or_else(|| v.parse().ok().and_then(Timestamp::from_seconds))
                    .ok_or_else(|| E::custom("invalid time"))
            }
        }
        d.deserialize_any(V)
    }
}

/// Input or output without members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Empty {}
