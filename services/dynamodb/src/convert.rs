//! Between the wire's attribute values and ours; what DynamoDB refuses in a value is refused here.

use std::collections::{BTreeMap, BTreeSet};

use api_dynamodb::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wire::Blob;

use crate::Invalid;
use crate::number::Number;
use crate::value::{Item, Value};

/// Deepest nesting that is read at all; what a table takes is checked on writing.
const MAX_DEPTH: usize = 64;

pub(crate) type Attributes = BTreeMap<String, AttributeValue>;

pub(crate) fn item(attributes: Attributes) -> Result<Item, Invalid> {
    items_at(attributes, MAX_DEPTH)
}

pub(crate) fn optional_item(attributes: Option<Attributes>) -> Result<Option<Item>, Invalid> {
    attributes.map(item).transpose()
}

/// One value.
pub(crate) fn attribute_value(attribute: AttributeValue) -> Result<Value, Invalid> {
    value(attribute, MAX_DEPTH)
}

pub(crate) fn attributes(item: Item) -> Attributes {
    item.into_iter().map(|(name, value)| (name, attribute(value))).collect()
}

/// The same in the shapes of the streams' model.
pub(crate) fn stream_attributes(item: Item) -> BTreeMap<String, api_dynamodbstreams::AttributeValue> {
    item.into_iter().map(|(name, value)| (name, stream_attribute(value))).collect()
}

fn items_at(attributes: Attributes, depth: usize) -> Result<Item, Invalid> {
    attributes.into_iter().map(|(name, attribute)| Ok((name, value(attribute, depth)?))).collect()
}

fn value(attribute: AttributeValue, depth: usize) -> Result<Value, Invalid> {
    if depth == 0 {
        return Err(Invalid::new("Nesting Levels have exceeded supported limits"));
    }
    let AttributeValue { s, n, b, ss, ns, bs, m, l, null, bool } = attribute;
    let mut found = Vec::new();
    found.extend(s.map(Value::S));
    if let Some(number) = n {
        found.push(Value::N(number.parse()?));
    }
    found.extend(b.map(|bytes| Value::B(bytes.0.to_vec())));
    if let Some(list) = ss {
        found.push(Value::Ss(set(list, String::clone, Ok).map_err(|wrong| wrong.invalid("string"))?));
    }
    if let Some(list) = ns {
        found.push(Value::Ns(
            set(list, String::clone, |text| text.parse::<Number>()).map_err(|wrong| wrong.invalid("number"))?,
        ));
    }
    if let Some(list) = bs {
        let told = |bytes: &Blob| STANDARD.encode(&bytes.0);
        let bytes = |bytes: Blob| Ok(bytes.0.to_vec());
        found.push(Value::Bs(set(list, told, bytes).map_err(|wrong| wrong.invalid("binary"))?));
    }
    if let Some(map) = m {
        found.push(Value::M(items_at(map, depth - 1)?));
    }
    if let Some(list) = l {
        found.push(Value::L(list.into_iter().map(|entry| value(entry, depth - 1)).collect::<Result<_, _>>()?));
    }
    match null {
        Some(true) => found.push(Value::Null),
        Some(false) => {
            return Err(Invalid::new(
                "One or more parameter values were invalid: Null attribute value types must have the value of true",
            ));
        }
        None => {}
    }
    found.extend(bool.map(Value::Bool));
    let only = found.pop().ok_or_else(|| {
        Invalid::new("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
    })?;
    if !found.is_empty() {
        return Err(Invalid::new(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported \
             datatypes",
        ));
    }
    Ok(only)
}

/// What is wrong with a set.
enum WrongSet {
    Empty,
    /// Its elements as they came.
    Duplicates(Vec<String>),
    Element(Invalid),
}

impl WrongSet {
    /// As DynamoDB words it, which is not alike for the three kinds.
    fn invalid(self, kind: &str) -> Invalid {
        let what = match (self, kind) {
            (Self::Element(invalid), _) => return invalid,
            (Self::Empty, "binary") => "Binary sets should not be empty".to_owned(),
            (Self::Empty, kind) => format!("An {kind} set  may not be empty"),
            (Self::Duplicates(_), "number") => "Input collection contains duplicates.".to_owned(),
            (Self::Duplicates(all), kind) => {
                let of = if kind == "binary" { "of type BS" } else { "" };
                format!("Input collection [{}]{of} contains duplicates.", all.join(", "))
            }
        };
        Invalid::new(format!("One or more parameter values were invalid: {what}"))
    }
}

fn set<T, V: Ord>(
    list: Vec<T>,
    told: impl Fn(&T) -> String,
    mut convert: impl FnMut(T) -> Result<V, Invalid>,
) -> Result<BTreeSet<V>, WrongSet> {
    if list.is_empty() {
        return Err(WrongSet::Empty);
    }
    let mut set = BTreeSet::new();
    let mut seen = Vec::with_capacity(list.len());
    let mut twice = false;
    for element in list {
        seen.push(told(&element));
        twice |= !set.insert(convert(element).map_err(WrongSet::Element)?);
    }
    if twice { Err(WrongSet::Duplicates(seen)) } else { Ok(set) }
}

/// The two models have a shape each for the same thing.
macro_rules! shape_of_value {
    ($name:ident, $map:ident, $shape:ty) => {
        pub(crate) fn $name(value: Value) -> $shape {
            let mut attribute = <$shape>::default();
            match value {
                Value::S(text) => attribute.s = Some(text),
                Value::N(number) => attribute.n = Some(number.to_string()),
                Value::B(bytes) => attribute.b = Some(Blob::from(bytes)),
                Value::Bool(yes) => attribute.bool = Some(yes),
                Value::Null => attribute.null = Some(true),
                Value::M(map) => attribute.m = Some($map(map)),
                Value::L(list) => attribute.l = Some(list.into_iter().map($name).collect()),
                Value::Ss(set) => attribute.ss = Some(set.into_iter().collect()),
                Value::Ns(set) => attribute.ns = Some(set.into_iter().map(|number| number.to_string()).collect()),
                Value::Bs(set) => attribute.bs = Some(set.into_iter().map(Blob::from).collect()),
            }
            attribute
        }
    };
}

shape_of_value!(attribute, attributes, AttributeValue);
shape_of_value!(stream_attribute, stream_attributes, api_dynamodbstreams::AttributeValue);
