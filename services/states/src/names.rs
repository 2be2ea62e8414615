//! Names, ARNs and tags: what AWS accepts, and its sentences for what it does not.

use api_states::{Tag, error};
use asl::MAX_PAYLOAD_BYTES;
use service::Cx;
use wire::Error;
use wire::arn::ArnRef;

/// Source: Service quotas of Step Functions, "Quotas related to tagging".
const MAX_TAGS: usize = 50;

/// Names of machines, executions and activities. Source: API reference, CreateStateMachine, `name`.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let forbidden = |c: char| {
        let unassigned = matches!(c, '\u{fffe}' | '\u{ffff}' | '\u{10ffff}');
        c.is_whitespace() || c.is_control() || unassigned || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(c)
    };
    if name.is_empty() || name.chars().count() > 80 || name.contains(forbidden) {
        return Err(error::invalid_name(format!("Invalid Name: '{name}'")));
    }
    Ok(())
}

/// Names of aliases: a number would name a version. The model's pattern looks ahead, so it is checked here.
pub(crate) fn check_alias_name(name: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if name.chars().count() > 80 {
        return Err(broken("name", name, "Member must have length less than or equal to 80"));
    }
    if !name.chars().all(allowed) || name.chars().all(|c| c.is_ascii_digit()) {
        let rule = r"Member must satisfy regular expression pattern: ^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$";
        return Err(broken("name", name, rule));
    }
    Ok(())
}

fn broken(member: &str, value: &str, rule: &str) -> Error {
    error::validation_exception(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}"
    ))
}

/// A text's size is measured in bytes. Source: AWS's answer to an `input` of StartExecution that is too long.
pub(crate) fn check_size(member: &str, text: Option<&String>) -> Result<(), Error> {
    match text {
        Some(text) if text.len() > MAX_PAYLOAD_BYTES => Err(error::validation_exception(format!(
            "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must have size less than or equal to {MAX_PAYLOAD_BYTES} bytes in UTF-8 encoding"
        ))),
        _ => Ok(()),
    }
}

/// The parts of a resource of Step Functions: its kind, then its names.
pub(crate) struct Resource {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) parts: Vec<String>,
}

impl Resource {
    /// Splits an ARN whose kind is one of `kinds`.
    pub(crate) fn parse(text: &str, kinds: &[&str]) -> Result<Self, Error> {
        let arn = ArnRef::parse(text).filter(|arn| arn.service == "states").ok_or_else(|| not_an_arn(text))?;
        let parts: Vec<String> = arn.resource.split(':').map(str::to_owned).collect();
        match parts.first() {
            Some(kind) if kinds.contains(&kind.as_str()) => {}
            kind => return Err(wrong_kind(kind.map_or("", String::as_str))),
        }
        if parts.len() < 2 || parts.iter().any(String::is_empty) {
            return Err(error::invalid_arn(format!("Invalid Arn: '{text}'")));
        }
        Ok(Self { account: arn.account.to_owned(), region: arn.region.to_owned(), parts })
    }
}

/// What no ARN is. Source: answers of AWS to calls that name `abc`.
pub(crate) fn not_an_arn(text: &str) -> Error {
    error::invalid_arn(format!("Invalid Arn: 'Invalid ARN prefix: {text}'"))
}

/// An ARN of something that the operation is not about.
pub(crate) fn wrong_kind(kind: &str) -> Error {
    error::invalid_arn(format!("Invalid Arn: 'Resource type not valid in this context: {kind}'"))
}

/// Who gives tags: those of `aws:` are for the platform's services alone, and do not count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tagger {
    Caller,
    Service,
}

impl Tagger {
    pub(crate) fn of(cx: &Cx) -> Self {
        if cx.called_via().is_some() { Self::Service } else { Self::Caller }
    }
}

