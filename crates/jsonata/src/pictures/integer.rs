//! Whole numbers: digits, letters, Roman numerals, words.

use super::{MAX_WIDTH, Result, quoted, refuse, regular_repeat};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Case {
    Upper,
    Lower,
    Title,
}

#[derive(Clone, Debug)]
pub(super) enum Primary {
    Decimal,
    Letters,
    Roman,
    Words,
    /// A numbering that starts with this text, which is not known.
    Sequence(String),
}

#[derive(Clone, Debug)]
pub(super) struct Format {
    pub(super) primary: Primary,
    case: Case,
    pub(super) ordinal: bool,
    zero: u32,
    pub(super) mandatory: usize,
    pub(super) optional: usize,
    /// Every so many digits the same separator.
    pub(super) regular: Option<(usize, char)>,
    separators: Vec<(usize, char)>,
    /// Exactly so many digits when read, because digits follow at once.
    pub(super) parse_width: Option<usize>,
}

pub(crate) fn format(value: f64, picture: &str) -> Result<String> {
    Format::analyse(picture)?.write(value.floor())
}

/// Nothing when the text is no such number.
pub(crate) fn parse(text: &str, picture: &str) -> Result<Option<f64>> {
    Format::analyse(picture)?.read(text)
}

const DIGIT_GROUPS: &[u32] = &[
    0x30, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6,
    0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40,
    0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
];

impl Format {
    pub(super) fn analyse(picture: &str) -> Result<Self> {
        let (primary, modifier) = picture.rsplit_once(';').unwrap_or((picture, ""));
        let mut format = Self {
            primary: Primary::Decimal,
            case: Case::Lower,
            ordinal: modifier.starts_with('o'),
            zero: 0x30,
            mandatory: 0,
            optional: 0,
            regular: None,
            separators: Vec::new(),
            parse_width: None,
        };
        (format.primary, format.case) = match primary {
            "A" => (Primary::Letters, Case::Upper),
            "a" => (Primary::Letters, Case::Lower),
            "I" => (Primary::Roman, Case::Upper),
            "i" => (Primary::Roman, Case::Lower),
            "W" => (Primary::Words, Case::Upper),
            "Ww" => (Primary::Words, Case::Title),
            "w" => (Primary::Words, Case::Lower),
            _ => {
                format.digits(primary)?;
                return Ok(format);
            }
        };
        Ok(format)
    }

    fn digits(&mut self, picture: &str) -> Result<()> {
        let mut zero = None;
        let mut position = 0;
        for c in picture.chars().rev() {
            let code = u32::from(c);
            if let Some(group) = DIGIT_GROUPS.iter().find(|group| (**group..=**group + 9).contains(&code)) {
                self.mandatory += 1;
                position += 1;
                if *zero.get_or_insert(*group) != *group {
                    return refuse(
                        "D3131",
                        "In a decimal digit pattern, all digits must be from the same decimal group",
                    );
                }
            } else if c == '#' {
                self.optional += 1;
                position += 1;
            } else {
                self.separators.push((position, c));
            }
        }
        let Some(zero) = zero else {
            self.primary = Primary::Sequence(picture.to_owned());
            return Ok(());
        };
        self.zero = zero;
        if let Some((_, separator)) = self.separators.first()
            && self.separators.iter().all(|(_, other)| other == separator)
        {
            let positions: Vec<usize> = self.separators.iter().map(|(position, _)| *position).collect();
            self.regular = regular_repeat(&positions).map(|factor| (factor, *separator));
        }
        Ok(())
    }

    fn unknown<T>(token: &str) -> Result<T> {
        refuse(
            "D3130",
            format!(
                "Formatting or parsing an integer as a sequence starting with {} is not supported by this implementation",
                quoted(token)
            ),
        )
    }

    pub(super) fn write(&self, value: f64) -> Result<String> {
        if !value.is_finite() {
            return refuse("D1001", "Number out of range: null");
        }
        let size = value.abs();
        let text = match &self.primary {
            Primary::Sequence(token) => return Self::unknown(token),
            Primary::Letters => letters(size, if self.case == Case::Upper { b'A' } else { b'a' }),
            Primary::Roman => {
                let numerals = roman(size);
                if self.case == Case::Upper { numerals.to_uppercase() } else { numerals }
            }
            Primary::Words => {
                let words = words(size, self.ordinal);
                match self.case {
                    Case::Upper => words.to_uppercase(),
                    Case::Lower => words.to_lowercase(),
                    Case::Title => words,
                }
            }
            Primary::Decimal => self.write_digits(size)?,
        };
        Ok(if value < 0.0 { format!("-{text}") } else { text })
    }

