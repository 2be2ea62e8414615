//! JSON text as org.json and the openx SerDe take it, which no library reads: names and values without quotes or in
//! single ones, `=` and `=>` for `:`, `;` for `,`, comments, commas without a value. What strict JSON allows is read the
//! same. Numbers keep their text.

use std::borrow::Cow;

/// Objects and lists within each other.
const DEEPEST: usize = 512;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    /// A text in quotes, or what stands without: a number, `true`.
    Text {
        text: Cow<'a, str>,
        quoted: bool,
    },
    List(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// The value at the start of the text; what follows it is not looked at.
pub(crate) fn read(text: &str) -> Result<Node<'_>, String> {
    Reader { text, at: 0, depth: 0 }.value()
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Result<Node<'a>, String> {
        match self.token()? {
            None => self.fail("End of input"),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::list),
            Some(quote @ (b'"' | b'\'')) => Ok(Node::Text { text: self.quoted(quote)?, quoted: true }),
            Some(_) => {
                self.at -= 1;
                let literal = self.literal();
                if literal.is_empty() {
                    return self.fail("Expected literal value");
                }
                if literal.eq_ignore_ascii_case("null") {
                    return Ok(Node::Null);
                }
                Ok(Node::Text { text: Cow::Borrowed(literal), quoted: false })
            }
        }
    }

    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Result<Node<'a>, String>) -> Result<Node<'a>, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.fail("Nested too deeply");
        }
        let node = inner(self)?;
        self.depth -= 1;
        Ok(node)
    }

    fn object(&mut self) -> Result<Node<'a>, String> {
        let mut members = Vec::new();
        match self.token()? {
            Some(b'}') => return Ok(Node::Object(members)),
            Some(_) => self.at -= 1,
            None => {}
        }
        loop {
            let Node::Text { text: name, .. } = self.value()? else {
                return self.fail("Names must be strings");
            };
            match self.token()? {
                Some(b':') => {}
                Some(b'=') => {
                    if self.text.as_bytes().get(self.at) == Some(&b'>') {
                        self.at += 1;
                    }
                }
                _ => return self.fail(&format!("Expected a ':' after a key ({name})")),
            }
            members.push((name, self.value()?));
            match self.token()? {
                Some(b'}') => return Ok(Node::Object(members)),
                Some(b',' | b';') => {}
                _ => return self.fail("Expected a ',' or '}'"),
            }
        }
    }

    fn list(&mut self) -> Result<Node<'a>, String> {
        let mut items = Vec::new();
        let mut open = false;
        loop {
            match self.token()? {
                None => return self.fail("Expected a ',' or ']'"),
                Some(b']') => {
                    if open {
                        items.push(Node::Null);
                    }
                    return Ok(Node::List(items));
                }
                Some(b',' | b';') => {
                    items.push(Node::Null);
                    open = true;
                }
                Some(_) => {
                    self.at -= 1;
                    items.push(self.value()?);
                    match self.token()? {
                        Some(b']') => return Ok(Node::List(items)),
                        Some(b',' | b';') => open = true,
                        _ => return self.fail("Expected a ',' or ']'"),
                    }
                }
            }
        }
    }

    /// The next byte that is neither blank nor comment, taken.
    fn token(&mut self) -> Result<Option<u8>, String> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => {}
                b'#' => self.skip_line(),
                b'/' if bytes.get(self.at) == Some(&b'/') => self.skip_line(),
                b'/' if bytes.get(self.at) == Some(&b'*') => match self.text[self.at + 1..].find("*/") {
                    Some(end) => self.at += 1 + end + 2,
                    None => return self.fail("Unclosed comment"),
                },
                _ => return Ok(Some(*byte)),
            }
        }
        Ok(None)
    }

    fn skip_line(&mut self) {
        self.at += self.text[self.at..].find(['\n', '\r']).map_or(self.text.len() - self.at, |end| end + 1);
    }

    fn quoted(&mut self, quote: u8) -> Result<Cow<'a, str>, String> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let Some(end) = bytes[start..].iter().position(|b| *b == quote || *b == b'\\').map(|n| n + start) else {
            return self.fail("Unterminated string");
        };
        if bytes[end] == quote {
            self.at = end + 1;
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        // UTF-16, since an escape may be half of a character.
        let mut out = String::new();
        let mut high: Option<u16> = None;
        let mut from = start;
        self.at = end;
        loop {
            let Some(next) = bytes[self.at..].iter().position(|b| *b == quote || *b == b'\\') else {
                return self.fail("Unterminated string");
            };
            let at = self.at + next;
            if at > from && high.take().is_some() {
                out.push('\u{fffd}');
            }
            out.push_str(&self.text[from..at]);
            if bytes[at] == quote {
                if high.is_some() {
                    out.push('\u{fffd}');
                }
                self.at = at + 1;
                return Ok(Cow::Owned(out));
            }
            let Some(escaped) = self.text[at + 1..].chars().next() else {
                return self.fail("Unterminated escape sequence");
            };
            self.at = at + 1 + escaped.len_utf8();
            let unit = if escaped == 'u' {
                let hex = self.text.get(self.at..self.at + 4).and_then(|hex| u16::from_str_radix(hex, 16).ok());
                let Some(unit) = hex else { return self.fail("Illegal escape") };
                self.at += 4;
                unit
            } else {
                if high.take().is_some() {
                    out.push('\u{fffd}');
                }
                out.push(match escaped {
                    't' => '\t',
                    'b' => '\u{8}',
                    'n' => '\n',
                    'r' => '\r',
                    'f' => '\u{c}',
                    other => other,
                });
                from = self.at;
                continue;
            };
            from = self.at;
            match (high.take(), unit) {
                (Some(first), 0xdc00..=0xdfff) => {
                    out.extend(char::decode_utf16([first, unit]).map(|c| c.unwrap_or('\u{fffd}')));
                }
                (first, unit) => {
                    if first.is_some() {
                        out.push('\u{fffd}');
                    }
                    if (0xd800..0xdc00).contains(&unit) {
                        high = Some(unit);
                    } else {
                        out.push(char::from_u32(u32::from(unit)).unwrap_or('\u{fffd}'));
                    }
                }
            }
        }
    }

    fn literal(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest
            .find([' ', '\r', '\n', '\t', '\u{c}', '{', '}', '[', ']', '/', '\\', ':', ',', '=', ';', '#'])
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn fail<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("{what} at {} [character {} line 1]", self.at, self.at + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, quoted: bool) -> Node<'_> {
        Node::Text { text: text.into(), quoted }
    }

    #[test]
    fn strict_json_is_read() {
        let node = read(r#"{"a": 1.50, "b": [true, null, "x\n\u00e9\ud83d\ude00\\"], "c": {}}"#).unwrap();
        let Node::Object(members) = node else { panic!("an object") };
        assert_eq!(members[0], ("a".into(), text("1.50", false)));
        assert_eq!(members[1].1, Node::List(vec![text("true", false), Node::Null, text("x\né😀\\", true)]));
        assert_eq!(members[2].1, Node::Object(Vec::new()));
    }

    #[test]
    fn the_dialect_of_org_json_is_read() {
        let node = read("{a = 'it', /* c */ b => 0x1F; c: [1,,2,]} rest").unwrap();
        let Node::Object(members) = node else { panic!("an object") };
        assert_eq!(members[0].1, text("it", true));
        assert_eq!(members[1].1, text("0x1F", false));
        let items = vec![text("1", false), Node::Null, text("2", false), Node::Null];
        assert_eq!(members[2].1, Node::List(items));
    }

    #[test]
    fn what_is_broken_is_an_error() {
        let deep = "[".repeat(100_000);
        for text in
            ["", "{", "{\"a\":", "{\"a\":\n", "[1", "{\"a\" 1}", "\"x", "{1:2", "{[]:1}", "\"\\u12", "/*", &deep]
        {
            assert!(read(text).is_err(), "{text:.20}");
        }
        assert_eq!(read("\"\\ud83dx\"").unwrap(), text("\u{fffd}x", true));
    }
}
