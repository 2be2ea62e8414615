//! Beginning an operation on a stack: the request is checked against the template and the stack's state, and recorded with
//! the task that carries it out, in one transaction.

use indexmap::IndexMap;
use serde_json::{Value, json};
use service::Cx;
use store::Tx;
use wire::Error;

use crate::engine::{Operations, Work};
use crate::ongoing::Job;
use crate::parameters::{self, Given, text};
use crate::records::{Goal, Operation, Phase, StackRecord, Triggers, VERSION};
use crate::stacks::{self, StackScope};
use crate::template::{Template, attributes, to_json, validation};
use crate::{CloudFormation, Result, dynamic, policy, process, resources};

/// What a caller wants of a stack.
#[expect(clippy::struct_excessive_bools, reason = "each is a parameter of the API")]
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) stack_name: String,
    pub(crate) template_body: Option<String>,
    pub(crate) template_url: Option<String>,
    pub(crate) use_previous_template: bool,
    pub(crate) parameters: Vec<Given>,
    pub(crate) tags: Option<Vec<(String, String)>>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) role_arn: Option<String>,
    pub(crate) on_failure: Option<String>,
    pub(crate) protected: bool,
    /// By a change set, in which what transforms make is looked at.
    pub(crate) by_change_set: bool,
    pub(crate) policy: Option<String>,
    pub(crate) policy_of_update: Option<String>,
    /// Topics that are told of events; `None` leaves those that there are.
    pub(crate) notified: Option<Vec<String>>,
    pub(crate) timeout_minutes: Option<i32>,
    /// `None` leaves those that there are.
    pub(crate) triggers: Option<Triggers>,
    pub(crate) forgets_created: bool,
}

/// The same, checked.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// Without transforms.
    pub(crate) text: String,
    /// As it was given, where that is another.
    pub(crate) original: Option<String>,
    pub(crate) template: Template,
    pub(crate) parameters: IndexMap<String, String>,
    /// The names of SSM's parameters whose values parameters have.
    pub(crate) fetched: IndexMap<String, String>,
    pub(crate) tags: Vec<(String, String)>,
}

impl CloudFormation {
    /// The template's text, wherever it comes from.
    pub(crate) async fn text_of(&self, cx: &Cx, wanted: &Wanted, previous: Option<&StackRecord>) -> Result<String> {
        match (&wanted.template_body, &wanted.template_url, previous) {
            (Some(body), None, _) => Ok(body.clone()),
            (None, Some(url), _) => fetch(cx, url).await,
            (None, None, Some(stack)) if wanted.use_previous_template => {
                Ok(stack.original.clone().unwrap_or_else(|| stack.template.clone()))
            }
            _ => Err(validation("Either Template URL or Template Body must be specified.")),
        }
    }

    /// Template, parameters and capabilities of a request, checked. `previous`: the stack as it is.
    pub(crate) async fn prepare(&self, cx: &Cx, wanted: &Wanted, previous: Option<&StackRecord>) -> Result<Prepared> {
        let body = self.text_of(cx, wanted, previous).await?;
        let (declared, transforms) = process::outline(&body)?;
        let given = |name: &str| wanted.capabilities.iter().any(|c| c == name);
        if !transforms.is_empty() && !wanted.by_change_set && !given("CAPABILITY_AUTO_EXPAND") {
            return Err(api_cloudformation::error::insufficient_capabilities_exception(
                "Requires capabilities : [CAPABILITY_AUTO_EXPAND]",
            ));
        }
        let none = IndexMap::new();
        // A previous value that was fetched is fetched again, by the same name.
        let mut before = previous.map_or(&none, |s| &s.parameters).clone();
        before.extend(previous.iter().flat_map(|s| s.fetched.clone()));
        let mut bound = parameters::bind(&declared, &wanted.parameters, &before)?;
        // The stack's role stays where a request names none.
        let role = wanted.role_arn.as_deref().or_else(|| previous.and_then(|s| s.role_arn.as_deref()));
        let fetched = fetch_parameters(cx, role, &declared, &mut bound).await?;
        let processed = self.process(cx, wanted, role, &body, &bound).await?;
        let (body, original) = match processed {
            Some(processed) => (processed, Some(body)),
            None => (body, None),
        };
        if !wanted.use_previous_template {
            attributes::check(&to_json(&body)?)?;
        }
        let template = Template::parse(&body)?;
        let mut unknown: Vec<&str> =
            template.resources.values().map(|r| r.kind.as_str()).filter(|k| resources::find(k).is_none()).collect();
        unknown.dedup();
        if !unknown.is_empty() {
            let text = format!("Template format error: Unrecognized resource types: [{}]", unknown.join(", "));
            return Err(validation(text));
        }
        for resource in template.resources.values() {
            dynamic::check(&resource.kind, &resource.properties)?;
        }
        if let Some(needed) = template.needed_capability() {
            // Who may make roles with names of their own may make others too.
            if !given(needed) && !given("CAPABILITY_NAMED_IAM") {
                let text = format!("Requires capabilities : [{needed}]");
                return Err(api_cloudformation::error::insufficient_capabilities_exception(text));
            }
        }
        let tags = wanted.tags.clone().unwrap_or_else(|| previous.map(|s| s.tags.clone()).unwrap_or_default());
        Ok(Prepared { text: body, original, template, parameters: bound, fetched, tags })
    }
}

