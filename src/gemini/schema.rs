//! JSON Schema as clients send it, made into what Google accepts (docs/schema.md "What becomes of each keyword"). Only
//! schema nodes are touched: a property may be called `type` or `format`.
//!
//! The result holds these keywords only: type, format, title, description, enum, properties, required,
//! propertyOrdering, additionalProperties, items, prefixItems, minItems, maxItems, minimum, maximum, anyOf. References
//! are inlined, recursion is cut, what has no keyword becomes a hint in the description. Cleaning a clean schema
//! changes nothing.

mod conditions;
mod maps;
mod node;
mod openapi;
mod reduce;
mod references;
mod values;

use node::{add_alternative, clean, split_types};
use serde_json::{Map, Value, json};

/// Tool parameters, cleaned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// What goes into `parametersJsonSchema`; `None`: send no parameters at all.
    pub schema: Option<Value>,
    /// The root was no object and was wrapped as `{"input": root}`: unwrap the arguments on the way back.
    pub wrapped: bool,
}

/// Cleans the parameters of a function for `parametersJsonSchema`: the root becomes an object. Takes a schema, a schema
/// as JSON text, or a bare map of properties.
pub fn parameters(schema: Value) -> Parameters {
    let Some(root) = clean(&document(schema)) else { return Parameters::default() };
    let mut root = match object_root(root) {
        Ok(object) => {
            let says_something = ["properties", "additionalProperties"].iter().any(|name| object.contains_key(*name));
            let schema = says_something.then_some(Value::Object(object));
            return Parameters { schema, wrapped: false };
        }
        Err(other) => other,
    };
    if !root.contains_key("type") && !root.contains_key("anyOf") {
        return Parameters::default();
    }
    if let Some(Value::Array(names)) = root.get("type").filter(|kind| kind.is_array()).cloned() {
        root.remove("type");
        split_types(&mut root, &names);
    }
    wrap(root.into())
}

impl Parameters {
    /// As a dialect without maps can have them: a root without known properties is wrapped.
    #[must_use]
    pub fn without_maps(self) -> Parameters {
        match self.schema {
            Some(root) if root.get("properties").is_none() => wrap(root),
            schema => Parameters { schema, ..self },
        }
    }
}

fn wrap(root: Value) -> Parameters {
    let wrapper = json!({"type": "object", "properties": {"input": root}, "required": ["input"]});
    Parameters { schema: Some(wrapper), wrapped: true }
}

/// Whether a clean schema has an object without known properties, for which the OpenAPI subset has a text only.
pub fn has_map(schema: &Value) -> bool {
    match schema {
        Value::Array(members) => members.iter().any(has_map),
        Value::Object(node) => {
            let is_object = node.get("type").is_some_and(|name| name == "object");
            is_object && !node.contains_key("properties") || node.values().any(has_map)
        }
        _ => false,
    }
}

/// Cleans a schema for `responseJsonSchema`: any root.
pub fn json(schema: Value) -> Value {
    Value::Object(clean(&document(schema)).unwrap_or_default())
}

/// Cleans a schema for the OpenAPI subset (`parameters`, `responseSchema`): upper-case types.
pub fn openapi(schema: Value) -> Value {
    openapi::translate(clean(&document(schema)).unwrap_or_default())
}

/// Leaves types, properties, items, enum, description and required only: the second try after a refusal. Takes a schema
/// that [`parameters`] or [`json()`] has cleaned.
pub fn minimal(schema: Value) -> Value {
    reduce::reduce(schema)
}

/// Undoes what broken clients do to a schema as a whole.
fn document(schema: Value) -> Value {
    let schema = match schema {
        Value::String(text) => serde_json::from_str(&text).unwrap_or_default(),
        schema => schema,
    };
    match schema {
        Value::Object(map) if is_bare_property_map(&map) => json!({"type": "object", "properties": map}),
        schema => schema,
    }
}

/// `{"city": {"type": "string"}}`: every value is an object, and no key is a keyword whose value may be one.
fn is_bare_property_map(map: &Map<String, Value>) -> bool {
    const KEYWORDS_OF_OBJECTS: [&str; 27] = [
        "properties",
        "items",
        "$defs",
        "definitions",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "unevaluatedProperties",
        "unevaluatedItems",
        "additionalItems",
        "contains",
        "not",
        "if",
        "then",
        "else",
        "dependentSchemas",
        "dependentRequired",
        "dependencies",
        "const",
        "default",
        "example",
        "examples",
        "discriminator",
        "xml",
        "externalDocs",
        "$vocabulary",
        "contentSchema",
    ];
    !map.is_empty()
        && map.iter().all(|(key, value)| {
            value.is_object() && !KEYWORDS_OF_OBJECTS.contains(&key.as_str()) && !key.starts_with("x-")
        })
}

