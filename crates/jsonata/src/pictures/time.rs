//! Times: `[Y0001]-[M01]-[D01]` and the like, written and read. The calendar is jiff's, in UTC.

use jiff::civil::{Date, DateTime};

use super::integer::Format;
use super::{PictureError, Result, quoted, refuse};
use crate::Timestamp;

const ISO: &str = "[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01].[f001][Z01:01t]";
const DAYS: &[&str] = &["", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: &[&str] = &[
    "",
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

enum Part {
    Literal(String),
    Marker(Box<Marker>),
}

struct Marker {
    component: char,
    names: Option<Names>,
    traditional: bool,
    format: Option<Format>,
    /// The widest name that is written.
    width: Option<usize>,
    /// The year's last digits, so many.
    year_digits: Option<u32>,
}

#[derive(Clone, Copy, PartialEq)]
enum Names {
    Upper,
    Lower,
    Title,
}

fn width(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

fn analyse(picture: &str) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = picture;
    while let Some(open) = rest.find('[') {
        let literal = |text: &str| Part::Literal(text.replace("]]", "]"));
        if open > 0 {
            parts.push(literal(&rest[..open]));
        }
        rest = &rest[open + 1..];
        if let Some(after) = rest.strip_prefix('[') {
            parts.push(Part::Literal("[".to_owned()));
            rest = after;
            continue;
        }
        let close = rest.find(']');
        let Some(close) = close else {
            return refuse("D3135", "No matching closing bracket ']' in date/time picture string");
        };
        let marker: String = rest[..close].chars().filter(|c| !c.is_whitespace()).collect();
        let marker = Marker::analyse(&marker)?;
        // Digits right after digits: the first take exactly their width.
        if marker.is_number()
            && let Some(Part::Marker(previous)) = parts.last_mut()
            && let Some(format) = &mut previous.format
        {
            format.parse_width = Some(format.mandatory);
        }
        parts.push(Part::Marker(Box::new(marker)));
        rest = &rest[close + 1..];
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.replace("]]", "]")));
    }
    Ok(parts)
}

impl Marker {
    fn is_number(&self) -> bool {
        self.names.is_none() && "YMDdFWwXxHhmsf".contains(self.component)
    }

    fn analyse(marker: &str) -> Result<Self> {
        let component = marker.chars().next().unwrap_or('\0');
        let rest = &marker[component.len_utf8().min(marker.len())..];
        let (presentation, widths) = rest.rsplit_once(',').map_or((rest, None), |(p, w)| (p, Some(w)));
        let (least, most) = match widths {
            Some(widths) => {
                let (least, most) = widths.split_once('-').map_or((widths, None), |(l, m)| (l, Some(m)));
                (width(least), most.and_then(width))
            }
            None => (None, None),
        };
        let mut first = presentation;
        let mut second = None;
        if presentation.chars().count() > 1
            && let Some(last @ ('a' | 't' | 'c' | 'o')) = presentation.chars().next_back()
        {
            second = Some(last);
            first = &presentation[..presentation.len() - 1];
        }
        if presentation.is_empty() {
            first = match component {
                'Y' | 'M' | 'D' | 'd' | 'W' | 'w' | 'X' | 'x' | 'H' | 'h' | 'f' => "1",
                'F' | 'P' | 'C' | 'E' => "n",
                'm' | 's' => "01",
                'Z' | 'z' => "01:01",
                other => {
                    let shown = if other == '\0' { "\"\"".to_owned() } else { quoted(&other.to_string()) };
                    return refuse("D3132", format!("Unknown component specifier {shown} in date/time picture string"));
                }
            };
        }
        let names = match first.as_bytes() {
            [b'n', ..] => Some(Names::Lower),
            [b'N', b'n', ..] => Some(Names::Title),
            [b'N', ..] => Some(Names::Upper),
            _ => None,
        };
        let mut marker =
            Self { component, names, traditional: second == Some('t'), format: None, width: most, year_digits: None };
        if marker.is_number() {
            let pattern = second.map_or_else(|| first.to_owned(), |second| format!("{first};{second}"));
            let mut format = Format::analyse(&pattern)?;
            format.mandatory = format.mandatory.max(least.unwrap_or(0));
            if component == 'Y' {
                let digits = format.mandatory + format.optional;
                marker.year_digits = match most {
                    Some(most) => {
                        format.mandatory = most;
                        u32::try_from(most).ok()
                    }
                    None if digits >= 2 => u32::try_from(digits).ok(),
                    None => None,
                };
            }
            marker.format = Some(format);
        } else if matches!(component, 'Z' | 'z') {
            marker.format = Some(Format::analyse(first)?);
        }
        Ok(marker)
    }

