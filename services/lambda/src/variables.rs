//! Environment variables under a key of KMS. They are kept as one text, encrypted under a data key that the caller's right to the key
//! makes (`kms:Encrypt`, and `kms:CreateGrant` for the function's role), and opened for who asks with that caller's right, for an
//! invocation with the role's. Source: Lambda Developer Guide, "Securing Lambda environment variables"; API Reference, Invoke (errors).

use std::collections::BTreeMap;

use api_kms::{
    CreateGrant, CreateGrantRequest, Encrypt, EncryptRequest, GrantConstraints, RevokeGrant, RevokeGrantRequest,
};
use api_lambda::{EnvironmentError, EnvironmentResponse, FunctionConfiguration, error};
use ring::rand::{SecureRandom as _, SystemRandom};
use sealing::{By, DataKey, Of};
use service::Cx;
use wire::{Blob, Error};

use crate::Lambda;

const VIA: &str = "lambda.amazonaws.com";
const CONTEXT: &str = "aws:lambda:FunctionArn";
/// The errors stay KMS's own: who asks is told them, an invocation's are named below.
pub(crate) const BY: By = By { via: Some(VIA), context: CONTEXT, named: |_| None };

/// The variable, whose name no function's can be, that holds what is sealed: the grant's id, a space, the text.
const SEALED: &str = "";
/// Seconds for which an opened data key serves further invocations.
const REUSE_SECONDS: i64 = 300;

type Variables = BTreeMap<String, String>;

/// The sealed text of a configuration, and the id of its grant.
fn sealed(config: &FunctionConfiguration) -> Option<(&str, &str)> {
    config.environment.as_ref()?.variables.as_ref()?.get(SEALED)?.split_once(' ')
}

/// Whose variables they are: the function without a version.
fn function_arn(config: &FunctionConfiguration) -> String {
    let arn = config.function_arn.as_deref().unwrap_or_default();
    arn.splitn(8, ':').take(7).collect::<Vec<_>>().join(":")
}

impl Lambda {
    /// Seals what a new configuration says, where it names a key. What came sealed is of the configuration `before`.
    pub(crate) async fn seal(
        &self,
        cx: &Cx,
        config: &mut FunctionConfiguration,
        before: Option<&FunctionConfiguration>,
    ) -> Result<(), Error> {
        let plain = match sealed(config) {
            None => config.environment.clone().and_then(|environment| environment.variables).unwrap_or_default(),
            Some(_) if before.is_some_and(|old| old.kms_key_arn == config.kms_key_arn && old.role == config.role) => {
                return Ok(());
            }
            Some(_) => {
                let opened = self.open(cx, config, 0).await;
                opened.map_err(|error| error::invalid_parameter_value_exception(format!(
                    "Lambda was unable to decrypt your environment variables because the KMS access was denied. KMS Exception: {} \
                     KMS Message: {}",
                    error.code(), error.message()
                )))?
            }
        };
        let variables = match &config.kms_key_arn {
            Some(key) if !plain.is_empty() => {
                let arn = function_arn(config);
                let role = config.role.clone().unwrap_or_default();
                let text = seal_under(&cx.with_called_via(VIA), key, &arn, role, &plain).await?;
                Variables::from([(SEALED.to_owned(), text)])
            }
            _ if config.environment.is_none() => return Ok(()),
            _ => plain,
        };
        config.environment = Some(EnvironmentResponse { variables: Some(variables), error: None });
        Ok(())
    }

    async fn open(&self, cx: &Cx, config: &FunctionConfiguration, reuse_seconds: i64) -> Result<Variables, Error> {
        let Some((_, text)) = sealed(config) else {
            return Ok(config.environment.clone().and_then(|environment| environment.variables).unwrap_or_default());
        };
        let arn = function_arn(config);
        let opened = self.sealer.open(cx, Of { arn: &arn, reuse_seconds }, text).await?;
        serde_json::from_str(&opened).map_err(Error::internal)
    }

    /// A configuration as the caller may see it: variables that it may not read are told as an error.
    pub(crate) async fn told(&self, cx: &Cx, mut config: FunctionConfiguration) -> FunctionConfiguration {
        if sealed(&config).is_none() {
            return config;
        }
        let environment = match self.open(cx, &config, 0).await {
            Ok(variables) => EnvironmentResponse { variables: Some(variables), error: None },
            Err(error) => EnvironmentResponse {
                variables: None,
                error: Some(EnvironmentError {
                    error_code: Some(error.code().to_owned()),
                    message: Some(format!(
                        "Lambda was unable to decrypt your environment variables because the KMS access was denied. Please check your \
                         KMS permissions. KMS Exception: {} KMS Message: {}",
                        error.code(),
                        error.message()
                    )),
                }),
            },
        };
        config.environment = Some(environment);
        config
    }

