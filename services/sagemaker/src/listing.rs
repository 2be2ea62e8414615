//! What the lists of models, endpoints, their configurations and transform jobs have in common: filters, order, pages.

use serde::{Deserialize, Serialize};
use wire::{Error, Timestamp};

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

/// Where something stands in the order that was asked for: by what that is about, and by its name.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place(String, i64, String);

impl Place {
    fn token(&self) -> String {
        let text = serde_json::json!(self).to_string();
        hex::encode(text)
    }

    fn parse(token: &str) -> Result<Self, Error> {
        let place = hex::decode(token).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        place.ok_or_else(|| Error::validation(format!("The NextToken {token} is not one of this list.")))
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
    /// The place of the last one that was sent.
    pub(crate) token: Option<String>,
    pub(crate) limit: Option<i32>,
}

impl Between {
    fn holds(&self, time: Timestamp) -> bool {
        self.before.is_none_or(|before| time < before) && self.after.is_none_or(|after| time > after)
    }
}

impl Listing {
    /// One page, and what to ask for the next with: the place of its last one, behind which the next begins though that one is gone.
    pub(crate) fn page<T: Listed>(self, items: impl Iterator<Item = T>) -> Result<(Vec<T>, Option<String>), Error> {
        let after = self.token.as_deref().map(Place::parse).transpose()?;
        let ascending = self.order.as_deref() == Some("Ascending");
        let mut items: Vec<(Place, T)> =
            items.filter(|item| self.wants(item)).map(|item| (self.place(&item), item)).collect();
        items.retain(|(place, _)| {
            after.as_ref().is_none_or(|after| if ascending { place > after } else { place < after })
        });
        items.sort_by(|(a, _), (b, _)| if ascending { a.cmp(b) } else { b.cmp(a) });
        let limit = self.limit.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(10);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|(place, _)| place.token());
        Ok((items.into_iter().map(|(_, item)| item).collect(), next))
    }

    fn place<T: Listed>(&self, item: &T) -> Place {
        let (mut status, mut created) = (String::new(), 0);
        match self.sort_by.as_deref() {
            Some("Name") => {}
            Some("Status") => item.status().unwrap_or_default().clone_into(&mut status),
            _ => created = item.created().as_millis(),
        }
        Place(status, created, item.name().to_owned())
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

    fn names(items: &[Item]) -> Vec<&'static str> {
        items.iter().map(|item| item.0).collect()
    }

    #[test]
    fn pages_follow_each_other() {
        let all = || [Item("a", 1), Item("b", 2), Item("c", 3), Item("xa", 0)].into_iter();
        let (first, next) = Listing { limit: Some(2), ..Listing::default() }.page(all()).unwrap();
        assert_eq!((names(&first), next.is_some()), (vec!["c", "b"], true));
        let (second, next) = Listing { limit: Some(2), token: next, ..Listing::default() }.page(all()).unwrap();
        assert_eq!((names(&second), next), (vec!["a", "xa"], None));
        let asked = Listing { name_contains: Some("a".into()), order: Some("Ascending".into()), ..Listing::default() };
        let (found, _) = asked.page(all()).unwrap();
        assert_eq!(names(&found), ["xa", "a"]);
        for token in ["b", "zz", "", "7b7d"] {
            let refused = Listing { token: Some(token.to_owned()), ..Listing::default() }.page(all());
            assert_eq!(refused.err().map(|error| error.code().to_owned()).as_deref(), Some("ValidationException"));
        }
    }

    #[test]
    fn what_is_deleted_while_it_is_paged_leaves_nothing_out() {
        for (sort_by, order) in
            [("Name", "Ascending"), ("Name", "Descending"), ("CreationTime", "Ascending"), ("Status", "Descending")]
        {
            let mut left: Vec<(&'static str, i64)> = vec![("a", 1), ("b", 1), ("c", 1), ("d", 4), ("e", 5)];
            let (mut deleted, mut token) = (Vec::new(), None);
            loop {
                let asked = Listing {
                    limit: Some(2),
                    sort_by: Some(sort_by.into()),
                    order: Some(order.into()),
                    token,
                    ..Listing::default()
                };
                let (page, next) = asked.page(left.iter().map(|(name, at)| Item(name, *at))).unwrap();
                for Item(name, _) in page {
                    left.retain(|(other, _)| *other != name);
                    deleted.push(name);
                }
                token = next;
                if token.is_none() {
                    break;
                }
            }
            assert!(left.is_empty() && deleted.len() == 5, "{sort_by} {order}: {left:?} are left");
        }
    }
}
