//! Maps in distributed mode: Label, ItemReader, ItemBatcher, ResultWriter.

use serde_json::{Map as Object, Value};

use super::Reader;
use crate::definition::{Distributed, ItemBatcher, ItemReader, Language, MachineType, ResultWriter};
use crate::diagnostic::Diagnostic;
use crate::json::named_uuid;
use crate::settings::{ReaderConfig, ReaderSource, WriterTransformation};

/// AWS's limit on labels.
const MAX_LABEL_CHARS: usize = 40;

impl Reader {
    pub(super) fn distributed(
        &mut self,
        object: &Object<String, Value>,
        processor: &Object<String, Value>,
        at: &str,
    ) -> Distributed {
        let config = processor.get("ProcessorConfig").unwrap_or(&Value::Null);
        let express = match config.get("ExecutionType").map(Value::as_str) {
            Some(Some("STANDARD")) => false,
            Some(Some("EXPRESS")) => true,
            Some(_) => {
                let place = format!("{at}/ItemProcessor/ProcessorConfig");
                self.not_one_of("ExecutionType", &["STANDARD", "EXPRESS"], &place);
                false
            }
            None => {
                self.complain(
                    "These fields are required: [ExecutionType]",
                    format!("{at}/ItemProcessor/ProcessorConfig"),
                );
                false
            }
        };
        Distributed {
            label: self.label(object, at),
            express,
            processor: self.processor_text(processor),
            reader: self.part(object, "ItemReader", at, Self::item_reader).flatten(),
            batcher: self.part(object, "ItemBatcher", at, Self::item_batcher),
            writer: self.part(object, "ResultWriter", at, Self::result_writer).flatten(),
        }
    }

    /// Source: Developer Guide, "Choosing workflow type": Express executions have no Distributed Maps. The words are not AWS's.
    pub(super) fn check_may_distribute(&mut self, processor: &str) {
        if self.kind == MachineType::Express {
            let place = format!("{processor}/ProcessorConfig/Mode");
            self.complain("Express state machine does not support Map states in DISTRIBUTED mode", place);
        }
    }

    fn part<T>(
        &mut self,
        object: &Object<String, Value>,
        field: &str,
        at: &str,
        read: fn(&mut Self, &Object<String, Value>, &str) -> T,
    ) -> Option<T> {
        let place = format!("{at}/{field}");
        let part = object.get(field)?.as_object();
        if part.is_none() {
            self.complain("Expected value of type Object", place.clone());
        }
        part.map(|part| read(self, part, &place))
    }

    /// Where none is given, one that is always the same for the state.
    fn label(&mut self, object: &Object<String, Value>, at: &str) -> String {
        if !object.contains_key("Label") {
            return named_uuid(at);
        }
        let Some(label) = self.text(object, "Label", at) else { return String::new() };
        // Source: Developer Guide, "Map state fields", Label.
        let forbidden = |c: &char| c.is_whitespace() || c.is_control() || "?*<>{}[]:;,\\|^~$#%&`\"".contains(*c);
        let problem = if label.is_empty() {
            "Label cannot be empty".to_owned()
        } else if label.chars().count() > MAX_LABEL_CHARS {
            format!("Label cannot exceed {MAX_LABEL_CHARS} characters")
        } else if let Some(c) = label.chars().find(forbidden) {
            format!("Label contains invalid character: '{}'", c.escape_default())
        } else {
            return label;
        };
        let found = Diagnostic::schema(problem, format!("{at}/Label"));
        self.found.push(Diagnostic { code: "INVALID_LABEL_NAME", ..found });
        label
    }

    /// The processor as a definition of its own.
    fn processor_text(&self, processor: &Object<String, Value>) -> String {
        let mut definition = processor.clone();
        definition.shift_remove("ProcessorConfig");
        if self.whole == Language::Jsonata {
            definition.entry("QueryLanguage").or_insert_with(|| Value::from("JSONata"));
        }
        Value::Object(definition).to_string()
    }

