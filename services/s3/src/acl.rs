//! Access control lists: canned ones, those of headers, those of bodies, and what they grant. Source: S3 User Guide, "Access control
//! list (ACL) overview", "Controlling ownership of objects and disabling ACLs".

use serde::{Deserialize, Serialize};
use wire::Error;

use crate::account::Known;
use crate::errors::{Result, invalid_argument, invalid_request};

pub(crate) const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
pub(crate) const AUTHENTICATED: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
pub(crate) const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

/// Most grants of one list.
const MAX_GRANTS: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Permission {
    #[serde(rename = "FULL_CONTROL")]
    FullControl,
    #[serde(rename = "READ")]
    Read,
    #[serde(rename = "WRITE")]
    Write,
    #[serde(rename = "READ_ACP")]
    ReadAcp,
    #[serde(rename = "WRITE_ACP")]
    WriteAcp,
}

impl Permission {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "FULL_CONTROL" => Self::FullControl,
            "READ" => Self::Read,
            "WRITE" => Self::Write,
            "READ_ACP" => Self::ReadAcp,
            "WRITE_ACP" => Self::WriteAcp,
            _ => return None,
        })
    }
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FullControl => "FULL_CONTROL",
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::ReadAcp => "READ_ACP",
            Self::WriteAcp => "WRITE_ACP",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Grantee {
    Account(String),
    /// A group's URI.
    Group(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) grantee: Grantee,
    pub(crate) permission: Permission,
}

impl Grant {
    /// Does it give anything to everybody?
    pub(crate) fn is_public(&self) -> bool {
        matches!(&self.grantee, Grantee::Group(uri) if uri == ALL_USERS || uri == AUTHENTICATED)
    }
}

/// What the list gives to an account (empty: to who has not signed). `ignore_public`: as if groups were not in it.
pub(crate) fn grants(list: &[Grant], account: &str, wanted: Permission, ignore_public: bool) -> bool {
    list.iter().any(|grant| {
        let who = match &grant.grantee {
            Grantee::Account(named) => !account.is_empty() && named == account,
            Grantee::Group(_) if ignore_public => false,
            Grantee::Group(uri) => uri == ALL_USERS || (uri == AUTHENTICATED && !account.is_empty()),
        };
        who && (grant.permission == wanted || grant.permission == Permission::FullControl)
    })
}

pub(crate) fn private(owner: &str) -> Vec<Grant> {
    vec![Grant { grantee: Grantee::Account(owner.to_owned()), permission: Permission::FullControl }]
}

/// The grants of a canned list. `owner` has the object (or bucket), `bucket_owner` its bucket.
pub(crate) fn canned(name: &str, owner: &str, bucket_owner: &str, of_bucket: bool) -> Result<Vec<Grant>> {
    let group = |uri: &str, permission| Grant { grantee: Grantee::Group(uri.to_owned()), permission };
    let bucket = |permission| Grant { grantee: Grantee::Account(bucket_owner.to_owned()), permission };
    let mut list = private(owner);
    match name {
        "private" => {}
        "public-read" => list.push(group(ALL_USERS, Permission::Read)),
        "public-read-write" => {
            list.extend([group(ALL_USERS, Permission::Read), group(ALL_USERS, Permission::Write)]);
        }
        "authenticated-read" => list.push(group(AUTHENTICATED, Permission::Read)),
        "log-delivery-write" if of_bucket => {
            list.extend([group(LOG_DELIVERY, Permission::Write), group(LOG_DELIVERY, Permission::ReadAcp)]);
        }
        // Both are ignored where a bucket is made. aws-exec-read: EC2 reads AMIs; there is no EC2 here.
        "bucket-owner-read" | "bucket-owner-full-control" if of_bucket || owner == bucket_owner => {}
        "bucket-owner-read" => list.push(bucket(Permission::Read)),
        "bucket-owner-full-control" => list.push(bucket(Permission::FullControl)),
        _ => return Err(invalid_argument("Argument x-amz-acl is not valid")),
    }
    Ok(list)
}

