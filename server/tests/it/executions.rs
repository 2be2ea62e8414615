//! Step Functions from the command line, and the metrics of what it ran, in both protocols of CloudWatch.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{Server, root};

pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Server {
    pub(crate) fn lakerun(&self, arguments: &[&str], input: &str) -> Said {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lakerun"))
            .args(arguments)
            .arg("--data")
            .arg(self.data.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Who does not read its input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let done = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: done.status.code().unwrap_or(-1), out: text(&done.stdout), err: text(&done.stderr) }
    }

    pub(crate) fn machine(&self, name: &str, kind: &str, definition: &Value) {
        let input = json!({"name": name, "type": kind, "definition": definition.to_string(), "roleArn": "arn:aws:iam::000000000000:role/any"});
        let made = self.json(&root(), "states", "AWSStepFunctions.CreateStateMachine", &input.to_string());
        assert_eq!(made.0, 200, "{made:?}");
    }

    fn started(&self, machine: &str) -> f64 {
        let now = jiff::Timestamp::now().as_second();
        let arn = format!("arn:aws:states:us-east-1:000000000000:stateMachine:{machine}");
        let asked = json!({
            "Namespace": "AWS/States", "MetricName": "ExecutionsStarted", "Period": 60, "Statistics": ["Sum"],
            "Dimensions": [{"Name": "StateMachineArn", "Value": arn}], "StartTime": now - 600, "EndTime": now + 60,
        });
        let target = "GraniteServiceVersion20100801.GetMetricStatistics";
        let (status, answer) = self.json(&root(), "monitoring", target, &asked.to_string());
        assert_eq!(status, 200, "{answer}");
        answer["Datapoints"].as_array().unwrap().iter().map(|point| point["Sum"].as_f64().unwrap()).sum()
    }
}

#[test]
fn executions_are_run_followed_and_counted() {
    let server = Server::start();
    let pass = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    server.machine("passes", "STANDARD", &pass);
    server.machine("quick", "EXPRESS", &pass);
    server.machine(
        "fails",
        "STANDARD",
        &json!({"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "c"}}}),
    );

    let ran = server.lakerun(&["run", "passes", "--input", "@-", "--follow"], "{\"a\": 1}");
    assert_eq!((ran.code, ran.out.replace([' ', '\n'], "").as_str()), (0, "{\"a\":1}"));
    assert!(ran.err.starts_with("arn:aws:states:us-east-1:000000000000:execution:passes:"), "{}", ran.err);
    assert!(ran.err.contains("✔ P"), "{}", ran.err);
    let failed = server.lakerun(&["run", "fails", "--follow"], "");
    assert_eq!((failed.code, failed.out.as_str()), (1, ""));
    assert!(failed.err.contains("✘ F") && failed.err.ends_with("FAILED: E: c\n"), "{}", failed.err);
    let quick = server.lakerun(&["run", "quick", "--follow"], "");
    assert_eq!((quick.code, quick.out.as_str()), (0, "{}\n"));

    let missing = server.lakerun(&["run", "nosuch"], "");
    assert_eq!(missing.code, 1);
    assert_eq!(missing.err, "lakerun: there is no state machine nosuch (there are: fails, passes, quick)\n");
    let wrong = server.lakerun(&["run", "passes", "--input", "{"], "");
    assert!(wrong.code == 1 && wrong.err.starts_with("lakerun: --input is not JSON"), "{}", wrong.err);
    let listed = server.lakerun(&["executions", "--status", "failed"], "");
    assert_eq!((listed.code, listed.out.lines().count()), (0, 2), "{}", listed.out);
    let express = server.lakerun(&["executions", "quick"], "");
    assert!(express.code == 1 && express.err.contains("only their logs are kept"), "{}", express.err);
    let tested = server.lakerun(&["test-state", "-"], "{\"Type\": \"Pass\", \"Result\": 7, \"End\": true}");
    assert!(tested.code == 0 && tested.out.contains("\"output\": \"7\""), "{}", tested.out);

    assert_eq!((server.started("passes"), server.started("fails"), server.started("quick")), (1.0, 1.0, 1.0));
    let (status, listed) =
        server.call(&root(), "monitoring", ("POST", "/"), &[], b"Action=ListMetrics&Namespace=AWS/States");
    assert!(status == 200 && listed.contains("<MetricName>ExecutionTime</MetricName>"), "{listed}");
}

#[test]
fn large_metric_data_comes_compressed() {
    let server = Server::start();
    let body = json!({"Namespace": "N", "MetricData": [{"MetricName": "m", "Value": 1}]}).to_string();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(body.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let headers = [
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", "GraniteServiceVersion20100801.PutMetricData"),
        ("content-encoding", "gzip"),
    ];
    let put = server.call(&root(), "monitoring", ("POST", "/"), &headers, &packed);
    assert_eq!(put.0, 200, "{put:?}");
    let garbage = server.call(&root(), "monitoring", ("POST", "/"), &headers, b"not gzip");
    assert_eq!(garbage.0, 400, "{garbage:?}");
    let (_, listed) =
        server.json(&root(), "monitoring", "GraniteServiceVersion20100801.ListMetrics", r#"{"Namespace": "N"}"#);
    assert_eq!(listed["Metrics"][0]["MetricName"], "m");
}
