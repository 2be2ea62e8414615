//! Why an expression fails: the language's codes and the sentences jsonata.js has for them, which AWS's causes repeat.

use super::QueryError;

/// A failure on its way up; what is not known where it arose is filled in above.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Failure {
    pub(super) code: &'static str,
    pub(super) position: Option<usize>,
    pub(super) token: Option<String>,
    /// Texts for the placeholders, as JSON.
    pub(super) value: Option<String>,
    pub(super) value2: Option<String>,
    pub(super) index: Option<usize>,
    /// A sentence that needs no template.
    pub(super) sentence: Option<String>,
    pub(super) limit: bool,
}

pub(super) type Result<T> = std::result::Result<T, Box<Failure>>;

impl Failure {
    pub(super) fn new(code: &'static str) -> Box<Self> {
        Box::new(Self { code, ..Self::default() })
    }

    pub(super) fn at(code: &'static str, position: usize) -> Box<Self> {
        Box::new(Self { code, position: Some(position), ..Self::default() })
    }

    pub(super) fn of(code: &'static str, value: String) -> Box<Self> {
        Box::new(Self { code, value: Some(value), ..Self::default() })
    }

    /// A failure in words of its own.
    pub(super) fn saying(code: &'static str, sentence: impl Into<String>) -> Box<Self> {
        Box::new(Self { code, sentence: Some(sentence.into()), ..Self::default() })
    }

    fn limit(sentence: &'static str) -> Box<Self> {
        Box::new(Self { code: "U1001", sentence: Some(sentence.to_owned()), limit: true, ..Self::default() })
    }

    pub(super) fn too_deep() -> Box<Self> {
        Self::limit(
            "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive.",
        )
    }

    pub(super) fn too_long() -> Box<Self> {
        Self::limit("Expression evaluation timeout: Check for infinite loop")
    }

    pub(super) fn too_large() -> Box<Self> {
        Self::limit("Expression evaluation memory limit exceeded: Check for excessive memory usage")
    }

    pub(super) fn with_token(mut self: Box<Self>, token: &str) -> Box<Self> {
        self.token = Some(token.to_owned());
        self
    }

    pub(super) fn with_index(mut self: Box<Self>, index: usize) -> Box<Self> {
        self.index = Some(index);
        self
    }

    pub(super) fn message(&self) -> String {
        if let Some(sentence) = &self.sentence {
            return sentence.clone();
        }
        let template = TEMPLATES.iter().find(|(code, _)| *code == self.code).map_or("", |(_, template)| template);
        let token = self.token.clone().unwrap_or_else(|| "undefined".to_owned());
        let quoted = serde_json::Value::String(token.clone()).to_string();
        let value = self.value.as_deref().unwrap_or("undefined");
        template
            .replace("{{{token}}}", &token)
            .replace("{{token}}", if self.token.is_some() { &quoted } else { "undefined" })
            .replace("{{value}}", value)
            .replace("{{value2}}", self.value2.as_deref().unwrap_or("undefined"))
            .replace("{{index}}", &self.index.map_or_else(|| "undefined".to_owned(), |index| index.to_string()))
    }
}

impl From<Box<Failure>> for QueryError {
    fn from(failure: Box<Failure>) -> Self {
        let message = failure.message();
        if failure.limit {
            return Self::Limit(message);
        }
        Self::Failed { code: (!failure.code.is_empty()).then(|| failure.code.to_owned()), message }
    }
}

