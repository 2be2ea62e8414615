//! ValidateStateMachineDefinition: all findings, as CreateStateMachine would refuse for, and warnings where they are asked for.

use api_states::{
    ValidateStateMachineDefinition, ValidateStateMachineDefinitionDiagnostic, ValidateStateMachineDefinitionInput,
    ValidateStateMachineDefinitionOutput,
};
use asl::{Definition, Severity};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::integrations::findings;
use crate::machine::machine_type;
use crate::{States, page};

const MAX_RESULTS: usize = 100;

#[async_trait]
impl Handle<ValidateStateMachineDefinition> for States {
    async fn handle(
        &self,
        cx: &Cx,
        input: ValidateStateMachineDefinitionInput,
    ) -> Result<ValidateStateMachineDefinitionOutput, Error> {
        let kind = machine_type(input.r#type.as_deref().unwrap_or("STANDARD"));
        let mut found = match Definition::parse(&input.definition, kind) {
            Ok(_) => findings(cx.router(), &input.definition),
            Err(found) => found,
        };
        if input.severity.as_deref() == Some("WARNING") {
            found.extend(asl::warnings(&input.definition));
        }
        let failed = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        let size = page::size(input.max_results).min(MAX_RESULTS);
        let truncated = found.len() > size;
        let diagnostics = found.into_iter().take(size).map(|diagnostic| ValidateStateMachineDefinitionDiagnostic {
            severity: if diagnostic.severity == Severity::Error { "ERROR" } else { "WARNING" }.to_owned(),
            code: diagnostic.code.to_owned(),
            message: diagnostic.message,
            location: diagnostic.location,
        });
        Ok(ValidateStateMachineDefinitionOutput {
            result: if failed { "FAIL" } else { "OK" }.to_owned(),
            diagnostics: diagnostics.collect(),
            truncated: Some(truncated),
        })
    }
}
