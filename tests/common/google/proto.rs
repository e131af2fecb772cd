//! The reader of requests that refuses unknown names and wrong types the way Google's JSON parser does; `messages` has the
//! tables. Both spellings of a name are read; what comes out is camelCase.

use super::errors::Refusal;
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value, json};

/// Which service reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    CodeAssist,
    Public,
    Vertex,
}

/// Who knows a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Both,
    /// Code Assist, and Vertex AI whose fields it has.
    CodeAssist,
    Public,
    Vertex,
}

/// The type of a field.
pub enum Kind {
    Text,
    Bool,
    Int32,
    Int64,
    Number,
    Bytes,
    /// Exact spelling.
    Enum(&'static [&'static str]),
    /// Any case.
    LooseEnum(&'static [&'static str]),
    /// Safety categories, of which Code Assist knows more.
    Category,
    /// A Struct: any object.
    Object,
    Any,
    One(&'static Message),
    Many(&'static Kind),
    /// Values by free names.
    Table(&'static Kind),
}

/// A message and its fields.
pub struct Message(pub &'static [(&'static str, Kind, Known)]);

use Kind::{Any, Bool, Bytes, Category, Enum, Int32, Int64, LooseEnum, Many, Number, Object, One, Table, Text};
use Known::{Both, CodeAssist, Public, Vertex};

const PUBLIC_CATEGORIES: &[&str] =
    &["HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY"];
const VERTEX_CATEGORIES: &[&str] = &[
    "JAILBREAK",
    "UNSPECIFIED",
    "IMAGE_HARASSMENT",
    "IMAGE_HATE",
    "IMAGE_SEXUALLY_EXPLICIT",
    "IMAGE_DANGEROUS_CONTENT",
];

/// Reads a body; every unknown name and wrong value goes into one 400.
pub fn read(message: &Message, body: &Value, side: Side) -> Result<Value, Refusal> {
    let mut reader = Reader { side, faults: Vec::new() };
    let read = match body {
        Value::Object(fields) => reader.message(message, fields, ""),
        _ => return Err(Refusal::invalid("Invalid JSON payload received. Unexpected token.\n^")),
    };
    if reader.faults.is_empty() {
        return Ok(read);
    }
    let text: Vec<&str> = reader.faults.iter().map(|(_, text)| text.as_str()).collect();
    let violations: Vec<Value> = reader
        .faults
        .iter()
        .map(|(path, text)| match path.is_empty() {
            true => json!({"description": text}),
            false => json!({"field": path, "description": text}),
        })
        .collect();
    let detail = json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations});
    Err(Refusal::invalid(text.join("\n")).detail(detail))
}

/// The 400 for one name nobody knows.
pub fn unknown_name(name: &str, path: &str) -> Refusal {
    Refusal::invalid(unknown(name, path))
}

fn unknown(name: &str, path: &str) -> String {
    let place = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
    format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field.")
}

struct Reader {
    side: Side,
    faults: Vec<(String, String)>,
}

impl Reader {
    fn message(&mut self, message: &Message, fields: &Map<String, Value>, path: &str) -> Value {
        let mut read = Map::new();
        for (name, value) in fields {
            let found = message.0.iter().find(|(known, _, who)| {
                let here = match who {
                    Both => true,
                    CodeAssist => self.side != Side::Public,
                    Vertex => self.side == Side::Vertex,
                    Public => self.side == Side::Public,
                };
                here && (name == known || *name == snake(known))
            });
            let Some((known, kind, _)) = found else {
                self.faults.push((path.to_string(), unknown(name, path)));
                continue;
            };
            let below = if path.is_empty() { snake(known) } else { format!("{path}.{}", snake(known)) };
            // A null is an unset field, but for free values.
            if value.is_null() && !matches!(kind, Any) {
                continue;
            }
            if read.contains_key(*known) {
                self.fault(&below, format!("Invalid value at '{below}': the field is given twice"));
                continue;
            }
            let value = self.value(kind, value, &below);
            read.insert(known.to_string(), value);
        }
        Value::Object(read)
    }

