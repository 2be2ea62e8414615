//! Which reader a table needs, from its SerDe, its input format and their properties.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::csv::OpenCsv;
use super::json::{Dialect, Json};
use super::lazy::{Lazy, PLAIN_LEVELS, SEPARATORS};
use super::pattern::Pattern;
use crate::catalog::{StorageDescriptor, Table};
use crate::error::{Error, Result};

#[derive(Debug, Clone)]
pub(crate) enum Format {
    Parquet {
        /// `parquet.column.index.access`: columns by position instead of by name.
        by_index: bool,
    },
    Orc {
        /// `orc.column.index.access`, which is Athena's default.
        by_index: bool,
    },
    /// `avro.schema.literal`, if the table has one.
    Avro(Option<String>),
    Text(Arc<TextSerde>),
}

/// How a file's text becomes columns.
#[derive(Debug)]
pub(crate) struct TextSerde {
    /// `skip.header.line.count` and `skip.footer.line.count`.
    pub(crate) skip_lines: usize,
    pub(crate) skip_footer: usize,
    /// A file is one JSON document whose `Records` are the rows.
    pub(crate) cloudtrail: bool,
    pub(crate) kind: SerdeKind,
}

pub(crate) enum SerdeKind {
    Lazy(Lazy),
    OpenCsv {
        csv: OpenCsv,
        /// `use.null.for.invalid.data`
        null_for_invalid: bool,
    },
    Json(Json),
    Regex(Box<fancy_regex::Regex>),
    Grok {
        pattern: Box<grok::Pattern>,
        /// The pattern's names by the column's.
        names: BTreeMap<String, String>,
    },
}

impl std::fmt::Debug for SerdeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lazy(_) => "LazySimpleSerDe",
            Self::OpenCsv { .. } => "OpenCSVSerde",
            Self::Json(_) => "JsonSerDe",
            Self::Regex(_) => "RegexSerDe",
            Self::Grok { .. } => "GrokSerDe",
        })
    }
}

impl TextSerde {
    pub(crate) fn grok_name(&self, column: &str) -> Option<&str> {
        match &self.kind {
            SerdeKind::Grok { names, .. } => names.get(column).map(String::as_str),
            _ => None,
        }
    }

    /// Whether a file may be read in pieces side by side.
    pub(crate) fn splits(&self) -> bool {
        self.skip_footer == 0 && !self.cloudtrail
    }
}

/// Where the properties of a table's files stand, for who reads them and who writes them; those of the SerDe go first.
#[derive(Clone, Copy)]
pub(crate) struct Properties<'a> {
    pub(crate) storage: &'a StorageDescriptor,
    pub(crate) table: &'a Table,
}

impl<'a> Properties<'a> {
    pub(crate) fn get(self, key: &str) -> Option<&'a str> {
        let serde = self.storage.serde_info.as_ref();
        serde
            .and_then(|serde| serde.parameters.get(key))
            .or_else(|| self.storage.parameters.get(key))
            .or_else(|| self.table.parameters.get(key))
            .map(String::as_str)
    }

    fn is_true(self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    }

    pub(crate) fn count(self, key: &str) -> Result<usize> {
        match self.get(key).map(str::trim) {
            None | Some("") => Ok(0),
            Some(text) => text.parse().map_err(|_| invalid(format_args!("Invalid value for {key} property: {text}"))),
        }
    }

    /// `timestamp.formats`: patterns between commas, `\` before a comma that belongs to one.
    fn timestamps(self) -> Result<Vec<Pattern>> {
        let Some(text) = self.get("timestamp.formats") else { return Ok(Vec::new()) };
        let mut parts = vec![String::new()];
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c == ',' {
                parts.push(String::new());
                continue;
            }
            let c = if c == '\\' { chars.next().unwrap_or(c) } else { c };
            if let Some(last) = parts.last_mut() {
                last.push(c);
            }
        }
        let patterns = parts.iter().filter(|part| !part.is_empty()).map(|part| {
            Pattern::parse(part)
                .map_err(|why| invalid(format_args!("Invalid 'timestamp.formats' property value: {why}")))
        });
        patterns.collect()
    }

    /// Those that begin with a word, which is cut off.
    pub(crate) fn starting(self, prefix: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let serde = self.storage.serde_info.as_ref();
        let all = serde.into_iter().flat_map(|serde| &serde.parameters);
        all.filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
    }
}

fn invalid(text: impl std::fmt::Display) -> Error {
    Error::user(1004, "HIVE_INVALID_METADATA", text)
}

/// Whether the objects at a table's location are lists of the data's (Hive's symlinks, Delta's manifests).
pub(crate) fn is_symlink(storage: &StorageDescriptor) -> bool {
    storage.input_format.as_deref().is_some_and(|input| input.contains("SymlinkTextInputFormat"))
}

