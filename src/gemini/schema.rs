//! JSON Schema as clients send it, made into what Google accepts (json_schema.md). Only schema nodes are touched: a
//! property may be called `type` or `format`.

use serde_json::Value;

/// Tool parameters, cleaned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// What goes into `parametersJsonSchema`; `None`: send no parameters at all.
    pub schema: Option<Value>,
    /// The root was no object and was wrapped as `{"input": root}`: unwrap the arguments on the way back.
    pub wrapped: bool,
}

/// Cleans the parameters of a function for `parametersJsonSchema`: the root becomes an object.
pub fn parameters(_schema: Value) -> Parameters {
    todo!()
}

/// Cleans a schema for `responseJsonSchema`: any root.
pub fn json(_schema: Value) -> Value {
    todo!()
}

/// Cleans a schema for the OpenAPI subset (`parameters`, `responseSchema`): upper-case types.
pub fn openapi(_schema: Value) -> Value {
    todo!()
}

/// Leaves types, properties, items, enum, description and required only: the second try after a refusal. Takes a schema
/// that [`parameters`] or [`json`] has cleaned.
pub fn minimal(_schema: Value) -> Value {
    todo!()
}
