//! What the kinds of expression share: paths, operands and functions, read from the tokens.

use crate::Invalid;
use crate::value::Value;

use super::lexer::{Token, Tokens};
use super::path::{Element, Path};
use super::placeholders::Placeholders;
use super::reserved::is_reserved;

/// Deepest nesting of parentheses, NOTs and functions.
const MAX_DEPTH: usize = MAX_OPERATORS;
/// Most operators and functions in one expression.
const MAX_OPERATORS: usize = 300;
/// The words that are tokens of the language in every kind of expression; other reserved words are told as such.
const KEYWORDS: [&str; 9] = ["AND", "OR", "NOT", "BETWEEN", "IN", "SET", "ADD", "REMOVE", "DELETE"];

pub(super) struct Parser<'a> {
    pub(super) tokens: Tokens<'a>,
    placeholders: &'a Placeholders,
    depth: usize,
    operators: usize,
}

/// One side of a comparison, or an argument.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Path(Path),
    Value(Value),
    /// `size(path)`
    Size(Path),
}

impl<'a> Parser<'a> {
    pub(super) fn new(source: &'a str, placeholders: &'a Placeholders) -> Result<Self, Invalid> {
        Ok(Self { tokens: Tokens::new(source)?, placeholders, depth: 0, operators: 0 })
    }

    pub(super) fn path(&mut self) -> Result<Path, Invalid> {
        let attribute = self.attribute()?;
        let mut rest = Vec::new();
        loop {
            if self.tokens.take(".") {
                rest.push(Element::Attribute(self.attribute()?));
            } else if self.tokens.take("[") {
                let Token::Index(digits) = self.tokens.peek() else { return Err(self.tokens.syntax_error()) };
                let index = digits.parse::<u32>().ok().filter(|index| *index < 100_000).ok_or_else(|| {
                    Invalid::new(format!("List index is not within the allowable range; index: [{digits}]"))
                })?;
                self.tokens.next();
                self.tokens.expect("]")?;
                rest.push(Element::Index(index as usize));
            } else {
                break;
            }
        }
        if rest.len() >= 32 {
            return Err(Invalid::new("The document path has too many nesting elements; nesting levels: 32"));
        }
        Ok(Path { attribute, rest })
    }

