//! Patterns of actions, resources and values.

/// `*` any run, `?` any one character. A text of `*` stands for "not one thing": only a pattern that covers everything matches it.
pub fn glob(pattern: &str, text: &str, fold: bool) -> bool {
    if pattern == "*" {
        return true;
    }
    if pattern.is_ascii() && text.is_ascii() {
        return glob_of(pattern.as_bytes(), text.as_bytes(), &b'*', &b'?', |a, b| {
            if fold { a.eq_ignore_ascii_case(b) } else { a == b }
        });
    }
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    glob_of(&pattern, &text, &'*', &'?', |a, b| if fold { a.eq_ignore_ascii_case(b) } else { a == b })
}

fn glob_of<T: PartialEq>(pattern: &[T], text: &[T], any: &T, one: &T, same: impl Fn(&T, &T) -> bool) -> bool {
    // Where both stand, and where to go back to: behind the last star, one character further each time.
    let (mut at, mut here, mut star) = (0, 0, None);
    while here < text.len() {
        match pattern.get(at) {
            Some(c) if c == any => {
                star = Some((at, here));
                at += 1;
            }
            Some(c) if c == one || same(c, &text[here]) => {
                at += 1;
                here += 1;
            }
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    at = star_at + 1;
                    here = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| c == any)
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("s3:*", "s3:GetObject", true),
            ("S3:get*", "s3:GetObject", true),
            ("s3:Put*", "s3:GetObject", false),
            ("*", "anything", true),
            ("a?c", "abc", true),
            ("a*b*c", "aXXbYYc", true),
            ("a*b*c", "aXXbYY", false),
        ] {
            assert_eq!(glob(pattern, text, true), expected, "{pattern} {text}");
        }
    }
}