    fn misnamed(&self) -> PictureError {
        let shown = quoted(&self.component.to_string());
        PictureError {
            code: "D3133",
            sentence: format!(
                "The 'name' modifier can only be applied to months and days in the date/time picture string, not {shown}"
            ),
        }
    }
}

// Writing.

pub(crate) fn format(at: Timestamp, picture: Option<&str>, zone: Option<&str>) -> Result<String> {
    let offset = zone.map_or(0, offset_of);
    let (hours, minutes) = (offset.div_euclid(100), offset % 100);
    let shifted = at.0.saturating_add((60 * hours + minutes) * 60_000);
    let Some(date) = civil(shifted) else {
        return refuse("D3110", "The time is out of range");
    };
    let mut text = String::new();
    for part in analyse(picture.unwrap_or(ISO))? {
        match part {
            Part::Literal(literal) => text.push_str(&literal),
            Part::Marker(marker) => text.push_str(&marker.write(date, hours, minutes)?),
        }
    }
    Ok(text)
}

/// As JavaScript's `parseInt`: `+0100`, `-0530`.
fn offset_of(zone: &str) -> i64 {
    let zone = zone.trim();
    let (sign, digits) =
        zone.strip_prefix('-').map_or_else(|| (1, zone.strip_prefix('+').unwrap_or(zone)), |rest| (-1, rest));
    let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()).min(6);
    sign * digits[..length].parse::<i64>().unwrap_or(0)
}

fn civil(millis: i64) -> Option<DateTime> {
    let at = jiff::Timestamp::from_millisecond(millis).ok()?;
    Some(jiff::tz::Offset::UTC.to_datetime(at))
}

impl Marker {
    fn write(&self, date: DateTime, hours: i64, minutes: i64) -> Result<String> {
        match self.component {
            'Z' | 'z' => self.write_zone(hours, minutes),
            'P' => {
                let half = if date.hour() >= 12 { "pm" } else { "am" };
                Ok(if self.names == Some(Names::Upper) { half.to_uppercase() } else { half.to_owned() })
            }
            'C' | 'E' => Ok("ISO".to_owned()),
            _ => self.write_number(date),
        }
    }

    fn write_number(&self, date: DateTime) -> Result<String> {
        let mut value = fragment(date, self.component);
        if let (Some(digits), 'Y') = (self.year_digits, self.component) {
            value %= 10_i64.saturating_pow(digits);
        }
        let Some(names) = self.names else {
            let Some(format) = &self.format else { return Ok(String::new()) };
            #[expect(clippy::cast_precision_loss, reason = "parts of a date are small")]
            return format.write(value as f64);
        };
        let table = match self.component {
            'M' | 'x' => MONTHS,
            'F' => DAYS,
            _ => return Err(self.misnamed()),
        };
        let name = usize::try_from(value).ok().and_then(|index| table.get(index)).copied().unwrap_or_default();
        let name = match names {
            Names::Upper => name.to_uppercase(),
            Names::Lower => name.to_lowercase(),
            Names::Title => name.to_owned(),
        };
        Ok(self.width.map_or_else(|| name.clone(), |width| name.chars().take(width).collect()))
    }

