//! Which reader a table needs, from its SerDe and input format.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::Table;
use crate::error::{Error, Result};

#[derive(Debug, Clone)]
pub(crate) enum Format {
    Parquet,
    Text(Arc<TextSerde>),
}

/// How a line becomes columns, and how many lines at a file's head are none.
#[derive(Debug)]
pub(crate) struct TextSerde {
    pub(crate) skip_lines: usize,
    pub(crate) kind: SerdeKind,
}

#[derive(Debug)]
pub(crate) enum SerdeKind {
    LazySimple { delimiter: char, escape: Option<char>, null: String },
    OpenCsv { separator: char, quote: char, escape: char },
    Json { ignore_malformed: bool, mapping: BTreeMap<String, String> },
    Regex(Box<regex::Regex>),
}

impl Format {
    pub(crate) fn of(table: &Table) -> Result<Self> {
        let storage = table.storage_descriptor.as_ref();
        let serde = storage.and_then(|storage| storage.serde_info.as_ref());
        let library = serde.and_then(|serde| serde.serialization_library.as_deref()).unwrap_or_default();
        let input = storage.and_then(|storage| storage.input_format.as_deref()).unwrap_or_default();
        let parameter = |key: &str| {
            serde
                .and_then(|serde| serde.parameters.get(key))
                .or_else(|| storage.and_then(|storage| storage.parameters.get(key)))
                .or_else(|| table.parameters.get(key))
                .map(String::as_str)
        };
        if table.parameters.get("table_type").is_some_and(|ty| ty.eq_ignore_ascii_case("iceberg")) {
            return Err(Error::not_supported("Iceberg tables"));
        }
        let library = library.rsplit('.').next().unwrap_or_default();
        let undeclared = library.is_empty() && input.is_empty();
        if library == "ParquetHiveSerDe"
            || input.contains("MapredParquetInputFormat")
            || (undeclared && parameter("classification") == Some("parquet"))
        {
            return Ok(Self::Parquet);
        }
        let kind = match library {
            "LazySimpleSerDe" | "MultiDelimitSerDe" | "" => lazy(parameter),
            "OpenCSVSerde" => SerdeKind::OpenCsv {
                separator: character(parameter("separatorChar"), ','),
                quote: character(parameter("quoteChar"), '"'),
                escape: character(parameter("escapeChar"), '\\'),
            },
            "JsonSerDe" | "JsonSerde" => SerdeKind::Json {
                ignore_malformed: parameter("ignore.malformed.json").is_some_and(|v| v.eq_ignore_ascii_case("true")),
                mapping: serde
                    .into_iter()
                    .flat_map(|serde| &serde.parameters)
                    .filter_map(|(key, value)| {
                        Some((key.strip_prefix("mapping.")?.to_lowercase(), value.to_lowercase()))
                    })
                    .collect(),
            },
            "RegexSerDe" => {
                let pattern = parameter("input.regex").unwrap_or_default();
                let regex = regex::Regex::new(&format!("^(?:{pattern})$"))
                    .map_err(|e| Error::user(1004, "HIVE_INVALID_METADATA", format_args!("input.regex: {e}")))?;
                SerdeKind::Regex(Box::new(regex))
            }
            other => return Err(Error::not_supported(format_args!("SerDe {other}"))),
        };
        let skip_lines = parameter("skip.header.line.count").and_then(|n| n.trim().parse().ok()).unwrap_or(0);
        Ok(Self::Text(Arc::new(TextSerde { skip_lines, kind })))
    }
}

fn lazy<'a>(parameter: impl Fn(&str) -> Option<&'a str>) -> SerdeKind {
    SerdeKind::LazySimple {
        delimiter: character(parameter("field.delim").or_else(|| parameter("serialization.format")), '\u{1}'),
        escape: parameter("escape.delim").and_then(|text| text.chars().next()),
        null: parameter("serialization.null.format").unwrap_or("\\N").to_owned(),
    }
}

/// One character, or its number as Hive allows, or an escape such as `\t`.
fn character(text: Option<&str>, default: char) -> char {
    let Some(text) = text else { return default };
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (None, _) => default,
        (Some(only), None) => match only.to_digit(10) {
            Some(code) => char::from_u32(code).unwrap_or(only),
            None => only,
        },
        (Some('\\'), Some(second)) if !second.is_ascii_digit() => match second {
            't' => '\t',
            'n' => '\n',
            'u' => u32::from_str_radix(text.get(2..).unwrap_or_default(), 16)
                .ok()
                .and_then(char::from_u32)
                .unwrap_or(default),
            other => other,
        },
        (Some(first), Some(_)) => {
            let octal = text.strip_prefix('\\').and_then(|digits| u32::from_str_radix(digits, 8).ok());
            octal.or_else(|| text.parse().ok()).and_then(char::from_u32).unwrap_or(first)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_in_all_their_spellings() {
        for (text, expected) in [
            (",", ','),
            ("\t", '\t'),
            ("\\t", '\t'),
            ("\\001", '\u{1}'),
            ("\u{1}", '\u{1}'),
            ("1", '\u{1}'),
            ("\\u0001", '\u{1}'),
            ("", '|'),
            ("9", '\t'),
        ] {
            assert_eq!(character(Some(text), '|'), expected, "{text:?}");
        }
    }
}
