//! The service over stores in memory, with real processes and real Python. Identity, logs and queues are stand-ins.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod stand_ins;

use std::io::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use service::{Cx, Platform, Principal, Router, Settings};
use stand_ins::{Identity, Neighbours};
use store::{Queue, Store};
use zip::write::{SimpleFileOptions, ZipWriter};

struct Bench {
    cx: Cx,
    neighbours: Arc<Neighbours>,
    _folder: tempfile::TempDir,
}

fn bench() -> Bench {
    bench_with(&json!({}))
}

fn bench_with(settings: &Value) -> Bench {
    bench_on(settings, |_, settings| settings)
}

/// On a machine that is another one: `change` gets a folder of its own.
fn bench_on(settings: &Value, change: impl FnOnce(&std::path::Path, compute::Settings) -> compute::Settings) -> Bench {
    // Not in /tmp: a function has its own there.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let router = Router::new();
    let queue = || Queue::new(Store::memory());
    let sections = json!({ "lambda": settings });
    let platform = Platform {
        router: router.clone(),
        control: queue(),
        s3: queue(),
        dynamodb: queue(),
        data: folder.path().to_owned(),
        objects: None,
        endpoint: "http://127.0.0.1:1".to_owned(),
        account: "000000000000".to_owned(),
        region: "eu-west-1".to_owned(),
        settings: Settings(Arc::new(sections.as_object().unwrap().clone())),
    };
    router.set_identity(Arc::new(Identity::default()));
    let neighbours = Neighbours::register(&router);
    let own = change(folder.path(), compute::Settings::new(folder.path().join("scratch")));
    let compute = compute::Compute::new(own).unwrap();
    lambda::register(&platform, &compute).unwrap();
    platform.control.start();
    let cx = Cx::new(router, Principal::root("000000000000"), "000000000000", "eu-west-1");
    Bench { cx, neighbours, _folder: folder }
}

