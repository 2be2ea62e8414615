//! What people meet first: the command line's words and exit codes, the console's door.

use std::process::Command;

use serde_json::{Value, json};
use wire::sigv4::SigningKeys;

use crate::{Server, root};

#[test]
fn the_command_line_says_what_is() {
    let server = Server::start();
    let wait = json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": true}}});
    server.machine("waits", "STANDARD", &wait);
    let started = server.lakerun(&["run", "waits", "--name", "one"], "");
    assert_eq!(started.code, 0, "{}", started.err);

    let listed = server.lakerun(&["executions", "--output", "json"], "");
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!(listed["executions"][0]["name"], "one");
    let described = server.lakerun(&["describe", "waits", "-o", "json"], "");
    let described: Value = serde_json::from_str(&described.out).unwrap();
    assert_eq!(described["status"], "ACTIVE");
    let status = server.lakerun(&["status", "-o", "json"], "");
    let status: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["holds"]["running executions"], 1);
    // More than a page of them.
    for n in 0..60 {
        let body = json!({"AlarmName": format!("a{n}"), "Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Period": 60,
            "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"});
        let answer =
            server.json(&root(), "monitoring", "GraniteServiceVersion20100801.PutMetricAlarm", &body.to_string());
        assert_eq!(answer.0, 200, "{answer:?}");
    }
    let status = server.lakerun(&["status", "-o", "json"], "");
    let status: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["holds"]["alarms"], 60);
    let stopped = server.lakerun(&["stop", "waits/one", "--cause", "enough"], "");
    assert_eq!(stopped.code, 0, "{}", stopped.err);
    let again = server.lakerun(&["stop", "waits/one"], "");
    assert!(again.code == 1 && again.err.contains("has ended already: ABORTED"), "{}", again.err);
    let missing = server.lakerun(&["describe", "nosuch"], "");
    assert!(missing.code == 1 && missing.err.contains("there is no state machine"), "{}", missing.err);
    let named = server.lakerun(&["describe", "waits/one"], "");
    let told = ["execution waits/one", "ABORTED", "startDate", "Z\n"];
    assert!(named.code == 0 && told.iter().all(|text| named.out.contains(text)), "{}\n{}", named.out, named.err);
    let second = server.lakerun(&["run", "waits", "--name", "two"], "");
    assert_eq!(second.code, 0, "{}", second.err);
    let cut = server.lakerun(&["executions", "--limit", "1"], "");
    assert!(cut.code == 0 && cut.err.contains("the newest 1: there are older ones"), "{}", cut.err);
    let whole = server.lakerun(&["executions", "--limit", "2", "--status", "aborted"], "");
    assert!(whole.code == 0 && whole.err.is_empty() && whole.out.contains("one"), "{}\n{}", whole.out, whole.err);
    let unknown = server.lakerun(&["executions", "--status", "WRONG"], "");
    assert!(unknown.code == 2 && unknown.err.contains("PENDING_REDRIVE"), "{}", unknown.err);
    let none = server.lakerun(&["logs", "/nowhere"], "");
    assert!(none.code == 0 && none.err.contains("no log group begins with /nowhere"), "{}", none.err);
    let table = server.lakerun(&["describe", "glue://default/nowhere"], "");
    assert!(table.code == 1 && table.err.contains("the catalog has no table default.nowhere"), "{}", table.err);
    let bucket = server.lakerun(&["describe", "s3://nowhere"], "");
    assert!(bucket.code == 1 && bucket.err.contains("there is no bucket nowhere"), "{}", bucket.err);
    let opened = server.lakerun(&["open", "sql"], "");
    assert!(opened.code == 0 && opened.out.trim_end().ends_with("&to=/sql"), "{}", opened.out);

    for group in 0..60 {
        let name = format!("/g/{group:02}");
        for (target, body) in [
            ("CreateLogGroup", json!({"logGroupName": name})),
            ("CreateLogStream", json!({"logGroupName": name, "logStreamName": "s"})),
            (
                "PutLogEvents",
                json!({"logGroupName": name, "logStreamName": "s", "logEvents": [
                    {"timestamp": jiff::Timestamp::now().as_millisecond() - i64::from(group), "message": format!("of {group}")}]}),
            ),
        ] {
            let answer = server.json(&root(), "logs", &format!("Logs_20140328.{target}"), &body.to_string());
            assert_eq!(answer.0, 200, "{answer:?}");
        }
    }
    let logs = server.lakerun(&["logs", "/g/"], "");
    let lines: Vec<_> = logs.out.lines().collect();
    assert_eq!(lines.len(), 60, "all groups are read");
    assert!(lines.is_sorted(), "in order of time: {}", logs.out);

    let hidden = server.lakerun(&["operation"], "");
    assert!(hidden.code == 2 && !hidden.err.contains("'operations'"), "{}", hidden.err);
}