const TEMPLATES: &[(&str, &str)] = &[
    ("S0101", "String literal must be terminated by a matching quote"),
    ("S0102", "Number out of range: {{token}}"),
    ("S0103", "Unsupported escape sequence: \\{{token}}"),
    ("S0104", "The escape sequence \\u must be followed by 4 hex digits"),
    ("S0105", "Quoted property name must be terminated with a backquote (`)"),
    ("S0106", "Comment has no closing tag"),
    ("S0201", "Syntax error: {{token}}"),
    ("S0202", "Expected {{value}}, got {{token}}"),
    ("S0203", "Expected {{value}} before end of expression"),
    ("S0204", "Unknown operator: {{token}}"),
    ("S0205", "Unexpected token: {{token}}"),
    ("S0206", "Unknown expression type: {{token}}"),
    ("S0207", "Unexpected end of expression"),
    ("S0208", "Parameter {{value}} of function definition must be a variable name (start with $)"),
    ("S0209", "A predicate cannot follow a grouping expression in a step"),
    ("S0210", "Each step can only have one grouping expression"),
    ("S0211", "The symbol {{token}} cannot be used as a unary operator"),
    ("S0212", "The left side of := must be a variable name (start with $)"),
    ("S0213", "The literal value {{value}} cannot be used as a step within a path expression"),
    ("S0214", "The right side of {{token}} must be a variable name (start with $)"),
    ("S0215", "A context variable binding must precede any predicates on a step"),
    ("S0216", "A context variable binding must precede the 'order-by' clause on a step"),
    ("S0217", "The object representing the 'parent' cannot be derived from this expression"),
    ("S0301", "Empty regular expressions are not allowed"),
    ("S0302", "No terminating / in regular expression"),
    ("S0402", "Choice groups containing parameterized types are not supported"),
    ("S0401", "Type parameters can only be applied to functions and arrays"),
    ("T0410", "Argument {{index}} of function {{token}} does not match function signature"),
    ("T0411", "Context value is not a compatible type with argument {{index}} of function {{token}}"),
    ("T0412", "Argument {{index}} of function {{token}} must be an array of {{value2}}"),
    ("D1001", "Number out of range: {{value}}"),
    ("D1002", "Cannot negate a non-numeric value: {{value}}"),
    ("T1003", "Key in object structure must evaluate to a string; got: {{value}}"),
    ("D1004", "Regular expression matches zero length string"),
    ("T1005", "Attempted to invoke a non-function. Did you mean ${{{token}}}?"),
    ("T1006", "Attempted to invoke a non-function"),
    ("T1007", "Attempted to partially apply a non-function. Did you mean ${{{token}}}?"),
    ("T1008", "Attempted to partially apply a non-function"),
    ("D1009", "Multiple key definitions evaluate to same key: {{value}}"),
    (
        "T1010",
        "The matcher function argument passed to function {{token}} does not return the correct object structure",
    ),
    ("T2001", "The left side of the {{token}} operator must evaluate to a number"),
    ("T2002", "The right side of the {{token}} operator must evaluate to a number"),
    ("T2003", "The left side of the range operator (..) must evaluate to an integer"),
    ("T2004", "The right side of the range operator (..) must evaluate to an integer"),
    ("T2006", "The right side of the function application operator ~> must be a function"),
    ("T2007", "Type mismatch when comparing values {{value}} and {{value2}} in order-by clause"),
    ("T2008", "The expressions within an order-by clause must evaluate to numeric or string values"),
    ("T2009", "The values {{value}} and {{value2}} either side of operator {{token}} must be of the same data type"),
    ("T2010", "The expressions either side of operator {{token}} must evaluate to numeric or string values"),
    ("T2011", "The insert/update clause of the transform expression must evaluate to an object: {{value}}"),
    ("T2012", "The delete clause of the transform expression must evaluate to a string or array of strings: {{value}}"),
    (
        "T2013",
        "The transform expression clones the input object using the $clone() function.  This has been overridden in the current scope by a non-function.",
    ),
    (
        "D2014",
        "The size of the sequence allocated by the range operator (..) must not exceed 1e7.  Attempted to allocate {{value}}.",
    ),
    ("D3001", "Attempting to invoke string function on Infinity or NaN"),
    ("D3010", "Second argument of replace function cannot be an empty string"),
    ("D3011", "Fourth argument of replace function must evaluate to a positive number"),
    ("D3012", "Attempted to replace a matched string with a non-string value"),
    ("D3020", "Third argument of split function must evaluate to a positive number"),
    ("D3030", "Unable to cast value to a number: {{value}}"),
    ("D3040", "Third argument of match function must evaluate to a positive number"),
    ("D3050", "The second argument of reduce function must be a function with at least two arguments"),
    ("D3060", "The sqrt function cannot be applied to a negative number: {{value}}"),
    (
        "D3061",
        "The power function has resulted in a value that cannot be represented as a JSON number: base={{value}}, exponent={{value2}}",
    ),
    (
        "D3070",
        "The single argument form of the sort function can only be applied to an array of strings or an array of numbers.  Use the second argument to specify a comparison function",
    ),
    ("D3100", "The radix of the formatBase function must be between 2 and 36.  It was given {{value}}"),
    ("D3138", "The $single() function expected exactly 1 matching result.  Instead it matched more."),
    ("D3139", "The $single() function expected exactly 1 matching result.  Instead it matched 0."),
    ("D3140", "Malformed URL passed to ${{{token}}}(): {{value}}"),
];
