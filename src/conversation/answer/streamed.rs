//! Arguments of a call as JSON text while they come, where their paths come in the order of the document
//! (docs/vertex.md "Streamed arguments of function calls"). Where one goes back, the rest is collected: what has changed since
//! it was written is written once more at the end, and of equal names the last one counts.

use super::partial::Step;
use serde_json::{Map, Value};

/// The text of one call's arguments.
#[derive(Debug, Default)]
pub(super) struct Streamed {
    text: String,
    /// How much of it the client has.
    given: usize,
    /// What is open, the arguments themselves first.
    open: Vec<Container>,
    /// Where the string is that may go on.
    string: Option<Vec<Step>>,
    collects: bool,
}

/// An object or a list, and what has been written of it.
#[derive(Debug)]
struct Container {
    /// Its place in the one around it.
    place: Option<Step>,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Keys(Vec<String>),
    Items(usize),
}

impl Container {
    fn around(place: Option<Step>, first: &Step) -> Container {
        let inner = if matches!(first, Step::Key(_)) { Inner::Keys(Vec::new()) } else { Inner::Items(0) };
        Container { place, inner }
    }

    fn end(&self) -> char {
        if matches!(self.inner, Inner::Keys(_)) { '}' } else { ']' }
    }

    /// Whether this can come next.
    fn takes(&self, step: &Step) -> bool {
        match (&self.inner, step) {
            (Inner::Keys(keys), Step::Key(key)) => !keys.contains(key),
            (Inner::Items(count), Step::Index(index)) => index == count,
            _ => false,
        }
    }
}

impl Streamed {
    /// Takes one value at the end of a path.
    pub fn push(&mut self, steps: &[Step], value: &Value) {
        if self.collects {
            return;
        }
        if let (true, Value::String(more)) = (self.string.as_deref() == Some(steps), value) {
            return self.quoted(more);
        }
        match self.enter(steps) {
            Some(()) => self.scalar(steps, value),
            None => self.collects = true,
        }
    }

    /// What the client does not have yet.
    pub fn fresh(&mut self) -> &str {
        let from = std::mem::replace(&mut self.given, self.text.len());
        &self.text[from..]
    }

    /// The end, for arguments that are `whole` JSON.
    pub fn finish(&mut self, whole: &str) -> &str {
        if self.open.is_empty() {
            self.text.push_str(whole);
            return self.fresh();
        }
        self.close(1);
        let read = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
        let written = read(&format!("{}}}", self.text));
        for (name, value) in read(whole) {
            if !written.get(&name).is_some_and(|written| is_alike(written, &value)) {
                self.begin(&Step::Key(name));
                self.text.push_str(&value.to_string());
            }
        }
        self.text.push('}');
        self.fresh()
    }

    /// Goes to the place of a new value; `None`: it does not follow what is written.
    fn enter(&mut self, steps: &[Step]) -> Option<()> {
        let inner = self.open.iter().skip(1).zip(steps).take_while(|(open, step)| open.place.as_ref() == Some(step));
        let common = inner.count();
        let (next, deeper) = steps.get(common..)?.split_first()?;
        let fits = match self.open.get(common) {
            Some(around) => around.takes(next),
            None => matches!(next, Step::Key(_)),
        };
        if !fits || deeper.iter().any(|step| matches!(step, Step::Index(index) if *index > 0)) {
            return None;
        }
        if self.open.is_empty() {
            self.open.push(Container::around(None, next));
            self.text.push('{');
        }
        self.close(common + 1);
        self.begin(next);
        let mut place = next;
        for step in deeper {
            self.open.push(Container::around(Some(place.clone()), step));
            self.text.push(if matches!(step, Step::Key(_)) { '{' } else { '[' });
            self.begin(step);
            place = step;
        }
        Some(())
    }

    /// Ends the string and all containers but the first `kept`.
    fn close(&mut self, kept: usize) {
        if self.string.take().is_some() {
            self.text.push('"');
        }
        while self.open.len() > kept {
            self.text.extend(self.open.pop().map(|container| container.end()));
        }
    }

    /// Begins what comes next in the innermost container.
    fn begin(&mut self, step: &Step) {
        let Some(container) = self.open.last_mut() else { return };
        let is_first = match (&mut container.inner, step) {
            (Inner::Keys(keys), Step::Key(key)) => {
                keys.push(key.clone());
                keys.len() == 1
            }
            (Inner::Items(count), _) => {
                *count += 1;
                *count == 1
            }
            _ => false,
        };
        if !is_first {
            self.text.push(',');
        }
        if let Step::Key(key) = step {
            self.text.push_str(&Value::from(key.as_str()).to_string());
            self.text.push(':');
        }
    }

