//! Generated shapes to canonical JSON values and back, by reflection: a shape only names its fields, and the code here, compiled
//! once, walks them. Serde's derives would compile the same walk anew for every shape, format and service that uses it (more than
//! half of a service's code, before; see docs/decisions/003). Serde still works on shapes, so that records can hold them: it goes
//! through the canonical value.
//!
//! The rules: keys are the model's member names; what is absent stays at its default, absent options are left out; unknown keys
//! are passed over; binary data is base64, times are seconds (see [`crate::types`]).

use std::collections::BTreeMap;
use std::fmt;

#[doc(hidden)]
pub use serde;
use serde::{Deserialize as _, Deserializer, de};
use serde_json::Map;
#[doc(hidden)]
pub use serde_json::Value;

use crate::types::{Blob, Empty, Timestamp};

/// A value that has a canonical JSON form.
pub trait Reflect {
    /// Takes the value over.
    ///
    /// # Errors
    /// When the JSON is of another type.
    fn set(&mut self, value: Value) -> Result<(), Mismatch>;
    /// Gives its value away and leaves something behind that is not to be used. `None`: absent.
    fn take(&mut self) -> Option<Value>;
}

/// The fields of a generated structure.
pub trait Fields {
    /// Shows every field with its member's name, up to the first error.
    ///
    /// # Errors
    /// That of `visit`.
    fn each(&mut self, visit: &mut Visit<'_>) -> Result<(), Mismatch>;
    /// The canonical form, of a copy.
    fn to_value(&self) -> Value;
}

/// What is shown a field.
pub type Visit<'a> = dyn FnMut(&'static str, &mut dyn Reflect) -> Result<(), Mismatch> + 'a;

/// JSON of another type than the shape has.
#[derive(Debug)]
pub struct Mismatch {
    expected: &'static str,
    found: String,
    /// From the innermost outwards.
    path: Vec<&'static str>,
}

