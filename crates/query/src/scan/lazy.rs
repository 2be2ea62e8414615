//! LazySimpleSerDe: fields, and within them lists, maps and structs, by one separator for each depth.

use std::borrow::Cow;

use super::pattern::Pattern;
use super::writers::Writer;
use crate::error::{Error, Result};

/// Hive's separators by depth, of which a table names the first three; those that text may hold are left out. Eight are
/// in use unless `hive.serialization.extend.nesting.levels` is set.
pub(crate) const SEPARATORS: [u8; 24] =
    [1, 2, 3, 4, 5, 6, 7, 8, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 28, 29];
pub(crate) const PLAIN_LEVELS: usize = 8;

#[derive(Debug, Clone)]
pub(crate) struct Lazy {
    /// Of fields, of collection items, of map keys, then Hive's own.
    pub(crate) separators: Vec<char>,
    pub(crate) escape: Option<char>,
    pub(crate) null: String,
    /// `serialization.last.column.takes.rest`
    pub(crate) last_takes_rest: bool,
    pub(crate) timestamps: Vec<Pattern>,
}

impl Lazy {
    /// The line's fields, escapes still in them; at most `most`.
    pub(crate) fn fields<'a>(&self, line: &'a str, most: usize) -> impl Iterator<Item = &'a str> + use<'a> {
        Pieces {
            rest: Some(line),
            separator: self.separators[0],
            escape: self.escape,
            left: if self.last_takes_rest { most } else { usize::MAX },
        }
    }

    /// One value at a depth of nesting; a column is at depth 0.
    pub(crate) fn value(&self, writer: &mut Writer, text: &str, depth: usize) -> Result<()> {
        if text == self.null {
            writer.null();
            return Ok(());
        }
        match writer {
            Writer::Utf8(..) => {
                writer.push(&self.unescaped(text));
            }
            Writer::Timestamp(b) if !self.timestamps.is_empty() => {
                let read = self.timestamps.iter().find_map(|pattern| pattern.read(text.trim()));
                let millis = read.map(|at| at.and_utc().timestamp_millis());
                b.append_option(millis.or_else(|| super::writers::hive_timestamp(text)));
            }
            Writer::List(list) => {
                let mut count = 0;
                if !text.is_empty() {
                    for item in self.pieces(text, depth + 1)? {
                        self.value(&mut list.item, item, depth + 1)?;
                        count += 1;
                    }
                }
                list.end(count)?;
            }
            Writer::Map(map) => {
                let mut seen: Vec<&str> = Vec::new();
                if !text.is_empty() {
                    for entry in self.pieces(text, depth + 1)? {
                        let mut parts = Pieces {
                            rest: Some(entry),
                            separator: self.separator(depth + 2)?,
                            escape: self.escape,
                            left: 2,
                        };
                        let key = parts.next().unwrap_or_default();
                        // Of equal keys the first counts, and a null is no key.
                        if key == self.null || seen.contains(&key) {
                            continue;
                        }
                        seen.push(key);
                        self.value(&mut map.key, key, depth + 2)?;
                        match parts.next() {
                            Some(value) => self.value(&mut map.value, value, depth + 2)?,
                            None => map.value.null(),
                        }
                    }
                }
                map.end(seen.len())?;
            }
            Writer::Struct(row) => {
                let mut parts = Pieces {
                    rest: Some(text),
                    separator: self.separator(depth + 1)?,
                    escape: self.escape,
                    left: if self.last_takes_rest { row.members.len() } else { usize::MAX },
                };
                for member in &mut row.members {
                    match parts.next() {
                        Some(part) => self.value(member, part, depth + 1)?,
                        None => member.null(),
                    }
                }
                row.end();
            }
            _ => {
                writer.push(text);
            }
        }
        Ok(())
    }

    fn separator(&self, depth: usize) -> Result<char> {
        self.separators.get(depth).copied().ok_or_else(|| {
            Error::not_supported(format_args!(
                "a type of more than {} nesting levels in a text table; \
                 hive.serialization.extend.nesting.levels allows more",
                self.separators.len()
            ))
        })
    }

    fn pieces<'a>(&self, text: &'a str, depth: usize) -> Result<Pieces<'a>> {
        Ok(Pieces { rest: Some(text), separator: self.separator(depth)?, escape: self.escape, left: usize::MAX })
    }

    fn unescaped<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(escape) = self.escape.filter(|escape| text.contains(*escape)) else { return Cow::Borrowed(text) };
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            out.push(if c == escape { chars.next().unwrap_or(c) } else { c });
        }
        Cow::Owned(out)
    }
}

/// Splits at a separator that is not escaped, into at most `left` pieces.
struct Pieces<'a> {
    rest: Option<&'a str>,
    separator: char,
    escape: Option<char>,
    left: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        self.left = self.left.saturating_sub(1);
        let at = if self.left == 0 { None } else { self.separator_at(rest) };
        if let Some(at) = at {
            self.rest = Some(&rest[at + self.separator.len_utf8()..]);
            Some(&rest[..at])
        } else {
            self.rest = None;
            Some(rest)
        }
    }
}

impl Pieces<'_> {
    fn separator_at(&self, text: &str) -> Option<usize> {
        let Some(escape) = self.escape else { return text.find(self.separator) };
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            if c == self.separator {
                return Some(at);
            }
            if c == escape {
                chars.next();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::parse_hive_field;
    use crate::value::write_value;

    fn read(lazy: &Lazy, ty: &str, text: &str) -> String {
        let field = parse_hive_field("a", ty).unwrap();
        let mut writer = Writer::new(&field, 1).unwrap();
        lazy.value(&mut writer, text, 0).unwrap();
        let mut out = String::new();
        if write_value(&writer.finish().unwrap(), 0, &mut out) { out } else { "NULL".to_owned() }
    }

    #[test]
    fn nested_values_have_a_separator_for_each_depth() {
        let lazy = Lazy {
            separators: vec!['|', ',', ':', ';'],
            escape: Some('\\'),
            null: "\\N".to_owned(),
            last_takes_rest: false,
            timestamps: vec![Pattern::parse("dd/MM/yyyy").unwrap()],
        };
        for (ty, text, expected) in [
            ("array<string>", "a,b\\,c,\\N", "[a, b,c, null]"),
            ("array<int>", "", "[]"),
            ("map<string,int>", "x:1,y:2,x:3,z", "{x=1, y=2, z=null}"),
            ("struct<a:int,b:array<string>>", "1,p:q", "{a=1, b=[p, q]}"),
            ("struct<a:int,b:string>", "1", "{a=1, b=null}"),
            ("array<map<string,int>>", "a;1,b;2", "[{a=1}, {b=2}]"),
            ("timestamp", "31/12/2020", "2020-12-31 00:00:00.000"),
            ("timestamp", "2020-12-31 00:00:01", "2020-12-31 00:00:01.000"),
            ("varchar(2)", "abc", "ab"),
            ("binary", "aGk=", "68 69"),
            ("string", "\\N", "NULL"),
        ] {
            assert_eq!(read(&lazy, ty, text), expected, "{ty} {text}");
        }
        assert_eq!(lazy.fields("a\\|b|c", 9).collect::<Vec<_>>(), ["a\\|b", "c"]);
        let rest = Lazy { last_takes_rest: true, ..lazy };
        assert_eq!(rest.fields("a|b|c", 2).collect::<Vec<_>>(), ["a", "b|c"]);
    }
}
