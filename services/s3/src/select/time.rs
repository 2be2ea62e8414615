//! TO_STRING: a moment by a pattern. Source: Amazon S3 User Guide, "Date functions", TO_STRING.

use std::fmt::Write as _;

use jiff::Zoned;

use super::Invalid;

/// The moment as the pattern has it. Letters are symbols; what stands between single quotes is text, two of them are one.
pub(super) fn text(at: &Zoned, pattern: &str) -> Result<String, Invalid> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            rest = quoted(&rest[1..], &mut out)?;
            continue;
        }
        let same = rest.find(|next| next != first).unwrap_or(rest.len());
        if first.is_ascii_alphabetic() {
            symbol(at, first, same, &mut out)?;
        } else {
            out.push_str(&rest[..same]);
        }
        rest = &rest[same..];
    }
    Ok(out)
}

/// Text up to the quote that ends it; what follows that.
fn quoted<'a>(text: &'a str, out: &mut String) -> Result<&'a str, Invalid> {
    if let Some(rest) = text.strip_prefix('\'') {
        out.push('\'');
        return Ok(rest);
    }
    let mut rest = text;
    loop {
        let Some((within, after)) = rest.split_once('\'') else {
            let told = "The timestamp format pattern contains an unterminated token in the SQL expression.";
            return Err(Invalid::new("EvaluatorUnterminatedTimestampFormatPatternToken", told));
        };
        out.push_str(within);
        match after.strip_prefix('\'') {
            Some(more) => {
                out.push('\'');
                rest = more;
            }
            None => return Ok(after),
        }
    }
}

fn symbol(at: &Zoned, letter: char, count: usize, out: &mut String) -> Result<(), Invalid> {
    let nanos = at.subsec_nanosecond();
    let hour = at.hour();
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    let formatted = |how: &str| at.strftime(how).to_string();
    let number = |value: i64, digits: usize| format!("{value:0digits$}");
    let told = match (letter, count) {
        ('y', 2) => number(i64::from(at.year()) % 100, 2),
        ('y', 1 | 4) => number(at.year().into(), count),
        ('M', 1 | 2) => number(at.month().into(), count),
        ('M', 3) => formatted("%b"),
        ('M', 4) => formatted("%B"),
        ('M', 5) => formatted("%B").chars().take(1).collect(),
        ('d', 1 | 2) => number(at.day().into(), count),
        ('a', 1) => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        ('h', 1 | 2) => number(twelve.into(), count),
        ('H', 1 | 2) => number(hour.into(), count),
        ('m', 1 | 2) => number(at.minute().into(), count),
        ('s', 1 | 2) => number(at.second().into(), count),
        ('S', 1..=9) => format!("{nanos:09}")[..count].to_owned(),
        ('n', 1) => nanos.to_string(),
        ('X' | 'x', 1..=5) => offset(at, letter == 'X', count),
        _ => {
            let told = format!(
                "The timestamp format pattern contains a symbol in the SQL expression that is not valid: {}",
                letter.to_string().repeat(count)
            );
            return Err(Invalid::new("EvaluatorInvalidTimestampFormatPatternSymbol", told));
        }
    };
    let _ = out.write_str(&told);
    Ok(())
}

/// Hours, hours and minutes, or both with a colon; `Z` is told of no offset where it may be.
fn offset(at: &Zoned, zulu: bool, count: usize) -> String {
    let minutes = at.offset().seconds() / 60;
    if zulu && minutes == 0 {
        return "Z".to_owned();
    }
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
    match count {
        // The hour alone where that is all.
        1 if rest == 0 => format!("{sign}{hours:02}"),
        1 | 2 | 4 => format!("{sign}{hours:02}{rest:02}"),
        _ => format!("{sign}{hours:02}:{rest:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::moment;
    use super::*;

    #[test]
    fn patterns_of_the_guide() {
        let at = moment("1969-07-20T20:18:13.123Z").unwrap();
        for (pattern, wanted) in [
            ("MMMM d, y", "July 20, 1969"),
            ("MMM d, yyyy", "Jul 20, 1969"),
            ("M-d-yy", "7-20-69"),
            ("MM-d-y", "07-20-1969"),
            ("MMMM d, y h:m a", "July 20, 1969 8:18 PM"),
            ("y-MM-dd'T'H:m:ssX", "1969-07-20T20:18:13Z"),
            ("yyyy-MM-dd HH:mm:ss.SSS", "1969-07-20 20:18:13.123"),
            ("hh 'o''clock' n x xx xxx MMMMM", "08 o'clock 123000000 +00 +0000 +00:00 J"),
            ("''", "'"),
        ] {
            assert_eq!(text(&at, pattern).unwrap(), wanted, "{pattern}");
        }
        let at = moment("1969-07-20T00:18:13-07:30").unwrap();
        assert_eq!(text(&at, "h a X XX XXX XXXX XXXXX").unwrap(), "12 AM -0730 -0730 -07:30 -0730 -07:30");
        for (pattern, code) in [
            ("yyyyy", "EvaluatorInvalidTimestampFormatPatternSymbol"),
            ("q", "EvaluatorInvalidTimestampFormatPatternSymbol"),
            ("y'T", "EvaluatorUnterminatedTimestampFormatPatternToken"),
        ] {
            assert_eq!(text(&at, pattern).unwrap_err().code, code, "{pattern}");
        }
    }
}