/// `x-amz-grant-read: id="…", uri="…", emailAddress="…"`, each with its permission.
pub(crate) fn of_headers(known: &Known, headers: &[(Permission, Option<&str>)]) -> Result<Option<Vec<Grant>>> {
    let mut list = Vec::new();
    for (permission, header) in headers {
        let Some(header) = header else { continue };
        for one in header.split(',').map(str::trim).filter(|one| !one.is_empty()) {
            let invalid = || invalid_argument("Argument format not recognized");
            let (kind, value) = one.split_once('=').ok_or_else(invalid)?;
            let value = value.trim().trim_matches(['"', '\'']);
            let grantee = match kind.trim().to_ascii_lowercase().as_str() {
                "id" => of_id(known, value)?,
                "uri" => of_uri(value)?,
                "emailaddress" => of_email(known, value)?,
                _ => return Err(invalid()),
            };
            list.push(Grant { grantee, permission: *permission });
        }
    }
    checked(list).map(|list| (!list.is_empty()).then_some(list))
}

pub(crate) fn checked(list: Vec<Grant>) -> Result<Vec<Grant>> {
    if list.len() > MAX_GRANTS {
        return Err(invalid_request("The request contains more than the allowed number of grants (100)"));
    }
    Ok(list)
}

pub(crate) fn of_id(known: &Known, id: &str) -> Result<Grantee> {
    known.of_canonical(id).map(Grantee::Account).ok_or_else(|| {
        invalid_argument("Invalid id").with("ArgumentName", "CanonicalUser/ID").with("ArgumentValue", id)
    })
}

pub(crate) fn of_uri(uri: &str) -> Result<Grantee> {
    if [ALL_USERS, AUTHENTICATED, LOG_DELIVERY].contains(&uri) {
        return Ok(Grantee::Group(uri.to_owned()));
    }
    Err(invalid_argument("Invalid group uri").with("ArgumentName", "Group/URI").with("ArgumentValue", uri))
}

pub(crate) fn of_email(known: &Known, email: &str) -> Result<Grantee> {
    known.of_email(email).map(Grantee::Account).ok_or_else(|| {
        Error::new(
            "UnresolvableGrantByEmailAddress",
            400,
            "The e-mail address you provided does not match any account on record.",
        )
        .with("Email", email)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may() {
        let list = canned("public-read", "1", "1", true).unwrap();
        let may = |account: &str, wanted, ignore| grants(&list, account, wanted, ignore);
        assert!(may("1", Permission::WriteAcp, true) && may("", Permission::Read, false));
        assert!(may("2", Permission::Read, false) && !may("", Permission::Read, true));
        assert!(!may("2", Permission::Write, false) && !may("", Permission::ReadAcp, false));
        let list = canned("authenticated-read", "1", "1", false).unwrap();
        assert!(grants(&list, "2", Permission::Read, false) && !grants(&list, "", Permission::Read, false));
        let list = canned("bucket-owner-full-control", "2", "1", false).unwrap();
        assert!(grants(&list, "1", Permission::Write, true) && list.len() == 2);
        assert!(canned("public-ready", "1", "1", false).is_err());
    }

    #[test]
    fn headers() {
        let known = Known::new("000000000000", "us-east-1", service::Accounts::default());
        let id = known.canonical("000000000000");
        let text = format!("id=\"{id}\", uri=\"{ALL_USERS}\"");
        let list = of_headers(&known, &[(Permission::Read, Some(&text)), (Permission::Write, None)]).unwrap().unwrap();
        assert_eq!(list.len(), 2);
        for (bad, code) in [
            ("id=\"x\"", "InvalidArgument"),
            ("uri=x", "InvalidArgument"),
            ("emailAddress=\"a@b\"", "UnresolvableGrantByEmailAddress"),
            ("someone", "InvalidArgument"),
        ] {
            assert!(of_headers(&known, &[(Permission::Read, Some(bad))]).unwrap_err().is(code), "{bad}");
        }
    }
}
