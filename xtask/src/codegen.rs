//! `cargo xtask codegen`: shapes and operation metadata of every service, from AWS's models (models/*.json.gz) for the
//! operations in models/operations.toml. Output: api/<service>/src/gen.rs, formatted by rustfmt; and for Step Functions, which names
//! errors by their exceptions' classes, services/states/src/integrations/exceptions.rs, and which holds mocked results against what
//! operations answer, of services that are not here too, services/states/src/answers.json.gz.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::authorization::{Authorization, Need};
use crate::checks::say;
use crate::members::Lists;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    operations: Vec<String>,
    /// Enumerations that AWS does not hold to, which the handlers look at.
    #[serde(default)]
    any_value: Vec<String>,
    /// Texts that are measured in bytes, which the handlers do.
    #[serde(default)]
    in_bytes: Vec<String>,
    /// Texts that may be empty whatever the model says, which the handlers look at.
    #[serde(default)]
    may_be_empty: Vec<String>,
}

/// # Errors
/// When a model lacks a named operation, or (with `check`) a file differs.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = root();
    let services = services(&root)?;
    let lists = Lists::read()?;
    let access = Authorization::read()?;
    let mut stale = Vec::new();
    let mut files = Vec::new();
    for (name, service) in &services {
        let code = generate(&root, name, service, (&lists, &access)).with_context(|| name.clone())?;
        files.push((root.join(format!("api/{name}/src/gen.rs")), code));
    }
    if !check {
        services.keys().try_for_each(|name| scaffold(&root, name))?;
    }
    files.push((root.join("services/states/src/integrations/exceptions.rs"), exceptions(&root, services.keys())?));
    files.push((root.join("services/s3/src/door/requests.rs"), s3_requests(&root, &lists, &access)?));
    files.push((root.join("crates/service/src/authorization/keys.rs"), access.keys()));
    for (path, code) in files {
        let code = rustfmt(&code)?;
        if std::fs::read_to_string(&path).ok().as_deref() == Some(&code) {
            continue;
        }
        if check {
            stale.push(path.display().to_string());
        } else {
            std::fs::write(&path, code).with_context(|| path.display().to_string())?;
        }
    }
    let answers = answers(&root)?;
    let path = root.join("services/states/src/answers.json.gz");
    if unpacked(&path).ok().as_deref() != Some(&answers) {
        if check {
            stale.push(path.display().to_string());
        } else {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            packed.write_all(answers.as_bytes())?;
            std::fs::write(&path, packed.finish()?)?;
        }
    }
    if stale.is_empty() { Ok(()) } else { bail!("run `cargo xtask codegen`; out of date: {}", stale.join(", ")) }
}

/// The crate of a service that has none yet; says what is left to write by hand.
fn scaffold(root: &Path, name: &str) -> Result<()> {
    let folder = root.join("api").join(name);
    if folder.join("Cargo.toml").exists() {
        return Ok(());
    }
    // Any other's: they differ in the name alone.
    let pattern = root.join("api/kms");
    let manifest = std::fs::read_to_string(pattern.join("Cargo.toml"))?.replace("api-kms", &format!("api-{name}"));
    let library = std::fs::read_to_string(pattern.join("src/lib.rs"))?.replace("kms", name);
    std::fs::create_dir_all(folder.join("src"))?;
    std::fs::write(folder.join("Cargo.toml"), manifest)?;
    std::fs::write(folder.join("src/lib.rs"), library)?;
    say(&format!(
        "api/{name} is made. Name it in Cargo.toml ([workspace.dependencies]): api-{name} = {{ path = \"api/{name}\" }}; \
         CONTRIBUTING.md says what else a new service has."
    ));
    Ok(())
}

fn services(root: &Path) -> Result<BTreeMap<String, Service>> {
    Ok(toml::from_str(&std::fs::read_to_string(root.join("models/operations.toml"))?)?)
}

/// The operations that are generated, by service.
pub(crate) fn operations() -> Result<BTreeMap<String, Vec<String>>> {
    Ok(services(&root())?.into_iter().map(|(name, service)| (name, service.operations)).collect())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask stands in the workspace").to_owned()
}