fn is_reserved(key: &str) -> bool {
    key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

/// Puts tags to those that are there: the last of a key counts.
pub(crate) fn add_tags(known: &mut Vec<Tag>, added: &[Tag], arn: &str, by: Tagger) -> Result<(), Error> {
    for (index, tag) in added.iter().enumerate() {
        let missing = |member: &str| {
            let at = format!("tags.{}.member.{member}", index + 1);
            let rule = "failed to satisfy constraint: Member must not be null";
            error::validation_exception(format!("1 validation error detected: Value null at '{at}' {rule}"))
        };
        let key = tag.key.as_deref().ok_or_else(|| missing("key"))?;
        if tag.value.is_none() {
            return Err(missing("value"));
        }
        if by == Tagger::Caller && is_reserved(key) {
            return Err(error::validation_exception(format!(
                "Invalid tag key '{key}': aws: prefixed tags are reserved"
            )));
        }
        match known.iter_mut().find(|old| old.key.as_deref() == Some(key)) {
            Some(old) => old.value.clone_from(&tag.value),
            None => known.push(tag.clone()),
        }
    }
    if known.iter().filter(|tag| !tag.key.as_deref().is_some_and(is_reserved)).count() > MAX_TAGS {
        return Err(error::too_many_tags(format!("Resource '{arn}' would have more than {MAX_TAGS} tags"))
            .with("resourceName", arn));
    }
    Ok(())
}

/// The tags that a resource is created with.
pub(crate) fn new_tags(cx: &Cx, asked: Option<&Vec<Tag>>, arn: &str) -> Result<Vec<Tag>, Error> {
    let mut tags = Vec::new();
    add_tags(&mut tags, asked.map_or(&[], Vec::as_slice), arn, Tagger::of(cx))?;
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use api_states::Tag;

    use super::{Resource, Tagger, add_tags, check_alias_name, check_name};

    #[test]
    fn names_are_held_to_the_rules() {
        for good in ["a", "activity-name.1", "ACTIVITY_NAME_ABC", "名前"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a/b", "a\u{0}", "a\u{7f}", "a\u{9f}", "a\u{fffe}", "a`b", "a[b", &"x".repeat(81)] {
            assert_eq!(check_name(bad).unwrap_err().message(), format!("Invalid Name: '{bad}'"));
        }
        assert!(check_alias_name("PROD-1.a").is_ok());
        for bad in ["1", "a b", "é"] {
            assert!(check_alias_name(bad).unwrap_err().message().contains("(?=.*[a-zA-Z_"), "{bad}");
        }
    }

    #[test]
    fn arns_are_refused_in_aws_words() {
        let refused = |text: &str| Resource::parse(text, &["activity"]).err().map(|error| error.message().to_owned());
        assert_eq!(refused("abc").unwrap(), "Invalid Arn: 'Invalid ARN prefix: abc'");
        assert_eq!(
            refused("arn:aws:states:us-east-1:000000000000:stateMachine:m").unwrap(),
            "Invalid Arn: 'Resource type not valid in this context: stateMachine'"
        );
        assert_eq!(refused("arn:aws:states:us-east-1:000000000000:activity:a"), None);
    }

    #[test]
    fn the_last_of_a_key_counts() {
        let tag = |key: &str, value: &str| Tag { key: Some(key.to_owned()), value: Some(value.to_owned()) };
        let mut tags = vec![tag("a", "1")];
        add_tags(&mut tags, &[tag("b", "1"), tag("a", "2"), tag("b", "3")], "arn", Tagger::Caller).unwrap();
        assert_eq!(tags, [tag("a", "2"), tag("b", "3")]);
        let many: Vec<Tag> = (0..49).map(|n| tag(&format!("k{n}"), "")).collect();
        let reserved = [tag("aws:cloudformation:stack-name", "s")];
        assert_eq!(
            add_tags(&mut tags, &reserved, "arn", Tagger::Caller).unwrap_err().message(),
            "Invalid tag key 'aws:cloudformation:stack-name': aws: prefixed tags are reserved"
        );
        add_tags(&mut tags, &reserved, "arn", Tagger::Service).unwrap();
        add_tags(&mut tags, &many[..48], "arn", Tagger::Caller).unwrap();
        assert_eq!(add_tags(&mut tags, &many, "arn", Tagger::Caller).unwrap_err().code(), "TooManyTags");
        let null = Tag { key: None, value: Some(String::new()) };
        assert_eq!(add_tags(&mut tags, &[null], "arn", Tagger::Caller).unwrap_err().code(), "ValidationException");
    }
}