fn archive(files: &[(&str, &str)]) -> String {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        zip.start_file(*name, SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    STANDARD.encode(zip.finish().unwrap().into_inner())
}

struct Reply {
    payload: Value,
    failed: bool,
    log: String,
}

impl Bench {
    async fn call(&self, operation: &str, input: Value) -> Value {
        self.try_call(operation, input).await.unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    async fn try_call(&self, operation: &str, input: Value) -> Result<Value, wire::Error> {
        let spec = self.cx.router().find("lambda", operation).unwrap();
        self.cx.router().call_canonical(&self.cx, spec, input).await
    }

    async fn fails(&self, operation: &str, input: Value) -> String {
        self.try_call(operation, input).await.expect_err("it is refused").code().to_owned()
    }

    /// A function out of one Python file, `Timeout` 20 unless told otherwise.
    async fn function(&self, name: &str, source: &str, more: Value) {
        self.function_of(name, &[("app.py", source)], more).await;
    }

    async fn function_of(&self, name: &str, files: &[(&str, &str)], more: Value) {
        let mut input = json!({
            "FunctionName": name, "Runtime": "python3.12", "Handler": "app.handler", "Timeout": 20,
            "Role": "arn:aws:iam::000000000000:role/worker", "Code": { "ZipFile": archive(files) },
        });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("CreateFunction", input).await;
    }

    async fn invoke(&self, name: &str, event: Value) -> Reply {
        self.invoke_as(&self.cx.clone(), name, event).await
    }

    async fn invoke_as(&self, cx: &Cx, name: &str, event: Value) -> Reply {
        let input = json!({ "FunctionName": name, "Payload": STANDARD.encode(event.to_string()), "LogType": "Tail" });
        let spec = cx.router().find("lambda", "Invoke").unwrap();
        let output = cx.router().call_canonical(cx, spec, input).await.unwrap();
        let decode = |member: &str| STANDARD.decode(output[member].as_str().unwrap()).unwrap();
        Reply {
            payload: serde_json::from_slice(&decode("Payload")).unwrap(),
            failed: output["FunctionError"] == "Unhandled",
            log: String::from_utf8(decode("LogResult")).unwrap(),
        }
    }
}

#[tokio::test]
async fn a_function_answers_and_stays_warm() {
    let bench = bench();
    let source = "import os\ncalls = 0\ndef handler(event, context):\n    global calls; calls += 1\n    print('hello', event)\n    \
                  return {'calls': calls, 'name': context.function_name, 'arn': context.invoked_function_arn, 'left': context.get_remaining_time_in_millis() > 1000, 'mine': os.environ['MINE'], 'region': os.environ['AWS_REGION'], 'pid': os.getpid()}\n";
    bench.function("warm", source, json!({ "Environment": { "Variables": { "MINE": "1" } } })).await;
    let first = bench.invoke("warm", json!({ "a": "ü" })).await;
    assert!(!first.failed, "{}", first.payload);
    assert_eq!(first.payload["calls"], 1);
    assert_eq!(first.payload["name"], "warm");
    assert_eq!(first.payload["arn"], "arn:aws:lambda:eu-west-1:000000000000:function:warm");
    assert_eq!(
        (&first.payload["left"], &first.payload["mine"], &first.payload["region"]),
        (&json!(true), &json!("1"), &json!("eu-west-1"))
    );
    let lines: Vec<_> = first.log.lines().collect();
    assert!(lines[0].starts_with("START RequestId: ") && lines[0].ends_with(" Version: $LATEST"), "{lines:?}");
    assert_eq!(lines[1], "hello {'a': 'ü'}");
    assert!(lines[2].starts_with("END RequestId: "));
    assert!(lines[3].contains("Memory Size: 128 MB") && lines[3].contains("Init Duration: "), "{lines:?}");
    let second = bench.invoke("warm", json!({})).await;
    assert_eq!(second.payload["calls"], 2);
    assert!(!second.log.contains("Init Duration"));

    // New settings: a new environment.
    bench
        .call(
            "UpdateFunctionConfiguration",
            json!({ "FunctionName": "warm", "Environment": { "Variables": { "MINE": "2" } } }),
        )
        .await;
    let third = bench.invoke("warm", json!({})).await;
    assert_eq!((&third.payload["calls"], &third.payload["mine"]), (&json!(1), &json!("2")));

    let logged = bench
        .neighbours
        .log_until("/aws/lambda/warm", |lines| lines.iter().filter(|line| line.starts_with("REPORT")).count() == 3)
        .await;
    let place = |start: &str| logged.iter().position(|line| line.starts_with(start)).unwrap();
    assert!(
        place("START") < place("hello") && place("hello") < place("END") && place("END") < place("REPORT"),
        "{logged:?}"
    );
}

#[tokio::test]
async fn what_goes_wrong_is_told_in_awss_words() {
    let bench = bench();
    let source = r"
import decimal, os, sys, time
def handler(event, context):
    how = event['how']
    if how == 'raise': raise ValueError('no good')
    if how == 'exit': os._exit(3)
    if how == 'leave': sys.exit(0)
    if how == 'hang': time.sleep(60)
    if how == 'eat':
        held = []
        while True: held.append(b'x' * (1 << 20))
    if how == 'set': return {1, 2}
    if how == 'bytes': return b'[1, 2]'
    if how == 'within': return {'b': b'x', 'd': decimal.Decimal('1.10')}
    if how == 'large': return 'x' * (7 << 20)
    if how == 'kill': os.kill(os.getpid(), 11)
    if how == 'binary': sys.stdout.buffer.write(b'\x00\xff\xfebin\n' * 3); os.write(2, b'\xfe\xad'); return 'ok'
    return 'ok'
";
    bench.function("bad", source, json!({ "Timeout": 3 })).await;
    let invoke = |how: &'static str| bench.invoke("bad", json!({ "how": how }));
    assert_eq!(invoke("nothing").await.payload, "ok");

    let raised = invoke("raise").await;
    assert!(raised.failed);
    assert_eq!(
        (&raised.payload["errorType"], &raised.payload["errorMessage"]),
        (&json!("ValueError"), &json!("no good"))
    );
    let trace = raised.payload["stackTrace"].as_array().unwrap();
    assert_eq!(trace.len(), 1, "only the function's own frames: {trace:?}");
    assert_eq!(
        trace[0],
        "  File \"/var/task/app.py\", line 5, in handler\n    if how == 'raise': raise ValueError('no good')\n"
    );
    assert!(raised.payload["requestId"].is_string());
    assert!(raised.log.contains("[ERROR] ValueError: no good"), "{}", raised.log);

    for (how, kind, message) in [
        ("exit", "Runtime.ExitError", "Error: Runtime exited with error: exit status 3"),
        ("leave", "Runtime.ExitError", "Error: Runtime exited without providing a reason"),
        ("kill", "Runtime.ExitError", "Error: Runtime exited with error: signal: segmentation fault"),
        ("hang", "Sandbox.Timedout", "Error: Task timed out after 3.00 seconds"),
        ("eat", "Runtime.OutOfMemory", "Error: Runtime exited with error: signal: killed"),
    ] {
        let reply = invoke(how).await;
        assert!(reply.failed, "{how}");
        assert_eq!(reply.payload["errorType"], kind, "{how}");
        let told = reply.payload["errorMessage"].as_str().unwrap();
        assert!(told.starts_with("RequestId: ") && told.ends_with(message), "{how}: {told}");
        assert!(reply.log.contains("REPORT RequestId"), "{how}: {}", reply.log);
        // The platform is up and the next one gets a fresh environment.
        assert_eq!(invoke("nothing").await.payload, "ok", "{how}");
    }

    let set = invoke("set").await;
    assert_eq!(set.payload["errorType"], "Runtime.MarshalError");
    assert_eq!(set.payload["errorMessage"], "Unable to marshal response: Object of type set is not JSON serializable");
    assert_eq!(set.payload["stackTrace"], json!([]));
    assert_eq!(invoke("bytes").await.payload, json!([1, 2]), "bytes go out as they are");
    assert_eq!(invoke("within").await.payload, serde_json::from_str::<Value>(r#"{"b": "x", "d": 1.10}"#).unwrap());
    let large = invoke("large").await;
    assert_eq!(large.payload["errorType"], "Function.ResponseSizeTooLarge");
    let binary = invoke("binary").await;
    assert_eq!(binary.payload, "ok");
    assert!(binary.log.contains("\\x00\\xff\\xfebin\n") && binary.log.contains("\\xfe\\xad\n"), "{}", binary.log);
}

#[tokio::test]
async fn code_that_does_not_start_says_why() {
    let bench = bench();
    for (name, source, handler, kind, message) in [
        (
            "import",
            "import nowhere\n",
            "app.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named 'nowhere'",
        ),
        (
            "module",
            "x = 1\n",
            "other.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'other': No module named 'other'",
        ),
        ("missing", "x = 1\n", "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        (
            "syntax",
            "def handler(:\n",
            "app.handler",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'app': invalid syntax (app.py, line 1)",
        ),
        (
            "name",
            "x = 1\n",
            "handler",
            "Runtime.MalformedHandlerName",
            "Bad handler 'handler': not enough values to unpack (expected 2, got 1)",
        ),
        ("raises", "raise KeyError('x')\n", "app.handler", "KeyError", "'x'"),
        (
            "exits",
            "import os; os._exit(9)\n",
            "app.handler",
            "Runtime.ExitError",
            "Error: Runtime exited with error: exit status 9",
        ),
    ] {
        bench.function(name, source, json!({ "Handler": handler })).await;
        let reply = bench.invoke(name, json!({})).await;
        assert!(reply.failed, "{name}");
        assert_eq!(reply.payload["errorType"], kind, "{name}");
        assert!(reply.payload["errorMessage"].as_str().unwrap().ends_with(message), "{name}: {}", reply.payload);
    }
}

#[tokio::test]
async fn clients_made_early_sign_with_current_keys() {
    let bench = bench();
    let source = "import boto3, os\nclient = boto3.client('s3')\ndef handler(event, context):\n    \
                  keys = client._request_signer._credentials.get_frozen_credentials()\n    \
                  return [keys.access_key, keys.token, os.environ['AWS_ACCESS_KEY_ID'], client.meta.endpoint_url]\n";
    bench.function("keys", source, json!({})).await;
    let first = bench.invoke("keys", json!({})).await.payload;
    let second = bench.invoke("keys", json!({})).await.payload;
    assert_eq!(first[0], first[2], "{first}");
    assert_eq!(second[0], second[2], "{second}");
    assert_ne!(first[0], second[0]);
    assert_ne!(first[1], second[1]);
    assert_eq!(first[3], "http://127.0.0.1:1");
}

#[tokio::test]
async fn a_function_sees_its_own_folders_only() {
    let shared = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(shared.path().join("file"), "for all").unwrap();
    let bench = bench_with(&json!({ "read_paths": [shared.path()] }));
    let source = r"
import os, tempfile
def attempt(what):
    try: return what()
    except OSError as error: return type(error).__name__
def handler(event, context):
    with tempfile.TemporaryFile() as file: file.write(b'x')
    data = os.path.dirname(os.path.dirname(os.environ['LAMBDA_TASK_ROOT']))
    return {
        'shared': open(event['shared'] + '/file').read(),
        'write': attempt(lambda: open(event['shared'] + '/new', 'w')),
        'code': attempt(lambda: open('new.py', 'w')),
        'data': attempt(lambda: os.listdir(data)),
        'tmp': os.listdir(tempfile.gettempdir()),
        'user': 'LAKERUN_RUNTIME_TOKEN' in os.environ,
    }
";
    bench.function("view", source, json!({})).await;
    let seen = bench.invoke("view", json!({ "shared": shared.path() })).await.payload;
    assert_eq!(seen["shared"], "for all", "{seen}");
    assert_eq!((&seen["tmp"], &seen["user"]), (&json!([]), &json!(false)), "{seen}");
    if compute::sandbox::is_isolated().await {
        assert_eq!((&seen["write"], &seen["code"]), (&json!("OSError"), &json!("OSError")), "read-only: {seen}");
        let root: Vec<_> = seen["data"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(root.contains(&"var") && !root.contains(&"code"), "the function's root, not the data folder: {seen}");
    }
}

fn encoded(files: &[(&str, &str)]) -> Value {
    json!({ "ZipFile": archive(files) })
}

#[tokio::test]
async fn layers_lie_in_opt_and_versions_stay() {
    let bench = bench();
    let first = json!({ "LayerName": "shared", "Description": "one", "CompatibleRuntimes": ["python3.12"],
        "Content": encoded(&[("python/shared.py", "V = 1\n"), ("python/lib/python3.12/site-packages/deep.py", "D = 'deep'\n"), ("bin/tool", "#!/bin/sh\necho tool\n"), ("data.txt", "one")]) });
    let first = bench.call("PublishLayerVersion", first).await;
    assert_eq!((&first["Version"], &first["Description"]), (&json!(1), &json!("one")));
    assert!(first["Content"]["CodeSha256"].as_str().is_some_and(|hash| hash.len() == 44), "{first}");
    let other = json!({ "LayerName": "other", "Content": encoded(&[("data.txt", "other"), ("python/app.py", "raise 'hidden'\n")]) });
    let other = bench.call("PublishLayerVersion", other).await;
    let (one, two) = (first["LayerVersionArn"].clone(), other["LayerVersionArn"].clone());
    assert_eq!(one, "arn:aws:lambda:eu-west-1:000000000000:layer:shared:1");
    let source = "import os, shared, deep, subprocess\ndef handler(event, context):\n    tool = subprocess.run('tool', capture_output=True, text=True).stdout\n    \
                  path = os.environ['LD_LIBRARY_PATH'].split(':')[-1].removesuffix('/lib')\n    return [shared.V, deep.D, tool, open(path + '/data.txt').read()]\n";
    bench.function("layered", source, json!({ "Layers": [one, two] })).await;
    let reply = bench.invoke("layered", json!({})).await;
    assert_eq!(reply.payload, json!([1, "deep", "tool\n", "other"]), "the last layer goes before: {}", reply.log);
    let shown = bench.call("GetFunctionConfiguration", json!({ "FunctionName": "layered" })).await;
    assert_eq!(shown["Layers"][0]["Arn"], one);

    let next = json!({ "LayerName": "shared", "Content": encoded(&[("python/shared.py", "V = 2\n"), ("python/deep.py", "D = 0\n")]) });
    let next = bench.call("PublishLayerVersion", next).await;
    assert_eq!(next["Version"], 2);
    let listed = bench.call("ListLayerVersions", json!({ "LayerName": "shared" })).await;
    let numbers: Vec<_> =
        listed["LayerVersions"].as_array().unwrap().iter().map(|one| one["Version"].clone()).collect();
    assert_eq!(numbers, [json!(2), json!(1)]);
    let suited = bench.call("ListLayers", json!({ "CompatibleRuntime": "python3.12" })).await;
    assert_eq!(suited["Layers"].as_array().unwrap().len(), 1);
    assert_eq!(suited["Layers"][0]["LatestMatchingVersion"]["Version"], 1);
    let by_arn = bench.call("GetLayerVersionByArn", json!({ "Arn": one })).await;
    assert_eq!(by_arn["Content"]["CodeSize"], first["Content"]["CodeSize"]);

    // A function keeps what it has; a number is not given twice.
    bench.call("DeleteLayerVersion", json!({ "LayerName": "shared", "VersionNumber": 1 })).await;
    assert_eq!(
        bench.fails("GetLayerVersion", json!({ "LayerName": "shared", "VersionNumber": 1 })).await,
        "ResourceNotFoundException"
    );
    assert_eq!(bench.invoke("layered", json!({})).await.payload[0], 1);
    let update = json!({ "FunctionName": "layered", "Layers": [next["LayerVersionArn"], two] });
    bench.call("UpdateFunctionConfiguration", update).await;
    let reply = bench.invoke("layered", json!({})).await;
    assert_eq!(reply.payload["errorType"], "FileNotFoundError", "no data.txt and no tool: {}", reply.payload);
    let gone = json!({ "FunctionName": "layered", "Layers": [one] });
    assert_eq!(bench.fails("UpdateFunctionConfiguration", gone).await, "InvalidParameterValueException");
    let twice = json!({ "FunctionName": "layered", "Layers": [next["LayerVersionArn"], next["LayerVersionArn"]] });
    assert_eq!(bench.fails("UpdateFunctionConfiguration", twice).await, "InvalidParameterValueException");

    let allow = json!({ "LayerName": "shared", "VersionNumber": 2, "StatementId": "all", "Action": "lambda:GetLayerVersion", "Principal": "*" });
    bench.call("AddLayerVersionPermission", allow.clone()).await;
    assert_eq!(bench.fails("AddLayerVersionPermission", allow).await, "ResourceConflictException");
    let policy = bench.call("GetLayerVersionPolicy", json!({ "LayerName": "shared", "VersionNumber": 2 })).await;
    assert!(policy["Policy"].as_str().unwrap().contains("\"Principal\":\"*\""), "{policy}");
    let remove = json!({ "LayerName": "shared", "VersionNumber": 2, "StatementId": "all" });
    bench.call("RemoveLayerVersionPermission", remove).await;
    assert_eq!(
        bench.fails("GetLayerVersionPolicy", json!({ "LayerName": "shared", "VersionNumber": 2 })).await,
        "ResourceNotFoundException"
    );
}

#[tokio::test]
async fn temporary_storage_has_the_size_that_was_asked_for() {
    if !compute::sandbox::is_isolated().await {
        return; // Not enforced there: doctor says so.
    }
    let bench = bench();
    let source = "import os, errno\ndef handler(mb, context):\n    try:\n        with open('/tmp/big', 'wb') as f:\n            for _ in range(mb): f.write(bytes(1 << 20))\n        \
                  return 'fits'\n    except OSError as e:\n        return errno.errorcode[e.errno]\n    finally:\n        os.remove('/tmp/big')\n";
    bench.function("store", source, json!({ "MemorySize": 256, "Timeout": 300 })).await;
    assert_eq!(bench.invoke("store", json!(500)).await.payload, "fits");
    assert_eq!(bench.invoke("store", json!(520)).await.payload, "ENOSPC");
    bench
        .call("UpdateFunctionConfiguration", json!({ "FunctionName": "store", "EphemeralStorage": { "Size": 600 } }))
        .await;
    assert_eq!(bench.invoke("store", json!(560)).await.payload, "fits");
    let small = json!({ "FunctionName": "store", "EphemeralStorage": { "Size": 100 } });
    assert_eq!(bench.fails("UpdateFunctionConfiguration", small).await, "ValidationException");
}

#[tokio::test]
async fn logs_are_json_where_that_is_asked_for() {
    let bench = bench();
    let source = "import logging\nlog = logging.getLogger('mine')\ndef handler(event, context):\n    log.info('unseen'); log.warning('seen %s', 1, extra={'job': 'j'})\n    \
                  logging.getLogger().error({'a': 1})\n    if event: raise KeyError('k')\n";
    let logging = json!({ "LogFormat": "JSON", "ApplicationLogLevel": "WARN" });
    bench.function("json", source, json!({ "LoggingConfig": logging })).await;
    let lines = |log: &str| log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
    let said = lines(&bench.invoke("json", Value::Null).await.log);
    let kinds: Vec<_> =
        said.iter().map(|line| line["type"].as_str().or_else(|| line["level"].as_str()).unwrap()).collect();
    assert_eq!(kinds, ["platform.initStart", "platform.start", "WARNING", "ERROR", "platform.report"], "{said:?}");
    assert_eq!(
        (&said[2]["message"], &said[2]["job"], &said[2]["logger"]),
        (&json!("seen 1"), &json!("j"), &json!("mine"))
    );
    assert_eq!((&said[2]["requestId"], &said[3]["message"]), (&said[1]["record"]["requestId"], &json!({ "a": 1 })));
    assert!(said[4]["record"]["metrics"]["initDurationMs"].is_number(), "{said:?}");
    let failed = lines(&bench.invoke("json", json!(1)).await.log);
    let error = failed.iter().find(|line| line["errorType"] == "KeyError").unwrap();
    assert!(error["stackTrace"][0].as_str().unwrap().contains("\"/var/task/app.py\", line 6"), "{error}");
    let text = json!({ "FunctionName": "json", "LoggingConfig": { "LogFormat": "Text", "SystemLogLevel": "WARN" } });
    assert_eq!(bench.fails("UpdateFunctionConfiguration", text).await, "InvalidParameterValueException");
}

#[tokio::test]
async fn a_runtime_api_is_its_environments_alone() {
    let bench = bench();
    let own = "import os\ndef handler(event, context): return os.environ['AWS_LAMBDA_RUNTIME_API']\n";
    bench.function("one", own, json!({})).await;
    let api = bench.invoke("one", json!({})).await.payload;
    let other = "import urllib.request, urllib.error\ndef handler(api, context):\n    try: return urllib.request.urlopen(f'http://{api}/2018-06-01/runtime/invocation/next', timeout=60).status\n    \
                 except urllib.error.HTTPError as e: return e.code\n";
    bench.function("two", other, json!({ "Timeout": 100 })).await;
    assert_eq!(bench.invoke("two", api).await.payload, 403);
    if !std::path::Path::new("/usr/bin/python3").exists() {
        return; // The bootstrap needs an interpreter at a place known to all.
    }
    let bootstrap = "#!/usr/bin/python3\nimport os, json, urllib.request\naddress = os.environ['AWS_LAMBDA_RUNTIME_API']\napi = f'http://{address}/2018-06-01/runtime/invocation/'\n\
                     while True:\n    with urllib.request.urlopen(api + 'next') as event: id = event.headers['Lambda-Runtime-Aws-Request-Id']\n    \
                     urllib.request.urlopen(api + id + '/response', data=json.dumps(address).encode())\n";
    bench.function_of("custom", &[("bootstrap", bootstrap)], json!({ "Runtime": "provided.al2023" })).await;
    let api = bench.invoke("custom", json!({})).await.payload;
    assert_eq!(bench.invoke("two", api).await.payload, 403, "without a token the connection itself tells whose it is");
}

#[tokio::test]
async fn a_task_that_asks_again_gets_its_first_answer() {
    let bench = bench();
    bench.function("once", "import uuid\ndef handler(event, context): return str(uuid.uuid4())\n", json!({})).await;
    let task = bench.cx.with_task("execution:1");
    let first = bench.invoke_as(&task, "once", json!({})).await.payload;
    let again = bench.invoke_as(&bench.cx.with_task("execution:1"), "once", json!({})).await.payload;
    let other = bench.invoke_as(&bench.cx.with_task("execution:2"), "once", json!({})).await.payload;
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[tokio::test]
async fn events_are_run_later_and_failures_are_sent_on() {
    let bench = bench();
    bench
        .function(
            "later",
            "def handler(event, context):\n    print('ran', event['n'])\n    raise RuntimeError('never')\n",
            json!({}),
        )
        .await;
    let queue = "arn:aws:sqs:eu-west-1:000000000000:failures";
    let destinations = json!({ "OnFailure": { "Destination": queue } });
    bench
        .call(
            "PutFunctionEventInvokeConfig",
            json!({ "FunctionName": "later", "MaximumRetryAttempts": 0, "DestinationConfig": destinations }),
        )
        .await;
    let accepted = bench
        .call(
            "Invoke",
            json!({ "FunctionName": "later", "InvocationType": "Event", "Payload": STANDARD.encode(r#"{"n":7}"#) }),
        )
        .await;
    assert_eq!(accepted["StatusCode"], 202);
    let sent = bench.neighbours.message().await;
    let record: Value = serde_json::from_str(&sent.message_body).unwrap();
    assert!(sent.queue_url.ends_with("/000000000000/failures"));
    assert_eq!(record["requestPayload"]["n"], 7);
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["responsePayload"]["errorType"], "RuntimeError");
}

#[tokio::test]
async fn events_of_one_caller_take_no_others_place() {
    let bench = bench();
    bench
        .function("each", "def handler(event, context):\n    print(event['n'], context.aws_request_id)\n", json!({}))
        .await;
    // As a pipe calls: many times in one context, which is no task's.
    let input = |n: i32| json!({ "FunctionName": "each", "InvocationType": "Event", "Payload": STANDARD.encode(json!({ "n": n }).to_string()) });
    for n in 0..5 {
        bench.call("Invoke", input(n)).await;
    }
    let of = |lines: &[String]| {
        lines.iter().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).cloned().collect::<Vec<_>>()
    };
    let lines = of(&bench.neighbours.log_until("/aws/lambda/each", |lines| of(lines).len() == 5).await);
    let part =
        |at: usize| lines.iter().filter_map(|line| line.split(' ').nth(at)).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(part(0).len(), 5, "{lines:?}");
    assert_eq!(part(1).len(), 5, "each has an id of its own: {lines:?}");
}

/// A wait of a test.
async fn soon<T>(waited: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_mins(10), waited).await.unwrap()
}

const WORK: &str = "arn:aws:sqs:eu-west-1:000000000000:work";

#[tokio::test]
async fn a_mapping_outlives_its_function() {
    let bench = bench();
    let source = "def handler(event, context): print('got', event['Records'][0]['body'])\n";
    bench.function("mapped", source, json!({})).await;
    bench.call("CreateEventSourceMapping", json!({ "FunctionName": "mapped", "EventSourceArn": WORK })).await;
    bench.call("DeleteFunction", json!({ "FunctionName": "mapped" })).await;
    bench.function("mapped", source, json!({})).await;
    bench.neighbours.offer("one");
    assert_eq!(soon(bench.neighbours.deleted()).await, "one");
}

#[tokio::test]
async fn a_batch_is_finished_when_its_mapping_is_deleted() {
    let bench = bench();
    let source = "import time\ndef handler(event, context): time.sleep(2)\n";
    bench.function("slow", source, json!({})).await;
    bench.invoke("slow", json!({})).await;
    let made = bench.call("CreateEventSourceMapping", json!({ "FunctionName": "slow", "EventSourceArn": WORK })).await;
    bench.neighbours.offer("one");
    soon(bench.neighbours.taken()).await;
    bench.call("DeleteEventSourceMapping", json!({ "UUID": made["UUID"] })).await;
    assert_eq!(soon(bench.neighbours.deleted()).await, "one");
}

#[tokio::test]
async fn messages_must_stay_hidden_as_long_as_the_function_may_run() {
    let bench = bench();
    bench.function("long", "def handler(event, context): pass\n", json!({ "Timeout": 31 })).await;
    let input = json!({ "FunctionName": "long", "EventSourceArn": WORK });
    let refused = bench.try_call("CreateEventSourceMapping", input).await.unwrap_err();
    assert_eq!(refused.code(), "InvalidParameterValueException");
    assert_eq!(refused.message(), "Queue visibility timeout: 30 seconds is less than Function timeout: 31 seconds");
}

#[tokio::test]
async fn destinations_that_nothing_serves_are_refused() {
    let bench = bench();
    bench.function("f", "def handler(event, context): pass\n", json!({})).await;
    for (target, code) in [
        ("arn:aws:s3:::bucket", "NotImplemented"),
        ("arn:aws:kinesis:eu-west-1:000000000000:stream/s", "InvalidParameterValueException"),
    ] {
        let config = json!({ "FunctionName": "f", "DestinationConfig": { "OnFailure": { "Destination": target } } });
        assert_eq!(bench.fails("PutFunctionEventInvokeConfig", config).await, code, "{target}");
        let dead = json!({ "FunctionName": "f", "DeadLetterConfig": { "TargetArn": target } });
        assert_eq!(bench.fails("UpdateFunctionConfiguration", dead).await, code, "{target}");
    }
}

#[tokio::test]
async fn a_bootstrap_of_ones_own_works() {
    let bench = bench();
    let bootstrap = r"#!/usr/bin/python3
import os, urllib.request
api = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API'] + '/2018-06-01/runtime/invocation/'
while True:
    with urllib.request.urlopen(api + 'next') as event:
        body, id = event.read(), event.headers['Lambda-Runtime-Aws-Request-Id']
    urllib.request.urlopen(api + id + '/response', data=b'[' + body + b']')
";
    if !std::path::Path::new("/usr/bin/python3").exists() {
        return; // The script needs an interpreter at a place known to all.
    }
    bench.function_of("own", &[("bootstrap", bootstrap)], json!({ "Runtime": "provided.al2023" })).await;
    let reply = bench.invoke("own", json!({ "a": 1 })).await;
    assert_eq!(reply.payload, json!([{ "a": 1 }]), "{}", reply.log);
    assert_eq!(bench.invoke("own", json!(2)).await.payload, json!([2]));
}

#[tokio::test]
async fn versions_and_aliases() {
    let bench = bench();
    let source = |text: &str| format!("def handler(event, context): return ['{text}', context.function_version]\n");
    bench.function("f", &source("one"), json!({ "Publish": true })).await;
    let one = bench.invoke("f:1", json!({})).await.payload;
    assert_eq!(one, json!(["one", "1"]));
    let zip = archive(&[("app.py", &source("two"))]);
    let updated = bench.call("UpdateFunctionCode", json!({ "FunctionName": "f", "ZipFile": zip })).await;
    assert_eq!(updated["LastUpdateStatus"], "InProgress");
    assert_eq!(bench.invoke("f", json!({})).await.payload, json!(["two", "$LATEST"]));
    let published = bench.call("PublishVersion", json!({ "FunctionName": "f" })).await;
    assert_eq!(published["Version"], "2");
    assert_eq!(published["FunctionArn"], "arn:aws:lambda:eu-west-1:000000000000:function:f:2");
    assert_eq!(bench.call("PublishVersion", json!({ "FunctionName": "f" })).await["Version"], "2", "nothing changed");

    // Terraform sends routing without weights, and compares.
    let none = json!({ "AdditionalVersionWeights": {} });
    let live = json!({ "FunctionName": "f", "Name": "live", "FunctionVersion": "1", "RoutingConfig": none });
    assert_eq!(bench.call("CreateAlias", live).await["RoutingConfig"], Value::Null);
    assert_eq!(bench.invoke("f:live", json!({})).await.payload, json!(["one", "1"]));
    bench.call("UpdateAlias", json!({ "FunctionName": "f", "Name": "live", "FunctionVersion": "2" })).await;
    assert_eq!(bench.invoke("f:live", json!({})).await.payload, json!(["two", "2"]));
    assert_eq!(
        bench.fails("DeleteFunction", json!({ "FunctionName": "f", "Qualifier": "2" })).await,
        "ResourceConflictException"
    );
    let versions = bench.call("ListVersionsByFunction", json!({ "FunctionName": "f" })).await;
    let numbers: Vec<_> =
        versions["Versions"].as_array().unwrap().iter().map(|version| version["Version"].as_str().unwrap()).collect();
    assert_eq!(numbers, ["$LATEST", "1", "2"]);

    let statement = json!({ "FunctionName": "f", "Qualifier": "live", "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com", "SourceArn": "arn:aws:events:eu-west-1:000000000000:rule/r" });
    bench.call("AddPermission", statement.clone()).await;
    assert_eq!(bench.fails("AddPermission", statement).await, "ResourceConflictException");
    let policy = bench.call("GetPolicy", json!({ "FunctionName": "f", "Qualifier": "live" })).await;
    let policy: Value = serde_json::from_str(policy["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Principal"]["Service"], "events.amazonaws.com");
    bench.call("RemovePermission", json!({ "FunctionName": "f", "Qualifier": "live", "StatementId": "s" })).await;
    assert_eq!(
        bench.fails("GetPolicy", json!({ "FunctionName": "f", "Qualifier": "live" })).await,
        "ResourceNotFoundException"
    );

    bench.call("DeleteFunction", json!({ "FunctionName": "f" })).await;
    assert_eq!(bench.fails("GetFunction", json!({ "FunctionName": "f" })).await, "ResourceNotFoundException");
    assert_eq!(bench.fails("Invoke", json!({ "FunctionName": "f" })).await, "ResourceNotFoundException");
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let bench = bench();
    let create = |more: Value| {
        let mut input = json!({
            "FunctionName": "f", "Runtime": "python3.12", "Handler": "a.b", "Role": "arn:aws:iam::000000000000:role/worker",
            "Code": { "ZipFile": archive(&[("a.py", "def b(e, c): return 1\n")]) },
        });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    for (more, code) in [
        (json!({ "Code": { "ZipFile": STANDARD.encode("no zip") } }), "InvalidParameterValueException"),
        (json!({ "Code": {} }), "InvalidParameterValueException"),
        (json!({ "Runtime": "cobol85" }), "InvalidParameterValueException"),
        (json!({ "Role": "arn:aws:iam::000000000000:role/nobody" }), "InvalidParameterValueException"),
        (json!({ "Timeout": 901 }), "ValidationException"),
        (json!({ "FunctionName": "no good" }), "ValidationException"),
        (json!({ "Environment": { "Variables": { "AWS_REGION": "x" } } }), "InvalidParameterValueException"),
    ] {
        assert_eq!(bench.fails("CreateFunction", create(more.clone())).await, code, "{more}");
    }
    bench.call("CreateFunction", create(json!({}))).await;
    assert_eq!(bench.fails("CreateFunction", create(json!({}))).await, "ResourceConflictException");
    assert_eq!(
        bench.fails("Invoke", json!({ "FunctionName": "f", "Payload": STANDARD.encode("{no json") })).await,
        "InvalidRequestContentException"
    );
    let large = STANDARD.encode(format!("\"{}\"", "x".repeat(1 << 20)));
    assert_eq!(
        bench.fails("Invoke", json!({ "FunctionName": "f", "InvocationType": "Event", "Payload": large })).await,
        "RequestTooLargeException"
    );
    bench.call("PutFunctionConcurrency", json!({ "FunctionName": "f", "ReservedConcurrentExecutions": 0 })).await;
    assert_eq!(bench.fails("Invoke", json!({ "FunctionName": "f" })).await, "TooManyRequestsException");
}

/// Asks until it is so.
async fn until<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    let ends = std::time::Instant::now() + std::time::Duration::from_mins(10);
    while !is_so().await {
        assert!(std::time::Instant::now() < ends, "it did not come to that");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_version_of_an_update_under_way_is_settled_with_it() {
    let bench = bench();
    bench.function("f", "def handler(event, context): return 1\n", json!({})).await;
    let status = async |qualifier: &str| {
        let input = json!({ "FunctionName": "f", "Qualifier": qualifier });
        bench.call("GetFunctionConfiguration", input).await["LastUpdateStatus"].as_str().unwrap_or_default().to_owned()
    };
    until(async || status("$LATEST").await == "Successful").await;
    let zip = archive(&[("app.py", "def handler(event, context): return 2\n")]);
    let input = json!({ "FunctionName": "f", "ZipFile": zip, "Publish": true });
    assert_eq!(bench.call("UpdateFunctionCode", input).await["Version"], "1");
    until(async || status("1").await == "Successful").await;
    // What cannot be made ready shows in both.
    let zip = archive(&[("app.py", ""), ("requirements.txt", "no such package\n")]);
    bench.call("UpdateFunctionCode", json!({ "FunctionName": "f", "ZipFile": zip, "Publish": true })).await;
    until(async || status("2").await == "Failed").await;
    until(async || status("$LATEST").await == "Failed").await;
    assert_eq!(status("1").await, "Successful");
}

#[tokio::test]
async fn who_waits_for_code_takes_no_place() {
    if !std::path::Path::new("/usr/bin/python3").exists() {
        return; // The bootstrap needs an interpreter at a place known to all.
    }
    // A Python that makes no environment, and never says so.
    let bench = bench_on(&json!({ "concurrency": 1 }), |folder, settings| {
        let python = folder.join("python");
        let program = "#!/bin/sh\ncase \"$*\" in *_base_executable*) /usr/bin/python3 \"$@\" | sed \"s#\\\"executable\\\": \\\"[^\\\"]*#\\\"executable\\\": \\\"$0#\";; *) sleep 100000;; esac\n";
        std::fs::write(&python, program).unwrap();
        std::fs::set_permissions(&python, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        compute::Settings { python, env_cache: folder.join("envs"), ..settings }
    });
    bench.function("never", "def handler(event, context): return 1\n", json!({ "Runtime": "python3.8" })).await;
    let cx = bench.cx.clone();
    let waiting = tokio::spawn(async move {
        let spec = cx.router().find("lambda", "Invoke").unwrap();
        cx.router().call_canonical(&cx, spec, json!({ "FunctionName": "never" })).await
    });
    let bootstrap = "#!/usr/bin/python3\nimport os, urllib.request\napi = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API'] + '/2018-06-01/runtime/invocation/'\n\
                     while True:\n    with urllib.request.urlopen(api + 'next') as event: id = event.headers['Lambda-Runtime-Aws-Request-Id']\n    \
                     urllib.request.urlopen(api + id + '/response', data=b'1')\n";
    bench.function_of("runs", &[("bootstrap", bootstrap)], json!({ "Runtime": "provided.al2023" })).await;
    for _ in 0..5 {
        assert_eq!(bench.invoke("runs", json!({})).await.payload, json!(1));
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished(), "the other one waits for its environment");
    waiting.abort();
}

#[tokio::test]
async fn what_lies_in_another_region_is_refused() {
    let bench = bench();
    bench.function("f", "def handler(event, context): return 1\n", json!({})).await;
    let code = "InvalidParameterValueException";
    for source in [
        "arn:aws:sqs:us-east-1:000000000000:q",
        "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000",
    ] {
        let input = json!({ "FunctionName": "f", "EventSourceArn": source, "StartingPosition": "LATEST" });
        let refused = bench.try_call("CreateEventSourceMapping", input).await.unwrap_err();
        assert_eq!(
            (refused.code(), refused.message()),
            (code, "Event source region must match Lambda region eu-west-1.")
        );
    }
    let queue = "arn:aws:sqs:us-east-1:000000000000:q";
    let dead = json!({ "FunctionName": "f", "DeadLetterConfig": { "TargetArn": queue } });
    let destination = json!({ "FunctionName": "f", "DestinationConfig": { "OnSuccess": { "Destination": queue } } });
    for (operation, input) in [("UpdateFunctionConfiguration", dead), ("PutFunctionEventInvokeConfig", destination)] {
        let refused = bench.try_call(operation, input).await.unwrap_err();
        assert!(refused.code() == code && refused.message().contains(queue), "{operation}: {refused}");
    }
}

#[tokio::test]
async fn a_version_has_no_other_name() {
    let bench = bench();
    bench.function("f", "def handler(event, context): return 1\n", json!({ "Publish": true })).await;
    bench.call("CreateAlias", json!({ "FunctionName": "f", "Name": "live", "FunctionVersion": "1" })).await;
    let missing = "ResourceNotFoundException";
    let named = json!({ "FunctionName": "f", "Qualifier": "01" });
    for operation in ["DeleteFunction", "GetFunctionConfiguration", "Invoke"] {
        assert_eq!(bench.fails(operation, named.clone()).await, missing, "{operation}");
    }
    let alias = json!({ "FunctionName": "f", "Name": "other", "FunctionVersion": "01" });
    assert_eq!(bench.fails("CreateAlias", alias).await, missing);
    assert_eq!(bench.invoke("f:live", json!({})).await.payload, json!(1));
}

#[tokio::test]
async fn lists_go_on_behind_what_was_deleted() {
    let bench = bench();
    bench.function("f", "def handler(event, context): return 1\n", json!({ "Publish": true })).await;
    for name in ["a", "b", "c", "d", "e"] {
        bench.call("CreateAlias", json!({ "FunctionName": "f", "Name": name, "FunctionVersion": "1" })).await;
        let at = json!({ "FunctionName": "f", "Qualifier": name });
        let mut url = at.clone();
        url["AuthType"] = "NONE".into();
        bench.call("CreateFunctionUrlConfig", url).await;
        let mut events = at.clone();
        events["MaximumRetryAttempts"] = 1.into();
        bench.call("PutFunctionEventInvokeConfig", events).await;
        let content = json!({ "ZipFile": archive(&[("f", name)]) });
        bench.call("PublishLayerVersion", json!({ "LayerName": name, "Content": content })).await;
        bench.call("PublishLayerVersion", json!({ "LayerName": "layer", "Content": content })).await;
    }
    // Deletes each page before it asks for the next: how many there were.
    let emptied = async |list: &str, member: &str, asked: Value, deletion: &dyn Fn(&Value) -> (&'static str, Value)| {
        let (mut found, mut marker) = (0, Value::Null);
        loop {
            let mut input = asked.clone();
            input["MaxItems"] = 2.into();
            if !marker.is_null() {
                input["Marker"] = marker;
            }
            let page = bench.call(list, input).await;
            for one in page[member].as_array().unwrap() {
                found += 1;
                let (operation, input) = deletion(one);
                bench.call(operation, input).await;
            }
            marker = page["NextMarker"].clone();
            if marker.is_null() {
                return found;
            }
        }
    };
    let of = json!({ "FunctionName": "f" });
    let qualified = |one: &Value| json!({ "FunctionName": "f", "Qualifier": one["FunctionArn"].as_str().unwrap().rsplit(':').next() });
    let urls = emptied("ListFunctionUrlConfigs", "FunctionUrlConfigs", of.clone(), &|one| {
        ("DeleteFunctionUrlConfig", qualified(one))
    })
    .await;
    let configs = emptied("ListFunctionEventInvokeConfigs", "FunctionEventInvokeConfigs", of, &|one| {
        ("DeleteFunctionEventInvokeConfig", qualified(one))
    })
    .await;
    let versions = emptied("ListLayerVersions", "LayerVersions", json!({ "LayerName": "layer" }), &|one| {
        ("DeleteLayerVersion", json!({ "LayerName": "layer", "VersionNumber": one["Version"] }))
    })
    .await;
    let layers = emptied("ListLayers", "Layers", json!({}), &|one| {
        ("DeleteLayerVersion", json!({ "LayerName": one["LayerName"], "VersionNumber": 1 }))
    })
    .await;
    assert_eq!((urls, configs, versions, layers), (5, 5, 5, 5));
}
