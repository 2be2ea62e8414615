//! Which test holds each operation through the wire. A case of `conformance/operations` names its operations in `@operations(…)`, and
//! its `run.py` fails a case that did not see each of them answered and refused. Some services have suites of their own besides.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use crate::checks::root;
use crate::codegen::{self, snake};

const FOLDER: &str = "conformance/operations";
/// Suites that call operations of a service by boto3 and assert what they answer and refuse.
const SUITES: [(&str, &str); 6] = [
    ("dynamodb", "conformance/dynamodb/run.py"),
    ("dynamodbstreams", "conformance/dynamodb/run.py"),
    ("lambda", "conformance/lambda/run.py"),
    ("s3", "conformance/s3/run.py"),
    ("sagemaker", "conformance/sagemaker/run.py"),
    ("sagemakerruntime", "conformance/sagemaker/run.py"),
];

/// Where each operation is tested, by service and name.
pub(crate) struct Tests(BTreeMap<(String, String), Vec<String>>);

impl Tests {
    /// # Errors
    /// When the suites cannot be read.
    pub(crate) fn read() -> Result<Self> {
        let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        let mut files: Vec<_> =
            std::fs::read_dir(root().join(FOLDER))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "py")) {
            let name = file.file_stem().and_then(|name| name.to_str()).context("a file's name")?;
            for case in cases(&std::fs::read_to_string(file)?) {
                for operation in case.operations {
                    let at = found.entry((case.service.clone(), operation)).or_default();
                    at.push(format!("operations/{name}.{}", case.name));
                }
            }
        }
        let operations = codegen::operations()?;
        for (service, suite) in SUITES {
            let text = std::fs::read_to_string(root().join(suite)).with_context(|| suite.to_owned())?;
            let words: Vec<&str> = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
            for operation in operations.get(service).into_iter().flatten() {
                if words.contains(&operation.as_str()) || words.contains(&snake(operation).as_str()) {
                    let at = found.entry((service.to_owned(), operation.clone())).or_default();
                    at.push(suite.trim_start_matches("conformance/").trim_end_matches("/run.py").to_owned());
                }
            }
        }
        Ok(Self(found))
    }

    pub(crate) fn of(&self, service: &str, operation: &str) -> &[String] {
        self.0.get(&(service.to_owned(), operation.to_owned())).map_or(&[], Vec::as_slice)
    }
}

/// The operations that no test names, and the names of tests that are no operations, a line each with what to do.
///
/// # Errors
/// When the suites or models/operations.toml cannot be read.
pub(crate) fn untested() -> Result<Vec<String>> {
    let tests = Tests::read()?;
    let operations = codegen::operations()?;
    let mut faults = Vec::new();
    for (service, names) in &operations {
        for name in names.iter().filter(|name| tests.of(service, name).is_empty()) {
            faults.push(format!(
                "{service}: no test through the wire names {name}. Write a case in {FOLDER}/{service}.py, `@operations(\"{service}\", \"{name}\")` \
                 above a function that asserts what it answers (values) and how it refuses (code, and a message that says what and where), and \
                 run it: python3 {FOLDER}/run.py --lakerun target/debug/lakerun {service}"
            ));
        }
    }
    // S3's own door serves operations that are not in the table.
    for ((service, name), places) in tests.0.iter().filter(|((service, _), _)| service != "s3") {
        if !operations.get(service).is_some_and(|names| names.contains(name)) {
            faults.push(format!("{}: {service} has no operation {name} in models/operations.toml", places.join(", ")));
        }
    }
    Ok(faults)
}

/// A case of `conformance/operations`.
#[derive(Debug, PartialEq, Eq)]
struct Case {
    name: String,
    service: String,
    operations: Vec<String>,
}

fn cases(text: &str) -> Vec<Case> {
    text.split("\n@operations(").skip(1).filter_map(case).collect()
}

/// `"glue", "GetJob", "GetJobs")\ndef jobs():`
fn case(text: &str) -> Option<Case> {
    let (head, rest) = text.split_once("\ndef ")?;
    let head = head.split("only_refused").next()?;
    let mut texts = head.split('"').skip(1).step_by(2).map(str::to_owned);
    Some(Case { service: texts.next()?, operations: texts.collect(), name: rest.split('(').next()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_name_their_operations() {
        let text = "x = 1\n\n@operations(\"glue\", \"GetJob\",\n            \"GetJobs\", only_refused=\"why\")\ndef jobs():\n    pass\n";
        let operations = vec!["GetJob".to_owned(), "GetJobs".to_owned()];
        assert_eq!(cases(text), [Case { name: "jobs".to_owned(), service: "glue".to_owned(), operations }]);
    }

    #[test]
    fn every_operation_is_tested() {
        let untested = untested().unwrap();
        assert!(untested.is_empty(), "{}", untested.join("\n"));
    }
}