    fn item_reader(&mut self, object: &Object<String, Value>, at: &str) -> Option<ItemReader> {
        if !self.require(object, &["Resource"], at) {
            return None;
        }
        let resource = self.text(object, "Resource", at)?;
        let source = match resource.rsplit(":::").next() {
            Some("s3:getObject") => ReaderSource::GetObject,
            Some("s3:listObjectsV2") => ReaderSource::ListObjectsV2,
            _ => {
                self.complain("Value is not a valid resource ARN", format!("{at}/Resource"));
                return None;
            }
        };
        let nothing = Object::new();
        let place = format!("{at}/ReaderConfig");
        let config = object.get("ReaderConfig").and_then(Value::as_object).unwrap_or(&nothing);
        let max_items = self.number(config, "MaxItems", &place, Self::count);
        let named = [
            ("InputType", &["CSV", "JSON", "JSONL", "PARQUET", "MANIFEST"][..]),
            ("Transformation", &["NONE", "LOAD_AND_FLATTEN"]),
            ("ManifestType", &["ATHENA_DATA", "S3_INVENTORY"]),
            ("CSVHeaderLocation", &["FIRST_ROW", "GIVEN"]),
            ("CSVDelimiter", &["COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB"]),
        ];
        let mut known = true;
        for (field, values) in named {
            if config.get(field).is_some_and(|value| !value.as_str().is_some_and(|value| values.contains(&value))) {
                self.not_one_of(field, values, &place);
                known = false;
            }
        }
        if !known {
            return None;
        }
        let config = match serde_json::from_value::<ReaderConfig>(Value::Object(config.clone())) {
            Ok(config) => config,
            Err(problem) => {
                self.complain(problem.to_string(), place.clone());
                return None;
            }
        };
        let flattens = config.transformation == Some(crate::settings::ReaderTransformation::LoadAndFlatten);
        let typed = config.input_type.is_some() || config.manifest_type.is_some();
        if !typed && (source == ReaderSource::GetObject || flattens) {
            self.complain("These fields are required: [InputType]", place);
        }
        Some(ItemReader { source, parameters: self.template(object, self.parameters(), at), config, max_items })
    }

    /// A number without AWS's usual bound.
    fn count(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<u64> {
        let value = object.get(field)?;
        let number = value.as_u64();
        if number.is_none() {
            let problem = if value.is_i64() { "Minimum value is 0" } else { "Expected value of type Integer" };
            self.complain(problem, format!("{at}/{field}"));
        }
        number
    }

    fn item_batcher(&mut self, object: &Object<String, Value>, at: &str) -> ItemBatcher {
        let limits = ["MaxItemsPerBatch", "MaxItemsPerBatchPath", "MaxInputBytesPerBatch", "MaxInputBytesPerBatchPath"];
        if !limits.iter().any(|limit| object.contains_key(*limit)) {
            self.complain(
                "At least one of these fields is required: [MaxItemsPerBatch, MaxItemsPerBatchPath, MaxInputBytesPerBatch, MaxInputBytesPerBatchPath]",
                at,
            );
        }
        ItemBatcher {
            max_items: self.amount(object, "MaxItemsPerBatch", at),
            max_bytes: self.amount(object, "MaxInputBytesPerBatch", at),
            input: self.template(object, "BatchInput", at),
        }
    }

    fn result_writer(&mut self, object: &Object<String, Value>, at: &str) -> Option<ResultWriter> {
        let exports = object.contains_key("Resource");
        if exports && self.text(object, "Resource", at)?.rsplit(":::").next() != Some("s3:putObject") {
            self.complain("Value is not a valid resource ARN", format!("{at}/Resource"));
            return None;
        }
        if exports && !self.require(object, &[self.parameters()], at) {
            return None;
        }
        if !exports && !self.require(object, &["WriterConfig"], at) {
            return None;
        }
        let config = object.get("WriterConfig").unwrap_or(&Value::Null);
        let transformation = config.get("Transformation");
        let parsed = transformation.map(|name| serde_json::from_value::<WriterTransformation>(name.clone()));
        if let Some(Err(_)) = parsed {
            self.not_one_of("Transformation", &["NONE", "COMPACT", "FLATTEN"], &format!("{at}/WriterConfig"));
        }
        let transformation = parsed.and_then(Result::ok);
        let lines = match config.get("OutputType").map(Value::as_str) {
            None | Some(Some("JSON")) => false,
            Some(Some("JSONL")) => true,
            Some(_) => {
                self.not_one_of("OutputType", &["JSON", "JSONL"], &format!("{at}/WriterConfig"));
                false
            }
        };
        let parameters = if exports { self.template(object, self.parameters(), at) } else { None };
        Some(ResultWriter { parameters, transformation, lines })
    }
}
