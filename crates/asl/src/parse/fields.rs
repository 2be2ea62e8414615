//! Single fields: paths, templates, numbers and texts, in the language of their state.

use serde_json::{Map as Object, Value};

use super::Reader;
use crate::definition::{Amount, Language, ResultPath, Selection, Text};
use crate::expr::Expr;
use crate::path::Path;
use crate::template::{Template, query_text};

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
        let mut problems = Vec::new();
        let template = match self.language {
            Language::JsonPath => {
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
                let template = Template::compile_jsonata(value, field, &mut problems);
                for (name, problem) in problems {
                    self.complain(problem, format!("{at}/{name}"));
                }
                template
            }
        };
        Some(template)
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
                    self.complain("Value is not a Reference Path", format!("{at}/ResultPath"));
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
            Some(_) => self.expr(object, field, at).map_or(Selection::Whole, Selection::Path),
        }
    }

    /// A path or intrinsic call.
    pub(super) fn expr(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<Expr> {
        let text = self.text(object, field, at)?;
        let parsed = Expr::parse(&text);
        if let Err(problem) = &parsed {
            self.complain(format!("Invalid path '{text}': {problem}"), format!("{at}/{field}"));
        }
        parsed.ok()
    }

    /// The expression `{% … %}` that a field of a JSONata state is written as. `Some(None)`: it was meant as one, and is none.
    #[expect(clippy::option_option, reason = "a field may have no expression, or a bad one")]
    pub(super) fn query(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<Option<Expr>> {
        let text = object.get(field)?.as_str().filter(|_| self.language == Language::Jsonata)?;
        let parsed = match query_text(text) {
            Ok(None) => return None,
            Ok(Some(query)) => Expr::parse_query(query),
            Err(problem) => Err(problem),
        };
        if let Err(problem) = &parsed {
            self.complain(problem.clone(), format!("{at}/{field}"));
        }
        Some(parsed.ok())
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
            if object.contains_key(field) {
                self.complain(format!("Only one of these fields is allowed: [{field}, {path}]"), at);
            }
            return self.expr(object, &path, at).map(Amount::Expr);
        }
        read(self, object, field, at).map(Amount::Fixed)
    }

    pub(super) fn whole_number(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<u64> {
        let value = object.get(field)?;
        let number = value.as_u64().filter(|number| *number <= 99_999_999);
        if number.is_none() {
            self.complain(
                "Expected value of type Integer, not negative",
                format!("{}/{field}", at.trim_end_matches('/')),
            );
        }
        number
    }

    pub(super) fn whole_count(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "at most 99,999,999")]
        self.whole_number(object, field, at).map(|number| number as f64)
    }

    pub(super) fn percentage(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<f64> {
        let value = object.get(field)?;
        let number = value.as_f64().filter(|number| (0.0..=100.0).contains(number));
        if number.is_none() {
            self.complain("Expected value of type Float, from 0 to 100", format!("{at}/{field}"));
        }
        number
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
            return self.expr(object, &path, at).map(Text::Expr);
        }
        if !object.contains_key(field) {
            return None;
        }
        self.text(object, field, at).map(Text::Fixed)
    }
}
