//! `${NAME}` in the texts of config.json: variables of the environment, for containers whose secrets come that way. The file
//! itself stays as it is wherever it is shown or compared.

use super::value::ConfigError;
use serde_json::Value;

/// Puts variables into every text below `value`, which stands at `place`.
pub(super) fn expand(
    value: &mut Value,
    place: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ConfigError> {
    match value {
        Value::String(text) if text.contains("${") => {
            *text = expanded(text, variable).map_err(|why| ConfigError(format!("{place}: {why}")))?;
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                expand(item, &format!("{place}[{at}]"), variable)?;
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                expand(field, &format!("{place}.{name}"), variable)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether there is a variable in it, or the mark that says there is none.
pub(super) fn names_any(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Array(items) => items.iter().any(names_any),
        Value::Object(fields) => fields.values().any(names_any),
        _ => false,
    }
}

fn expanded(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.extend([before, "${"]);
            rest = after;
            continue;
        }
        let name = after.split_once('}').filter(|(name, _)| is_name(name));
        let Some((name, after)) = name else {
            return Err("a variable is written ${NAME}, of letters, digits and _; $${ is the text ${ itself".into());
        };
        let value = variable(name).ok_or_else(|| {
            format!("the environment has no variable {name}; set it where the program is started, or write $${{{name}}} for that text")
        })?;
        out.extend([before, &value]);
        rest = after;
    }
    Ok(out + rest)
}

fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().all(is_part) && text.starts_with(|first: char| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variables_stand_in_texts_at_any_depth() {
        let variable = |name: &str| match name {
            "KEY" => Some("sk-${KEY}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let read = |text: Value| {
            let mut value = json!({"a": [1, {"b": text}]});
            expand(&mut value, "x", &variable).map(|()| value["a"][1]["b"].clone()).map_err(|error| error.to_string())
        };
        for (text, expected) in [
            ("${KEY}", "sk-${KEY}"),
            ("x${EMPTY}y${KEY}", "xysk-${KEY}"),
            ("$${KEY} costs $5", "${KEY} costs $5"),
            ("$KEY {KEY}", "$KEY {KEY}"),
        ] {
            assert_eq!(read(json!(text)).unwrap(), expected, "{text}");
        }
        for (text, expected) in [
            ("${NONE}", "x.a[1].b: the environment has no variable NONE"),
            ("${a b}", "x.a[1].b: a variable is written ${NAME}"),
            ("${KEY", "x.a[1].b: a variable is written ${NAME}"),
            ("${}", "x.a[1].b: a variable is written ${NAME}"),
            ("${KEY:-x}", "x.a[1].b: a variable is written ${NAME}"),
        ] {
            let error = read(json!(text)).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