fn rustfmt(code: &str) -> Result<String> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("rustfmt (a rustup component) is needed")?;
    child.stdin.take().expect("piped").write_all(code.as_bytes())?;
    let out = child.wait_with_output()?;
    if !out.status.success() {
        bail!("rustfmt failed on generated code");
    }
    Ok(String::from_utf8(out.stdout)?)
}

/// A service's model: AWS's, or one of ours.
pub(crate) fn document(root: &Path, name: &str) -> Result<Value> {
    if let Ok(own) = std::fs::read_to_string(root.join(format!("models/{name}.json"))) {
        return Ok(serde_json::from_str(&own)?);
    }
    Ok(serde_json::from_str(&unpacked(&root.join(format!("models/{name}.json.gz")))?)?)
}

/// The text of a gzip file.
pub(crate) fn unpacked(path: &Path) -> Result<String> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
    Ok(text)
}

/// What every operation of every model answers, by the service's name in `aws-sdk:` ARNs: `operations` name their shapes, and `shapes`
/// are `{members, required}`, `{list}`, `{map}`, `{enum}` or a type's name.
fn answers(root: &Path) -> Result<String> {
    let mut services = BTreeMap::new();
    for entry in std::fs::read_dir(root.join("models"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix(".json.gz") else { continue };
        let document = document(root, name)?;
        let shapes = document["shapes"].as_object().context("shapes")?;
        let mut operations = BTreeMap::new();
        let mut used = BTreeMap::new();
        for (name, op) in document["operations"].as_object().context("operations")? {
            if let Some(shape) = op["output"]["shape"].as_str() {
                operations.insert(name, shape);
                answer(shapes, shape, &mut used);
            }
        }
        let id = document["metadata"]["serviceId"].as_str().unwrap_or(name).replace(' ', "").to_lowercase();
        services.insert(id, serde_json::json!({ "operations": operations, "shapes": used }));
    }
    Ok(serde_json::to_string(&services)?)
}

fn answer(shapes: &Map<String, Value>, name: &str, used: &mut BTreeMap<String, Value>) {
    if used.contains_key(name) {
        return;
    }
    used.insert(name.to_owned(), Value::Null);
    let shape = &shapes[name];
    let target = |key: &str| shape[key]["shape"].as_str().unwrap_or_default();
    let mut inner = Vec::new();
    let short = match shape["type"].as_str().unwrap_or_default() {
        "structure" if shape["document"].as_bool() == Some(true) => "document".into(),
        "structure" => {
            let members = shape["members"].as_object().into_iter().flatten();
            let members: BTreeMap<_, _> =
                members.map(|(name, member)| (name, member["shape"].as_str().unwrap_or_default())).collect();
            inner.extend(members.values().copied());
            serde_json::json!({ "members": members, "required": required(shape) })
        }
        "list" => {
            inner.push(target("member"));
            serde_json::json!({ "list": target("member") })
        }
        "map" => {
            inner.push(target("value"));
            serde_json::json!({ "map": target("value") })
        }
        "string" if shape["enum"].is_array() => serde_json::json!({ "enum": shape["enum"] }),
        kind => kind.into(),
    };
    used.insert(name.to_owned(), short);
    for name in inner {
        answer(shapes, name, used);
    }
}

/// Every exception that a service's model names: its code and its shape.
fn exceptions<'a>(root: &Path, services: impl Iterator<Item = &'a String>) -> Result<String> {
    let mut out = String::from(
        "//! Which errors are exceptions of their own, by service: code and shape.\n//! Generated by `cargo xtask codegen` from AWS's models. Do not edit.\n\n#[rustfmt::skip]\npub(super) const EXCEPTIONS: &[(&str, &[(&str, &str)])] = &[\n",
    );
    for name in services {
        let document = document(root, name)?;
        let mut found = BTreeSet::new();
        for op in document["operations"].as_object().context("operations")?.values() {
            for shape in op["errors"].as_array().into_iter().flatten().filter_map(|error| error["shape"].as_str()) {
                let code = document["shapes"][shape]["error"]["code"].as_str().filter(|code| !code.contains('.'));
                found.insert((code.unwrap_or(shape).to_owned(), shape.to_owned()));
            }
        }
        writeln!(out, "    ({name:?}, &[")?;
        for pair in found {
            writeln!(out, "        {pair:?},")?;
        }
        out.push_str("    ]),\n");
    }
    out.push_str("];\n");
    Ok(out)
}

