//! What the lists of models, endpoints, their configurations and transform jobs have in common: filters, order, pages.

use wire::Timestamp;

/// One of a list.
pub(crate) trait Listed {
    fn name(&self) -> &str;
    fn created(&self) -> Timestamp;
    fn modified(&self) -> Timestamp {
        self.created()
    }
    fn status(&self) -> Option<&str> {
        None
    }
}

/// Before and after which time.
#[derive(Default)]
pub(crate) struct Between {
    pub(crate) before: Option<Timestamp>,
    pub(crate) after: Option<Timestamp>,
}

/// What is asked of a list. The newest come first, unless asked otherwise.
#[derive(Default)]
pub(crate) struct Listing {
    pub(crate) name_contains: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) created: Between,
    pub(crate) modified: Between,
    pub(crate) sort_by: Option<String>,
    pub(crate) order: Option<String>,
    /// The name of the last one that was sent.
    pub(crate) token: Option<String>,
    pub(crate) limit: Option<i32>,
}

impl Between {
    fn holds(&self, time: Timestamp) -> bool {
        self.before.is_none_or(|before| time < before) && self.after.is_none_or(|after| time > after)
    }
}

impl Listing {
    /// One page, and what to ask for the next with.
    pub(crate) fn page<T: Listed>(self, items: impl Iterator<Item = T>) -> (Vec<T>, Option<String>) {
        let mut items: Vec<T> = items.filter(|item| self.wants(item)).collect();
        match self.sort_by.as_deref() {
            Some("Name") => items.sort_by(|a, b| a.name().cmp(b.name())),
            Some("Status") => items.sort_by(|a, b| a.status().cmp(&b.status())),
            _ => items.sort_by_key(Listed::created),
        }
        if self.order.as_deref() != Some("Ascending") {
            items.reverse();
        }
        let limit = self.limit.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(10);
        let after =
            |token: &String| items.iter().position(|item| item.name() == token).map_or(items.len(), |at| at + 1);
        let start = self.token.as_ref().map_or(0, after);
        let more = items.len() > start + limit;
        let sent: Vec<T> = items.into_iter().skip(start).take(limit).collect();
        let next = if more { sent.last().map(|item| item.name().to_owned()) } else { None };
        (sent, next)
    }

    fn wants<T: Listed>(&self, item: &T) -> bool {
        self.name_contains.as_ref().is_none_or(|part| item.name().contains(part))
            && (self.status.is_none() || self.status.as_deref() == item.status())
            && self.created.holds(item.created())
            && self.modified.holds(item.modified())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Item(&'static str, i64);

    impl Listed for Item {
        fn name(&self) -> &str {
            self.0
        }
        fn created(&self) -> Timestamp {
            Timestamp(jiff::Timestamp::from_second(self.1).unwrap())
        }
    }

    #[test]
    fn pages_follow_each_other() {
        let all = || [Item("a", 1), Item("b", 2), Item("c", 3), Item("xa", 0)].into_iter();
        let (first, next) = Listing { limit: Some(2), ..Listing::default() }.page(all());
        assert_eq!((first[0].0, first[1].0, next.as_deref()), ("c", "b", Some("b")));
        let (second, next) = Listing { limit: Some(2), token: next, ..Listing::default() }.page(all());
        assert_eq!((second[0].0, second[1].0, next), ("a", "xa", None));
        let asked = Listing { name_contains: Some("a".into()), order: Some("Ascending".into()), ..Listing::default() };
        let (found, _) = asked.page(all());
        assert_eq!(found.iter().map(|item| item.0).collect::<Vec<_>>(), ["xa", "a"]);
    }
}