/// Puts the values of SSM's parameters in the place of their names. It is the service role that reads them, if there is one: the role that
/// deploys for CDK (`cdk bootstrap`'s template, its `deploy-role`) may read none but that of the bootstrap's version.
async fn fetch_parameters(
    cx: &Cx,
    role: Option<&str>,
    template: &Template,
    bound: &mut IndexMap<String, String>,
) -> Result<IndexMap<String, String>> {
    let mut fetched = IndexMap::new();
    let is_fetched = |name: &str| {
        let kind = template.parameters[name].get("Type").map(text).unwrap_or_default();
        kind.starts_with("AWS::SSM::Parameter::Value<")
    };
    if !bound.keys().any(|name| is_fetched(name)) {
        return Ok(fetched);
    }
    let cx = match role {
        Some(role) => cx.assume(role, "AWSCloudFormation").await?,
        None => cx.clone(),
    };
    for (name, value) in bound {
        if !is_fetched(name) {
            continue;
        }
        let output = cx.call_json("ssm", "GetParameters", json!({ "Names": [value], "WithDecryption": false })).await;
        let output = output.map_err(|error| validation(error.message().to_owned()))?;
        let Some(found) = output["Parameters"].get(0) else {
            let text = format!("Unable to fetch parameters [{value}] from parameter store for this account.");
            return Err(validation(text));
        };
        if found["Type"] == "SecureString" {
            let text =
                format!("Parameters [{value}] referenced by template have types not supported by CloudFormation.");
            return Err(validation(text));
        }
        fetched.insert(name.clone(), std::mem::replace(value, text(&found["Value"])));
    }
    Ok(fetched)
}

/// A template in a bucket: `https://bucket.s3.region.amazonaws.com/key`, `http://endpoint/bucket/key`, `s3://bucket/key`.
pub(crate) async fn fetch(cx: &Cx, url: &str) -> Result<String> {
    let invalid = || validation("TemplateURL must be a supported URL.");
    let mut version = None;
    let (bucket, key) = if let Some(rest) = url.strip_prefix("s3://") {
        rest.split_once('/').map(|(b, k)| (b.to_owned(), k.to_owned())).ok_or_else(invalid)?
    } else {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).ok_or_else(invalid)?;
        let (host, path) = rest.split_once('/').ok_or_else(invalid)?;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        version = query.split('&').find_map(|part| part.strip_prefix("versionId=")).map(str::to_owned);
        let name = host.split(':').next().unwrap_or_default();
        let virtual_bucket = [".s3.", ".s3-"].iter().find_map(|mark| name.split_once(mark)).map(|(b, _)| b);
        match virtual_bucket.or_else(|| name.strip_suffix(".localhost")) {
            Some(bucket) => (bucket.to_owned(), path.to_owned()),
            None => path.split_once('/').map(|(b, k)| (b.to_owned(), k.to_owned())).ok_or_else(invalid)?,
        }
    };
    let mut input = json!({ "Bucket": bucket, "Key": key });
    if let Some(version) = version {
        input["VersionId"] = version.into();
    }
    let object = cx.call_json("s3", "GetObject", input).await;
    match object {
        Ok(object) => Ok(text(&object["Body"])),
        Err(error) => Err(validation(format!("S3 error: {}", error.message()))),
    }
}