struct Model<'a> {
    shapes: &'a Map<String, Value>,
    query: bool,
    any_value: &'a [String],
    in_bytes: &'a [String],
    may_be_empty: &'a [String],
}

fn generate(root: &Path, name: &str, service: &Service, (lists, access): (&Lists, &Authorization)) -> Result<String> {
    let document = document(root, name)?;
    let meta = &document["metadata"];
    let operations = document["operations"].as_object().context("operations")?;
    let protocol = protocol(name, meta);
    let shapes = document["shapes"].as_object().context("shapes")?;
    let query = protocol == "Query";
    let model = Model {
        shapes,
        query,
        any_value: &service.any_value,
        in_bytes: &service.in_bytes,
        may_be_empty: &service.may_be_empty,
    };

    let mut used = BTreeSet::new();
    let mut errors = BTreeSet::new();
    for op in &service.operations {
        let op = operations.get(op).with_context(|| format!("the model has no operation {op}"))?;
        for side in ["input", "output"] {
            if let Some(shape) = op[side]["shape"].as_str() {
                model.reach(shape, &mut used);
            }
        }
        for error in op["errors"].as_array().into_iter().flatten() {
            errors.extend(error["shape"].as_str());
        }
    }

    let mut out = String::from("// Generated by `cargo xtask codegen` from AWS's model. Do not edit.\n\n");
    writeln!(out, "use wire::operation::{{OperationSpec, Protocol, ServiceSpec}};")?;
    writeln!(out, "use wire::schema::{{IMPORTS}};\n")?;
    writeln!(
        out,
        "pub static SERVICE: ServiceSpec = ServiceSpec {{ name: {name:?}, service_id: {:?}, protocol: Protocol::{protocol}, target_prefix: {:?}, xml_namespace: {:?}, api_version: {:?}, iam_prefix: {:?} }};\n",
        meta["serviceId"].as_str().unwrap_or(name),
        meta["targetPrefix"].as_str().unwrap_or_default(),
        meta["xmlNamespace"].as_str().unwrap_or_default(),
        meta["apiVersion"].as_str().unwrap_or_default(),
        name,
    )?;
    for op in &service.operations {
        operation(&mut out, &model, (name, lists, access), op, &operations[op])?;
    }
    out.push_str("/// The rows of all operations here.\npub static OPERATIONS: &[&OperationSpec] = &[\n");
    for op in &service.operations {
        writeln!(out, "<{op} as wire::Operation>::SPEC,")?;
    }
    out.push_str("];\n\n");
    for shape in &used {
        model.structure(&mut out, shape)?;
    }
    for shape in &used {
        model.schema(&mut out, shape)?;
    }
    if out.contains("&EMPTY") {
        out.push_str(
            "static EMPTY: Shape = Shape::Structure(Structure { name: \"Empty\", members: &[], payload: None });\n",
        );
    }
    out.push_str("\n/// The service's exceptions.\npub mod error {\nuse wire::Error;\n");
    for shape in errors {
        exception(&mut out, shape, &model.shapes[shape], !meta["awsQueryCompatible"].is_null())?;
    }
    out.push_str("}\n");
    let imports = ["List", "Location", "Map", "Member", "Shape", "Structure"];
    let used: Vec<&str> = imports
        .into_iter()
        .filter(|name| [" {", "(", "::"].iter().any(|after| out.contains(&format!("{name}{after}"))))
        .collect();
    Ok(out.replacen("{IMPORTS}", &format!("{{{}}}", used.join(", ")), 1))
}