    fn write_zone(&self, hours: i64, minutes: i64) -> Result<String> {
        let Some(format) = &self.format else { return Ok(String::new()) };
        let offset = hours * 100 + minutes;
        if offset == 0 && self.traditional {
            return Ok("Z".to_owned());
        }
        #[expect(clippy::cast_precision_loss, reason = "offsets are small")]
        let (whole, hour) = (offset as f64, hours as f64);
        let mut text = if format.regular.is_some() {
            format.write(whole)?
        } else {
            match format.mandatory {
                1 | 2 => {
                    let mut text = format.write(hour)?;
                    if minutes != 0 {
                        text = format!("{text}:{minutes:02}");
                    }
                    text
                }
                3 | 4 => format.write(whole)?,
                _ => return refuse("D3134", "The timezone integer format specifier cannot have more than four digits"),
            }
        };
        if offset >= 0 {
            text.insert(0, '+');
        }
        if self.component == 'z' {
            text.insert_str(0, "GMT");
        }
        Ok(text)
    }
}

fn days(date: Date) -> i64 {
    jiff::civil::date(1970, 1, 1).until(date).map_or(0, |span| i64::from(span.get_days()))
}

/// The Monday of the week in which the first Thursday of the month, or of the year with month one, lies.
fn first_week(year: i16, month: i8) -> i64 {
    let first = Date::new(year, month, 1).unwrap_or(Date::MIN);
    let weekday = i64::from(first.weekday().to_monday_one_offset());
    if weekday > 4 { days(first) + 8 - weekday } else { days(first) - weekday + 1 }
}

fn next_month(year: i16, month: i8) -> (i16, i8) {
    if month == 12 { (year.saturating_add(1), 1) } else { (year, month + 1) }
}

fn previous_month(year: i16, month: i8) -> (i16, i8) {
    if month == 1 { (year.saturating_sub(1), 12) } else { (year, month - 1) }
}

fn fragment(date: DateTime, component: char) -> i64 {
    let (year, month) = (date.year(), date.month());
    let today = days(date.date());
    let week = |this: i64, next: i64, previous: i64, most: i64| {
        let week = (today - this).div_euclid(7) + 1;
        if week > most && today >= next {
            1
        } else if week < 1 {
            (today - previous).div_euclid(7) + 1
        } else {
            week
        }
    };
    let (next, previous) = (next_month(year, month), previous_month(year, month));
    let years = |delta: i16| first_week(year.saturating_add(delta), 1);
    match component {
        'Y' => i64::from(year),
        'M' => i64::from(month),
        'D' => i64::from(date.day()),
        'd' => i64::from(date.day_of_year()),
        'F' => i64::from(date.weekday().to_monday_one_offset()),
        'W' => week(years(0), years(1), years(-1), 52),
        'w' => week(first_week(year, month), first_week(next.0, next.1), first_week(previous.0, previous.1), 4),
        'X' => {
            let delta = if today < years(0) { -1 } else { i64::from(today >= years(1)) };
            i64::from(year) + delta
        }
        'x' => {
            if today < first_week(year, month) {
                i64::from(previous.1)
            } else if today >= first_week(next.0, next.1) {
                i64::from(next.1)
            } else {
                i64::from(month)
            }
        }
        'H' => i64::from(date.hour()),
        'h' => match date.hour() % 12 {
            0 => 12,
            hour => i64::from(hour),
        },
        'm' => i64::from(date.minute()),
        's' => i64::from(date.second()),
        'f' => i64::from(date.millisecond()),
        _ => 0,
    }
}

// Reading.

