//! The metrics configurations of buckets: of which requests CloudWatch is told, and under which id. Sources: API reference,
//! PutBucketMetricsConfiguration; S3 User Guide, "Creating a CloudWatch metrics configuration".

use s3s::dto::{MetricsConfiguration, MetricsFilter, Tag};
use service::Cx;
use wire::Error;

use crate::S3;
use crate::admitted::Home;
use crate::errors::{Result, invalid_argument, malformed_xml, no_such_configuration, not_implemented};
use crate::keys;
use crate::settings::METRICS;

/// Of a bucket.
const MOST: usize = 1000;
/// In one answer.
const PAGE: usize = 100;
const LONGEST_ID: usize = 64;

/// What a filter looks at.
#[derive(Debug, Default)]
pub(crate) struct Asked<'a> {
    /// None of a request that is about a bucket.
    pub(crate) key: Option<&'a str>,
    pub(crate) tags: Vec<(String, String)>,
}

pub(crate) fn wants_tags(metrics: &MetricsConfiguration) -> bool {
    match &metrics.filter {
        Some(MetricsFilter::Tag(_)) => true,
        Some(MetricsFilter::And(and)) => and.tags.as_ref().is_some_and(|tags| !tags.is_empty()),
        _ => false,
    }
}

/// Whether a request counts. What is about no object counts where there is no filter.
pub(crate) fn wants(metrics: &MetricsConfiguration, asked: &Asked<'_>) -> bool {
    let begins = |prefix: &str| asked.key.is_some_and(|key| key.starts_with(prefix));
    let tagged = |tag: &Tag| {
        let (name, value) = (tag.key.as_deref().unwrap_or_default(), tag.value.as_deref().unwrap_or_default());
        asked.tags.iter().any(|(own, of)| own == name && of == value)
    };
    match &metrics.filter {
        None => true,
        Some(MetricsFilter::Prefix(prefix)) => begins(prefix),
        Some(MetricsFilter::Tag(tag)) => tagged(tag),
        Some(MetricsFilter::And(and)) => {
            and.prefix.as_deref().is_none_or(begins) && and.tags.iter().flatten().all(tagged)
        }
        // An access point is refused when it is put.
        Some(_) => false,
    }
}

