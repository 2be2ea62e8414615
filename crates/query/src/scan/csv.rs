//! OpenCSVSerde: how a line splits into fields, as opencsv 2 and after it Trino do it.

/// The characters that a table names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenCsv {
    pub(crate) separator: char,
    /// `'\0'` is no character at all.
    pub(crate) quote: char,
    pub(crate) escape: char,
}

impl OpenCsv {
    /// At most `most` fields. A line without a character has none, and a field whose quote stays open is none.
    pub(crate) fn split(self, line: &str, most: usize, fields: &mut Vec<String>) {
        fields.clear();
        if line.is_empty() {
            return;
        }
        let (mut quotes, mut inside) = (false, false);
        let mut field = String::new();
        let mut before: Option<char> = None;
        let mut at = 0;
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            if fields.len() == most {
                return;
            }
            let next = chars.peek().copied();
            let mut last = c;
            if c == self.escape && c != '\0' {
                if (quotes || inside) && next.is_some_and(|next| next == self.quote || next == self.escape) {
                    field.extend(next);
                    chars.next();
                    at += 1;
                    last = next.unwrap_or(c);
                }
            } else if c == self.quote && c != '\0' {
                if (quotes || inside) && next == Some(self.quote) {
                    field.push(c);
                    chars.next();
                    at += 1;
                } else {
                    // A quote within a field is text: not in the line's first three characters, not beside a separator.
                    if at > 2 && before != Some(self.separator) && next.is_some_and(|next| next != self.separator) {
                        if !field.is_empty() && field.chars().all(char::is_whitespace) {
                            field.clear();
                        } else {
                            field.push(c);
                        }
                    }
                    quotes = !quotes;
                }
                inside = !inside;
            } else if c == self.separator && !quotes {
                fields.push(std::mem::take(&mut field));
                inside = false;
            } else {
                field.push(c);
                inside = true;
            }
            before = Some(last);
            at += 1;
        }
        if !quotes && fields.len() < most {
            fields.push(field);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_split_as_opencsv_splits_them() {
        let split = |line: &str| {
            let mut fields = Vec::new();
            OpenCsv { separator: ',', quote: '"', escape: '\\' }.split(line, 9, &mut fields);
            fields
        };
        assert_eq!(split(r#"a,"b,c","d""e",f"#), ["a", "b,c", "d\"e", "f"]);
        assert_eq!(split(r#""a\"b\\",c\\d,\x"#), ["a\"b\\", "c\\d", "x"]);
        assert_eq!(split("a,,"), ["a", "", ""]);
        assert_eq!(split("a,\"open,x"), ["a"]);
        assert_eq!(split("abc,   \"d\""), ["abc", "d"]);
        assert_eq!(split("abcd\"e\"f,g"), ["abcd\"e\"f", "g"]);
        assert!(split("").is_empty());
    }
}