/// What `$toMillis` reads without a picture: a year, or more of an ISO 8601 time.
pub(crate) fn iso(text: &str) -> Option<Timestamp> {
    static SHAPE: std::sync::LazyLock<Option<regex::Regex>> = std::sync::LazyLock::new(|| {
        let shape = r"^([0-9]{4})(?:-([01][0-9]))?(?:-([0-3][0-9]))?(?:T([0-2][0-9]):([0-5][0-9]):([0-5][0-9]))?(?:\.([0-9]+))?([+-][0-2][0-9]:?[0-5][0-9]|Z)?$";
        regex::Regex::new(shape).ok()
    });
    let found = SHAPE.as_ref()?.captures(text)?;
    let number = |group: usize, missing: i64| found.get(group).map_or(Some(missing), |part| part.as_str().parse().ok());
    let fraction: String = found.get(7).map_or("0", |part| part.as_str()).chars().take(3).collect();
    let millis = format!("{fraction:0<3}").parse().ok()?;
    let time =
        millis_of(number(1, 0)?, number(2, 1)?, number(3, 1)?, [number(4, 0)?, number(5, 0)?, number(6, 0)?, millis])?;
    let offset = match found.get(8).map(|part| part.as_str()) {
        None | Some("Z") => 0,
        Some(zone) => {
            let digits = zone[1..].replace(':', "");
            let minutes = digits[..2].parse::<i64>().ok()? * 60 + digits[2..].parse::<i64>().ok()?;
            if zone.starts_with('-') { -minutes } else { minutes }
        }
    };
    Some(Timestamp(time - offset * 60_000))
}

/// Parts may overflow into the next, as `Date.UTC` has it; months count from one.
fn millis_of(year: i64, month: i64, day: i64, [hour, minute, second, millis]: [i64; 4]) -> Option<i64> {
    let year = year.checked_add((month - 1).div_euclid(12))?;
    let first = Date::new(i16::try_from(year).ok()?, i8::try_from((month - 1).rem_euclid(12) + 1).ok()?, 1).ok()?;
    let day = days(first).checked_add(day)?.checked_sub(1)?;
    let seconds =
        day.checked_mul(86_400)?.checked_add(hour.checked_mul(3600)?)?.checked_add(minute.checked_mul(60)?)?;
    seconds.checked_add(second)?.checked_mul(1000)?.checked_add(millis)
}

/// What was read, by component.
#[derive(Default)]
struct Read(Vec<(char, Option<i64>)>);

impl Read {
    fn get(&self, component: char) -> Option<i64> {
        self.0.iter().find(|(known, _)| *known == component).and_then(|(_, value)| *value)
    }

    fn set(&mut self, component: char, value: Option<i64>) {
        self.0.retain(|(known, _)| *known != component);
        self.0.push((component, value));
    }

    /// JavaScript's truth: there, and not zero.
    fn mask(&self, components: &str) -> u32 {
        components.chars().fold(0, |mask, part| mask << 1 | u32::from(self.get(part).is_some_and(|value| value != 0)))
    }
}

/// Nothing when the text does not fit the picture.
pub(crate) fn parse(text: &str, picture: &str, now: Timestamp) -> Result<Option<Timestamp>> {
    let parts = analyse(picture)?;
    let mut pattern = String::from("(?i)^");
    for part in &parts {
        pattern.push('(');
        match part {
            Part::Literal(literal) => pattern.push_str(&regex::escape(literal)),
            Part::Marker(marker) => pattern.push_str(&marker.pattern()?),
        }
        pattern.push(')');
    }
    pattern.push('$');
    let regex = regex::RegexBuilder::new(&pattern).size_limit(4 << 20).build();
    let Ok(regex) = regex else { return refuse("D3136", "The date/time picture string is too long") };
    let Some(found) = regex.captures(text) else { return Ok(None) };
    let mut read = Read::default();
    for (part, group) in parts.iter().zip(found.iter().skip(1)) {
        if let (Part::Marker(marker), Some(group)) = (part, group) {
            let value = marker.read(group.as_str())?;
            read.set(marker.component, value);
        }
    }
    if read.0.is_empty() {
        return Ok(None);
    }
    assemble(read, now)
}

fn missing<T>() -> Result<T> {
    refuse("D3136", "The date/time picture string is missing specifiers required to parse the timestamp")
}