/// S3's operations as HTTP shows them: what the door in front of S3 matches requests with.
fn s3_requests(root: &Path, lists: &Lists, access: &Authorization) -> Result<String> {
    let document = document(root, "s3")?;
    let mut out = String::from(
        "//! S3's operations as HTTP shows them. Generated by `cargo xtask codegen` from AWS's model. Do not edit.\n\nuse super::gate::{Action, Operation, Target, When};\n\npub(super) static OPERATIONS: &[Operation] = &[\n",
    );
    for (name, op) in document["operations"].as_object().context("operations")? {
        let uri = op["http"]["requestUri"].as_str().unwrap_or_default();
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let target = match path {
            "/" => "Root",
            "/{Bucket}" => "Bucket",
            "/{Bucket}/{Key+}" => "Object",
            // Object Lambda's operation has a host of its own.
            _ => continue,
        };
        // Its successor has the same request.
        if op["deprecated"].as_bool() == Some(true) {
            continue;
        }
        let fixed: Vec<(&str, &str)> =
            query.split('&').filter(|q| !q.is_empty()).map(|q| q.split_once('=').unwrap_or((q, ""))).collect();
        let structure = op["input"]["shape"].as_str().unwrap_or_default();
        let input = &document["shapes"][structure];
        let (mut needs, mut may, mut needs_headers, mut headers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut refused = Vec::new();
        let required = required(input);
        for (member, target) in input["members"].as_object().into_iter().flatten() {
            let wire = target["locationName"].as_str().unwrap_or(member);
            let list = match (target["location"].as_str(), required.contains(&member.as_str())) {
                (Some("querystring"), true) => &mut needs,
                (Some("querystring"), false) => &mut may,
                (Some("header"), true) => &mut needs_headers,
                (Some("header" | "headers"), _) => &mut headers,
                _ => continue,
            };
            let query = target["location"].as_str() == Some("querystring");
            let wire = if query { wire.to_owned() } else { wire.to_lowercase() };
            refused.extend(lists.unless("s3", structure, member).map(|unless| (wire.clone(), unless.clone())));
            list.push(wire);
        }
        // How a member that decides about an action shows in a request.
        let wire = |member: &str| {
            let target = &input["members"][member];
            let name = target["locationName"].as_str().unwrap_or(member);
            match target["location"].as_str() {
                Some("querystring") => format!("When::Query({name:?})"),
                _ => format!("When::Header({:?})", name.to_lowercase()),
            }
        };
        let actions: Vec<String> = access
            .needs("s3", name)
            .unwrap_or_default()
            .iter()
            .map(|need| {
                let when = need.when.as_ref().map(|(member, set)| format!("({}, {set})", wire(member)));
                let when = when.map_or_else(|| "None".to_owned(), |when| format!("Some({when})"));
                format!("Action {{ name: {:?}, when: {when} }}", need.action)
            })
            .collect();
        let checksums = !op["httpChecksum"]["requestAlgorithmMember"].is_null();
        writeln!(
            out,
            "Operation {{ name: {name:?}, method: {:?}, target: Target::{target}, fixed: &{fixed:?}, needs: &{needs:?}, may: &{may:?}, needs_headers: &{needs_headers:?}, headers: &{headers:?}, refused: &{}, actions: &[{}], checksums: {checksums} }},",
            op["http"]["method"].as_str().unwrap_or_default(),
            pairs(&refused),
            actions.join(","),
        )?;
    }
    out.push_str("];\n");
    Ok(out)
}

/// `[("name", &["value"])]`
fn pairs(refused: &[(String, Vec<String>)]) -> String {
    let pairs: Vec<String> = refused.iter().map(|(name, unless)| format!("({name:?}, &{unless:?})")).collect();
    format!("[{}]", pairs.join(", "))
}

fn protocol(name: &str, meta: &Value) -> &'static str {
    match (name, meta["protocol"].as_str(), meta["jsonVersion"].as_str()) {
        (_, Some("json"), Some("1.0")) => "AwsJson10",
        (_, Some("json"), _) => "AwsJson11",
        ("cloudwatch", ..) | (_, Some("query"), _) => "Query",
        (_, Some("rest-json"), _) => "RestJson",
        _ => "RestXml",
    }
}

