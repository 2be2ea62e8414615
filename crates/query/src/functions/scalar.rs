//! One scalar function by its name.

use std::hash::{Hash, Hasher};

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use trino_functions::Type;
use trino_functions::call::{Column, resolve};

use super::{argument, failed, field_of, scalar_of};

#[derive(Debug)]
pub(crate) struct TrinoScalar {
    name: &'static str,
    signature: Signature,
}

impl TrinoScalar {
    pub(crate) fn new(name: &'static str) -> Self {
        let volatility = match name {
            "random" | "uuid" | "shuffle" | "fail" => Volatility::Volatile,
            _ => Volatility::Immutable,
        };
        let any = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
        Self { name, signature: Signature::one_of(any, volatility) }
    }

    /// The name by which [`trino_functions`] knows it: `map` is DataFusion's grammar.
    pub(crate) fn trino(&self) -> &'static str {
        if self.name == "$map" { "map" } else { self.name }
    }
}

impl PartialEq for TrinoScalar {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TrinoScalar {}

impl Hash for TrinoScalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for TrinoScalar {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let arguments: Vec<_> = types
            .iter()
            .map(|ty| trino_functions::call::Argument { ty: Type::of_data_type(ty), literal: None })
            .collect();
        Ok(resolve(self.trino(), &arguments).map_err(failed)?.returns.data_type())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let arguments: Vec<_> =
            args.arg_fields.iter().zip(args.scalar_arguments).map(|(field, scalar)| argument(field, *scalar)).collect();
        Ok(field_of(&resolve(self.trino(), &arguments).map_err(failed)?.returns, self.name))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut arguments = Vec::with_capacity(args.args.len());
        let mut columns = Vec::with_capacity(args.args.len());
        let mut all_constant = true;
        for (value, field) in args.args.iter().zip(&args.arg_fields) {
            let (array, constant, scalar) = match value {
                ColumnarValue::Array(array) => (array.clone(), false, None),
                ColumnarValue::Scalar(scalar) => (scalar.to_array()?, true, Some(scalar)),
            };
            all_constant &= constant;
            arguments.push(argument(field, scalar));
            columns.push(Column { array, constant });
        }
        let call = resolve(self.trino(), &arguments).map_err(failed)?;
        let given: Vec<Type> = arguments.into_iter().map(|argument| argument.ty).collect();
        let fold = all_constant && self.signature.volatility != Volatility::Volatile;
        let rows = if fold { 1 } else { args.number_rows };
        let result = call.run(&columns, &given, rows).map_err(failed)?;
        Ok(if fold { ColumnarValue::Scalar(scalar_of(&result)?) } else { ColumnarValue::Array(result) })
    }

    fn short_circuits(&self) -> bool {
        matches!(self.name, "$case" | "$case_of" | "coalesce" | "if")
    }
}
