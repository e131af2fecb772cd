//! The keywords of a node that constrain single values: types, enumerations, numbers, texts. What Google has no keyword
//! for becomes a hint in the description, so that the model still sees it.

use super::references::Layers;
use serde_json::{Map, Number, Value, json};
use std::collections::HashSet;

const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "array", "object", "null"];
/// Characters.
const LONGEST_HINTS: usize = 200;

/// Constraints in words.
#[derive(Default)]
pub(super) struct Hints(Vec<String>);

impl Hints {
    pub(super) fn push(&mut self, hint: String) {
        self.0.push(hint);
    }

    /// `description (hint; hint)`
    pub(super) fn append_to(self, schema: &mut Map<String, Value>) {
        if self.0.is_empty() {
            return;
        }
        let mut hints = self.0.join("; ");
        if let Some((end, _)) = hints.char_indices().nth(LONGEST_HINTS) {
            hints.truncate(end);
            hints.push('…');
        }
        let described = match schema.get("description").and_then(Value::as_str) {
            Some(description) if !description.is_empty() => format!("{description} ({hints})"),
            _ => format!("({hints})"),
        };
        schema.insert("description".into(), described.into());
    }
}

/// `type` in all its forms, with OpenAPI's `nullable`.
#[derive(Clone, Default)]
pub(super) struct Types {
    /// Without null.
    pub(super) names: Vec<&'static str>,
    pub(super) null: bool,
    /// OpenAPI's `nullable`, which goes beyond an `enum` and alternatives.
    pub(super) nullable: bool,
}

impl Types {
    pub(super) fn read(layers: &Layers) -> Types {
        let nullable = layers.all("nullable").any(|value| *value == Value::Bool(true));
        let mut types = Types { nullable, ..Types::default() };
        for value in layers.all("type") {
            let words = match value {
                Value::Array(words) => words.as_slice(),
                word => std::slice::from_ref(word),
            };
            for name in words.iter().filter_map(|word| known_type(word.as_str()?)) {
                match name {
                    "null" => types.null = true,
                    name if !types.names.contains(&name) => types.names.push(name),
                    _ => {}
                }
            }
            if types.null || !types.names.is_empty() {
                break;
            }
        }
        types
    }

    pub(super) fn untyped(&self) -> bool {
        self.names.is_empty() && !self.null
    }

    /// Whether a value of this type is possible as far as `type` says.
    pub(super) fn allow(&self, name: &str) -> bool {
        self.untyped() || self.names.contains(&name)
    }

    pub(super) fn set(&mut self, name: &'static str) {
        if self.untyped() {
            self.names.push(name);
        }
    }

    fn is_integer(&self) -> bool {
        self.names == ["integer"]
    }

    /// The keyword's value.
    pub(super) fn keyword(&self) -> Option<Value> {
        let mut names = self.names.clone();
        if self.null || (self.nullable && !names.is_empty()) {
            names.push("null");
        }
        match names[..] {
            [] => None,
            [name] => Some(name.into()),
            _ => Some(json!(names)),
        }
    }
}

/// Google's upper-case spelling is read too.
pub(super) fn known_type(word: &str) -> Option<&'static str> {
    TYPES.into_iter().find(|name| name.eq_ignore_ascii_case(word))
}

/// Reads `const` and `enum` into `schema`; may set the types.
pub(super) fn enumeration(layers: &Layers, types: &mut Types, schema: &mut Map<String, Value>, hints: &mut Hints) {
    let constant = layers.first("const", Some);
    let listed = layers.first("enum", Value::as_array);
    let values = match (constant, listed) {
        (Some(constant), _) => std::slice::from_ref(constant),
        (None, Some(values)) => values.as_slice(),
        (None, None) => return,
    };
    let (mut strings, mut numbers): (Vec<Value>, Vec<Value>) = Default::default();
    let (mut booleans, mut null, mut empty, mut others) = (0, false, false, false);
    let mut seen = HashSet::new();
    for value in values {
        match value {
            // Google refuses "enum[0]: cannot be empty".
            Value::String(text) if text.is_empty() => empty = true,
            Value::String(text) if seen.insert(text.clone()) => strings.push(value.clone()),
            // Where only texts are possible, the number is one that a schema writer forgot to quote.
            Value::Number(number) if types.names == ["string"] && seen.insert(number.to_string()) => {
                strings.push(number.to_string().into());
            }
            Value::Number(number) if seen.insert(format!("#{number}")) => numbers.push(value.clone()),
            Value::String(_) | Value::Number(_) => {}
            Value::Bool(_) => booleans += 1,
            Value::Null => null = true,
            Value::Array(_) | Value::Object(_) => others = true,
        }
    }
    drop(seen);

    let mut kinds: Vec<(&'static str, Vec<Value>)> = Vec::new();
    if !strings.is_empty() && types.allow("string") {
        kinds.push(("string", strings));
    }
    if !numbers.is_empty() && (types.allow("number") || types.allow("integer")) {
        let whole = types.is_integer() || (types.untyped() && numbers.iter().all(|number| !number.is_f64()));
        kinds.push((if whole { "integer" } else { "number" }, numbers));
    }
    if booleans > 0 && types.allow("boolean") {
        kinds.push(("boolean", Vec::new()));
    }
    if others || kinds.is_empty() || (booleans == 1 && kinds.len() == 1) {
        if values.iter().any(|value| !value.is_null() && value.as_str() != Some("")) {
            hints.push(in_words(values, constant.is_some()));
        }
        if others {
            // The hint says it all; a list without the objects would forbid them.
            kinds.clear();
            let objects = values.iter().all(Value::is_object);
            if objects {
                types.set("object");
            }
        }
    }
    match kinds.len() {
        0 if null && types.untyped() && values.iter().all(Value::is_null) => types.null = true,
        0 if empty => types.set("string"),
        0 => {}
        1 => {
            let (name, values) = kinds.remove(0);
            types.set(name);
            if values.is_empty() {
                types.nullable |= null;
            } else if null || types.nullable {
                // A list of values without null would forbid the null that the type allows.
                let mut member = Map::new();
                member.insert("type".into(), name.into());
                member.insert("enum".into(), values.into());
                schema.insert("anyOf".into(), json!([member, {"type": "null"}]));
                *types = Types::default();
            } else {
                schema.insert("enum".into(), values.into());
            }
        }
        _ => {
            let mut members: Vec<Value> = kinds
                .into_iter()
                .map(|(name, values)| match values.is_empty() {
                    true => json!({"type": name}),
                    false => json!({"type": name, "enum": values}),
                })
                .collect();
            if null || types.nullable {
                members.push(json!({"type": "null"}));
            }
            schema.insert("anyOf".into(), members.into());
            *types = Types::default();
        }
    }
}

/// `must be true`, `one of: 1, 2`
pub(super) fn in_words(values: &[Value], constant: bool) -> String {
    let words: Vec<String> = values
        .iter()
        .map(|value| match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        })
        .collect();
    match &words[..] {
        [word] if constant || values[0].is_boolean() => format!("must be {word}"),
        words => format!("one of: {}", words.join(", ")),
    }
}

