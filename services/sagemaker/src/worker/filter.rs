//! InputFilter and OutputFilter: the part of JSONPath that batch transform takes, applied to the columns of a table.
//! `$`, `$[0]`, `$[-1]`, `$[1:]`, `$[0,2]`, `$['a','b']`, `$.a`.

/// Which columns, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    All,
    Some(Vec<Selector>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    Index(i64),
    Slice(Option<i64>, Option<i64>),
    Name(String),
}

impl Filter {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, String> {
        let text = text.map(str::trim).unwrap_or_default();
        if text.is_empty() || text == "$" {
            return Ok(Self::All);
        }
        let wrong = || format!("{text} is no filter that batch transform understands");
        let rest = text.strip_prefix('$').ok_or_else(wrong)?;
        if let Some(name) = rest.strip_prefix('.') {
            let simple = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
            return simple.then(|| Self::Some(vec![Selector::Name(name.to_owned())])).ok_or_else(wrong);
        }
        let inner = rest.strip_prefix('[').and_then(|r| r.strip_suffix(']')).ok_or_else(wrong)?;
        let parts: Option<Vec<_>> = items(inner).iter().map(|item| selector(item.trim())).collect();
        // One range, or a list of single ones: <https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html>
        let fits = |parts: &Vec<Selector>| {
            !parts.is_empty() && (parts.len() == 1 || !parts.iter().any(|part| matches!(part, Selector::Slice(..))))
        };
        parts.filter(fits).map(Self::Some).ok_or_else(wrong)
    }

    /// Positions of the chosen columns. An index out of range and a name that is not there are errors.
    pub(crate) fn positions(&self, columns: &[&str]) -> Result<Vec<usize>, String> {
        let Self::Some(selectors) = self else { return Ok((0..columns.len()).collect()) };
        let mut chosen = Vec::new();
        for selector in selectors {
            match selector {
                Selector::Index(i) => {
                    let at = position(*i, columns.len());
                    chosen.push(at.ok_or_else(|| format!("there is no column {i}, of {}", columns.len()))?);
                }
                Selector::Slice(from, to) => chosen.extend(bounds(*from, *to, columns.len())),
                Selector::Name(name) => {
                    let at = columns.iter().position(|c| c == name);
                    chosen.push(
                        at.ok_or_else(|| format!("there is no column {name} (there are {})", columns.join(", ")))?,
                    );
                }
            }
        }
        Ok(chosen)
    }
}

/// Splits at commas outside of quotes.
fn items(text: &str) -> Vec<String> {
    let (mut all, mut item, mut quote) = (Vec::new(), String::new(), None);
    for c in text.chars() {
        match (c, quote) {
            (',', None) => all.push(std::mem::take(&mut item)),
            ('\'' | '"', None) => {
                quote = Some(c);
                item.push(c);
            }
            _ => {
                if quote == Some(c) {
                    quote = None;
                }
                item.push(c);
            }
        }
    }
    all.push(item);
    all
}

fn selector(item: &str) -> Option<Selector> {
    for quote in ['\'', '"'] {
        if let Some(name) = item.strip_prefix(quote) {
            return name.strip_suffix(quote).map(|name| Selector::Name(name.to_owned()));
        }
    }
    if let Some((from, to)) = item.split_once(':') {
        let bound = |text: &str| match text.trim() {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        return Some(Selector::Slice(bound(from)?, bound(to)?));
    }
    if item == "*" {
        return Some(Selector::Slice(None, None));
    }
    item.parse().ok().map(Selector::Index)
}

fn position(index: i64, len: usize) -> Option<usize> {
    let len = i64::try_from(len).ok()?;
    let at = if index < 0 { index + len } else { index };
    if (0..len).contains(&at) { usize::try_from(at).ok() } else { None }
}

fn bounds(from: Option<i64>, to: Option<i64>, len: usize) -> std::ops::Range<usize> {
    let clamp = |bound: Option<i64>, default: usize| match bound {
        None => default,
        Some(i) if i < 0 => len.saturating_sub(usize::try_from(i.unsigned_abs()).unwrap_or(usize::MAX)),
        Some(i) => usize::try_from(i).unwrap_or(usize::MAX).min(len),
    };
    clamp(from, 0)..clamp(to, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_choose_columns() {
        let columns = ["id", "a", "b", "p"];
        let check = |text: &str, want: &[usize]| {
            assert_eq!(Filter::parse(Some(text)).unwrap().positions(&columns).unwrap(), want, "{text}");
        };
        check("$", &[0, 1, 2, 3]);
        check("$[0]", &[0]);
        check("$[-1]", &[3]);
        check("$[1:]", &[1, 2, 3]);
        check("$[:-1]", &[0, 1, 2]);
        check("$[1:3]", &[1, 2]);
        check("$[0,-1]", &[0, 3]);
        check("$['p', 'id']", &[3, 0]);
        check("$.a", &[1]);
        assert!(Filter::parse(Some("$[7]")).unwrap().positions(&columns).unwrap_err().contains("no column 7"));
        assert!(Filter::parse(Some("$[0:1,3:]")).is_err());
        assert_eq!(Filter::parse(None), Ok(Filter::All));
        assert!(Filter::parse(Some("$..a")).is_err());
        assert!(Filter::parse(Some("x")).is_err());
        assert!(Filter::parse(Some("$['z']")).unwrap().positions(&columns).unwrap_err().contains("no column z"));
    }
}