#[test]
fn a_killed_server_gives_no_environment() {
    let mut server = Server::start();
    let told = server.lakerun(&["env"], "").out;
    assert!(told.contains("AWS_ENDPOINT_URL") && told.contains("\nexport LAKERUN_DATA='/"), "{told}");
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    let dead = server.lakerun(&["env"], "");
    assert!(dead.code == 1 && dead.out.is_empty() && dead.err.contains("does not answer"), "{}", dead.err);
}

#[test]
fn settings_that_nothing_reads_are_refused() {
    for (setting, says) in [
        ("[lambda]\nno_such = 1\n", "no_such"),
        ("[console]\nno_such = 1\n", "no_such"),
        ("[glue]\nno_such = 1\n", "glue"),
        ("listen = \"nowhere\"\n", "nowhere"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("lakerun.toml"), setting).unwrap();
        let mut up = Command::new(env!("CARGO_BIN_EXE_lakerun"));
        let listen: &[&str] = if setting.starts_with("listen") { &[] } else { &["--listen", "localhost:0"] };
        let done =
            up.arg("up").args(listen).arg("--data").arg(folder.path()).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && said.contains(says), "{setting}: {said}");
        assert!(!said.contains('\u{1b}'), "no colours where there is no terminal");
    }
}

#[test]
fn the_console_is_found_compressed_and_remembered_by_browsers() {
    let server = Server::start();
    let get = |path: &str, headers: &str| {
        server.raw(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n").as_bytes())
    };
    for (path, headers) in [("/console", ""), ("/", "accept: text/html\r\n")] {
        let moved = get(path, headers);
        assert!(moved.starts_with("HTTP/1.1 302") && moved.contains("location: /console/"), "{moved}");
    }
    assert!(!get("/", "").starts_with("HTTP/1.1 302"), "a client is no browser");
    assert!(get("/console-data/x", "").contains("<Error>"), "a bucket may begin with the console's name");
    let page = get("/console/", "");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<title>Lakerun</title>"), "{page}");
    let packed = get("/console/app.js", "accept-encoding: gzip\r\n");
    assert!(packed.contains("content-encoding: gzip"));
    let etag = packed.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    assert!(get("/console/app.js", &format!("if-none-match: {etag}\r\n")).starts_with("HTTP/1.1 304"));
    assert!(get("/console/../Cargo.toml", "").starts_with("HTTP/1.1 404"));
    assert!(get("/console/api/session", "").starts_with("HTTP/1.1 401"));
    assert!(get("/console/api/changes?topics=states", "").starts_with("HTTP/1.1 401"));
}

#[test]
fn services_that_are_not_here_are_named() {
    let server = Server::start();
    let (status, answer) = server.json(&root(), "kinesis", "Kinesis_20131202.ListStreams", "{}");
    assert_eq!(status, 400);
    let said = answer["message"].as_str().unwrap();
    assert!(said.starts_with("Kinesis is not part of Lakerun"), "{said}");
    let wrong = SigningKeys { secret_key: "not it", ..root() };
    assert_eq!(server.json(&wrong, "kinesis", "Kinesis_20131202.ListStreams", "{}").0, 403);
}

/// A stack that writes an object: nothing that needs Python.
const TEMPLATE: &str = r#"
Resources:
  Lake: {Type: AWS::S3::Bucket, Properties: {BucketName: !Sub "${AWS::StackName}-lake"}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "sts:AssumeRole", Principal: {Service: states.amazonaws.com}}]}
      Policies:
        - PolicyName: lake
          PolicyDocument: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:PutObject", Resource: !Sub "${Lake.Arn}/*"}]}
  Pipeline:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      StateMachineName: !Ref AWS::StackName
      DefinitionS3Location: pipeline.asl.json
      DefinitionSubstitutions: {Lake: !Ref Lake}
      RoleArn: !GetAtt Role.Arn
"#;
const DEFINITION: &str = r#"{"StartAt": "Store", "States": {"Store": {"Type": "Task", "End": true,
  "Resource": "arn:aws:states:::aws-sdk:s3:putObject", "Parameters": {"Bucket": "${Lake}", "Key": "day=1/x.json", "Body.$": "$"}}}}"#;

#[test]
fn a_folder_is_deployed_run_looked_at_and_taken_away() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    std::fs::write(folder.path().join("template.yaml"), TEMPLATE).unwrap();
    std::fs::write(folder.path().join("pipeline.asl.json"), DEFINITION).unwrap();
    let ran = server.lakerun(&["dev", &path, "--stack", "st", "--input", r#"{"n": 1}"#, "--once"], "");
    assert!(ran.code == 0 && ran.out.contains("ETag"), "{}\n{}", ran.out, ran.err);
    // What was saved is deployed; the run ends as the execution does.
    std::fs::write(folder.path().join("pipeline.asl.json"), DEFINITION.replace("${Lake}", "no-such-bucket")).unwrap();
    let failed = server.lakerun(&["dev", &path, "--stack", "st", "--once"], "");
    assert!(failed.code == 1 && failed.err.contains("FAILED"), "{}\n{}", failed.out, failed.err);

    let object = server.lakerun(&["describe", "s3://st-lake/day=1/x.json"], "");
    assert!(object.code == 0 && object.out.contains("state Store for execution"), "{}\n{}", object.out, object.err);
    let folder_of = server.lakerun(&["describe", "s3://st-lake/day=1/"], "");
    let told = ["objects", "1", "state Store for execution", "day=1/x.json"];
    assert!(folder_of.code == 0 && told.iter().all(|text| folder_of.out.contains(text)), "{}", folder_of.out);
    let missing = server.lakerun(&["describe", "s3://st-lake/day=2/x"], "");
    assert!(missing.err.contains("there is no object s3://st-lake/day=2/x"), "{}", missing.err);
    let missing = server.lakerun(&["describe", "s3://st-lake/nowhere"], "");
    assert!(missing.code == 1 && missing.err.contains("there is no object s3://st-lake/nowhere"), "{}", missing.err);
    let listed = server.lakerun(&["executions", "st", "-o", "json"], "");
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    let first = listed["executions"][1]["executionArn"].as_str().unwrap();
    let execution = server.lakerun(&["describe", first], "");
    assert!(execution.out.contains("wrote") && execution.out.contains("s3://st-lake/"), "{}", execution.out);
    let quiet = server.lakerun(&["logs", "--execution", first], "");
    assert!(quiet.code == 0 && quiet.out.is_empty() && quiet.err.contains("nothing was logged"), "{}", quiet.err);

    let stack = server.lakerun(&["describe", "st"], "");
    let told = ["stack st", "CREATE_COMPLETE", "AWS::S3::Bucket st-lake"];
    assert!(stack.code == 0 && told.iter().all(|text| stack.out.contains(text)), "{}\n{}", stack.out, stack.err);
    let bucket = server.lakerun(&["describe", "arn:aws:s3:::st-lake", "-o", "json"], "");
    assert_eq!(serde_json::from_str::<Value>(&bucket.out).unwrap()["Name"], "st-lake");
    let written = server.lakerun(&["s3", "ls", "--execution", first], "");
    assert!(
        written.code == 0 && written.out.contains("wrote") && written.out.contains("s3://st-lake/day=1/x.json"),
        "{}\n{}",
        written.out,
        written.err
    );
    let none = server.lakerun(&["s3", "ls", "s3://elsewhere/", "--execution", first, "-o", "json"], "");
    assert_eq!(none.out.trim(), "[]");
    let listed = server.lakerun(&["s3", "ls", "s3://st-lake/", "-o", "json"], "");
    assert_eq!(serde_json::from_str::<Value>(&listed.out).unwrap()[0]["Place"], "s3://st-lake/day=1/");
    let bucket = server.lakerun(&["describe", "s3://st-lake"], "");
    assert!(bucket.code == 0 && bucket.out.contains("bucket s3://st-lake"), "{}\n{}", bucket.out, bucket.err);
    let nothing = server.lakerun(&["s3", "ls", "s3://st-lake/nowhere/"], "");
    assert!(nothing.code == 0 && nothing.err.contains("nothing is in s3://st-lake/nowhere/"), "{}", nothing.err);
    let printed = server.lakerun(&["s3", "cat", "s3://st-lake/day=1/x.json"], "");
    assert!(printed.code == 0 && serde_json::from_str::<Value>(&printed.out).is_ok(), "{}", printed.out);
    let missing = server.lakerun(&["s3", "cat", "s3://st-lake/nowhere"], "");
    assert!(missing.code == 1 && missing.out.is_empty() && missing.err.contains("NoSuchKey"), "{}", missing.err);
    let page = server.lakerun(&["open", "arn:aws:lambda:us-east-1:000000000000:function:f"], "");
    assert!(page.out.contains("&to=/arn/arn:aws:lambda"), "{}", page.out);

    let full = server.lakerun(&["delete", "st"], "");
    assert!(full.code == 1 && full.err.contains("not empty"), "{}\n{}", full.out, full.err);
    let gone = server.lakerun(&["delete", "st", "--force"], "");
    assert!(gone.code == 0 && gone.out.contains("1 object of st-lake deleted"), "{}\n{}", gone.out, gone.err);
}

#[test]
fn results_are_written_as_parquet_and_pages_for_man() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.parquet");
    let to = file.display().to_string();
    let asked = server.lakerun(&["sql", "SELECT 1 AS n, 'x' AS word", "-o", "parquet", "--to", &to], "");
    assert_eq!(asked.code, 0, "{}", asked.err);
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    let without = server.lakerun(&["sql", "SELECT 1", "-o", "parquet"], "");
    assert!(without.code == 2 && without.err.contains("--to"), "{}", without.err);
    let pages = folder.path().join("man").display().to_string();
    let made = Command::new(env!("CARGO_BIN_EXE_lakerun")).args(["man", &pages]).status().unwrap();
    assert!(made.success());
    let page = std::fs::read_to_string(folder.path().join("man/lakerun-dev.1")).unwrap();
    assert!(page.contains(".TH lakerun-dev 1") && page.contains("Exit codes"), "{page}");
}
