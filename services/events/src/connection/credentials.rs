//! What a connection's secret holds, as AWS writes it: the credentials of its kind, and the parameters that every call gets.

use api_events::{
    ConnectionApiKeyAuthResponseParameters, ConnectionAuthResponseParameters, ConnectionBasicAuthResponseParameters,
    ConnectionBodyParameter, ConnectionHeaderParameter, ConnectionHttpParameters,
    ConnectionOAuthClientResponseParameters, ConnectionOAuthResponseParameters, ConnectionQueryStringParameter,
    UpdateConnectionAuthRequestParameters,
};
use serde::{Deserialize, Serialize};
use wire::Error;

pub(super) const BASIC: &str = "BASIC";
pub(super) const API_KEY: &str = "API_KEY";
pub(super) const OAUTH: &str = "OAUTH_CLIENT_CREDENTIALS";

/// The secret's JSON.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Credentials {
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oauth_http_parameters: Option<HttpParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invocation_http_parameters: Option<HttpParameters>,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct HttpParameters {
    #[serde(rename = "header_parameters")]
    headers: Vec<Parameter>,
    #[serde(rename = "query_string_parameters")]
    query: Vec<Parameter>,
    #[serde(rename = "body_parameters")]
    body: Vec<Parameter>,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Parameter {
    key: String,
    value: String,
    is_value_secret: bool,
}

impl Credentials {
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(Error::internal)
    }

    pub(super) fn text(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(Error::internal)
    }

    /// With what a request gives; what it leaves out stays. Credentials of another kind than the connection's go.
    pub(super) fn with(mut self, kind: &str, given: UpdateConnectionAuthRequestParameters) -> Result<Self, Error> {
        let mut changed =
            Self { invocation_http_parameters: self.invocation_http_parameters.take(), ..Self::default() };
        if let Some(parameters) = given.invocation_http_parameters {
            changed.invocation_http_parameters = Some(HttpParameters::of(parameters));
        }
        let foreign = (given.basic_auth_parameters.is_some() && kind != BASIC)
            || (given.api_key_auth_parameters.is_some() && kind != API_KEY)
            || (given.o_auth_parameters.is_some() && kind != OAUTH);
        if foreign {
            return Err(Error::validation(format!("Only the authorization parameters of {kind} may be specified.")));
        }
        match kind {
            BASIC => {
                let given = given.basic_auth_parameters.unwrap_or_default();
                changed.username = given.username.or(self.username);
                changed.password = given.password.or(self.password);
            }
            API_KEY => {
                let given = given.api_key_auth_parameters.unwrap_or_default();
                changed.api_key_name = given.api_key_name.or(self.api_key_name);
                changed.api_key_value = given.api_key_value.or(self.api_key_value);
            }
            _ => {
                let given = given.o_auth_parameters.unwrap_or_default();
                let client = given.client_parameters.unwrap_or_default();
                changed.client_id = client.client_id.or(self.client_id);
                changed.client_secret = client.client_secret.or(self.client_secret);
                changed.authorization_endpoint = given.authorization_endpoint.or(self.authorization_endpoint);
                changed.http_method = given.http_method.or(self.http_method);
                changed.oauth_http_parameters =
                    given.o_auth_http_parameters.map(HttpParameters::of).or(self.oauth_http_parameters);
            }
        }
        changed.check(kind)?;
        Ok(changed)
    }

    fn check(&self, kind: &str) -> Result<(), Error> {
        let (whole, name) = match kind {
            BASIC => (self.username.is_some() && self.password.is_some(), "BasicAuthParameters"),
            API_KEY => (self.api_key_name.is_some() && self.api_key_value.is_some(), "ApiKeyAuthParameters"),
            _ => {
                let client = self.client_id.is_some() && self.client_secret.is_some();
                (client && self.authorization_endpoint.is_some() && self.http_method.is_some(), "OAuthParameters")
            }
        };
        if whole {
            return Ok(());
        }
        Err(Error::validation(format!(
            "{name} must be specified, and complete, when the authorization type is {kind}."
        )))
    }

    /// What DescribeConnection shows.
    pub(super) fn shown(&self) -> ConnectionAuthResponseParameters {
        let basic = self.username.clone().map(|name| ConnectionBasicAuthResponseParameters { username: Some(name) });
        let key = self.api_key_name.clone();
        let oauth = self.client_id.clone().map(|id| ConnectionOAuthResponseParameters {
            client_parameters: Some(ConnectionOAuthClientResponseParameters { client_id: Some(id) }),
            authorization_endpoint: self.authorization_endpoint.clone(),
            http_method: self.http_method.clone(),
            o_auth_http_parameters: self.oauth_http_parameters.as_ref().map(HttpParameters::shown),
        });
        ConnectionAuthResponseParameters {
            basic_auth_parameters: basic,
            o_auth_parameters: oauth,
            api_key_auth_parameters: key
                .map(|name| ConnectionApiKeyAuthResponseParameters { api_key_name: Some(name) }),
            invocation_http_parameters: self.invocation_http_parameters.as_ref().map(HttpParameters::shown),
            connectivity_parameters: None,
        }
    }
}

