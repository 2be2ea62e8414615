//! Which service a request is for, by the name that it is signed with or the prefix of its target: made of what is registered, so that a
//! new service needs no line here.

use std::collections::{BTreeMap, BTreeSet};

use service::Router;
use wire::operation::Protocol;

/// Services that are signed for by other names than ours. Source: the models' `signingName` and `endpointPrefix`.
const SIGNED_AS: [(&str, &str); 4] = [
    ("cloudwatch", "monitoring"),
    ("cloudcontrol", "cloudcontrolapi"),
    // Told from their namesakes by target and by path.
    ("dynamodbstreams", "dynamodb"),
    ("sagemakerruntime", "sagemaker"),
];

#[derive(Debug)]
pub(crate) struct Names {
    signed: BTreeMap<&'static str, &'static str>,
    targets: BTreeMap<&'static str, &'static str>,
    /// Those whose operations are known by method and path.
    rest: BTreeSet<&'static str>,
}

impl Names {
    /// Of all that is registered until now.
    pub(crate) fn of(router: &Router) -> Self {
        // S3 has a door of its own, whatever is registered.
        let mut names =
            Self { signed: BTreeMap::from([("s3", "s3")]), targets: BTreeMap::new(), rest: BTreeSet::new() };
        let specs = router.operations();
        let services: BTreeMap<_, _> = specs.iter().map(|spec| (spec.service.name, spec.service)).collect();
        for (name, service) in services {
            let signed = SIGNED_AS.iter().find(|(ours, _)| *ours == name).map_or(name, |(_, signed)| signed);
            if signed == name || !names.signed.contains_key(signed) {
                names.signed.insert(signed, name);
            }
            if !service.target_prefix.is_empty() {
                names.targets.insert(service.target_prefix, name);
            }
            if service.protocol == Protocol::RestJson {
                names.rest.insert(name);
            }
        }
        names
    }

    /// By the service of a credential scope.
    pub(crate) fn signed(&self, name: &str) -> Option<&'static str> {
        self.signed.get(name).copied()
    }

    /// By what stands before the dot of `X-Amz-Target`.
    pub(crate) fn of_target(&self, prefix: &str) -> Option<&'static str> {
        self.targets.get(prefix).copied()
    }

    pub(crate) fn is_rest(&self, service: &str) -> bool {
        self.rest.contains(service)
    }
}
