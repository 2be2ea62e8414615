//! Amazon Resource Names: `arn:partition:service:region:account:resource`.

use std::fmt;

/// A parsed ARN. The resource part is kept whole: its inner form differs per service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arn {
    pub partition: String,
    pub service: String,
    pub region: String,
    pub account: String,
    pub resource: String,
}

impl Arn {
    pub fn new(service: &str, region: &str, account: &str, resource: impl Into<String>) -> Self {
        Self {
            partition: "aws".into(),
            service: service.into(),
            region: region.into(),
            account: account.into(),
            resource: resource.into(),
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let ArnRef { partition, service, region, account, resource } = ArnRef::parse(text)?;
        Some(Self {
            partition: partition.into(),
            service: service.into(),
            region: region.into(),
            account: account.into(),
            resource: resource.into(),
        })
    }

    /// What stands after the last `/` or `:` of the resource.
    pub fn name(&self) -> &str {
        last_name(&self.resource)
    }
}

/// The parts of an ARN, in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArnRef<'a> {
    pub partition: &'a str,
    pub service: &'a str,
    pub region: &'a str,
    pub account: &'a str,
    pub resource: &'a str,
}

impl<'a> ArnRef<'a> {
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let (arn, partition, service, region, account, resource) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if arn != "arn" || partition.is_empty() || service.is_empty() || resource.is_empty() {
            return None;
        }
        Some(Self { partition, service, region, account, resource })
    }

    /// As [`Arn::name`].
    pub fn name(&self) -> &'a str {
        last_name(self.resource)
    }
}

fn last_name(resource: &str) -> &str {
    resource.rsplit(['/', ':']).next().unwrap_or(resource)
}

/// Whether a text is an account's id: twelve digits.
pub fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_have_twelve_digits() {
        let are = ["123456789012", "", "12345678901", "1234567890123", "12345678901a"].map(is_account_id);
        assert_eq!(are, [true, false, false, false, false]);
    }

    #[test]
    fn parse_and_print() {
        let text = "arn:aws:states:eu-west-1:000000000000:execution:m:e";
        let arn = Arn::parse(text).unwrap();
        assert_eq!(arn.to_string(), text);
        assert_eq!(arn.name(), "e");
        for bad in ["", "arn:aws:x", "nope:aws:s3:::b", "arn:aws:s3:::"] {
            assert!(Arn::parse(bad).is_none(), "{bad}");
        }
    }
}