    pub(crate) async fn all_told(&self, cx: &Cx, configs: Vec<FunctionConfiguration>) -> Vec<FunctionConfiguration> {
        let mut told = Vec::with_capacity(configs.len());
        for config in configs {
            told.push(self.told(cx, config).await);
        }
        told
    }

    /// The variables of a function that is to run: its role has to be allowed to read them.
    pub(crate) async fn variables(&self, cx: &Cx, config: &FunctionConfiguration) -> Result<Variables, Error> {
        if sealed(config).is_none() {
            return self.open(cx, config, 0).await;
        }
        let (role, name) =
            (config.role.as_deref().unwrap_or_default(), config.function_name.as_deref().unwrap_or_default());
        let principal = cx.router().identity().role_session(role, name, None).await?;
        let own = cx.as_principal(principal);
        self.open(&own, config, REUSE_SECONDS).await.map_err(|error| failed(&error))
    }

    /// Takes back what a function's role was granted for these configurations.
    pub(crate) async fn take_grants_back(&self, cx: &Cx, configs: &[FunctionConfiguration]) {
        let own = cx.as_platform();
        let grants: std::collections::BTreeSet<(String, String)> = configs
            .iter()
            .filter_map(|config| Some((config.kms_key_arn.clone()?, sealed(config)?.0.to_owned())))
            .collect();
        for (key_id, grant_id) in grants {
            let request = RevokeGrantRequest { key_id, grant_id, ..RevokeGrantRequest::default() };
            if let Err(error) = own.call::<RevokeGrant>(request).await {
                tracing::debug!(%error, "the grant of a function that is deleted could not be taken back");
            }
        }
    }
}

/// Grants the role its reading, and seals.
async fn seal_under(cx: &Cx, key: &str, arn: &str, role: String, plain: &Variables) -> Result<String, Error> {
    let context = BTreeMap::from([(CONTEXT.to_owned(), arn.to_owned())]);
    let constraints =
        GrantConstraints { encryption_context_equals: Some(context.clone()), ..GrantConstraints::default() };
    let grant = CreateGrantRequest {
        key_id: key.to_owned(),
        grantee_principal: Some(role),
        operations: vec!["Decrypt".to_owned()],
        constraints: Some(constraints),
        name: Some(format!("lambda-{}", arn.rsplit(':').next().unwrap_or_default())),
        ..CreateGrantRequest::default()
    };
    let granted = cx.call::<CreateGrant>(grant).await.map_err(|error| refused(&error, "CreateGrant"))?;
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::internal("no randomness"))?;
    let request = EncryptRequest {
        key_id: key.to_owned(),
        plaintext: Blob::new(bytes.to_vec()),
        encryption_context: Some(context),
        ..EncryptRequest::default()
    };
    let encrypted = cx.call::<Encrypt>(request).await.map_err(|error| refused(&error, "Encrypt"))?;
    let data_key = DataKey::new(&bytes, encrypted.ciphertext_blob.unwrap_or_default())?;
    let text = data_key.seal(arn, &serde_json::to_string(plain).map_err(Error::internal)?)?;
    Ok(format!("{} {text}", granted.grant_id.unwrap_or_default()))
}

/// A key that cannot be used for a function.
fn refused(error: &Error, asked: &str) -> Error {
    if error.status() >= 500 {
        return Error::internal(error.message());
    }
    error::invalid_parameter_value_exception(format!(
        "Lambda was unable to configure access to your environment variables because the KMS key is invalid for {asked}. Please check your \
         KMS key settings. KMS Exception: {} KMS Message: {}",
        error.code(),
        error.message()
    ))
}

/// An invocation whose variables cannot be read.
fn failed(error: &Error) -> Error {
    let (named, why): (fn(String) -> Error, _) = match error.code() {
        "AccessDeniedException" => (error::kms_access_denied_exception, "KMS access was denied"),
        "DisabledException" => (error::kms_disabled_exception, "the KMS key used is disabled"),
        "NotFoundException" => (error::kms_not_found_exception, "the KMS key was not found"),
        "KMSInvalidStateException" => {
            (error::kms_invalid_state_exception, "the state of the KMS key used is not valid for Decrypt")
        }
        _ => return Error::internal(error.message()),
    };
    named(format!(
        "Lambda was unable to decrypt the environment variables because {why}. Please check the function's KMS key settings. KMS \
         Exception: {} KMS Message: {}",
        error.code(),
        error.message()
    ))
}
