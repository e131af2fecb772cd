//! What clients send: a JSON object, or a form whose texts are read as if they were one.

use super::multipart::{self, Part};
use crate::api::openai::object;
use crate::api::params::{Object, take, wrong_type};
use crate::conversation::attachments;
use crate::error::ApiError;
use crate::gemini;
use serde_json::{Number, Value};

/// A request: its fields, and its files in Google's terms in the order they came, by the names of their fields without
/// brackets.
pub(super) struct Form {
    pub fields: Object,
    pub files: Vec<(String, gemini::Part)>,
}

impl Form {
    /// Reads a body. Each file must be of one of the `families`, such as `image/`.
    pub fn read(kind: &str, body: Vec<u8>, families: &[&str]) -> Result<Form, ApiError> {
        if !multipart::is_form(kind) {
            return Ok(Form { fields: object(body)?, files: Vec::new() });
        }
        let mut form = Form { fields: Object::new(), files: Vec::new() };
        for part in multipart::parts(kind, &body)? {
            let name = part.name.find('[').map_or(&*part.name, |at| &part.name[..at]).to_owned();
            if part.file_name.is_some() || FILES.contains(&&*name) && !is_text(&part) {
                form.files.push((name.clone(), file(&name, &part, families)?));
                continue;
            }
            let Ok(text) = std::str::from_utf8(part.data) else {
                return Err(ApiError::invalid(name, "invalid_value", "A field of the form is not UTF-8."));
            };
            let is_list = part.name.len() > name.len();
            match form.fields.get_mut(&name) {
                Some(Value::Array(list)) if is_list => list.push(text.into()),
                _ if is_list => _ = form.fields.insert(name, Value::Array(vec![text.into()])),
                _ => _ = form.fields.insert(name, text.into()),
            }
        }
        Ok(form)
    }

    /// Takes a whole number, which a form has as text.
    pub fn whole(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        let number = self.number(name)?;
        let whole = |number: f64| (number.fract() == 0.0).then_some(number as i64);
        match number {
            None => Ok(None),
            Some(number) => whole(number).map(Some).ok_or_else(|| {
                wrong_type(name, "an integer", &Number::from_f64(number).map_or(Value::Null, Value::Number))
            }),
        }
    }

    /// Takes a number.
    pub fn number(&mut self, name: &str) -> Result<Option<f64>, ApiError> {
        let Some(value) = take(&mut self.fields, name) else { return Ok(None) };
        let number = match &value {
            Value::String(text) if text.trim().is_empty() => return Ok(None),
            Value::String(text) => text.trim().parse::<f64>().ok().filter(|number| number.is_finite()),
            other => other.as_f64(),
        };
        number.map(Some).ok_or_else(|| wrong_type(name, "a number", &value))
    }

    /// Takes a truth value.
    pub fn flag(&mut self, name: &str) -> Result<bool, ApiError> {
        let Some(value) = take(&mut self.fields, name) else { return Ok(false) };
        match &value {
            Value::Bool(flag) => Ok(*flag),
            Value::String(text) if matches!(&*text.to_ascii_lowercase(), "true" | "1" | "on" | "yes") => Ok(true),
            Value::String(text) if matches!(&*text.to_ascii_lowercase(), "false" | "0" | "off" | "no" | "") => {
                Ok(false)
            }
            other => Err(wrong_type(name, "a boolean", other)),
        }
    }

    /// Takes a text; an empty one is none.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match take(&mut self.fields, name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.trim().is_empty())),
            Some(other) => Err(wrong_type(name, "a string", &other)),
        }
    }

    /// Takes a list of texts, which may be one text.
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>, ApiError> {
        let values = match take(&mut self.fields, name).or_else(|| take(&mut self.fields, &format!("{name}[]"))) {
            None => return Ok(Vec::new()),
            Some(Value::Array(values)) => values,
            Some(one) => vec![one],
        };
        let text = |value| match value {
            Value::String(text) => Ok(text),
            other => Err(wrong_type(name, "strings", &other)),
        };
        values
            .into_iter()
            .map(text)
            .filter(|text| text.as_ref().is_ok_and(|text| !text.is_empty()) || text.is_err())
            .collect()
    }
}

/// Fields that are files even where their parts name none.
const FILES: [&str; 3] = ["image", "mask", "file"];

/// Whether such a field is an address or a data URL instead.
fn is_text(part: &Part<'_>) -> bool {
    let starts =
        |word: &str| part.data.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()));
    part.data.is_empty() || ["data:", "http://", "https://"].into_iter().any(starts)
}

fn file(name: &str, part: &Part<'_>, families: &[&str]) -> Result<gemini::Part, ApiError> {
    if part.data.is_empty() {
        return Err(ApiError::invalid(name, "invalid_value", format!("The file in '{name}' is empty.")));
    }
    attachments::upload(part.data, part.mime.as_deref(), part.file_name.as_deref(), families).ok_or_else(|| {
        let wanted: Vec<&str> = families.iter().map(|family| family.trim_end_matches('/')).collect();
        let message =
            format!("The file in '{name}' is of an unknown type. Taken are files of {}.", wanted.join(" or "));
        ApiError::invalid(name, "unsupported_value", message)
    })
}