impl Mismatch {
    fn new(expected: &'static str, found: &Value) -> Self {
        let found = match found {
            Value::Null => "null".to_owned(),
            Value::Bool(b) => format!("boolean `{b}`"),
            Value::Number(n) => format!("number `{n}`"),
            Value::String(s) if s.len() <= 64 => format!("string {s:?}"),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "sequence".to_owned(),
            Value::Object(_) => "map".to_owned(),
        };
        Self { expected, found, path: Vec::new() }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, found, path } = self;
        write!(f, "invalid type: {found}, expected {expected}")?;
        if !path.is_empty() {
            f.write_str(" at ")?;
        }
        for (i, name) in path.iter().rev().enumerate() {
            write!(f, "{}{name}", if i == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

impl std::error::Error for Mismatch {}

/// A shape out of its canonical form.
///
/// # Errors
/// When the JSON is of another type.
pub fn from_value<T: Reflect + Default>(value: Value) -> Result<T, Mismatch> {
    let mut shape = T::default();
    shape.set(value)?;
    Ok(shape)
}

/// The canonical form of a shape.
pub fn into_value(mut shape: impl Reflect) -> Value {
    shape.take().unwrap_or(Value::Null)
}

/// [`Reflect::set`] of every generated structure.
///
/// # Errors
/// When the JSON is of another type.
pub fn set_fields(shape: &mut dyn Fields, value: Value) -> Result<(), Mismatch> {
    let Value::Object(mut map) = value else { return Err(Mismatch::new("a structure", &value)) };
    shape.each(&mut |name, field| {
        // Most maps have a few keys: looking along them is faster than hashing.
        let found = if map.len() <= 8 {
            map.iter_mut().find(|(key, _)| *key == name).map(|(_, value)| value)
        } else {
            map.get_mut(name)
        };
        let Some(found) = found else { return Ok(()) };
        field.set(found.take()).map_err(|mut mismatch| {
            mismatch.path.push(name);
            mismatch
        })
    })
}

/// [`Reflect::take`] of every generated structure.
pub fn take_fields(shape: &mut dyn Fields) -> Value {
    let mut map = Map::new();
    let all = shape.each(&mut |name, field| {
        if let Some(value) = field.take() {
            map.insert(name.to_owned(), value);
        }
        Ok(())
    });
    debug_assert!(all.is_ok(), "nothing fails here");
    Value::Object(map)
}

/// `Deserialize` of every generated structure.
///
/// # Errors
/// That of the format, or when its data is of another type.
pub fn deserialize<'de, D: Deserializer<'de>>(shape: &mut dyn Reflect, from: D) -> Result<(), D::Error> {
    shape.set(Value::deserialize(from)?).map_err(de::Error::custom)
}

/// The traits of a generated structure that do not depend on what it is.
#[macro_export]
macro_rules! shape {
    ($shape:ident: $($name:literal $field:ident),* $(,)?) => {
        impl $crate::reflect::Fields for $shape {
            fn each(&mut self, visit: &mut $crate::reflect::Visit<'_>) -> Result<(), $crate::reflect::Mismatch> {
                $( visit($name, &mut self.$field)?; )*
                let _ = visit;
                Ok(())
            }
            fn to_value(&self) -> $crate::reflect::Value {
                $crate::reflect::take_fields(&mut self.clone())
            }
        }
        impl $crate::reflect::Reflect for $shape {
            fn set(&mut self, value: $crate::reflect::Value) -> Result<(), $crate::reflect::Mismatch> {
                $crate::reflect::set_fields(self, value)
            }
            fn take(&mut self) -> Option<$crate::reflect::Value> {
                Some($crate::reflect::take_fields(self))
            }
        }
        impl $crate::reflect::serde::Serialize for $shape {
            fn serialize<S: $crate::reflect::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                $crate::reflect::serde::Serialize::serialize(&$crate::reflect::Fields::to_value(self), to)
            }
        }
        impl<'de> $crate::reflect::serde::Deserialize<'de> for $shape {
            fn deserialize<D: $crate::reflect::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let mut shape = Self::default();
                $crate::reflect::deserialize(&mut shape, from)?;
                Ok(shape)
            }
        }
    };
}

impl Reflect for String {
    fn set(&mut self, value: Value) -> Result<(), Mismatch> {
        let Value::String(text) = value else { return Err(Mismatch::new("a string", &value)) };
        *self = text;
        Ok(())
    }
    fn take(&mut self) -> Option<Value> {
        Some(Value::String(std::mem::take(self)))
    }
}

impl Reflect for bool {
    fn set(&mut self, value: Value) -> Result<(), Mismatch> {
        *self = value.as_bool().ok_or_else(|| Mismatch::new("a boolean", &value))?;
        Ok(())
    }
    fn take(&mut self) -> Option<Value> {
        Some(Value::Bool(*self))
    }
}

impl Reflect for i32 {
    fn set(&mut self, value: Value) -> Result<(), Mismatch> {
        let number = value.as_i64().and_then(|n| Self::try_from(n).ok());
        *self = number.ok_or_else(|| Mismatch::new("an integer of 32 bits", &value))?;
        Ok(())
    }
    fn take(&mut self) -> Option<Value> {
        Some(Value::from(*self))
    }
}

impl Reflect for i64 {
    fn set(&mut self, value: Value) -> Result<(), Mismatch> {
        *self = value.as_i64().ok_or_else(|| Mismatch::new("an integer of 64 bits", &value))?;
        Ok(())
    }
    fn take(&mut self) -> Option<Value> {
        Some(Value::from(*self))
    }
}

impl Reflect for f64 {
    fn set(&mut self, value: Value) -> Result<(), Mismatch> {
        *self = value.as_f64().ok_or_else(|| Mismatch::new("a number", &value))?;
        Ok(())
    }
    fn take(&mut self) -> Option<Value> {
        Some(Value::from(*self))
    }
}

impl Reflect for Blob {
    fn set(&mut self, value: Value) -> Result<(), Mismatch> {
        *self = value.as_str().and_then(Self::from_base64).ok_or_else(|| Mismatch::new("base64", &value))?;
        Ok(())
    }
    fn take(&mut self) -> Option<Value> {
        Some(Value::String(self.to_base64()))
    }
}

impl Reflect for Timestamp {
    fn set(&mut self, value: Value) -> Result<(), Mismatch> {
        let found = Self::deserialize(&value);
        *self = found.map_err(|_| Mismatch::new("a time: seconds since 1970, or ISO 8601", &value))?;
        Ok(())
    }
    fn take(&mut self) -> Option<Value> {
        Some(self.to_number().into())
    }
}

/// Free JSON.
impl Reflect for Value {
    fn set(&mut self, value: Value) -> Result<(), Mismatch> {
        *self = value;
        Ok(())
    }
    fn take(&mut self) -> Option<Value> {
        Some(Self::take(self))
    }
}

impl<T: Reflect + Default> Reflect for Option<T> {
    fn set(&mut self, value: Value) -> Result<(), Mismatch> {
        if value.is_null() {
            *self = None;
            return Ok(());
        }
        self.insert(T::default()).set(value)
    }
    fn take(&mut self) -> Option<Value> {
        self.as_mut()?.take()
    }
}

impl<T: Reflect> Reflect for Box<T> {
    fn set(&mut self, value: Value) -> Result<(), Mismatch> {
        (**self).set(value)
    }
    fn take(&mut self) -> Option<Value> {
        (**self).take()
    }
}

impl<T: Reflect + Default> Reflect for Vec<T> {
    fn set(&mut self, value: Value) -> Result<(), Mismatch> {
        let Value::Array(values) = value else { return Err(Mismatch::new("a list", &value)) };
        self.clear();
        self.reserve_exact(values.len());
        for value in values {
            let mut element = T::default();
            element.set(value)?;
            self.push(element);
        }
        Ok(())
    }
    fn take(&mut self) -> Option<Value> {
        Some(self.iter_mut().map(|element| element.take().unwrap_or(Value::Null)).collect())
    }
}

impl<T: Reflect + Default> Reflect for BTreeMap<String, T> {
    fn set(&mut self, value: Value) -> Result<(), Mismatch> {
        let Value::Object(values) = value else { return Err(Mismatch::new("a map", &value)) };
        self.clear();
        for (key, value) in values {
            let mut element = T::default();
            element.set(value)?;
            self.insert(key, element);
        }
        Ok(())
    }
    fn take(&mut self) -> Option<Value> {
        let all = std::mem::take(self).into_iter();
        Some(Value::Object(all.map(|(key, mut value)| (key, value.take().unwrap_or(Value::Null))).collect()))
    }
}

shape!(Empty:);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Inner {
        name: String,
        when: Option<Timestamp>,
    }
    shape!(Inner: "Name" name, "When" when);

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Outer {
        inner: Option<Box<Inner>>,
        all: Option<Vec<Inner>>,
        tags: Option<BTreeMap<String, String>>,
        count: i32,
        data: Option<Blob>,
        free: Option<Value>,
    }
    shape!(Outer: "Inner" inner, "All" all, "Tags" tags, "Count" count, "Data" data, "Free" free);