/// A new stack, still without anything in it.
pub(crate) fn new_stack(cx: &Cx, wanted: &Wanted, status: &str) -> StackRecord {
    let id = cx.arn("cloudformation", format!("stack/{}/{}", wanted.stack_name, cx.uuid()));
    StackRecord {
        v: VERSION,
        name: wanted.stack_name.clone(),
        id,
        account: cx.account().to_owned(),
        region: cx.region().to_owned(),
        status: status.to_owned(),
        reason: None,
        created_ms: cx.now().as_millisecond(),
        updated_ms: None,
        deleted_ms: None,
        template: String::new(),
        parameters: IndexMap::new(),
        fetched: IndexMap::new(),
        tags: Vec::new(),
        capabilities: wanted.capabilities.clone(),
        role_arn: wanted.role_arn.clone(),
        outputs: Vec::new(),
        resources: std::collections::BTreeMap::new(),
        protected: wanted.protected,
        original: None,
        imports: Vec::new(),
        policy: wanted.policy.clone(),
        stuck: None,
        change_set: None,
        operation: None,
        hidden: Vec::new(),
        operations: 0,
        superseded: Vec::new(),
        principal: None,
        notified: wanted.notified.clone().unwrap_or_default(),
        timeout_minutes: wanted.timeout_minutes,
        previous: None,
        triggers: wanted.triggers.clone(),
        failed: None,
    }
}

/// Records an operation and its task. The stack's state has been checked.
pub(crate) fn begin(tx: &mut Tx<'_>, stack: &mut StackRecord, now_ms: i64, mut operation: Operation) -> Result<()> {
    let (status, goal) = match operation.goal {
        Goal::Create => ("CREATE_IN_PROGRESS", Goal::Create),
        Goal::Update => ("UPDATE_IN_PROGRESS", Goal::Update),
        Goal::Delete => ("DELETE_IN_PROGRESS", Goal::Delete),
        Goal::Import => ("IMPORT_IN_PROGRESS", Goal::Import),
    };
    stack.operations += 1;
    stack.hidden.extend(hidden(&operation));
    stack.principal = Some(operation.principal.clone());
    stack.failed = None;
    if goal == Goal::Update {
        stack.updated_ms = Some(now_ms);
        stack.previous = None;
    }
    if goal == Goal::Create {
        operation.until_ms = stack.timeout_minutes.map(|minutes| now_ms + i64::from(minutes) * 60_000);
    }
    if goal == Goal::Delete {
        // What has failed to go is tried again.
        for record in stack.resources.values_mut().filter(|r| r.status == "DELETE_FAILED") {
            "CREATE_COMPLETE".clone_into(&mut record.status);
        }
    }
    stack.operation = Some(operation);
    stacks::set_status(tx, stack, now_ms, status, Some("User Initiated"))?;
    let work = Work {
        account: stack.account.clone(),
        region: stack.region.clone(),
        stack_id: stack.id.clone(),
        number: stack.operations,
    };
    jobs::start::<Job<Operations>>(tx, &work.task(), &work)?;
    stacks::save(tx, stack)
}

/// Goes on with an operation that had stopped.
pub(crate) fn resume(
    tx: &mut Tx<'_>,
    stack: &mut StackRecord,
    now_ms: i64,
    operation: Operation,
    status: &str,
) -> Result<()> {
    stack.operations += 1;
    stack.principal = Some(operation.principal.clone());
    stack.failed = None;
    stack.operation = Some(operation);
    stacks::set_status(tx, stack, now_ms, status, Some("User Initiated"))?;
    let work = Work {
        account: stack.account.clone(),
        region: stack.region.clone(),
        stack_id: stack.id.clone(),
        number: stack.operations,
    };
    jobs::start::<Job<Operations>>(tx, &work.task(), &work)?;
    stacks::save(tx, stack)
}