    fn scalar(&mut self, steps: &[Step], value: &Value) {
        match value {
            Value::String(text) => {
                self.text.push('"');
                self.quoted(text);
                self.string = Some(steps.to_vec());
            }
            // Google's numbers are all floating: 3.0 is meant as 3 wherever an integer is.
            Value::Number(number) => {
                match number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e15) {
                    Some(whole) => self.text.push_str(&(whole as i64).to_string()),
                    None => self.text.push_str(&number.to_string()),
                }
            }
            other => self.text.push_str(&other.to_string()),
        }
    }

    fn quoted(&mut self, text: &str) {
        let quoted = Value::from(text).to_string();
        self.text.push_str(&quoted[1..quoted.len() - 1]);
    }
}

/// Whether two values are the same, however their numbers are written.
fn is_alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| is_alike(one, other)))
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::partial::Partial;
    use crate::gemini::response::ResponseCall;
    use serde_json::{Value, json};

    /// The pieces of text that a client gets of these values at these paths.
    fn streamed(pieces: &[(&str, Value)]) -> Vec<String> {
        let mut partial = Partial::streamed(String::new());
        let mut given = Vec::new();
        for (path, value) in pieces {
            let name = match value {
                Value::String(_) => "stringValue",
                Value::Bool(_) => "boolValue",
                Value::Null => "nullValue",
                _ => "numberValue",
            };
            let value = if value.is_null() { json!("NULL_VALUE") } else { value.clone() };
            let piece = json!({"partialArgs": [{"jsonPath": path, name: value}], "willContinue": true}).to_string();
            partial.push(&serde_json::from_str::<ResponseCall<'_>>(&piece).unwrap(), None);
            given.extend(partial.fresh().map(str::to_owned));
        }
        let args = partial.args();
        given.extend(partial.rest(&args).map(str::to_owned));
        given.retain(|text| !text.is_empty());
        given
    }

    #[test]
    fn text_grows_in_the_order_of_the_document() {
        let given = streamed(&[
            ("$.path", json!("a/")),
            ("$.path", json!("b\"\n")),
            ("$.lines[0].n", json!(3.0)),
            ("$.lines[0].t", json!("x")),
            ("$.lines[1].n", json!(2.5)),
            ("$['odd.name']", json!(true)),
            ("$.none", Value::Null),
        ]);
        assert_eq!(
            given,
            [
                r#"{"path":"a/"#,
                r#"b\"\n"#,
                r#"","lines":[{"n":3"#,
                r#","t":"x"#,
                r#""},{"n":2.5"#,
                r#"}],"odd.name":true"#,
                r#","none":null"#,
                "}"
            ]
        );
    }

    #[test]
    fn all_of_it_is_what_was_said_whatever_the_order() {
        for pieces in [
            vec![("$.a", json!("x")), ("$.b", json!(1)), ("$.a", json!("y"))],
            vec![("$.l[0]", json!("x")), ("$.b", json!(1)), ("$.l[1]", json!("y")), ("$.c", json!("z"))],
            vec![("$.o.a", json!(1)), ("$.o.b.c", json!(2)), ("$.o.a", json!(3))],
            vec![("$.o.a", json!(1)), ("$.p", json!(2)), ("$.o.b", json!(3))],
            vec![("$.l[1]", json!(1))],
            vec![("$.l[0]", json!(1)), ("$.l[2]", json!(1)), ("$.l[1]", json!(1))],
            vec![("$.l[0].a", json!(1)), ("$.l", json!("now a text"))],
            vec![("$.a", json!("x")), ("$.a.b", json!(1))],
            vec![("$.a", json!(1)), ("$.a", json!(2)), ("$.b", json!("ü😀"))],
            vec![("$[0]", json!(1))],
            vec![("$", json!(1))],
            vec![("a[", json!(1)), ("$.b", json!(1))],
            vec![],
        ] {
            let text = streamed(&pieces).concat();
            let mut whole = Partial::default();
            for (path, value) in &pieces {
                let name = if value.is_string() { "stringValue" } else { "numberValue" };
                let piece = json!({"partialArgs": [{"jsonPath": path, name: value}], "willContinue": true}).to_string();
                whole.push(&serde_json::from_str::<ResponseCall<'_>>(&piece).unwrap(), None);
            }
            let read =
                |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(read(&text), read(&whole.args()), "{pieces:?}: {text}");
        }
    }
}