fn operation(
    out: &mut String,
    model: &Model<'_>,
    (svc, lists, access): (&str, &Lists, &Authorization),
    name: &str,
    op: &Value,
) -> Result<()> {
    let input = op["input"]["shape"].as_str();
    let output = op["output"]["shape"].as_str();
    let readonly =
        ["Get", "List", "Describe", "Head", "BatchGet", "Query", "Scan", "Search", "Validate", "TransactGet", "Filter"]
            .iter()
            .any(|p| name.starts_with(p))
            && name != "GetActivityTask";
    let needs = access.needs(svc, name)?;
    let ty = |shape: Option<&str>| shape.map_or_else(|| "wire::types::Empty".to_owned(), type_name);
    let schema = |shape: Option<&str>| shape.map_or_else(|| "EMPTY".to_owned(), static_name);
    writeln!(
        out,
        "/// `{svc}:{name}`.\n#[derive(Debug)]\npub struct {name};\nimpl wire::Operation for {name} {{ type Input = {}; type Output = {}; const SPEC: &'static OperationSpec = &OperationSpec {{ service: &SERVICE, name: {name:?}, method: {:?}, uri: {:?}, success_status: {}, input: &{}, output: &{}, result_wrapper: {:?}, readonly: {readonly}, needs: &[{}], refused: &{} }}; }}\n",
        ty(input),
        ty(output),
        op["http"]["method"].as_str().unwrap_or("POST"),
        op["http"]["requestUri"].as_str().unwrap_or("/"),
        op["http"]["responseCode"].as_u64().unwrap_or(200),
        schema(input),
        schema(output),
        op["output"]["resultWrapper"].as_str().unwrap_or_default(),
        needs.iter().map(Need::code).collect::<Vec<_>>().join(","),
        pairs(&input.map(|input| lists.refused_of(svc, model.shapes, input)).unwrap_or_default()),
    )?;
    Ok(())
}

fn exception(out: &mut String, shape: &str, body: &Value, compatible: bool) -> Result<()> {
    let code = body["error"]["code"].as_str().unwrap_or(shape);
    let fault = body["fault"].as_bool().unwrap_or(false);
    let status = body["error"]["httpStatusCode"].as_u64().unwrap_or(if fault { 500 } else { 400 });
    // awsQueryCompatible services have the old code beside the new name (SQS, CloudWatch).
    let (name, query) = match body["error"]["code"].as_str() {
        Some(code) if compatible && code != shape => (shape, format!(".with_query_code({code:?})")),
        _ => (code, String::new()),
    };
    writeln!(
        out,
        "/// `{name}`.\npub fn {}(message: impl Into<String>) -> Error {{ Error::new({name:?}, {status}, message){query} }}",
        snake(shape)
    )?;
    Ok(())
}

