//! What is not recorded of a call, because it is or may be a secret: by the name of a member, by a key of a map, and in URLs.

/// What stands in the place of a secret.
pub(crate) const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// Members that hold secrets, whatever their model says of them. `CloudFormation`'s events have the keys of parameters alone
/// (CloudFormation User Guide, "Logging AWS CloudFormation API calls with AWS CloudTrail").
const MEMBERS: [&str; 21] = [
    "AuthParameters",
    "AuthorizationToken",
    "Environment",
    "HeaderParameters",
    "ParameterValue",
    "PatchDocument",
    "Plaintext",
    "PrivateKeyPlaintext",
    "QueryStringParameters",
    "RotationToken",
    "SAMLAssertion",
    "SSECustomerKey",
    "CopySourceSSECustomerKey",
    "SecretAccessKey",
    "SecretBinary",
    "SecretString",
    "SessionToken",
    "TemplateBody",
    "Value",
    "WebIdentityToken",
    "ZipFile",
];

/// Parts of the keys of maps, which are the caller's own: arguments of jobs, settings.
const WORDS: [&str; 11] = [
    "access_key",
    "accesskey",
    "api_key",
    "apikey",
    "credential",
    "passwd",
    "password",
    "private_key",
    "privatekey",
    "secret",
    "token",
];

/// Those of a connection's properties that are shown; the others hold passwords, or URLs with passwords in them.
const SHOWN_OF_CONNECTIONS: [&str; 10] = [
    "CONNECTOR_CLASS_NAME",
    "CONNECTOR_TYPE",
    "HOST",
    "JDBC_DRIVER_CLASS_NAME",
    "JDBC_ENFORCE_SSL",
    "KAFKA_BOOTSTRAP_SERVERS",
    "KAFKA_SSL_ENABLED",
    "PORT",
    "SECRET_ID",
    "USERNAME",
];

/// Whether a structure's member is hidden.
pub(crate) fn is_member(name: &str) -> bool {
    MEMBERS.contains(&name) || name.to_ascii_lowercase().ends_with("password")
}

/// Whether what a key of a map stands for is hidden.
pub(crate) fn is_key(map: &str, key: &str) -> bool {
    if map == "ConnectionProperties" {
        return !SHOWN_OF_CONNECTIONS.contains(&key);
    }
    let key = key.to_ascii_lowercase().replace('-', "_");
    WORDS.iter().any(|word| key.contains(word))
}

/// A text without what a URL has of secrets: who asks, and its query, which may be a signature or a token.
pub(crate) fn in_url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let host = place.split('/').next().unwrap_or_default();
    let who = host.rfind('@').map_or(0, |at| at + 1);
    if who == 0 && query.is_none() {
        return None;
    }
    let query = query.map(|_| format!("?{HIDDEN}")).unwrap_or_default();
    Some(format!("{scheme}://{}{query}", &place[who..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_by_name() {
        for name in ["ParameterValue", "TemplateBody", "Password", "MasterUserPassword", "OldPassword", "SecretString"]
        {
            assert!(is_member(name), "{name}");
        }
        // What tells on what something was done is what the trail is for.
        for name in
            ["SecretId", "ParameterKey", "NextToken", "ClientRequestToken", "PasswordReusePrevention", "Endpoint"]
        {
            assert!(!is_member(name), "{name}");
        }
        for key in ["PASSWORD", "KAFKA_CLIENT_KEY_PASSWORD", "JDBC_CONNECTION_URL", "CONNECTION_URL", "anything"] {
            assert!(is_key("ConnectionProperties", key), "{key}");
        }
        assert!(!is_key("ConnectionProperties", "HOST"));
        for key in ["--db-password", "--DB_PASSWD", "--api-key", "--githubToken", "clientSecret"] {
            assert!(is_key("DefaultArguments", key), "{key}");
        }
        for key in ["--TempDir", "--job-language", "--enable-metrics", "Environment"] {
            assert!(!is_key("DefaultArguments", key), "{key}");
        }
    }

    #[test]
    fn secrets_in_urls() {
        for (text, told) in [
            (
                "https://hooks.example.com/in?token=x",
                Some("https://hooks.example.com/in?HIDDEN_DUE_TO_SECURITY_REASONS"),
            ),
            ("http://ann:pass@example.com:8080/a@b", Some("http://example.com:8080/a@b")),
            ("https://sqs.us-east-1.amazonaws.com/1/q", None),
            ("https://example.com/@ann", None),
            ("ann@example.com", None),
            ("s3://bucket/what?x", None),
        ] {
            assert_eq!(in_url(text).as_deref(), told, "{text}");
        }
    }
}
