//! Column types as Hive writes them, and how two sightings of one column become one type.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HiveType {
    /// Only nulls and blanks were seen: any other type wins, and alone it is written as string.
    Unknown,
    Boolean,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Float,
    Double,
    Decimal(u8, i8),
    Date,
    Timestamp,
    String,
    Binary,
    Array(Box<HiveType>),
    Map(Box<HiveType>, Box<HiveType>),
    Struct(Vec<(String, HiveType)>),
}

impl HiveType {
    /// The narrowest type that holds both; what fits nowhere else is a string.
    pub(super) fn merge(self, other: Self) -> Self {
        use HiveType::{Array, Decimal, Double, Map, String, Struct, Unknown};
        match (self, other) {
            (a, b) if a == b => a,
            (Unknown, t) | (t, Unknown) => t,
            (Array(a), Array(b)) => Array(Box::new(a.merge(*b))),
            (Map(ka, va), Map(kb, vb)) => Map(Box::new(ka.merge(*kb)), Box::new(va.merge(*vb))),
            (Struct(a), Struct(b)) => Struct(merge_fields(a, b)),
            (Decimal(pa, sa), Decimal(pb, sb)) => merge_decimals((pa, sa), (pb, sb)),
            (a, b) => match (a.rank(), b.rank()) {
                (Some(x), Some(y)) if x >= y => a.beside(x, y),
                (Some(x), Some(y)) => b.beside(y, x),
                _ if a.is_number() && b.is_number() => Double,
                _ => String,
            },
        }
    }

    pub(super) fn is_number(&self) -> bool {
        self.rank().is_some() || matches!(self, Self::Decimal(..))
    }

    /// Whether a value of one type could sit in a column of the other without both becoming text.
    pub(super) fn fits(&self, other: &Self) -> bool {
        self == other
            || matches!(self, Self::Unknown)
            || matches!(other, Self::Unknown)
            || (self.is_number() && other.is_number())
    }

    fn rank(&self) -> Option<u8> {
        Some(match self {
            Self::TinyInt => 1,
            Self::SmallInt => 2,
            Self::Int => 3,
            Self::BigInt => 4,
            Self::Float => 5,
            Self::Double => 6,
            _ => return None,
        })
    }

    /// `self` is the wider number; a float beside an integer of 32 bits or more needs a double.
    fn beside(self, wide: u8, narrow: u8) -> Self {
        if wide == 5 && narrow >= 3 { Self::Double } else { self }
    }
}

fn merge_fields(mut a: Vec<(String, HiveType)>, b: Vec<(String, HiveType)>) -> Vec<(String, HiveType)> {
    for (name, ty) in b {
        match a.iter_mut().find(|(n, _)| *n == name) {
            Some((_, seen)) => *seen = std::mem::replace(seen, HiveType::Unknown).merge(ty),
            None => a.push((name, ty)),
        }
    }
    a
}

fn merge_decimals(a: (u8, i8), b: (u8, i8)) -> HiveType {
    let scale = a.1.max(b.1);
    let whole = (i16::from(a.0) - i16::from(a.1)).max(i16::from(b.0) - i16::from(b.1));
    let precision = (whole + i16::from(scale)).clamp(1, 38);
    HiveType::Decimal(u8::try_from(precision).unwrap_or(38), scale)
}

impl fmt::Display for HiveType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown | Self::String => f.write_str("string"),
            Self::Boolean => f.write_str("boolean"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Int => f.write_str("int"),
            Self::BigInt => f.write_str("bigint"),
            Self::Float => f.write_str("float"),
            Self::Double => f.write_str("double"),
            Self::Decimal(p, s) => write!(f, "decimal({p},{s})"),
            Self::Date => f.write_str("date"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Binary => f.write_str("binary"),
            Self::Array(of) => write!(f, "array<{of}>"),
            Self::Map(k, v) => write!(f, "map<{k},{v}>"),
            Self::Struct(fields) if fields.is_empty() => f.write_str("string"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (i, (name, ty)) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{ty}", name.to_lowercase())?;
                }
                f.write_str(">")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HiveType::{
        Array, BigInt, Boolean, Date, Decimal, Double, Float, Int, SmallInt, String as Text, Struct, Unknown,
    };

    #[test]
    fn merges_to_the_narrowest_common_type() {
        for (a, b, want) in [
            (Int, BigInt, BigInt),
            (Int, Double, Double),
            (SmallInt, Float, Float),
            (Int, Float, Double),
            (Unknown, Int, Int),
            (Boolean, Int, Text),
            (Date, Text, Text),
            (Decimal(5, 2), Decimal(4, 3), Decimal(6, 3)),
            (Decimal(5, 2), Int, Double),
            (Array(Box::new(Unknown)), Array(Box::new(Int)), Array(Box::new(Int))),
            (Array(Box::new(Int)), Int, Text),
        ] {
            assert_eq!(a.clone().merge(b.clone()), want, "{a:?} + {b:?}");
            assert_eq!(b.clone().merge(a.clone()), want, "{b:?} + {a:?}");
        }
    }

    #[test]
    fn writes_nested_types_as_hive_does() {
        let ty = Struct(vec![("A".into(), Array(Box::new(Struct(vec![("b".into(), BigInt)])))), ("c".into(), Unknown)]);
        assert_eq!(ty.to_string(), "struct<a:array<struct<b:bigint>>,c:string>");
    }
}