impl Model<'_> {
    fn reach(&self, shape: &str, used: &mut BTreeSet<String>) {
        if !used.insert(shape.to_owned()) {
            return;
        }
        let body = &self.shapes[shape];
        for key in ["member", "key", "value"] {
            if let Some(inner) = body[key]["shape"].as_str() {
                self.reach(inner, used);
            }
        }
        for member in body["members"].as_object().into_iter().flat_map(Map::values) {
            if let Some(inner) = member["shape"].as_str() {
                self.reach(inner, used);
            }
        }
    }

    /// The name of a shape's schema. Of two shapes whose names differ by case alone (`RoleARN`, `RoleArn`) the second has another.
    fn static_of(&self, shape: &str) -> String {
        let name = static_name(shape);
        let mut names = self.shapes.keys();
        let is_second = names.any(|other| other.as_str() < shape && other.eq_ignore_ascii_case(shape));
        if is_second { format!("{name}_2") } else { name }
    }

    /// The Rust type of a shape.
    fn rust(&self, shape: &str) -> String {
        let body = &self.shapes[shape];
        match body["type"].as_str().unwrap_or_default() {
            "structure" if body["document"].as_bool() == Some(true) => "serde_json::Value".into(),
            "structure" => type_name(shape),
            "list" => format!("Vec<{}>", self.rust(body["member"]["shape"].as_str().unwrap_or_default())),
            "map" => format!(
                "std::collections::BTreeMap<String, {}>",
                self.rust(body["value"]["shape"].as_str().unwrap_or_default())
            ),
            "integer" => "i32".into(),
            "long" => "i64".into(),
            "float" | "double" => "f64".into(),
            "boolean" => "bool".into(),
            "timestamp" => "wire::Timestamp".into(),
            "blob" => "wire::Blob".into(),
            _ => "String".into(),
        }
    }

    /// Does the structure contain itself without a list or map between?
    fn recursive(&self, from: &str, target: &str, seen: &mut BTreeSet<String>) -> bool {
        if self.shapes[from]["type"] != "structure" || !seen.insert(from.to_owned()) {
            return false;
        }
        self.shapes[from]["members"].as_object().into_iter().flat_map(Map::values).any(|m| {
            let inner = m["shape"].as_str().unwrap_or_default();
            inner == target || self.recursive(inner, target, seen)
        })
    }

    fn structure(&self, out: &mut String, shape: &str) -> Result<()> {
        let body = &self.shapes[shape];
        if body["type"] != "structure" || body["document"].as_bool() == Some(true) {
            return Ok(());
        }
        let required = required(body);
        writeln!(
            out,
            "/// `{shape}`.\n#[derive(Clone, Debug, Default, PartialEq)]\npub struct {} {{",
            type_name(shape)
        )?;
        let mut fields = BTreeSet::new();
        let mut names = String::new();
        for (member, target) in body["members"].as_object().into_iter().flatten() {
            let inner = target["shape"].as_str().unwrap_or_default();
            let mut ty = self.rust(inner);
            if self.shapes[inner]["type"] == "structure"
                && (inner == shape || self.recursive(inner, shape, &mut BTreeSet::new()))
            {
                ty = format!("Box<{ty}>");
            }
            let mut field = snake(member);
            if !fields.insert(field.clone()) {
                field.push('_');
            }
            if required.contains(&member.as_str()) {
                writeln!(out, "pub {field}: {ty},")?;
            } else {
                writeln!(out, "pub {field}: Option<{ty}>,")?;
            }
            write!(names, " {member:?} {field},")?;
        }
        writeln!(out, "}}\nwire::shape!({}:{names});\n", type_name(shape))?;
        Ok(())
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each type of shape")]
    fn schema(&self, out: &mut String, shape: &str) -> Result<()> {
        let body = &self.shapes[shape];
        let number = |key: &str| match body[key].as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "the models' bounds are whole numbers")]
            Some(n) => format!("Some({})", n as i64),
            None => "None".to_owned(),
        };
        let inner = |key: &str| self.static_of(body[key]["shape"].as_str().unwrap_or_default());
        let location = |key: &str| body[key]["locationName"].as_str();
        let text = match body["type"].as_str().unwrap_or_default() {
            "structure" if body["document"].as_bool() == Some(true) => "Shape::Document".to_owned(),
            "structure" => {
                let mut members = String::new();
                let required = required(body);
                for (name, target) in body["members"].as_object().into_iter().flatten() {
                    let target_shape = target["shape"].as_str().unwrap_or_default();
                    let mut wire = target["locationName"].as_str().unwrap_or_default().to_owned();
                    // A flattened list's element name stands in for the member's in the query protocol.
                    let list = &self.shapes[target_shape];
                    if self.query
                        && list["flattened"].as_bool() == Some(true)
                        && let Some(element) = list["member"]["locationName"].as_str()
                    {
                        element.clone_into(&mut wire);
                    }
                    let location = match target["location"].as_str() {
                        Some("uri") => "Uri",
                        Some("querystring") => "Query",
                        Some("header") => "Header",
                        Some("headers") => "Headers",
                        Some("statusCode") => "StatusCode",
                        _ => "Body",
                    };
                    write!(
                        members,
                        "Member {{ name: {name:?}, wire: {wire:?}, shape: &{}, required: {}, location: Location::{location}, idempotency_token: {} }},",
                        self.static_of(target_shape),
                        required.contains(&name.as_str()),
                        target["idempotencyToken"].as_bool().unwrap_or(false),
                    )?;
                }
                let payload = body["payload"].as_str().map_or_else(|| "None".into(), |p| format!("Some({p:?})"));
                format!("Shape::Structure(Structure {{ name: {shape:?}, members: &[{members}], payload: {payload} }})")
            }
            "list" => format!(
                "Shape::List(List {{ member: &{}, element: {:?}, flattened: {}, min: {}, max: {} }})",
                inner("member"),
                location("member").unwrap_or("member"),
                body["flattened"].as_bool().unwrap_or(false),
                number("min"),
                number("max")
            ),
            "map" => format!(
                "Shape::Map(Map {{ key: &{}, value: &{}, key_name: {:?}, value_name: {:?}, flattened: {}, max: {} }})",
                inner("key"),
                inner("value"),
                location("key").unwrap_or("key"),
                location("value").unwrap_or("value"),
                body["flattened"].as_bool().unwrap_or(false),
                number("max")
            ),
            "integer" | "long" => format!("Shape::Integer {{ min: {}, max: {} }}", number("min"), number("max")),
            "float" | "double" => "Shape::Float".into(),
            "boolean" => "Shape::Boolean".into(),
            "blob" => format!("Shape::Blob {{ min: {}, max: {} }}", number("min"), number("max")),
            "timestamp" => {
                format!("Shape::Timestamp {{ iso: {} }}", self.query || body["timestampFormat"] == "iso8601")
            }
            _ => {
                let pattern = body["pattern"].as_str().map_or_else(|| "None".into(), |p| format!("Some({p:?})"));
                let values = body["enum"].as_array().filter(|_| !self.any_value.iter().any(|name| name == shape));
                let values: Vec<&str> = values.into_iter().flatten().filter_map(Value::as_str).collect();
                let unless = |named: &[String], limit| {
                    if named.iter().any(|name| name == shape) { "None".to_owned() } else { number(limit) }
                };
                format!(
                    "Shape::String {{ min: {}, max: {}, pattern: {pattern}, values: &{values:?}, sensitive: {} }}",
                    unless(self.may_be_empty, "min"),
                    unless(self.in_bytes, "max"),
                    body["sensitive"].as_bool().unwrap_or(false)
                )
            }
        };
        writeln!(out, "static {}: Shape = {text};", self.static_of(shape))?;
        Ok(())
    }
}