/// Errs for what no configuration is, and for filters that are not served.
fn check(id: &str, metrics: &MetricsConfiguration) -> Result<()> {
    if id != metrics.id {
        return Err(invalid_argument("The ID in the request does not match the ID in the configuration."));
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(is_plain) {
        return Err(invalid_argument("The ID is not valid: 1 to 64 letters, digits, periods, dashes and underscores."));
    }
    match &metrics.filter {
        Some(MetricsFilter::And(and)) if and.access_point_arn.is_some() => {
            Err(not_implemented("an access point in a metrics filter"))
        }
        Some(MetricsFilter::And(and)) => {
            let predicates = usize::from(and.prefix.is_some()) + and.tags.as_ref().map_or(0, Vec::len);
            if predicates < 2 { Err(malformed_xml()) } else { Ok(()) }
        }
        None | Some(MetricsFilter::Prefix(_) | MetricsFilter::Tag(_)) => Ok(()),
        Some(_) => Err(not_implemented("an access point in a metrics filter")),
    }
}

impl S3 {
    pub(crate) async fn put_metrics(&self, cx: &Cx, bucket: &str, id: &str, new: MetricsConfiguration) -> Result<()> {
        check(id, &new)?;
        self.change_metrics(cx, bucket, move |all| {
            all.retain(|metrics| metrics.id != new.id);
            if all.len() >= MOST {
                return Err(Error::new(
                    "TooManyConfigurations",
                    400,
                    "You are attempting to create a new configuration but have already reached the 1,000-configuration limit.",
                ));
            }
            all.push(new.clone());
            all.sort_by(|one, other| one.id.cmp(&other.id));
            Ok(())
        })
        .await
    }

    pub(crate) async fn delete_metrics(&self, cx: &Cx, bucket: &str, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.change_metrics(cx, bucket, move |all| {
            let before = all.len();
            all.retain(|metrics| metrics.id != id);
            if all.len() == before { Err(no_such_configuration()) } else { Ok(()) }
        })
        .await
    }

    async fn change_metrics(
        &self,
        cx: &Cx,
        bucket: &str,
        change: impl Fn(&mut Vec<MetricsConfiguration>) -> Result<()> + Send + Sync + 'static,
    ) -> Result<()> {
        let (home, key) = (Home::of(bucket), keys::setting(bucket, METRICS));
        cx.write(&self.store, move |tx| {
            home.require(tx)?;
            let mut all: Vec<MetricsConfiguration> = tx.get_json(&key)?.unwrap_or_default();
            change(&mut all)?;
            if all.is_empty() { tx.delete(&key) } else { tx.put_json(&key, &all) }?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn metrics(&self, bucket: &str, id: &str) -> Result<MetricsConfiguration> {
        let found = self.governed(bucket).await?;
        let found = found.metrics.iter().find(|metrics| metrics.id == id).cloned();
        found.ok_or_else(no_such_configuration)
    }

    /// A page of them, those whose ids come after `token`, and the token of the next.
    pub(crate) async fn metrics_page(
        &self,
        bucket: &str,
        token: Option<&str>,
    ) -> Result<(Vec<MetricsConfiguration>, Option<String>)> {
        let found = self.governed(bucket).await?;
        let mut rest = found.metrics.iter().filter(|metrics| token.is_none_or(|token| metrics.id.as_str() > token));
        let page: Vec<MetricsConfiguration> = rest.by_ref().take(PAGE).cloned().collect();
        let next = rest.next().and_then(|_| page.last()).map(|last| last.id.clone());
        Ok((page, next))
    }
}

#[cfg(test)]
mod tests {
    use s3s::dto::MetricsAndOperator;

    use super::*;

    fn tag(name: &str, value: &str) -> Tag {
        Tag { key: Some(name.to_owned()), value: Some(value.to_owned()) }
    }

    fn of(filter: Option<MetricsFilter>) -> MetricsConfiguration {
        MetricsConfiguration { filter, id: "id".to_owned() }
    }

    #[test]
    fn filters_want_keys_and_tags() {
        let both = MetricsFilter::And(MetricsAndOperator {
            access_point_arn: None,
            prefix: Some("a/".to_owned()),
            tags: Some(vec![tag("k", "v")]),
        });
        let filters =
            [None, Some(MetricsFilter::Prefix("a/".to_owned())), Some(MetricsFilter::Tag(tag("k", "v"))), Some(both)];
        let tags = vec![("k".to_owned(), "v".to_owned())];
        for (asked, wanted) in [
            (Asked { key: None, tags: Vec::new() }, [true, false, false, false]),
            (Asked { key: Some("a/b"), tags: Vec::new() }, [true, true, false, false]),
            (Asked { key: Some("b"), tags: tags.clone() }, [true, false, true, false]),
            (Asked { key: Some("a/b"), tags }, [true; 4]),
        ] {
            assert_eq!(filters.clone().map(|filter| wants(&of(filter), &asked)), wanted, "{asked:?}");
        }
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        let one = MetricsAndOperator { access_point_arn: None, prefix: Some("a".to_owned()), tags: None };
        assert_eq!(check("id", &of(Some(MetricsFilter::And(one)))).unwrap_err().code(), "MalformedXML");
        assert_eq!(check("other", &of(None)).unwrap_err().code(), "InvalidArgument");
        let odd = MetricsConfiguration { filter: None, id: "a b".to_owned() };
        assert_eq!(check("a b", &odd).unwrap_err().code(), "InvalidArgument");
        let point = Some(MetricsFilter::AccessPointArn("arn".to_owned()));
        assert_eq!(check("id", &of(point)).unwrap_err().code(), "NotImplemented");
        assert!(check("id", &of(None)).is_ok());
    }
}
