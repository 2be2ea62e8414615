//! `$formatNumber`: decimal numbers, by the rules of XPath's `format-number`.

use super::{MAX_WIDTH, Result, refuse, regular_repeat};

struct Symbols {
    decimal: char,
    grouping: char,
    exponent: char,
    minus: String,
    percent: String,
    per_mille: String,
    zero: char,
    digit: char,
    pattern: String,
}

impl Symbols {
    fn with(options: &[(String, String)]) -> Self {
        let text = |key: &str, usual: &str| {
            options.iter().find(|(known, _)| known == key).map_or(usual, |(_, value)| value).to_owned()
        };
        let one = |key: &str, usual: char| text(key, &usual.to_string()).chars().next().unwrap_or(usual);
        Self {
            decimal: one("decimal-separator", '.'),
            grouping: one("grouping-separator", ','),
            exponent: one("exponent-separator", 'e'),
            minus: text("minus-sign", "-"),
            percent: text("percent", "%"),
            per_mille: text("per-mille", "\u{2030}"),
            zero: one("zero-digit", '0'),
            digit: one("digit", '#'),
            pattern: text("pattern-separator", ";"),
        }
    }

    fn is_digit(&self, c: char) -> bool {
        (u32::from(self.zero)..u32::from(self.zero) + 10).contains(&u32::from(c))
    }

    fn is_place(&self, c: char) -> bool {
        self.is_digit(c) || c == self.digit
    }

    fn is_active(&self, c: char) -> bool {
        self.is_place(c)
            || c == self.decimal
            || c == self.exponent
            || c == self.grouping
            || self.pattern.chars().eq([c])
    }

    fn digits(&self, text: &str) -> String {
        text.chars()
            .map(|c| match c.to_digit(10) {
                Some(digit) => char::from_u32(u32::from(self.zero) + digit).unwrap_or(c),
                None => c,
            })
            .collect()
    }
}

/// A picture for positive or negative numbers, taken apart.
struct Parts {
    text: Vec<char>,
    prefix: Vec<char>,
    suffix: Vec<char>,
    active: Vec<char>,
    mantissa: Vec<char>,
    exponent: Option<Vec<char>>,
    integer: Vec<char>,
    fraction: Vec<char>,
}

impl Parts {
    fn split(picture: &str, symbols: &Symbols) -> Self {
        let text: Vec<char> = picture.chars().collect();
        let anchors = |c: &char| symbols.is_active(*c) && *c != symbols.exponent;
        let start = text.iter().position(anchors).unwrap_or(0);
        let end = text.iter().rposition(anchors).map_or(text.len(), |last| last + 1);
        let active = text[start..end].to_vec();
        let at = text[start..].iter().position(|c| *c == symbols.exponent).map(|at| at + start);
        let (mantissa, exponent) = match at.filter(|at| *at <= end) {
            // The place counts from the picture's start, as in jsonata.js.
            Some(at) => {
                (active[..at.min(active.len())].to_vec(), Some(active.get(at + 1..).unwrap_or_default().to_vec()))
            }
            None => (active.clone(), None),
        };
        let (integer, fraction) = match mantissa.iter().position(|c| *c == symbols.decimal) {
            Some(at) => (mantissa[..at].to_vec(), mantissa[at + 1..].to_vec()),
            None => (mantissa.clone(), text[end..].to_vec()),
        };
        Self {
            prefix: text[..start].to_vec(),
            suffix: text[end..].to_vec(),
            active,
            mantissa,
            exponent,
            integer,
            fraction,
            text,
        }
    }

    fn has(&self, part: &str) -> bool {
        !part.is_empty() && self.text.iter().collect::<String>().contains(part)
    }