fn required(body: &Value) -> Vec<&str> {
    body["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn type_name(shape: &str) -> String {
    let mut chars = shape.chars();
    let name: String = chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect();
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    match name.as_str() {
        "Option" | "Box" | "Vec" | "String" | "Map" | "Shape" | "List" | "Member" | "Location" | "Structure"
        | "Protocol" => {
            format!("{name}Shape")
        }
        _ => name,
    }
}

fn static_name(shape: &str) -> String {
    format!("S_{}", snake(shape).trim_start_matches("r#").to_ascii_uppercase())
}

/// `FunctionARN` → `function_arn`, `DBName` → `db_name`; Rust's words are escaped.
pub(crate) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            out.push('_');
            continue;
        }
        let before = i.checked_sub(1).map(|j| chars[j]);
        let after = chars.get(i + 1);
        let new_word = c.is_ascii_uppercase()
            && before.is_some_and(|b| {
                b.is_ascii_lowercase()
                    || b.is_ascii_digit()
                    || (b.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase))
            });
        if new_word && !out.ends_with('_') {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    match out.as_str() {
        "type" | "match" | "in" | "as" | "mod" | "ref" | "use" | "where" | "static" | "enum" | "struct" | "fn"
        | "loop" | "move" => {
            format!("r#{out}")
        }
        _ => out,
    }
}