    #[test]
    fn goes_there_and_back() {
        let value = json!({
            "Inner": { "Name": "a", "When": 1.5 },
            "All": [{ "Name": "b" }, { "Name": "c", "When": 7 }],
            "Tags": { "k": "v" },
            "Count": 3,
            "Data": "AQI=",
            "Free": { "x": [null, 1.0] },
        });
        let shape: Outer = from_value(value.clone()).unwrap();
        assert_eq!(shape.data, Some(Blob::new(vec![1, 2])));
        assert_eq!(shape.all.as_ref().map(Vec::len), Some(2));
        assert_eq!(shape.to_value(), value);
        assert_eq!(serde_json::from_str::<Outer>(&serde_json::to_string(&shape).unwrap()).unwrap(), shape);
        assert_eq!(into_value(shape), value);
    }

    #[test]
    fn absent_members_are_left_out_and_unknown_ones_passed_over() {
        let shape: Outer = from_value(json!({ "Other": 1, "All": null, "Inner": { "Unknown": true } })).unwrap();
        assert_eq!(shape, Outer { inner: Some(Box::default()), ..Outer::default() });
        assert_eq!(into_value(shape), json!({ "Inner": { "Name": "" }, "Count": 0 }));
        let many: Map<String, Value> = (0..20).map(|i| (format!("k{i}"), json!(i))).collect();
        let shape: Outer = from_value(
            json!({ "Tags": {}, "Count": 2 })
                .as_object()
                .into_iter()
                .flatten()
                .map(|(k, v)| (k.clone(), v.clone()))
                .chain(many)
                .collect(),
        )
        .unwrap();
        assert_eq!(shape.count, 2, "maps of many keys are hashed");
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (value, text) in [
            (json!([]), "invalid type: sequence, expected a structure"),
            (json!({ "Count": "3" }), "invalid type: string \"3\", expected an integer of 32 bits at Count"),
            (
                json!({ "Count": 3_000_000_000_u64 }),
                "invalid type: number `3000000000`, expected an integer of 32 bits at Count",
            ),
            (json!({ "Count": null }), "invalid type: null, expected an integer of 32 bits at Count"),
            (
                json!({ "All": [{ "When": "soon" }] }),
                "invalid type: string \"soon\", expected a time: seconds since 1970, or ISO 8601 at All.When",
            ),
            (json!({ "Tags": { "k": 1 } }), "invalid type: number `1`, expected a string at Tags"),
            (json!({ "Data": "?" }), "invalid type: string \"?\", expected base64 at Data"),
        ] {
            assert_eq!(from_value::<Outer>(value).unwrap_err().to_string(), text);
        }
    }
}
