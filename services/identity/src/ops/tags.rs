//! Tags of users, roles, policies and instance profiles. Their keys are not distinguished by case, and a resource has 50 at most.
//! Source: IAM user guide, "Tags for AWS Identity and Access Management resources".

use api_iam::Tag;
use api_iam::error::{invalid_input_exception, limit_exceeded_exception};
use wire::Error;

const MOST: usize = 50;

/// The tags that a new resource is given; none for an empty list.
pub(super) fn given(tags: Option<Vec<Tag>>, what: &str) -> Result<Option<Vec<Tag>>, Error> {
    let tags = merged(Vec::new(), &tags.unwrap_or_default(), what)?;
    Ok(Some(tags).filter(|tags| !tags.is_empty()))
}

/// `old` with `new`, each of which takes the place of the tag with its key. `what` names the kind of resource.
pub(super) fn merged(mut old: Vec<Tag>, new: &[Tag], what: &str) -> Result<Vec<Tag>, Error> {
    for (index, tag) in new.iter().enumerate() {
        if new.iter().take(index).any(|other| other.key.eq_ignore_ascii_case(&tag.key)) {
            return Err(invalid_input_exception(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
    }
    old.retain(|tag| new.iter().all(|one| !one.key.eq_ignore_ascii_case(&tag.key)));
    old.extend_from_slice(new);
    if old.len() > MOST {
        return Err(limit_exceeded_exception(format!("Cannot exceed quota for TagsPer{what}: {MOST}")));
    }
    Ok(old)
}

/// `tags` without those of the keys.
pub(super) fn without(tags: &mut Option<Vec<Tag>>, keys: &[String]) {
    if let Some(tags) = tags {
        tags.retain(|tag| keys.iter().all(|key| !key.eq_ignore_ascii_case(&tag.key)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> Vec<Tag> {
        text.split_whitespace().map(|one| Tag { key: one.to_owned(), value: String::new() }).collect()
    }

    #[test]
    fn keys_are_compared_without_case() {
        let keys = |tags: Vec<Tag>| tags.into_iter().map(|t| t.key).collect::<Vec<_>>().join(" ");
        assert_eq!(keys(merged(tags("a b"), &tags("B c"), "User").unwrap()), "a B c");
        assert!(merged(Vec::new(), &tags("a A"), "User").unwrap_err().is("InvalidInput"));
        let mut left = Some(tags("a b"));
        without(&mut left, &["A".to_owned()]);
        assert_eq!(left.map(keys), Some("b".to_owned()));
    }
}