    /// The last rule that is broken, as jsonata.js reports it.
    #[expect(clippy::too_many_lines, reason = "one sentence for each rule of the specification")]
    fn check(&self, symbols: &Symbols) -> Result<()> {
        let text: String = self.text.iter().collect();
        let twice = |part: &str| text.find(part) != text.rfind(part);
        let count = |c: char| self.text.iter().filter(|other| **other == c).count();
        let decimal = self.text.iter().position(|c| *c == symbols.decimal);
        let mut broken = None;
        let mut rule = |applies: bool, code: &'static str, sentence: &'static str| {
            if applies {
                broken = Some((code, sentence));
            }
        };
        rule(
            count(symbols.decimal) > 1,
            "D3081",
            "The sub-picture must not contain more than one instance of the 'decimal-separator' character",
        );
        rule(
            twice(&symbols.percent),
            "D3082",
            "The sub-picture must not contain more than one instance of the 'percent' character",
        );
        rule(
            twice(&symbols.per_mille),
            "D3083",
            "The sub-picture must not contain more than one instance of the 'per-mille' character",
        );
        let (percent, per_mille) = (self.has(&symbols.percent), self.has(&symbols.per_mille));
        rule(
            percent && per_mille,
            "D3084",
            "The sub-picture must not contain both a 'percent' and a 'per-mille' character",
        );
        rule(
            !self.mantissa.iter().any(|c| symbols.is_place(*c)),
            "D3085",
            "The mantissa part of a sub-picture must contain at least one character that is either an 'optional digit character' or a member of the 'decimal digit family'",
        );
        rule(
            self.active.iter().any(|c| !symbols.is_active(*c)),
            "D3086",
            "The sub-picture must not contain a passive character that is preceded by an active character and that is followed by another active character",
        );
        let grouping = |at: Option<usize>| at.and_then(|at| self.text.get(at)) == Some(&symbols.grouping);
        match decimal {
            Some(at) => rule(
                grouping(at.checked_sub(1)) || grouping(Some(at + 1)),
                "D3087",
                "The sub-picture must not contain a 'grouping-separator' character that appears adjacent to a 'decimal-separator' character",
            ),
            None => rule(
                self.integer.last() == Some(&symbols.grouping),
                "D3088",
                "The sub-picture must not contain a 'grouping-separator' at the end of the integer part",
            ),
        }
        rule(
            self.text.windows(2).any(|pair| pair == [symbols.grouping; 2]),
            "D3089",
            "The sub-picture must not contain two adjacent instances of the 'grouping-separator' character",
        );
        let first = self.integer.iter().position(|c| *c == symbols.digit);
        rule(
            first.is_some_and(|at| self.integer[..at].iter().any(|c| symbols.is_digit(*c))),
            "D3090",
            "The integer part of the sub-picture must not contain a member of the 'decimal digit family' that is followed by an instance of the 'optional digit character'",
        );
        let last = self.fraction.iter().rposition(|c| *c == symbols.digit);
        rule(
            last.is_some_and(|at| self.fraction[at..].iter().any(|c| symbols.is_digit(*c))),
            "D3091",
            "The fractional part of the sub-picture must not contain an instance of the 'optional digit character' that is followed by a member of the 'decimal digit family'",
        );
        if let Some(exponent) = &self.exponent {
            rule(
                !exponent.is_empty() && (percent || per_mille),
                "D3092",
                "A sub-picture that contains a 'percent' or 'per-mille' character must not contain a character treated as an 'exponent-separator'",
            );
            rule(
                exponent.is_empty() || exponent.iter().any(|c| !symbols.is_digit(*c)),
                "D3093",
                "The exponent part of the sub-picture must comprise only of one or more characters that are members of the 'decimal digit family'",
            );
        }
        broken.map_or(Ok(()), |(code, sentence)| refuse(code, sentence))
    }
}

/// What a picture asks for.
struct Layout {
    integer_groups: Vec<usize>,
    regular: Option<usize>,
    fraction_groups: Vec<usize>,
    least_integer: usize,
    least_fraction: usize,
    most_fraction: usize,
    scale: usize,
    least_exponent: usize,
}

impl Layout {
    fn of(parts: &Parts, symbols: &Symbols) -> Self {
        let digits = |text: &[char]| text.iter().filter(|c| symbols.is_digit(**c)).count();
        let places = |text: &[char]| text.iter().filter(|c| symbols.is_place(**c)).count();
        let groups = |text: &[char], left: bool| -> Vec<usize> {
            let marks = text.iter().enumerate().filter(|(_, c)| **c == symbols.grouping);
            marks.map(|(at, _)| places(if left { &text[..at] } else { &text[at..] })).collect()
        };
        let integer_groups = groups(&parts.integer, false);
        let scale = digits(&parts.integer);
        let mut layout = Self {
            regular: regular_repeat(&integer_groups),
            integer_groups,
            fraction_groups: groups(&parts.fraction, true),
            least_integer: scale,
            least_fraction: digits(&parts.fraction),
            most_fraction: places(&parts.fraction),
            scale,
            least_exponent: parts.exponent.as_deref().map_or(0, digits),
        };
        if layout.least_integer == 0 && layout.most_fraction == 0 {
            if parts.exponent.is_some() {
                (layout.least_fraction, layout.most_fraction) = (1, 1);
            } else {
                layout.least_integer = 1;
            }
        }
        if parts.exponent.is_some() && layout.least_integer == 0 && parts.integer.contains(&symbols.digit) {
            layout.least_integer = 1;
        }
        if layout.least_integer == 0 && layout.least_fraction == 0 {
            layout.least_fraction = 1;
        }
        layout
    }
}