/// The root as one object: itself, or what its alternatives have in common. `Err` gives a root back that is no object.
fn object_root(mut root: Map<String, Value>) -> Result<Map<String, Value>, Map<String, Value>> {
    let may_be = may_be_object(&root);
    let Some(Value::Array(members)) = root.get("anyOf") else {
        return if may_be { Ok(plain_object(root)) } else { Err(root) };
    };
    let objects: Vec<&Map<String, Value>> =
        members.iter().filter_map(Value::as_object).filter(|member| !is_null(member)).collect();
    if objects.iter().all(|member| may_be_object(member)) {
        let united = unite(&objects);
        merge(&mut root, united);
    } else if !may_be {
        return Err(root);
    }
    Ok(plain_object(root))
}

/// Leaves the object of a root that may be something else, too: parameters are nothing else.
fn plain_object(mut root: Map<String, Value>) -> Map<String, Value> {
    root.retain(|keyword, _| {
        const OF_OBJECTS: [&str; 6] =
            ["title", "description", "properties", "required", "propertyOrdering", "additionalProperties"];
        OF_OBJECTS.contains(&keyword.as_str())
    });
    root.insert("type".into(), "object".into());
    root
}

fn may_be_object(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(Value::String(name)) => name == "object",
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        _ => false,
    }
}

fn is_null(schema: &Map<String, Value>) -> bool {
    schema.get("type").is_some_and(|name| name == "null")
}

/// All properties of all alternatives; required is what every one of them requires.
fn unite(objects: &[&Map<String, Value>]) -> Map<String, Value> {
    let mut properties: Map<String, Value> = Map::new();
    for (name, schema) in objects.iter().filter_map(|object| object.get("properties")?.as_object()).flatten() {
        match properties.get_mut(name) {
            None => _ = properties.insert(name.clone(), schema.clone()),
            Some(known) if known == schema => {}
            Some(known) => *known = either(known.take(), schema.clone()),
        }
    }
    let names = |object: &Map<String, Value>| references::list(object.get("required")).to_vec();
    let mut required = objects.first().map(|first| names(first)).unwrap_or_default();
    for object in objects {
        let names = names(object);
        required.retain(|name| names.contains(name));
    }
    let mut united = Map::new();
    united.insert("type".into(), "object".into());
    if !properties.is_empty() {
        united.insert("properties".into(), properties.into());
    }
    if !required.is_empty() {
        united.insert("required".into(), required.into());
    }
    let values = objects.iter().filter_map(|object| object.get("additionalProperties")).cloned().reduce(either);
    if let Some(values) = values {
        united.insert("additionalProperties".into(), values);
    }
    united
}

/// A schema for what either of two allows. Lists of values, such as the tags of a tagged union, become one list.
fn either(one: Value, other: Value) -> Value {
    if let (Some(Value::Array(values)), Some(Value::Array(more))) = (one.get("enum"), other.get("enum"))
        && one.get("type") == other.get("type")
    {
        let mut values = values.clone();
        more.iter().for_each(|value| node::push_new(&mut values, value.clone()));
        let mut both = one.clone();
        both["enum"] = values.into();
        return both;
    }
    let mut members = Vec::new();
    for schema in [one, other] {
        // Anything goes in one of them.
        if schema == Value::Bool(true) || schema.as_object().is_some_and(Map::is_empty) {
            return schema;
        }
        add_alternative(&mut members, schema);
    }
    json!({"anyOf": members})
}

/// Adds to a schema what another one says besides: properties and required names are united.
fn merge(schema: &mut Map<String, Value>, other: Map<String, Value>) {
    for (keyword, value) in other {
        match (schema.get_mut(&keyword), value) {
            (Some(Value::Object(known)), Value::Object(more)) if keyword == "properties" => {
                more.into_iter().for_each(|(name, schema)| _ = known.entry(name).or_insert(schema));
            }
            (Some(Value::Array(known)), Value::Array(more)) if keyword == "required" => {
                more.into_iter().for_each(|name| node::push_new(known, name));
            }
            (None, value) => _ = schema.insert(keyword, value),
            _ => {}
        }
    }
}