impl Format {
    /// How the table itself is read.
    pub(crate) fn of(table: &Table) -> Result<Self> {
        match &table.storage_descriptor {
            Some(storage) => Self::of_storage(table, storage),
            None => Self::of_storage(table, &StorageDescriptor::default()),
        }
    }

    /// How a partition with its own storage is read.
    pub(crate) fn of_storage(table: &Table, storage: &StorageDescriptor) -> Result<Self> {
        let properties = Properties { storage, table };
        let serde = storage.serde_info.as_ref();
        let full = serde.and_then(|serde| serde.serialization_library.as_deref()).unwrap_or_default();
        let input = storage.input_format.as_deref().unwrap_or_default();
        if table.parameters.get("table_type").is_some_and(|ty| ty.eq_ignore_ascii_case("iceberg")) {
            return Err(Error::not_supported("Iceberg tables"));
        }
        let library = full.rsplit('.').next().unwrap_or_default();
        let undeclared = library.is_empty() && input.is_empty();
        let classified = |name: &str| undeclared && properties.get("classification") == Some(name);
        if library == "ParquetHiveSerDe" || input.contains("MapredParquetInputFormat") || classified("parquet") {
            return Ok(Self::Parquet { by_index: properties.is_true("parquet.column.index.access") });
        }
        if library == "OrcSerde" || input.contains("OrcInputFormat") || classified("orc") {
            let by_name = properties.get("orc.column.index.access").is_some_and(|v| v.eq_ignore_ascii_case("false"));
            return Ok(Self::Orc { by_index: !by_name });
        }
        if library == "AvroSerDe" || input.contains("AvroContainerInputFormat") || classified("avro") {
            let literal = properties.get("avro.schema.literal").filter(|text| !text.is_empty() && *text != "none");
            if literal.is_none() && properties.get("avro.schema.url").is_some() {
                return Err(Error::not_supported("avro.schema.url; avro.schema.literal is supported"));
            }
            return Ok(Self::Avro(literal.map(str::to_owned)));
        }
        for other in ["RCFileInputFormat", "SequenceFileInputFormat"] {
            if input.contains(other) {
                return Err(Error::user(1301, "HIVE_UNSUPPORTED_FORMAT", format_args!("Input format {input}")));
            }
        }
        let kind = match library {
            "LazySimpleSerDe" => SerdeKind::Lazy(lazy(properties)?),
            "" if !input.is_empty() || classified("csv") => SerdeKind::Lazy(lazy(properties)?),
            "OpenCSVSerde" => open_csv(properties)?,
            "JsonSerDe" | "JsonSerde" if full.starts_with("org.openx.") => json(properties, Dialect::Openx)?,
            "JsonSerDe" => json(properties, Dialect::Hive)?,
            "CloudTrailSerde" => json(properties, Dialect::Openx)?,
            "RegexSerDe" => regex(properties)?,
            "GrokSerDe" => grok(properties)?,
            "" => {
                let text = format_args!("Unable to create input format {input} for table {}", table.name);
                return Err(Error::user(1301, "HIVE_UNSUPPORTED_FORMAT", text));
            }
            _ => return Err(Error::not_supported(format_args!("SerDe {full}"))),
        };
        let end = properties.get("line.delim").unwrap_or("\n");
        if !matches!(end, "\n" | "\\n" | "\r\n" | "\r" | "10" | "") {
            return Err(Error::not_supported(format_args!("line.delim {end:?}; lines end with a line feed")));
        }
        let encoding = properties.get("serialization.encoding").unwrap_or("UTF-8");
        if !["utf-8", "utf8", "us-ascii", "ascii"].contains(&encoding.trim().to_ascii_lowercase().as_str()) {
            return Err(Error::not_supported(format_args!("serialization.encoding {encoding}; UTF-8 is supported")));
        }
        Ok(Self::Text(Arc::new(TextSerde {
            skip_lines: properties.count("skip.header.line.count")?,
            skip_footer: properties.count("skip.footer.line.count")?,
            cloudtrail: library == "CloudTrailSerde" || input.contains("CloudTrailInputFormat"),
            kind,
        })))
    }
}

fn lazy(properties: Properties<'_>) -> Result<Lazy> {
    let field = properties.get("field.delim").or_else(|| properties.get("serialization.format"));
    // Hive 1 misspelt the name, and tables keep it.
    let collection = properties.get("collection.delim").or_else(|| properties.get("colelction.delim"));
    let deep = properties.is_true("hive.serialization.extend.nesting.levels")
        || properties.is_true("hive.serialization.extend.additional.nesting.levels");
    let levels = if deep { SEPARATORS.len() } else { PLAIN_LEVELS };
    let mut separators: Vec<char> = SEPARATORS[..levels].iter().map(|byte| char::from(*byte)).collect();
    separators[0] = character(field, separators[0]);
    separators[1] = character(collection, separators[1]);
    separators[2] = character(properties.get("mapkey.delim"), separators[2]);
    Ok(Lazy {
        separators,
        escape: properties.get("escape.delim").map(|text| character(Some(text), '\\')),
        null: properties.get("serialization.null.format").unwrap_or("\\N").to_owned(),
        last_takes_rest: properties.is_true("serialization.last.column.takes.rest"),
        timestamps: properties.timestamps()?,
    })
}