/// `minimum`, `maximum` and their exclusive forms of draft 4 and later.
pub(super) fn bounds(layers: &Layers, types: &Types, schema: &mut Map<String, Value>, hints: &mut Hints) {
    if !types.allow("number") && !types.allow("integer") {
        return;
    }
    for (keyword, exclusive, side) in
        [("minimum", "exclusiveMinimum", Side::Lower), ("maximum", "exclusiveMaximum", Side::Upper)]
    {
        let mut bound: Option<Bound> = None;
        for map in layers.maps() {
            let inclusive = map.get(keyword).and_then(number);
            let candidates = match map.get(exclusive) {
                // Draft 4: a flag of the other keyword.
                Some(Value::Bool(true)) => [None, inclusive.map(|value| (value, true))],
                limit => [inclusive.map(|value| (value, false)), limit.and_then(number).map(|value| (value, true))],
            };
            for (value, open) in candidates.into_iter().flatten() {
                let candidate = if open && types.is_integer() {
                    Bound { value: side.next_integer(&value), open: false }
                } else {
                    Bound { value, open }
                };
                if bound.as_ref().is_none_or(|bound| side.is_tighter(&candidate, bound)) {
                    bound = Some(candidate);
                }
            }
        }
        let Some(bound) = bound else { continue };
        if bound.open {
            hints.push(format!("{} {}", side.words(), bound.value));
        }
        schema.insert(keyword.into(), bound.value.into());
    }
    if let Some(step) = layers.first("multipleOf", number) {
        hints.push(format!("multiple of {step}"));
    }
}

struct Bound {
    value: Number,
    open: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Lower,
    Upper,
}

impl Side {
    fn words(self) -> &'static str {
        match self {
            Side::Lower => "greater than",
            Side::Upper => "less than",
        }
    }

    fn is_tighter(self, candidate: &Bound, bound: &Bound) -> bool {
        let (new, old) = (candidate.value.as_f64().unwrap_or(0.0), bound.value.as_f64().unwrap_or(0.0));
        match self {
            _ if new == old => candidate.open && !bound.open,
            Side::Lower => new > old,
            Side::Upper => new < old,
        }
    }

    /// The first integer inside an exclusive bound.
    fn next_integer(self, bound: &Number) -> Number {
        let step = if self == Side::Lower { 1 } else { -1 };
        if let Some(next) = bound.as_i64().and_then(|whole| whole.checked_add(step)) {
            return next.into();
        }
        let value = bound.as_f64().unwrap_or(0.0);
        let inside = if self == Side::Lower { value.floor() + 1.0 } else { value.ceil() - 1.0 };
        if inside.abs() < 9e15 { (inside as i64).into() } else { bound.clone() }
    }
}

fn number(value: &Value) -> Option<Number> {
    value.as_number().cloned()
}

/// `format`, `pattern` and lengths.
pub(super) fn text_rules(layers: &Layers, types: &Types, schema: &mut Map<String, Value>, hints: &mut Hints) {
    let string = types.names == ["string"];
    let numeric = matches!(types.names[..], ["integer"] | ["number"]);
    if let Some(format) = layers.first("format", Value::as_str).filter(|format| !format.is_empty()) {
        let kept = (string && matches!(format, "date-time" | "date" | "time"))
            || (numeric && matches!(format, "int32" | "int64" | "float" | "double"));
        if kept {
            schema.insert("format".into(), format.into());
        } else if format != "enum" {
            hints.push(format!("format: {format}"));
        }
    }
    if !types.allow("string") {
        return;
    }
    if let Some(pattern) = layers.first("pattern", Value::as_str) {
        hints.push(format!("pattern: {pattern}"));
    }
    for (keyword, words) in [("minLength", "min length"), ("maxLength", "max length")] {
        if let Some(length) = layers.first(keyword, count) {
            hints.push(format!("{words}: {length}"));
        }
    }
}

/// A count; Google's own schemas write 64-bit numbers as text.
pub(super) fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number
            .as_u64()
            .or_else(|| Some(number.as_f64()?).filter(|n| *n >= 0.0 && n.fract() == 0.0).map(|n| n as u64)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}