pub(crate) fn format(value: f64, picture: &str, options: &[(String, String)]) -> Result<String> {
    let symbols = Symbols::with(options);
    let pictures: Vec<&str> =
        if symbols.pattern.is_empty() { vec![picture] } else { picture.split(&symbols.pattern).collect() };
    if pictures.len() > 2 {
        return refuse("D3080", "The picture string must only contain a maximum of two sub-pictures");
    }
    if picture.len() > MAX_WIDTH {
        return refuse("D3080", "The picture string is too long");
    }
    let parts: Vec<Parts> = pictures.iter().map(|picture| Parts::split(picture, &symbols)).collect();
    parts.iter().try_for_each(|parts| parts.check(&symbols))?;
    let negative = value.is_nan() || value < 0.0;
    let part = &parts[if negative { parts.len() - 1 } else { 0 }];
    let sign = if negative && parts.len() == 1 { symbols.minus.as_str() } else { "" };
    let layout = Layout::of(part, &symbols);
    let scaled = if part.has(&symbols.percent) {
        value * 100.0
    } else if part.has(&symbols.per_mille) {
        value * 1000.0
    } else {
        value
    };
    let (mantissa, exponent) =
        if layout.least_exponent == 0 { (scaled, None) } else { split_exponent(scaled, layout.scale) };
    let mut text = digits(mantissa, &layout, part, &symbols);
    if let Some(exponent) = exponent {
        text.push(symbols.exponent);
        if exponent < 0 {
            text.push_str(&symbols.minus);
        }
        text.push_str(&symbols.digits(&format!("{:0width$}", exponent.unsigned_abs(), width = layout.least_exponent)));
    }
    let (prefix, suffix): (String, String) = (part.prefix.iter().collect(), part.suffix.iter().collect());
    Ok(format!("{sign}{prefix}{text}{suffix}"))
}

fn split_exponent(value: f64, scale: usize) -> (f64, Option<i32>) {
    let power = |scale: i32| 10_f64.powi(scale);
    let scale = i32::try_from(scale).unwrap_or(i32::MAX);
    let (most, least) = (power(scale), power(scale - 1));
    let (mut mantissa, mut exponent) = (value, 0);
    if mantissa != 0.0 && mantissa.is_finite() {
        while mantissa.abs() < least && exponent > -1000 {
            mantissa *= 10.0;
            exponent -= 1;
        }
        while mantissa.abs() > most && exponent < 1000 {
            mantissa /= 10.0;
            exponent += 1;
        }
    }
    (mantissa, Some(exponent))
}

fn digits(mantissa: f64, layout: &Layout, part: &Parts, symbols: &Symbols) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a picture's length is small")]
    let rounded = crate::functions::rounded(mantissa, layout.most_fraction as f64);
    let written = format!("{:.*}", layout.most_fraction, rounded.abs());
    let (whole, fraction) = written.split_once('.').unwrap_or((&written, ""));
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let pad = |count: usize| std::iter::repeat_n('0', count);
    let mut whole: Vec<char> = pad(layout.least_integer.saturating_sub(whole.len())).chain(whole.chars()).collect();
    let mut fraction: Vec<char> =
        fraction.chars().chain(pad(layout.least_fraction.saturating_sub(fraction.len()))).collect();
    let length = whole.len();
    if let Some(every) = layout.regular {
        for group in 1..=length.saturating_sub(1) / every {
            whole.insert(length - group * every, symbols.grouping);
        }
    } else {
        for position in layout.integer_groups.iter().filter(|position| **position <= length) {
            let at = whole.len().saturating_sub(*position);
            // Marks to the left shift nothing to the right of them.
            whole.insert(at.min(whole.len()), symbols.grouping);
        }
    }
    for position in &layout.fraction_groups {
        if *position <= fraction.len() {
            fraction.insert(*position, symbols.grouping);
        }
    }
    let mut text: String = symbols.digits(&whole.iter().collect::<String>());
    if !fraction.is_empty() && part.text.contains(&symbols.decimal) {
        text.push(symbols.decimal);
        text.push_str(&symbols.digits(&fraction.iter().collect::<String>()));
    }
    text
}
