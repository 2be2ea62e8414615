//! Custom classifiers: CSV, JSON and grok. XML classifiers are refused: Athena reads no table that they would make.

use api_glue::error::{entity_not_found_exception, invalid_input_exception, version_mismatch_exception};
use api_glue::{
    Classifier, CreateClassifierRequest, CsvClassifier, GrokClassifier, JsonClassifier, UpdateClassifierRequest,
};
use store::Tx;
use wire::Error;

use crate::crawl::{self, CsvHeader};
use crate::scope::Scope;

pub(crate) fn create(req: CreateClassifierRequest, now: jiff::Timestamp) -> Result<Classifier, Error> {
    if req.xml_classifier.is_some() {
        return Err(Error::not_implemented("an XMLClassifier"));
    }
    let record = match (req.csv_classifier, req.json_classifier, req.grok_classifier) {
        (Some(csv), None, None) => Classifier {
            csv_classifier: Some(CsvClassifier {
                name: csv.name,
                creation_time: Some(now.into()),
                last_updated: Some(now.into()),
                version: Some(1),
                delimiter: csv.delimiter,
                quote_symbol: csv.quote_symbol,
                contains_header: csv.contains_header.or_else(|| Some("UNKNOWN".to_owned())),
                header: csv.header,
                disable_value_trimming: csv.disable_value_trimming,
                allow_single_column: csv.allow_single_column,
                custom_datatype_configured: csv.custom_datatype_configured,
                custom_datatypes: csv.custom_datatypes,
                serde: csv.serde,
            }),
            ..Classifier::default()
        },
        (None, None, Some(grok)) => Classifier {
            grok_classifier: Some(GrokClassifier {
                name: grok.name,
                classification: grok.classification,
                creation_time: Some(now.into()),
                last_updated: Some(now.into()),
                version: Some(1),
                grok_pattern: grok.grok_pattern,
                custom_patterns: grok.custom_patterns,
            }),
            ..Classifier::default()
        },
        (None, Some(json), None) => Classifier {
            json_classifier: Some(JsonClassifier {
                name: json.name,
                creation_time: Some(now.into()),
                last_updated: Some(now.into()),
                version: Some(1),
                json_path: json.json_path,
            }),
            ..Classifier::default()
        },
        _ => return Err(invalid_input_exception("Exactly one classifier must be specified")),
    };
    to_crawl(&record)?;
    Ok(record)
}

/// The classifier that an update names.
pub(crate) fn updated_name(req: &UpdateClassifierRequest) -> Result<String, Error> {
    let csv = req.csv_classifier.as_ref().map(|c| &c.name);
    let json = req.json_classifier.as_ref().map(|c| &c.name);
    let grok = req.grok_classifier.as_ref().map(|c| &c.name);
    let xml = req.xml_classifier.as_ref().map(|c| &c.name);
    let name = csv.or(json).or(grok).or(xml);
    name.cloned().ok_or_else(|| invalid_input_exception("Exactly one classifier must be specified"))
}