/// The values of the operation's NoEcho parameters.
fn hidden(operation: &Operation) -> Vec<String> {
    let template = Template::parse(&operation.template).unwrap_or_default();
    let secret = |(name, value): (&String, &String)| {
        let declared = template.parameters.get(name);
        (!value.is_empty() && declared.is_some_and(parameters::no_echo)).then(|| value.clone())
    };
    operation.parameters.iter().filter_map(secret).collect()
}

pub(crate) fn operation(cx: &Cx, goal: Goal, prepared: Option<Prepared>, on_failure: Option<String>) -> Operation {
    let (template, original, parameters, fetched, tags) =
        prepared.map(|p| (p.text, p.original, p.parameters, p.fetched, p.tags)).unwrap_or_default();
    Operation {
        goal,
        principal: cx.principal().clone(),
        template,
        parameters,
        fetched,
        tags,
        phase: Phase::Forward,
        on_failure: on_failure.unwrap_or_else(|| "ROLLBACK".to_owned()),
        journal: IndexMap::new(),
        superseded: Vec::new(),
        retained: Vec::new(),
        original,
        policy: None,
        cancelled: false,
        adopted: std::collections::BTreeMap::new(),
        until_ms: None,
        forgets_created: false,
        watched_until_ms: None,
    }
}

/// May a stack in this state be updated?
pub(crate) fn check_updatable(stack: &StackRecord) -> Result<()> {
    let may = [
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "UPDATE_FAILED",
        "CREATE_FAILED",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    ];
    if may.contains(&stack.status.as_str()) && stack.operation.is_none() {
        return Ok(());
    }
    Err(validation(format!("Stack:{} is in {} state and can not be updated.", stack.id, stack.status)))
}

/// Would the operation change anything? Of what failed, and of stacks within, that is not known.
pub(crate) fn unchanged(stack: &StackRecord, prepared: &Prepared) -> bool {
    let nested = prepared.template.resources.values().any(|resource| resource.kind == resources::NESTED);
    if nested || stack.status.ends_with("_FAILED") {
        return false;
    }
    let same_template = match Template::parse(&stack.template) {
        Ok(old) => {
            let view = |t: &Template| -> Vec<(String, String, Value, Option<String>)> {
                t.resources
                    .iter()
                    .map(|(n, r)| (n.clone(), r.kind.clone(), r.properties.clone(), r.condition.clone()))
                    .collect()
            };
            view(&old) == view(&prepared.template)
                && old.outputs == prepared.template.outputs
                && old.mappings == prepared.template.mappings
                && old.conditions == prepared.template.conditions
        }
        Err(_) => false,
    };
    same_template && stack.parameters == prepared.parameters && stack.tags == prepared.tags
}

/// The name of a stack, as CloudFormation wants it.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let ok = name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if ok {
        return Ok(());
    }
    Err(validation(format!(
        "1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
    )))
}

impl CloudFormation {
    pub(crate) async fn stack(&self, cx: &Cx, name: &str) -> Result<StackRecord> {
        let place = StackScope::of(cx);
        self.store.read(|tx| stacks::require(tx, &place, name)).await
    }

    pub(crate) async fn stack_if_there(&self, cx: &Cx, name: &str) -> Result<Option<StackRecord>> {
        let place = StackScope::of(cx);
        self.store.read(|tx| stacks::find(tx, (&place.account, &place.region), name)).await
    }