fn open_csv(properties: Properties<'_>) -> Result<SerdeKind> {
    let csv = OpenCsv {
        separator: first(properties.get("separatorChar"), ','),
        quote: first(properties.get("quoteChar"), '"'),
        escape: first(properties.get("escapeChar"), '\\'),
    };
    let both = |a: char, b: char| a == b && a != '\0';
    if csv.separator == '\0' || both(csv.separator, csv.quote) || both(csv.separator, csv.escape) {
        return Err(invalid("separatorChar, quoteChar and escapeChar of OpenCSVSerde must differ"));
    }
    // opencsv takes a quote that is its own escape for a doubled quote, which it knows anyway.
    let escape = if csv.quote == csv.escape { '\0' } else { csv.escape };
    let null_for_invalid = properties.is_true("use.null.for.invalid.data");
    Ok(SerdeKind::OpenCsv { csv: OpenCsv { escape, ..csv }, null_for_invalid })
}

fn json(properties: Properties<'_>, dialect: Dialect) -> Result<SerdeKind> {
    let openx = dialect == Dialect::Openx;
    let mapping = properties.starting("mapping.").map(|(column, key)| (column.to_lowercase(), key.to_owned()));
    Ok(SerdeKind::Json(Json {
        dialect,
        ignore_malformed: openx && properties.is_true("ignore.malformed.json"),
        case_insensitive: !openx || properties.get("case.insensitive").is_none_or(|v| v.eq_ignore_ascii_case("true")),
        dots_in_keys: openx && properties.is_true("dots.in.keys"),
        mapping: if openx { mapping.collect() } else { Vec::new() },
        timestamps: properties.timestamps()?,
    }))
}

fn regex(properties: Properties<'_>) -> Result<SerdeKind> {
    let Some(pattern) = properties.get("input.regex").filter(|pattern| !pattern.is_empty()) else {
        return Err(invalid("This table does not have serde property \"input.regex\"!"));
    };
    let flags = if properties.is_true("input.regex.case.insensitive") { "(?si)" } else { "(?s)" };
    let regex = fancy_regex::Regex::new(&format!("{flags}^(?:{pattern})$"))
        .map_err(|error| invalid(format_args!("input.regex: {error}")))?;
    Ok(SerdeKind::Regex(Box::new(regex)))
}

fn grok(properties: Properties<'_>) -> Result<SerdeKind> {
    let Some(format) = properties.get("input.format").filter(|format| !format.is_empty()) else {
        return Err(invalid("This table does not have serde property \"input.format\"!"));
    };
    let mut all = grok::Grok::with_default_patterns();
    for line in properties.get("input.grokCustomPatterns").unwrap_or_default().lines() {
        if let Some((name, pattern)) = line.trim().split_once(char::is_whitespace) {
            all.add_pattern(name, pattern.trim_start());
        }
    }
    // `%{INT:status:int}`: the type is the crawler's, the name is the column's.
    let mut plain = String::with_capacity(format.len());
    let mut names = BTreeMap::new();
    let mut rest = format;
    while let Some(at) = rest.find("%{") {
        let Some(end) = rest[at..].find('}') else { break };
        let mut parts = rest[at + 2..at + end].splitn(3, ':');
        let pattern = parts.next().unwrap_or_default();
        plain.push_str(&rest[..at]);
        match parts.next() {
            Some(name) => {
                names.insert(name.to_lowercase(), name.to_owned());
                let _ = write!(plain, "%{{{pattern}:{name}}}");
            }
            None => {
                let _ = write!(plain, "%{{{pattern}}}");
            }
        }
        rest = &rest[at + end + 1..];
    }
    plain.push_str(rest);
    let pattern = all.compile(&plain, true).map_err(|error| invalid(format_args!("input.format: {error}")))?;
    Ok(SerdeKind::Grok { pattern: Box::new(pattern), names })
}

/// The first character of a text, or an escape such as `\t`.
pub(crate) fn first(text: Option<&str>, default: char) -> char {
    match text.map(|text| (text, text.chars().next())) {
        None | Some((_, None)) => default,
        Some((text, Some('\\'))) if text.len() > 1 => character(Some(text), default),
        Some((_, Some(first))) => first,
    }
}

/// One character, or its number as Hive allows, or an escape such as `\t`.
pub(crate) fn character(text: Option<&str>, default: char) -> char {
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