pub(crate) fn update(old: Classifier, req: UpdateClassifierRequest, now: jiff::Timestamp) -> Result<Classifier, Error> {
    let next = |version: Option<i64>| Some(version.unwrap_or(1) + 1);
    if let (Some(old), Some(new)) = (&old.grok_classifier, &req.grok_classifier) {
        let record = Classifier {
            grok_classifier: Some(GrokClassifier {
                name: old.name.clone(),
                classification: new.classification.clone().unwrap_or_else(|| old.classification.clone()),
                creation_time: old.creation_time,
                last_updated: Some(now.into()),
                version: next(old.version),
                grok_pattern: new.grok_pattern.clone().unwrap_or_else(|| old.grok_pattern.clone()),
                custom_patterns: new.custom_patterns.clone().or_else(|| old.custom_patterns.clone()),
            }),
            ..Classifier::default()
        };
        to_crawl(&record)?;
        return Ok(record);
    }
    let record = match (old.csv_classifier, req.csv_classifier, old.json_classifier, req.json_classifier) {
        (Some(old), Some(new), ..) => Classifier {
            csv_classifier: Some(CsvClassifier {
                name: old.name,
                creation_time: old.creation_time,
                last_updated: Some(now.into()),
                version: next(old.version),
                delimiter: new.delimiter.or(old.delimiter),
                quote_symbol: new.quote_symbol.or(old.quote_symbol),
                contains_header: new.contains_header.or(old.contains_header),
                header: new.header.or(old.header),
                disable_value_trimming: new.disable_value_trimming.or(old.disable_value_trimming),
                allow_single_column: new.allow_single_column.or(old.allow_single_column),
                custom_datatype_configured: new.custom_datatype_configured.or(old.custom_datatype_configured),
                custom_datatypes: new.custom_datatypes.or(old.custom_datatypes),
                serde: new.serde.or(old.serde),
            }),
            ..Classifier::default()
        },
        (_, _, Some(old), Some(new)) => Classifier {
            json_classifier: Some(JsonClassifier {
                json_path: new.json_path.unwrap_or(old.json_path),
                last_updated: Some(now.into()),
                version: next(old.version),
                ..JsonClassifier { name: old.name, creation_time: old.creation_time, ..JsonClassifier::default() }
            }),
            ..Classifier::default()
        },
        _ => return Err(version_mismatch_exception("The classifier is of another kind")),
    };
    to_crawl(&record)?;
    Ok(record)
}

pub(crate) fn name(record: &Classifier) -> &str {
    let csv = record.csv_classifier.as_ref().map(|c| c.name.as_str());
    csv.or_else(|| record.json_classifier.as_ref().map(|c| c.name.as_str()))
        .or_else(|| record.grok_classifier.as_ref().map(|c| c.name.as_str()))
        .unwrap_or_default()
}

pub(crate) fn find(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<Classifier, Error> {
    let found = tx.get_json(scope.key("classifier").push(name))?;
    found.ok_or_else(|| entity_not_found_exception(format!("Classifier {name} not found.")))
}

/// The classifier as a crawl takes it.
pub(crate) fn to_crawl(record: &Classifier) -> Result<crawl::Classifier, Error> {
    if let Some(json) = &record.json_classifier {
        if !crawl::is_json_path(&json.json_path) {
            return Err(invalid_input_exception(format!("JsonPath {} is not supported", json.json_path)));
        }
        return Ok(crawl::Classifier::Json { name: json.name.clone(), path: json.json_path.clone() });
    }
    if let Some(grok) = &record.grok_classifier {
        let classifier = crawl::GrokClassifier {
            name: grok.name.clone(),
            classification: grok.classification.clone(),
            pattern: grok.grok_pattern.clone(),
            custom_patterns: grok.custom_patterns.clone().unwrap_or_default(),
        };
        crawl::check_grok(&classifier)
            .map_err(|why| invalid_input_exception(format!("Invalid grok pattern: {why}")))?;
        return Ok(crawl::Classifier::Grok(classifier));
    }
    let csv = record.csv_classifier.clone().unwrap_or_default();
    Ok(crawl::Classifier::Csv(crawl::CsvClassifier {
        delimiter: character("Delimiter", csv.delimiter.as_deref())?,
        quote: character("QuoteSymbol", csv.quote_symbol.as_deref())?,
        header: match csv.contains_header.as_deref() {
            Some("PRESENT") => CsvHeader::Present,
            Some("ABSENT") => CsvHeader::Absent,
            _ => CsvHeader::Unknown,
        },
        names: csv.header.unwrap_or_default(),
        keep_white_space: csv.disable_value_trimming.unwrap_or(false),
        allow_single_column: csv.allow_single_column.unwrap_or(false),
        types: csv.custom_datatypes.unwrap_or_default(),
        serde: csv.serde.filter(|s| s != "None"),
        name: csv.name,
    }))
}

fn character(member: &str, text: Option<&str>) -> Result<Option<char>, Error> {
    let Some(text) = text.filter(|t| !t.is_empty()) else { return Ok(None) };
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(Some(c)),
        _ if text == "\\t" => Ok(Some('\t')),
        _ => Err(invalid_input_exception(format!("{member} must be a single character"))),
    }
}
