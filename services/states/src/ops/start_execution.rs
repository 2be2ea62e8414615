//! StartExecution: the same name and input while it runs is the same execution.

use std::sync::Arc;

use api_states::{StartExecution, StartExecutionInput, StartExecutionOutput, error};
use asl::{Info, Payload, Timestamp};
use async_trait::async_trait;
use engine::{ExecutionArn, NewExecution, Started, traces};
use service::lineage::Worker;
use service::trace::TraceContext;
use service::{Cx, Handle};
use wire::Error;

use crate::machine::{MachineArn, Qualifier, Ready, StateMachine, deleting, does_not_exist};
use crate::names::{check_name, check_size};
use crate::{States, draw, logging};

#[async_trait]
impl Handle<StartExecution> for States {
    async fn handle(&self, cx: &Cx, input: StartExecutionInput) -> Result<StartExecutionOutput, Error> {
        let new = self.new_execution(cx, &input.state_machine_arn, input.name, input.input, input.trace_header).await?;
        let arn = new.arn.clone();
        if arn.is_express() {
            let start_date = wire::Timestamp::from_millis(new.info.started.0);
            self.express.start(cx, new).await?;
            return Ok(StartExecutionOutput { execution_arn: arn.to_string(), start_date });
        }
        match self.engine.start(cx, new).await? {
            Started::At(ms) => {
                cx.began(Worker::Execution(arn.to_string()));
                let start_date = wire::Timestamp::from_millis(ms);
                Ok(StartExecutionOutput { execution_arn: arn.to_string(), start_date })
            }
            Started::NameTaken => Err(error::execution_already_exists(format!("Execution Already Exists: '{arn}'"))),
        }
    }
}

impl States {
    pub(super) async fn new_execution(
        &self,
        cx: &Cx,
        machine_arn: &str,
        name: Option<String>,
        input: Option<String>,
        trace_header: Option<String>,
    ) -> Result<NewExecution, Error> {
        check_size("input", input.as_ref())?;
        let machine_arn = MachineArn::parse(machine_arn)?;
        if machine_arn.label().is_some() {
            return Err(error::validation_exception(format!(
                "A Distributed Map state cannot be started by itself: '{}'",
                machine_arn.as_str()
            )));
        }
        let (ready, version, alias_arn) = if machine_arn.qualifier == Qualifier::None {
            let ready = self.machine(&machine_arn).await?.ok_or_else(|| does_not_exist(machine_arn.as_str()))?;
            (ready, None, None)
        } else {
            let draw = draw(cx);
            let found = self.store.read(|tx| machine_arn.find(tx, draw)).await?;
            (Arc::new(found.machine.into()), found.version, found.alias_arn)
        };
        let Ready { machine, definition, revision } = &*ready;
        if machine.deleting {
            return Err(deleting(machine_arn.as_str()));
        }
        // Called again by the same task, it names the same execution.
        let is_unseen = name.is_none() && cx.task_id().is_none();
        let name = name.unwrap_or_else(|| cx.task_id().map_or_else(|| cx.uuid_in_order(), task_execution_name));
        check_name(&name)?;
        let input = input.unwrap_or_else(|| "{}".to_owned());
        let input = read_input(input)?;
        let logging = logging::of(&machine.logging());
        let arn = execution_arn(cx, machine, &machine_arn, &name);
        let started = Timestamp(cx.now().as_millisecond());
        // What the request says of a trace goes before the state that it may come from.
        let trace = cx.router().tracer().map(|_| {
            let given = trace_header.as_deref().and_then(TraceContext::parse_x_ray);
            traces::begin(&arn, started, given.or_else(|| cx.trace()))
        });
        let info = Info {
            execution_arn: arn.to_string(),
            trace,
            name,
            role_arn: machine.role_arn.clone(),
            state_machine_arn: MachineArn::new(&machine_arn.account, &machine_arn.region, &machine.name)
                .as_str()
                .to_owned(),
            state_machine_name: machine.name.clone(),
            region: machine_arn.region.clone(),
            started,
            input,
            logged: logging.is_some(),
            ..Info::default()
        };
        Ok(NewExecution {
            arn,
            is_unseen,
            info,
            definition: definition.clone(),
            state_machine_version_arn: version.map(|version| machine_arn.version_arn(version.number)),
            state_machine_alias_arn: alias_arn,
            trace_header,
            logging,
            machine_created: Some(machine.created_ms),
            machine: revision.clone(),
        })
    }
}

fn execution_arn(cx: &Cx, machine: &StateMachine, arn: &MachineArn, name: &str) -> ExecutionArn {
    if machine.kind == "EXPRESS" {
        let id = cx.task_id().map_or_else(|| cx.uuid(), |task| task_execution_name(&format!("express/{task}")));
        ExecutionArn::express(&arn.account, &arn.region, &machine.name, name, &id)
    } else {
        ExecutionArn::standard(&arn.account, &arn.region, &machine.name, name)
    }
}

/// A name that a task finds again when it repeats its call.
fn task_execution_name(task: &str) -> String {
    let digest = asl::fingerprint(task);
    format!("{}-{}-{}-{}-{}", &digest[..8], &digest[8..12], &digest[12..16], &digest[16..20], &digest[20..32])
}

pub(super) fn read_input(input: String) -> Result<Payload, Error> {
    let invalid =
        |what: &str| error::invalid_execution_input(format!("Invalid State Machine Execution Input: '{what}'"));
    if input.trim().is_empty() {
        return Err(invalid("Invalid execution input."));
    }
    let value = jsontext::read(&input).map_err(|problem| invalid(&asl::json_problem(&input, &problem).2))?;
    Ok(Payload::checked(input, value))
}