impl HttpParameters {
    fn of(given: ConnectionHttpParameters) -> Self {
        let one = |key: Option<String>, value: Option<String>, secret: Option<bool>| Parameter {
            key: key.unwrap_or_default(),
            value: value.unwrap_or_default(),
            is_value_secret: secret.unwrap_or(false),
        };
        let (headers, queries, bodies) =
            (given.header_parameters, given.query_string_parameters, given.body_parameters);
        Self {
            headers: headers.into_iter().flatten().map(|p| one(p.key, p.value, p.is_value_secret)).collect(),
            query: queries.into_iter().flatten().map(|p| one(p.key, p.value, p.is_value_secret)).collect(),
            body: bodies.into_iter().flatten().map(|p| one(p.key, p.value, p.is_value_secret)).collect(),
        }
    }

    fn shown(&self) -> ConnectionHttpParameters {
        let value = |p: &Parameter| (!p.is_value_secret).then(|| p.value.clone());
        let headers = self.headers.iter().map(|p| ConnectionHeaderParameter {
            key: Some(p.key.clone()),
            value: value(p),
            is_value_secret: Some(p.is_value_secret),
        });
        let queries = self.query.iter().map(|p| ConnectionQueryStringParameter {
            key: Some(p.key.clone()),
            value: value(p),
            is_value_secret: Some(p.is_value_secret),
        });
        let bodies = self.body.iter().map(|p| ConnectionBodyParameter {
            key: Some(p.key.clone()),
            value: value(p),
            is_value_secret: Some(p.is_value_secret),
        });
        ConnectionHttpParameters {
            header_parameters: (!self.headers.is_empty()).then(|| headers.collect()),
            query_string_parameters: (!self.query.is_empty()).then(|| queries.collect()),
            body_parameters: (!self.body.is_empty()).then(|| bodies.collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{API_KEY, BASIC, Credentials, OAUTH};

    fn with(old: &Credentials, kind: &str, given: Value) -> Result<Credentials, String> {
        old.clone().with(kind, serde_json::from_value(given).unwrap()).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_secret_holds_all_and_shows_little() {
        let given = json!({
            "BasicAuthParameters": {"Username": "u", "Password": "p"},
            "InvocationHttpParameters": {
                "HeaderParameters": [{"Key": "h", "Value": "1"}, {"Key": "s", "Value": "2", "IsValueSecret": true}],
            },
        });
        let made = with(&Credentials::default(), BASIC, given).unwrap();
        let text: Value = serde_json::from_str(&made.text().unwrap()).unwrap();
        assert_eq!(
            text,
            json!({"username": "u", "password": "p", "invocation_http_parameters": {
                "header_parameters": [
                    {"key": "h", "value": "1", "is_value_secret": false},
                    {"key": "s", "value": "2", "is_value_secret": true},
                ],
                "query_string_parameters": [],
                "body_parameters": [],
            }})
        );
        assert_eq!(
            serde_json::to_value(made.shown()).unwrap(),
            json!({"BasicAuthParameters": {"Username": "u"}, "InvocationHttpParameters": {"HeaderParameters": [
                {"Key": "h", "Value": "1", "IsValueSecret": false},
                {"Key": "s", "IsValueSecret": true},
            ]}})
        );
    }

    #[test]
    fn what_a_change_leaves_out_stays() {
        let basic = json!({"BasicAuthParameters": {"Username": "u", "Password": "p"}});
        let old = with(&Credentials::default(), BASIC, basic).unwrap();
        let changed = with(&old, BASIC, json!({"BasicAuthParameters": {"Password": "q"}})).unwrap();
        assert_eq!(changed.text().unwrap(), r#"{"username":"u","password":"q"}"#);
        let key = json!({"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "v"}});
        assert_eq!(with(&old, API_KEY, key).unwrap().text().unwrap(), r#"{"api_key_name":"k","api_key_value":"v"}"#);
        assert!(with(&old, OAUTH, json!({})).err().unwrap().starts_with("OAuthParameters must be specified"));
        let foreign = json!({"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "v"}});
        assert_eq!(
            with(&old, BASIC, foreign).err().unwrap(),
            "Only the authorization parameters of BASIC may be specified."
        );
    }
}
