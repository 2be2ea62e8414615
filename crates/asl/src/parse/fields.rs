//! Single fields: paths, templates, numbers and texts, in the language of their state.

use serde_json::{Map as Object, Value};

use super::Reader;
use crate::choice::not_a_reference;
use crate::definition::{Amount, Language, ResultPath, Selection, Text};
use crate::diagnostic::Diagnostic;
use crate::expr::{Expr, QueryFault};
use crate::template::{Template, query_text};
use jsonpath::Path;

/// The largest number of seconds or of anything else. Source: AWS's answer to a Wait of 10,000,000,000,000,000 seconds.
const MAX_NUMBER: u64 = 99_999_999;

impl Reader {
    /// Parameters, Arguments, Assign, …
    pub(super) fn template(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<Template> {
        let value = object.get(field)?;
        let place = format!("{at}/{field}");
        let free = match self.language {
            Language::JsonPath => field == "Parameters",
            Language::Jsonata => field != "Assign" && field != "Credentials",
        };
        if !free && !value.is_object() {
            self.complain("Expected value of type Object", place);
            return None;
        }
        let template = match self.language {
            Language::JsonPath => {
                let mut problems = Vec::new();
                let template = Template::compile(value, &mut problems);
                for (name, _) in problems {
                    self.complain(
                        format!(
                            "The value for the field '{name}' must be a valid JSONPath or a valid intrinsic function call"
                        ),
                        place.clone(),
                    );
                }
                template
            }
            Language::Jsonata => {
                let mut faults = Vec::new();
                let way = self.way(field, at);
                let template = Template::compile_jsonata(value, &way, &mut faults);
                for (way, fault) in faults {
                    self.query_fault(fault, &way);
                }
                template.each(&mut |way, expr| self.check_query(expr, way));
                template
            }
        };
        if field == "Assign" {
            for name in template.member_names().into_iter().filter(|name| !is_variable_name(name)) {
                self.complain(format!("Variable name '{name}' is not valid"), place.clone());
            }
        }
        Some(template)
    }

    /// The way from the state to a field: `Choices[0]/Output`.
    fn way(&self, field: &str, at: &str) -> String {
        match at.get(self.place.len()..).map(|way| way.trim_start_matches('/')) {
            None | Some("") => field.to_owned(),
            Some(way) => format!("{way}/{field}"),
        }
    }

    fn query_fault(&mut self, fault: QueryFault, way: &str) {
        let location = format!("{}/{way}", self.place);
        self.found.push(match fault {
            QueryFault::Invalid(message) => Diagnostic::invalid_query(message, location),
            QueryFault::Delimiters => {
                Diagnostic::schema("A JSONata expression must begin with '{%' and end with '%}'", location)
            }
        });
    }

    fn check_query(&mut self, expr: &Expr, way: &str) {
        for message in expr.missing(way.starts_with("Catch[")) {
            self.found.push(Diagnostic::unsupported_query(message, format!("{}/{way}", self.place)));
        }
    }

    /// Output of a JSONata state, catcher or rule.
    pub(super) fn output(&mut self, object: &Object<String, Value>, at: &str) -> Option<Template> {
        if self.language == Language::Jsonata { self.template(object, "Output", at) } else { None }
    }

    pub(super) fn result_path(&mut self, object: &Object<String, Value>, at: &str) -> ResultPath {
        if self.language == Language::Jsonata {
            return ResultPath::Replace;
        }
        match object.get("ResultPath") {
            None => ResultPath::Replace,
            Some(Value::Null) => ResultPath::Discard,
            Some(Value::String(path)) if path == "$" => ResultPath::Replace,
            Some(Value::String(text)) => {
                let path =
                    text.strip_prefix('$').and_then(|steps| Path::parse(text, steps).ok()).filter(Path::is_reference);
                if path.is_none() {
                    self.complain(not_a_reference(text), format!("{at}/ResultPath"));
                }
                path.map_or(ResultPath::Replace, ResultPath::Into)
            }
            Some(_) => {
                self.complain("Expected value of type String", format!("{at}/ResultPath"));
                ResultPath::Replace
            }
        }
    }

    pub(super) fn selection(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Selection {
        if self.language == Language::Jsonata {
            return Selection::Whole;
        }
        match object.get(field) {
            None => Selection::Whole,
            Some(Value::Null) => Selection::Nothing,
            Some(Value::String(path)) if path == "$" => Selection::Whole,
            Some(_) => match self.expr(object, field, at) {
                // Intrinsic functions are for templates.
                Some(Expr::Intrinsic(_)) => {
                    self.complain("Value must be a valid JSONPath.", format!("{at}/{field}"));
                    Selection::Whole
                }
                path => path.map_or(Selection::Whole, Selection::Path),
            },
        }
    }

    /// Of fields that say the same in two ways there is one.
    pub(super) fn either(&mut self, object: &Object<String, Value>, fields: [&str; 2], at: &str) {
        if fields.iter().all(|field| object.contains_key(*field)) {
            self.complain(format!("Only one of these fields is allowed: [{}, {}]", fields[0], fields[1]), at);
        }
    }

    /// A path or intrinsic call.
    pub(super) fn expr(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<Expr> {
        let text = self.text(object, field, at)?;
        let parsed = Expr::parse(&text).ok();
        if parsed.is_none() {
            self.complain("Value must be a valid JSONPath.", format!("{at}/{field}"));
        }
        parsed
    }

    /// The expression `{% … %}` that a field of a JSONata state is written as. `Some(None)`: it was meant as one, and is none.
    #[expect(clippy::option_option, reason = "a field may have no expression, or a bad one")]
    pub(super) fn query(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<Option<Expr>> {
        let text = object.get(field)?.as_str().filter(|_| self.language == Language::Jsonata)?;
        let way = self.way(field, at);
        match query_text(text).and_then(|text| text.map(Expr::parse_query).transpose()) {
            Ok(None) => None,
            Ok(Some(expr)) => {
                self.check_query(&expr, &way);
                Some(Some(expr))
            }
            Err(fault) => {
                self.query_fault(fault, &way);
                Some(None)
            }
        }
    }

    /// `Field` with a number or an expression, or `FieldPath` with a path.
    pub(super) fn amount(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<Amount> {
        self.number(object, field, at, Self::whole_number)
    }

    pub(super) fn number<T>(
        &mut self,
        object: &Object<String, Value>,
        field: &str,
        at: &str,
        read: fn(&mut Self, &Object<String, Value>, &str, &str) -> Option<T>,
    ) -> Option<Amount<T>> {
        if let Some(query) = self.query(object, field, at) {
            return query.map(Amount::Expr);
        }
        let path = format!("{field}Path");
        if self.language == Language::JsonPath && object.contains_key(&path) {
            self.either(object, [field, &path], at);
            return self.expr(object, &path, at).map(Amount::Expr);
        }
        read(self, object, field, at).map(Amount::Fixed)
    }

    pub(super) fn whole_number(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<u64> {
        self.whole_number_from(0, object, field, at)
    }

    /// Seconds that a thing may take: none would be no time at all.
    pub(super) fn positive_number(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<u64> {
        self.whole_number_from(1, object, field, at)
    }

    fn whole_number_from(&mut self, least: u64, object: &Object<String, Value>, field: &str, at: &str) -> Option<u64> {
        let value = object.get(field)?;
        let problem = match value {
            Value::Number(number) if number.is_u64() || number.is_i64() => match number.as_u64() {
                Some(number) if number > MAX_NUMBER => format!("Maximum value is {MAX_NUMBER}"),
                Some(number) if number >= least => return Some(number),
                _ => format!("Minimum value is {least}"),
            },
            Value::Number(number) if number.as_f64().is_some_and(|number| number > 1e18) => {
                format!("Maximum value is {MAX_NUMBER}")
            }
            _ => "Expected value of type Integer".to_owned(),
        };
        self.complain(problem, format!("{}/{field}", at.trim_end_matches('/')));
        None
    }

    pub(super) fn whole_count(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "at most 99,999,999")]
        self.whole_number(object, field, at).map(|number| number as f64)
    }

    pub(super) fn percentage(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<f64> {
        let problem = match object.get(field)?.as_f64() {
            Some(number) if (0.0..=100.0).contains(&number) => return Some(number),
            Some(number) if number < 0.0 => "Minimum value is 0",
            Some(_) => "Maximum value is 100",
            None => "Expected value of type Float",
        };
        self.complain(problem, format!("{at}/{field}"));
        None
    }

    pub(super) fn text(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<String> {
        let text = object.get(field).and_then(Value::as_str).map(str::to_owned);
        if text.is_none() {
            self.complain("Expected value of type String", format!("{at}/{field}"));
        }
        text
    }

    /// Error and Cause of a Fail state.
    pub(super) fn text_or_path(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<Text> {
        if let Some(query) = self.query(object, field, at) {
            return query.map(Text::Expr);
        }
        let path = format!("{field}Path");
        if self.language == Language::JsonPath && object.contains_key(&path) {
            self.either(object, [field, &path], at);
            return self.expr(object, &path, at).map(Text::Expr);
        }
        if !object.contains_key(field) {
            return None;
        }
        self.text(object, field, at).map(Text::Fixed)
    }
}

/// An identifier of at most 80 characters; `states` is taken.
fn is_variable_name(name: &str) -> bool {
    let mut chars = name.chars();
    let begins = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_');
    begins && chars.all(|c| c.is_alphanumeric() || c == '_') && name.chars().count() <= 80 && name != "states"
}