    fn attribute(&mut self) -> Result<String, Invalid> {
        match self.tokens.peek() {
            Token::Name(placeholder) => {
                let name = self.placeholders.name(placeholder)?;
                self.tokens.next();
                Ok(name)
            }
            Token::Word(word) if KEYWORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword)) => {
                Err(self.tokens.syntax_error())
            }
            Token::Word(word) if is_reserved(word) => {
                Err(Invalid::new(format!("Attribute name is a reserved keyword; reserved keyword: {word}")))
            }
            Token::Word(word) => {
                let word = word.clone();
                self.tokens.next();
                Ok(word)
            }
            _ => Err(self.tokens.syntax_error()),
        }
    }

    pub(super) fn value(&mut self) -> Result<Value, Invalid> {
        let Token::Value(placeholder) = self.tokens.peek() else { return Err(self.tokens.syntax_error()) };
        let value = self.placeholders.value(placeholder)?;
        self.tokens.next();
        Ok(value)
    }

    /// The name of a function if a call begins here.
    pub(super) fn function_ahead(&self) -> Option<String> {
        match (self.tokens.peek(), self.tokens.peek_at(1)) {
            (Token::Word(word), Token::Symbol("(")) => Some(word.clone()),
            _ => None,
        }
    }

    /// `( item, item, … )` after the name of a function.
    pub(super) fn arguments<T>(
        &mut self,
        mut argument: impl FnMut(&mut Self) -> Result<T, Invalid>,
    ) -> Result<Vec<T>, Invalid> {
        self.tokens.expect("(")?;
        let mut arguments = vec![argument(self)?];
        while self.tokens.take(",") {
            arguments.push(argument(self)?);
        }
        self.tokens.expect(")")?;
        Ok(arguments)
    }

    /// Whether the parenthesis that comes next is around an operand, not around a condition.
    pub(super) fn operand_in_parentheses(&self) -> bool {
        if !self.tokens.is_symbol("(") {
            return false;
        }
        let after = self.tokens.closed_at(self.tokens.place());
        let Some(after) = after.and_then(|after| after.checked_sub(self.tokens.place())) else { return false };
        match self.tokens.peek_at(after) {
            Token::Symbol(symbol) => matches!(*symbol, "=" | "<>" | "<" | "<=" | ">" | ">=" | "+" | "-"),
            Token::Word(word) => ["BETWEEN", "IN"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword)),
            _ => false,
        }
    }

    /// An operand of a condition; `size` is the only function that may be one.
    pub(super) fn operand(&mut self) -> Result<Operand, Invalid> {
        if self.tokens.take("(") {
            if self.tokens.is_symbol("(") {
                return Err(redundant_parentheses());
            }
            let inner = self.nested(Self::operand)?;
            self.tokens.expect(")")?;
            return Ok(inner);
        }
        if let Some(function) = self.function_ahead() {
            if function != "size" {
                return Err(if is_condition_function(&function) {
                    not_allowed_this_way(&function)
                } else {
                    no_condition_function(&function)
                });
            }
            self.tokens.next();
            self.operator()?;
            let arguments = self.arguments(Self::operand)?;
            let count = arguments.len();
            return match <[Operand; 1]>::try_from(arguments) {
                Ok([Operand::Path(path)]) => Ok(Operand::Size(path)),
                // Of a value that has a length it is a number already.
                Ok([Operand::Value(value)]) => {
                    match value.length().and_then(|length| length.to_string().parse().ok()) {
                        Some(length) => Ok(Operand::Value(Value::N(length))),
                        None => Err(wrong_operand_type("size", value.type_name())),
                    }
                }
                Ok([Operand::Size(_)]) => Err(wrong_operand_type("size", "N")),
                Err(_) => Err(wrong_operand_count("size", count)),
            };
        }
        if matches!(self.tokens.peek(), Token::Value(_)) {
            return Ok(Operand::Value(self.value()?));
        }
        Ok(Operand::Path(self.path()?))
    }

    /// Counts an operator or function against the limit.
    pub(super) fn operator(&mut self) -> Result<(), Invalid> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return Err(Invalid::new(format!(
                "The expression contains too many operators; operator count: {}",
                self.operators
            )));
        }
        Ok(())
    }

    /// Runs `inner` one level deeper.
    pub(super) fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Invalid>) -> Result<T, Invalid> {
        if self.depth >= MAX_DEPTH {
            return Err(Invalid::new("The expression has too many nesting levels;"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    pub(super) fn end(&self) -> Result<(), Invalid> {
        if self.tokens.at_end() { Ok(()) } else { Err(self.tokens.syntax_error()) }
    }
}

fn is_condition_function(name: &str) -> bool {
    matches!(name, "attribute_exists" | "attribute_not_exists" | "attribute_type" | "begins_with" | "contains")
}

/// Of a function that no condition has.
pub(super) fn no_condition_function(function: &str) -> Invalid {
    Invalid::new(if is_update_function(function) {
        format!("The function is not allowed in a condition expression; function: {function}")
    } else {
        format!("Invalid function name; function: {function}")
    })
}

/// Of a function that no update has.
pub(super) fn no_update_function(function: &str) -> Invalid {
    Invalid::new(if function == "size" || is_condition_function(function) {
        format!("The function is not allowed in an update expression; function: {function}")
    } else {
        format!("Invalid function name; function: {function}")
    })
}

pub(super) fn is_update_function(name: &str) -> bool {
    matches!(name, "if_not_exists" | "list_append")
}

pub(super) fn redundant_parentheses() -> Invalid {
    Invalid::new("The expression has redundant parentheses;")
}

pub(super) fn not_allowed_this_way(function: &str) -> Invalid {
    Invalid::new(format!("The function is not allowed to be used this way in an expression; function: {function}"))
}

pub(super) fn wrong_operand_count(function: &str, count: usize) -> Invalid {
    Invalid::new(format!(
        "Incorrect number of operands for operator or function; operator or function: {function}, \
         number of operands: {count}"
    ))
}

pub(super) fn wrong_operand_type(function: &str, found: &str) -> Invalid {
    Invalid::new(format!(
        "Incorrect operand type for operator or function; operator or function: {function}, operand type: {found}"
    ))
}