    fn write_digits(&self, size: f64) -> Result<String> {
        if self.mandatory > MAX_WIDTH {
            return refuse("D3131", "The picture is too wide");
        }
        let digits = crate::value::number_text(size);
        let mut chars: Vec<char> = std::iter::repeat_n('0', self.mandatory.saturating_sub(digits.len())).collect();
        chars.extend(digits.chars());
        if self.zero != 0x30 {
            for c in &mut chars {
                *c = char::from_u32((u32::from(*c) + self.zero).wrapping_sub(0x30)).unwrap_or(*c);
            }
        }
        let length = chars.len();
        if let Some((every, separator)) = self.regular {
            for group in (1..=length.saturating_sub(1) / every).rev() {
                // Inserting from the left moves nothing that is still to come, which counts from the right.
                let at = chars.len() - group * every;
                chars.insert(at, separator);
            }
        } else {
            for (position, separator) in self.separators.iter().rev() {
                let at = chars.len().saturating_sub(*position);
                chars.insert(at, *separator);
            }
        }
        if self.ordinal {
            let teen = chars.len() > 1 && chars[chars.len() - 2] == '1';
            let suffix = match chars.last() {
                Some('1') if !teen => "st",
                Some('2') if !teen => "nd",
                Some('3') if !teen => "rd",
                _ => "th",
            };
            chars.extend(suffix.chars());
        }
        Ok(chars.into_iter().collect())
    }

    /// What the format reads, as a regular expression.
    pub(super) fn pattern(&self) -> Result<String> {
        let upper = self.case == Case::Upper;
        Ok(match &self.primary {
            Primary::Sequence(token) => return Self::unknown(token),
            Primary::Letters => if upper { "[A-Z]+" } else { "[a-z]+" }.to_owned(),
            Primary::Roman => if upper { "[MDCLXVI]+" } else { "[mdclxvi]+" }.to_owned(),
            Primary::Words => {
                let mut words: Vec<String> = WORD_VALUES.iter().map(|(word, _)| (*word).to_owned()).collect();
                words.sort_by_key(|word| std::cmp::Reverse(word.len()));
                format!("(?:{}|and|[\\-, ])+", words.join("|"))
            }
            Primary::Decimal => {
                let width = self.parse_width.map_or_else(|| "+".to_owned(), |width| format!("{{{width}}}"));
                format!("[0-9]{width}{}", if self.ordinal { "(?:th|st|nd|rd)" } else { "" })
            }
        })
    }

    pub(super) fn read(&self, text: &str) -> Result<Option<f64>> {
        Ok(match &self.primary {
            Primary::Sequence(token) => return Self::unknown(token),
            Primary::Letters => {
                let first = u32::from(if self.case == Case::Upper { b'A' } else { b'a' });
                Some(text.chars().fold(0.0, |total, c| total * 26.0 + f64::from(u32::from(c)) - f64::from(first) + 1.0))
            }
            Primary::Roman => roman_value(&text.to_uppercase()),
            Primary::Words => word_value(&text.to_lowercase()),
            Primary::Decimal => self.read_digits(text),
        })
    }

    fn read_digits(&self, text: &str) -> Option<f64> {
        let text = if self.ordinal { text.get(..text.len().checked_sub(2)?)? } else { text };
        let separators: Vec<char> = match self.regular {
            Some(_) => vec![','],
            None => self.separators.iter().map(|(_, separator)| *separator).collect(),
        };
        let digits: String = text
            .chars()
            .filter(|c| !separators.contains(c))
            .map(|c| match u32::from(c).checked_sub(self.zero) {
                Some(digit) if digit < 10 && self.zero != 0x30 => char::from_digit(digit, 10).unwrap_or(c),
                _ => c,
            })
            .collect();
        let (sign, rest) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
        let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        format!("{sign}{}", &rest[..length]).parse().ok()
    }
}

fn letters(value: f64, first: u8) -> String {
    let (mut value, mut letters) = (value, Vec::new());
    while value > 0.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "less than 26")]
        letters.push(char::from(first + ((value - 1.0) % 26.0) as u8));
        value = ((value - 1.0) / 26.0).floor();
    }
    letters.iter().rev().collect()
}

const ROMAN: &[(f64, &str)] = &[
    (1000.0, "m"),
    (900.0, "cm"),
    (500.0, "d"),
    (400.0, "cd"),
    (100.0, "c"),
    (90.0, "xc"),
    (50.0, "l"),
    (40.0, "xl"),
    (10.0, "x"),
    (9.0, "ix"),
    (5.0, "v"),
    (4.0, "iv"),
    (1.0, "i"),
];

fn roman(value: f64) -> String {
    let mut left = value;
    let mut text = String::new();
    for (size, numeral) in ROMAN {
        while left >= *size && text.len() < MAX_WIDTH {
            text.push_str(numeral);
            left -= size;
        }
    }
    text
}

fn roman_value(text: &str) -> Option<f64> {
    let (mut total, mut most) = (0.0, 1.0);
    for c in text.chars().rev() {
        let value = match c {
            'M' => 1000.0,
            'D' => 500.0,
            'C' => 100.0,
            'L' => 50.0,
            'X' => 10.0,
            'V' => 5.0,
            'I' => 1.0,
            _ => return None,
        };
        if value < most {
            total -= value;
        } else {
            most = value;
            total += value;
        }
    }
    Some(total)
}