fn assemble(mut read: Read, now: Timestamp) -> Result<Option<Timestamp>> {
    let is = |mask: u32, kind: u32| !kind & mask == 0 && kind & mask != 0;
    let dates = read.mask("YXMxWwdD");
    let day_of_year = !is(dates, 161) && is(dates, 130);
    let week_of_month = is(dates, 84);
    let week_of_year = !week_of_month && is(dates, 72);
    let times = read.mask("PHhmsf");
    let half_day = !is(times, 23) && is(times, 47);
    let date_parts = if day_of_year {
        "YD"
    } else if week_of_month {
        "XxwF"
    } else if week_of_year {
        "XWF"
    } else {
        "YMD"
    };
    let Some(today) = civil(now.0) else { return Ok(None) };
    let (mut started, mut ended) = (false, false);
    for part in date_parts.chars().chain(if half_day { "Phmsf" } else { "Hmsf" }.chars()) {
        if read.get(part).is_some() {
            started = true;
            if ended {
                return missing();
            }
        } else if started {
            read.set(part, Some(i64::from("MDd".contains(part))));
            ended = true;
        } else {
            read.set(part, Some(fragment(today, part)));
        }
    }
    if week_of_month || week_of_year {
        return missing();
    }
    let part = |component| read.get(component).unwrap_or(0);
    let month = part('M').max(1);
    let (month, day) = if day_of_year { (1, part('d')) } else { (month, part('D')) };
    let hour = if half_day { part('h') % 12 + if part('P') == 1 { 12 } else { 0 } } else { part('H') };
    let Some(millis) = millis_of(part('Y'), month, day, [hour, part('m'), part('s'), part('f')]) else {
        return Ok(None);
    };
    let offset = read.get('Z').filter(|offset| *offset != 0).or_else(|| read.get('z')).unwrap_or(0);
    Ok(Some(Timestamp(millis - offset * 60_000)))
}

impl Marker {
    fn separator(&self) -> Option<char> {
        self.format.as_ref().and_then(|format| format.regular).map(|(_, separator)| separator)
    }

    fn pattern(&self) -> Result<String> {
        Ok(match (self.component, &self.format) {
            ('Z' | 'z', _) => {
                let gmt = if self.component == 'z' { "GMT" } else { "" };
                let more = self
                    .separator()
                    .map_or_else(String::new, |separator| format!("{}[0-9]+", regex::escape(&separator.to_string())));
                format!("{gmt}[-+][0-9]+{more}")
            }
            ('f', _) => "[0-9]+".to_owned(),
            (_, Some(format)) => format.pattern()?,
            ('M' | 'x' | 'F' | 'P', None) => "[a-zA-Z]+".to_owned(),
            _ => return Err(self.misnamed()),
        })
    }

    fn read(&self, text: &str) -> Result<Option<i64>> {
        let whole = |text: &str| text.trim_start_matches('+').parse::<i64>().ok();
        Ok(match (self.component, &self.format) {
            ('Z' | 'z', _) => {
                let text = if self.component == 'z' { text.get(3..).unwrap_or("") } else { text };
                let (hours, minutes) = match self.separator().and_then(|separator| text.split_once(separator)) {
                    Some((hours, minutes)) => (whole(hours), whole(minutes)),
                    None if text.len() <= 3 => (whole(text), Some(0)),
                    None => (whole(&text[..3]), whole(&text[3..])),
                };
                Some(hours.unwrap_or(0) * 60 + minutes.unwrap_or(0))
            }
            ('f', _) => {
                let digits: String = text.chars().take(3).collect();
                format!("{digits:0<3}").parse().ok()
            }
            #[expect(clippy::cast_possible_truncation, reason = "float casts saturate")]
            (_, Some(format)) => format.read(text)?.map(|value| value as i64),
            ('P', None) => match text {
                "am" | "AM" => Some(0),
                "pm" | "PM" => Some(1),
                _ => None,
            },
            (component, None) => {
                let table = if component == 'F' { DAYS } else { MONTHS };
                let width = self.width.unwrap_or(usize::MAX);
                let found = (1..table.len()).find(|index| table[*index].chars().take(width).eq(text.chars()));
                found.and_then(|index| i64::try_from(index).ok())
            }
        })
    }
}
