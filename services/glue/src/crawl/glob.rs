//! Exclusion patterns of a crawler target: `*` stays within a folder, `**` crosses them, a leading dot is ordinary.

use regex::Regex;

/// Patterns that name what not to crawl, relative to the include path.
#[derive(Debug, Default)]
pub(super) struct Exclusions(Vec<Regex>);

impl Exclusions {
    /// A pattern that cannot be read excludes nothing, as it names nothing; it comes back to be logged.
    pub(super) fn new(patterns: &[String]) -> (Self, Vec<String>) {
        let mut good = Vec::new();
        let mut bad = Vec::new();
        for pattern in patterns {
            match Regex::new(&translate(pattern)) {
                Ok(regex) => good.push(regex),
                Err(_) => bad.push(pattern.clone()),
            }
        }
        (Self(good), bad)
    }

    pub(super) fn excludes(&self, relative: &str) -> bool {
        self.0.iter().any(|r| r.is_match(relative))
    }
}

fn translate(pattern: &str) -> String {
    let mut out = String::from("(?s)^");
    let mut chars = pattern.chars().peekable();
    let mut in_braces = false;
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                out.push_str(".*");
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '[' => bracket(&mut chars, &mut out),
            '{' => {
                in_braces = true;
                out.push_str("(?:");
            }
            '}' if in_braces => {
                in_braces = false;
                out.push(')');
            }
            ',' if in_braces => out.push('|'),
            '\\' => {
                if let Some(next) = chars.next() {
                    out.push_str(&regex::escape(next.encode_utf8(&mut [0; 4])));
                }
            }
            other => out.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('$');
    out
}

/// `[abc]`, `[a-z]`, `[!x]`: inside, `*`, `?` and `\` stand for themselves, and `/` is never matched.
fn bracket(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    out.push('[');
    if chars.peek() == Some(&'!') {
        chars.next();
        out.push_str("^/");
    }
    for c in chars.by_ref() {
        match c {
            ']' => break,
            '-' => out.push('-'),
            '\\' | '[' | '^' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            other => out.push(other),
        }
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::Exclusions;

    #[test]
    fn follows_the_developer_guide() {
        for (pattern, path, excluded) in [
            ("*.csv", "a.csv", true),
            ("*.csv", "d/a.csv", false),
            ("**.csv", "d/a.csv", true),
            ("*.*", "a.b", true),
            ("*.{csv,avro}", "x.avro", true),
            ("*.{csv,avro}", "x.json", false),
            ("foo.?", "foo.c", true),
            ("foo.?", "foo.cc", false),
            ("myfolder/*", "myfolder/a", true),
            ("myfolder/*", "myfolder/b/a", false),
            ("myfolder/**", "myfolder/b/a", true),
            ("*[0-9]*", "a1.csv", true),
            ("[!a]x", "bx", true),
            ("[!a]x", "ax", false),
            ("*", ".hidden", true),
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            ("Market*", "Marketing/a", false),
            ("Market**", "Marketing/a", true),
        ] {
            let (globs, bad) = Exclusions::new(&[pattern.to_owned()]);
            assert!(bad.is_empty(), "{pattern}");
            assert_eq!(globs.excludes(path), excluded, "{pattern} on {path}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_reported() {
        let (globs, bad) = Exclusions::new(&["[".to_owned()]);
        assert!(!globs.excludes("["));
        assert_eq!(bad, ["["]);
    }
}