const FEW: &[&str] = &[
    "Zero",
    "One",
    "Two",
    "Three",
    "Four",
    "Five",
    "Six",
    "Seven",
    "Eight",
    "Nine",
    "Ten",
    "Eleven",
    "Twelve",
    "Thirteen",
    "Fourteen",
    "Fifteen",
    "Sixteen",
    "Seventeen",
    "Eighteen",
    "Nineteen",
];
const ORDINALS: &[&str] = &[
    "Zeroth",
    "First",
    "Second",
    "Third",
    "Fourth",
    "Fifth",
    "Sixth",
    "Seventh",
    "Eighth",
    "Ninth",
    "Tenth",
    "Eleventh",
    "Twelfth",
    "Thirteenth",
    "Fourteenth",
    "Fifteenth",
    "Sixteenth",
    "Seventeenth",
    "Eighteenth",
    "Nineteenth",
];
const DECADES: &[&str] = &["Twenty", "Thirty", "Forty", "Fifty", "Sixty", "Seventy", "Eighty", "Ninety"];
const MAGNITUDES: &[(f64, &str)] = &[(1e12, "Trillion"), (1e9, "Billion"), (1e6, "Million"), (1e3, "Thousand")];

fn words(value: f64, ordinal: bool) -> String {
    spoken(value, false, ordinal)
}

fn spoken(value: f64, after: bool, ordinal: bool) -> String {
    if value < 100.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "less than a hundred")]
        let small = value as usize;
        let and = if after { " and " } else { "" };
        if small < 20 {
            return format!("{and}{}", if ordinal { ORDINALS[small] } else { FEW[small] });
        }
        let decade = DECADES[small / 10 - 2];
        return match small % 10 {
            0 if ordinal => format!("{and}{}ieth", &decade[..decade.len() - 1]),
            0 => format!("{and}{decade}"),
            rest => format!("{and}{decade}-{}", if ordinal { ORDINALS[rest] } else { FEW[rest] }),
        };
    }
    let (size, name) = MAGNITUDES.iter().copied().find(|(size, _)| value >= *size).unwrap_or((100.0, "Hundred"));
    let count = (value / size).floor();
    let rest = value - count * size;
    // Beyond the last word, its multiples are spoken again; numbers without a fraction end the recursion.
    let comma = if after { ", " } else { "" };
    let mut text = format!("{comma}{} {name}", spoken(count, false, false));
    if rest >= 1.0 {
        text.push_str(&spoken(rest, true, ordinal));
    } else if ordinal {
        text.push_str("th");
    }
    text
}

const WORD_VALUES: &[(&str, f64)] = &[
    ("zero", 0.0),
    ("one", 1.0),
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("eleven", 11.0),
    ("twelve", 12.0),
    ("thirteen", 13.0),
    ("fourteen", 14.0),
    ("fifteen", 15.0),
    ("sixteen", 16.0),
    ("seventeen", 17.0),
    ("eighteen", 18.0),
    ("nineteen", 19.0),
    ("zeroth", 0.0),
    ("first", 1.0),
    ("second", 2.0),
    ("third", 3.0),
    ("fourth", 4.0),
    ("fifth", 5.0),
    ("sixth", 6.0),
    ("seventh", 7.0),
    ("eighth", 8.0),
    ("ninth", 9.0),
    ("tenth", 10.0),
    ("eleventh", 11.0),
    ("twelfth", 12.0),
    ("thirteenth", 13.0),
    ("fourteenth", 14.0),
    ("fifteenth", 15.0),
    ("sixteenth", 16.0),
    ("seventeenth", 17.0),
    ("eighteenth", 18.0),
    ("nineteenth", 19.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("seventy", 70.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
    ("twentieth", 20.0),
    ("thirtieth", 30.0),
    ("fortieth", 40.0),
    ("fiftieth", 50.0),
    ("sixtieth", 60.0),
    ("seventieth", 70.0),
    ("eightieth", 80.0),
    ("ninetieth", 90.0),
    ("hundred", 100.0),
    ("hundredth", 100.0),
    ("thousand", 1e3),
    ("thousandth", 1e3),
    ("million", 1e6),
    ("millionth", 1e6),
    ("billion", 1e9),
    ("billionth", 1e9),
    ("trillion", 1e12),
    ("trillionth", 1e12),
];

fn word_value(text: &str) -> Option<f64> {
    let text = text.replace(", ", " ").replace(" and ", " ");
    let mut segments = vec![0.0_f64];
    for word in text.split([' ', '-', '\\']) {
        let (_, value) = WORD_VALUES.iter().find(|(known, _)| *known == word)?;
        let top = segments.pop().unwrap_or(0.0);
        if *value >= 100.0 {
            segments.push(top * value);
        } else if top >= 1000.0 {
            segments.extend([top, *value]);
        } else {
            segments.push(top + value);
        }
    }
    Some(segments.iter().sum())
}