    /// Begins the making of a new stack; its id.
    pub(crate) async fn create(&self, cx: &Cx, wanted: Wanted) -> Result<String> {
        check_name(&wanted.stack_name)?;
        wanted.policy.as_deref().map_or(Ok(()), policy::check)?;
        let prepared = self.prepare(cx, &wanted, None).await?;
        let fresh = new_stack(cx, &wanted, "CREATE_IN_PROGRESS");
        let mut operation = operation(cx, Goal::Create, Some(prepared), wanted.on_failure);
        operation.forgets_created = wanted.forgets_created;
        let place = StackScope::of(cx);
        cx.write(&self.store, move |tx| {
            if stacks::find(tx, (&place.account, &place.region), &fresh.name)?.is_some() {
                let text = format!("Stack [{}] already exists", fresh.name);
                return Err(api_cloudformation::error::already_exists_exception(text));
            }
            let mut stack = fresh.clone();
            stack.template.clone_from(&operation.template);
            stack.original.clone_from(&operation.original);
            stack.parameters.clone_from(&operation.parameters);
            stack.fetched.clone_from(&operation.fetched);
            stack.tags.clone_from(&operation.tags);
            begin(tx, &mut stack, place.now_ms, operation.clone())?;
            Ok::<_, Error>(stack.id)
        })
        .await
    }

    /// Begins an update; the stack's id.
    pub(crate) async fn update(&self, cx: &Cx, wanted: Wanted) -> Result<String> {
        let stack = self.stack(cx, &wanted.stack_name).await?;
        check_updatable(&stack)?;
        for given in [&wanted.policy, &wanted.policy_of_update].into_iter().flatten() {
            policy::check(given)?;
        }
        let prepared = self.prepare(cx, &wanted, Some(&stack)).await?;
        if unchanged(&stack, &prepared) {
            return Err(validation("No updates are to be performed."));
        }
        let mut operation = operation(cx, Goal::Update, Some(prepared), wanted.on_failure);
        operation.policy = wanted.policy_of_update;
        operation.forgets_created = wanted.forgets_created;
        let (given_policy, notified, triggers) = (wanted.policy, wanted.notified, wanted.triggers);
        let (place, id, capabilities, role) = (StackScope::of(cx), stack.id, wanted.capabilities, wanted.role_arn);
        cx.write(&self.store, move |tx| {
            let mut stack = stacks::require(tx, &place, &id)?;
            check_updatable(&stack)?;
            stack.capabilities.clone_from(&capabilities);
            stack.role_arn = role.clone().or_else(|| stack.role_arn.clone());
            stack.policy = given_policy.clone().or_else(|| stack.policy.clone());
            if let Some(topics) = &notified {
                stack.notified.clone_from(topics);
            }
            stack.triggers = triggers.clone().or(stack.triggers);
            begin(tx, &mut stack, place.now_ms, operation.clone())?;
            Ok::<_, Error>(stack.id)
        })
        .await
    }

    /// Begins a deletion. A stack that is not there is deleted successfully.
    pub(crate) async fn delete(&self, cx: &Cx, name: &str, retained: Vec<String>, role: Option<String>) -> Result<()> {
        let mut operation = operation(cx, Goal::Delete, None, None);
        operation.retained = retained;
        let (place, name) = (StackScope::of(cx), name.to_owned());
        cx.write(&self.store, move |tx| {
            let Some(mut stack) = stacks::find(tx, (&place.account, &place.region), &name)? else { return Ok(()) };
            if stack.status == "DELETE_COMPLETE" || stack.status == "DELETE_IN_PROGRESS" && stack.operation.is_some() {
                return Ok(());
            }
            if stack.protected {
                let text = format!("Stack [{}] cannot be deleted while TerminationProtection is enabled", stack.name);
                return Err(validation(text));
            }
            if let Some(reason) = stacks::in_use(tx, &stack, &[])? {
                let status = stack.status.clone();
                let text = format!("Delete canceled. Cannot delete {reason}");
                stacks::set_status(tx, &mut stack, place.now_ms, &status, Some(&text))?;
                return stacks::save(tx, &stack);
            }
            if stack.operation.is_some() && !stack.status.starts_with("CREATE") {
                let text = format!("Stack [{}] cannot be deleted while in status {}", stack.id, stack.status);
                return Err(validation(text));
            }
            if stack.operation.is_some() {
                jobs::forget(tx, &format!("cloudformation/{}/{}", stack.id, stack.operations))?;
            }
            stack.role_arn = role.clone().or_else(|| stack.role_arn.clone());
            begin(tx, &mut stack, place.now_ms, operation.clone())
        })
        .await
    }
}
