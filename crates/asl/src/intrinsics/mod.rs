//! The intrinsic functions: `States.Format('…', $.x)` and the others. One table row and one function each.

mod array;
mod parser;
mod text;
mod various;

use serde_json::Value;

use crate::expr::{EvalError, Expr, Scope};
use crate::random::Random;

/// A parsed call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    source: String,
    function: usize,
    arguments: Vec<Argument>,
}

#[derive(Clone, Debug, PartialEq)]
enum Argument {
    Literal(Value),
    Path(Expr),
    Call(Call),
}

type Function = fn(&[Value], &mut Random) -> Result<Value, String>;

/// Name, fewest and most arguments, function.
const FUNCTIONS: &[(&str, usize, usize, Function)] = &[
    ("States.Array", 0, usize::MAX, array::array),
    ("States.ArrayContains", 2, 2, array::contains),
    ("States.ArrayGetItem", 2, 2, array::get_item),
    ("States.ArrayLength", 1, 1, array::length),
    ("States.ArrayPartition", 2, 2, array::partition),
    ("States.ArrayRange", 3, 3, array::range),
    ("States.ArrayUnique", 1, 1, array::unique),
    ("States.Base64Decode", 1, 1, text::base64_decode),
    ("States.Base64Encode", 1, 1, text::base64_encode),
    ("States.Format", 1, usize::MAX, text::format),
    ("States.Hash", 2, 2, text::hash),
    ("States.JsonMerge", 3, 3, various::json_merge),
    ("States.JsonToString", 1, 1, various::json_to_string),
    ("States.MathAdd", 2, 2, various::math_add),
    ("States.MathRandom", 2, 3, various::math_random),
    ("States.StringSplit", 2, 2, text::string_split),
    ("States.StringToJson", 1, 1, various::string_to_json),
    ("States.UUID", 0, 0, various::uuid),
];

impl Call {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        parser::parse(text)
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The paths among its arguments, those of calls within it too.
    pub(crate) fn each_path(&self, see: &mut impl FnMut(&Expr)) {
        for argument in &self.arguments {
            match argument {
                Argument::Path(path) => see(path),
                Argument::Call(call) => call.each_path(see),
                Argument::Literal(_) => {}
            }
        }
    }

    pub(crate) fn eval(&self, scope: &Scope<'_>) -> Result<Value, EvalError> {
        let mut arguments = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            arguments.push(match argument {
                Argument::Literal(value) => value.clone(),
                Argument::Path(path) => path.eval(scope)?,
                Argument::Call(call) => call.eval(scope)?,
            });
        }
        let (_, _, _, function) = FUNCTIONS[self.function];
        let value = function(&arguments, &mut scope.random.borrow_mut())
            .map_err(|reason| EvalError::Intrinsic { source: self.source.clone(), reason })?;
        match scope.meter.hold(&value) {
            Ok(()) => Ok(value),
            Err(_) => Err(EvalError::TooMuch { source: self.source.clone() }),
        }
    }
}

#[cfg(test)]
mod tests;