    fn fault(&mut self, path: &str, text: String) {
        self.faults.push((path.to_string(), text));
    }

    fn wrong(&mut self, path: &str, wanted: &str, value: &Value) {
        self.fault(path, format!("Invalid value at '{path}' ({wanted}), {value}"));
    }

    fn value(&mut self, kind: &Kind, value: &Value, path: &str) -> Value {
        if value.is_array() && !matches!(kind, Many(_) | Any) {
            let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
            let place = if parent.is_empty() { String::new() } else { format!(" at '{parent}'") };
            let text = format!(
                "Invalid JSON payload received. Unknown name \"{name}\"{place}: Proto field is not repeating, cannot start list."
            );
            self.fault(parent, text);
            return Value::Null;
        }
        match kind {
            Any => {}
            Text if !value.is_string() => self.wrong(path, "TYPE_STRING", value),
            Bool if !value.is_boolean() => self.wrong(path, "TYPE_BOOL", value),
            Number if !number(value).is_some_and(f64::is_finite) => self.wrong(path, "TYPE_FLOAT", value),
            Int32 => match integer(value).filter(|value| i32::try_from(*value).is_ok()) {
                Some(number) => return json!(number),
                None => self.wrong(path, "TYPE_INT32", value),
            },
            Int64 => match integer(value) {
                Some(number) => return json!(number),
                None => self.wrong(path, "TYPE_INT64", value),
            },
            Bytes if !value.as_str().is_some_and(is_base64) => {
                let text =
                    format!("Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for {}", short(value));
                self.fault(path, text);
            }
            Enum(names) if !value.as_str().is_some_and(|name| names.contains(&name)) => {
                self.wrong(path, "TYPE_ENUM", value)
            }
            LooseEnum(names) => {
                let upper = value.as_str().map(str::to_ascii_uppercase).unwrap_or_default();
                if names.contains(&upper.as_str()) {
                    return json!(upper);
                }
                self.wrong(path, "TYPE_ENUM", value);
            }
            Category => {
                let name = value.as_str().and_then(|name| name.strip_prefix("HARM_CATEGORY_")).unwrap_or("");
                let vertex = self.side != Side::Public && VERTEX_CATEGORIES.contains(&name);
                if !vertex && !PUBLIC_CATEGORIES.contains(&name) {
                    self.wrong(path, "TYPE_ENUM", value);
                }
            }
            Object if !value.is_object() => self.wrong(path, "TYPE_MESSAGE", value),
            One(message) => match value.as_object() {
                Some(fields) => return self.message(message, fields, path),
                None => self.wrong(path, "TYPE_MESSAGE", value),
            },
            Many(kind) => match value.as_array() {
                Some(values) => {
                    let each = values.iter().enumerate();
                    return each.map(|(at, value)| self.value(kind, value, &format!("{path}[{at}]"))).collect();
                }
                // One value where a list is wanted is read as a list of it.
                None => return json!([self.value(kind, value, &format!("{path}[0]"))]),
            },
            Table(kind) => match value.as_object() {
                Some(fields) => {
                    let mut read = Map::new();
                    for (at, (name, value)) in fields.iter().enumerate() {
                        read.insert(name.clone(), self.value(kind, value, &format!("{path}[{at}].value")));
                    }
                    return Value::Object(read);
                }
                None => self.wrong(path, "TYPE_MESSAGE", value),
            },
            _ => {}
        }
        value.clone()
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn integer(value: &Value) -> Option<i64> {
    let whole = |number: f64| (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(whole)).or_else(|| value.as_str()?.parse().ok())
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

/// Either alphabet, padded or not.
pub fn is_base64(text: &str) -> bool {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let standard = text.replace('-', "+").replace('_', "/");
    GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(standard).is_ok()
}

/// `generationConfig` as `generation_config`.
fn snake(name: &str) -> String {
    let mut made = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            made.push('_');
        }
        made.push(letter.to_ascii_lowercase());
    }
    made
}
