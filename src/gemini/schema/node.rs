//! Builds the clean schema of one node from its layers, and so of the whole tree, within a budget.

use super::conditions::{conditions, lost};
use super::maps::name_rules;
use super::references::{Layers, References, alternatives, list};
use super::values::{Hints, Types, bounds, count, enumeration, known_type, text_rules};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};

/// Of one clean schema.
const MOST_NODES: usize = 5000;
/// Of one clean schema, about.
const MOST_BYTES: usize = 256 * 1024;

/// Of one list of values; a longer one is no help to the model.
const MOST_ENUM_BYTES: usize = 64 * 1024;

/// One way to fit a schema into the budget: each is coarser than the one before.
struct Attempt {
    /// How often a recursive type is repeated inside itself.
    unroll: usize,
    /// Nodes deeper than this keep their type only. 32 levels take 128 to 192 KiB of stack in a debug build, 64 to 96 in
    /// an optimized one.
    depth: usize,
}

const ATTEMPTS: [Attempt; 4] = [
    Attempt { unroll: 2, depth: 32 },
    Attempt { unroll: 0, depth: 8 },
    Attempt { unroll: 0, depth: 4 },
    Attempt { unroll: 0, depth: 2 },
];

/// The clean schema of a document; `None` when nothing is valid.
pub(super) fn clean(document: &Value) -> Option<Map<String, Value>> {
    let mut cleaned = None;
    for attempt in ATTEMPTS {
        let mut cleaner = Cleaner {
            references: References::new(document, attempt.unroll),
            deepest: attempt.depth,
            nodes: 0,
            bytes: 0,
        };
        cleaned = cleaner.node(&[document], 0).map(|node| node.schema);
        if !cleaner.over_budget() {
            break;
        }
    }
    cleaned
}

pub(super) struct Cleaner<'a> {
    references: References<'a>,
    deepest: usize,
    nodes: usize,
    bytes: usize,
}

pub(super) struct Node {
    pub(super) schema: Map<String, Value>,
    /// The recursion ends here.
    cut: bool,
}

impl<'a> Cleaner<'a> {
    /// Past the budget nothing more is looked at: the attempt is given up, or was the last one and ends here.
    pub(super) fn over_budget(&self) -> bool {
        self.nodes > MOST_NODES || self.bytes > MOST_BYTES
    }

    /// A node that all of `sources` describe, the first one with the most say.
    pub(super) fn node(&mut self, sources: &[&'a Value], depth: usize) -> Option<Node> {
        self.nodes += 1;
        let here = self.references.here();
        let layers = self.references.enter(sources);
        let node = if layers.never {
            None
        } else if depth > self.deepest {
            Some(Node { schema: of_type_only(layers.first("type", Value::as_str)), cut: false })
        } else if let Some((name, target)) = &layers.cut {
            Some(self.cut(&layers, name, target))
        } else {
            Some(Node { schema: self.build(&layers, depth), cut: false })
        };
        self.references.back(here);
        node
    }

    fn cut(&mut self, layers: &Layers<'a>, name: &str, target: &Value) -> Node {
        let mut schema = of_type_only(target.get("type").and_then(Value::as_str).filter(|word| *word == "array"));
        let mut hints = Hints::default();
        self.words(layers, &mut schema);
        hints.push(format!("recursive: same shape as {name}"));
        hints.append_to(&mut schema);
        Node { schema, cut: true }
    }

    fn build(&mut self, layers: &Layers<'a>, depth: usize) -> Map<String, Value> {
        let mut schema = Map::new();
        let mut hints = Hints::default();
        let mut types = Types::read(layers);
        self.words(layers, &mut schema);
        enumeration(layers, &mut types, &mut schema, &mut hints);
        let alternatives = self.alternatives(layers, depth);
        let lost = lost(layers, !alternatives.is_empty());
        let decided = !alternatives.is_empty() || schema.contains_key("anyOf");

        if types.allow("object") {
            self.object(layers, depth, &mut types, &mut schema);
        }
        if types.allow("array") {
            self.array(layers, depth, &mut types, &mut schema);
        }
        if types.allow("object") && (!decided || !types.untyped()) {
            self.map(layers, depth, &mut types, &mut schema);
            name_rules(layers, &types, &schema, &mut hints);
        }
        if !decided || !types.untyped() {
            text_rules(layers, &types, &mut schema, &mut hints);
            bounds(layers, &types, &mut schema, &mut hints);
        } else {
            // Beside a choice there is no place for them.
            let mut beside = Map::new();
            text_rules(layers, &types, &mut beside, &mut hints);
            bounds(layers, &types, &mut beside, &mut hints);
            beside.iter().for_each(|(keyword, value)| hints.push(format!("{keyword}: {value}")));
        }
        conditions(layers, &types, &lost, &mut hints);
        if !alternatives.is_empty() {
            join(&mut schema, alternatives, &mut types);
        }
        // Layers that contradict each other leave keywords of types that are out of the question.
        schema.retain(|keyword, value| {
            meant_for(keyword)
                .is_none_or(|meant| meant.iter().any(|name| types.allow(name) && fits(keyword, value, name)))
        });
        match types.keyword() {
            // The spelling that every Gemini version takes. The root must stay an object to its callers.
            Some(Value::Array(names)) if depth > 0 => split_types(&mut schema, &names),
            Some(keyword) => _ = schema.insert("type".into(), keyword),
            None => {}
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            let bytes = values.iter().map(|value| value.as_str().map_or(8, str::len) + 3).sum::<usize>();
            if bytes > MOST_ENUM_BYTES {
                hints.push(format!("one of {} known values", values.len()));
                schema.remove("enum");
            } else {
                self.bytes += bytes;
            }
        }
        hints.append_to(&mut schema);
        schema
    }

    /// `title` and `description`.
    fn words(&mut self, layers: &Layers<'a>, schema: &mut Map<String, Value>) {
        for keyword in ["title", "description"] {
            let text = layers.first(keyword, |value| match value {
                Value::Null | Value::Object(_) => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            });
            if let Some(text) = text {
                self.bytes += text.len();
                schema.insert(keyword.into(), text.into());
            }
        }
    }

    fn object(&mut self, layers: &Layers<'a>, depth: usize, types: &mut Types, schema: &mut Map<String, Value>) {
        let mut members: Vec<(&'a str, Vec<&'a Value>)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (name, source) in layers.all("properties").filter_map(Value::as_object).flatten() {
            let place = *places.entry(name).or_insert(members.len());
            match members.get_mut(place) {
                Some((_, sources)) => sources.push(source),
                None => members.push((name, vec![source])),
            }
        }
        let mut required: Vec<&str> = layers.all("required").flat_map(|names| names_in(Some(names))).collect();
        let mut cut: HashSet<&str> = HashSet::new();
        let mut properties = Map::new();
        for (name, sources) in members {
            if self.over_budget() {
                break;
            }
            let Some(node) = self.node(&sources, depth + 1) else { continue };
            self.bytes += name.len() + 16;
            // Draft 3 says it in the property.
            if sources.iter().any(|source| source.get("required") == Some(&Value::Bool(true))) {
                required.push(name);
            }
            if node.cut {
                cut.insert(name);
            }
            properties.insert(name.into(), node.schema.into());
        }
        if properties.is_empty() {
            return;
        }
        types.set("object");
        // A type that requires itself has no finite value.
        required.retain(|name| !cut.contains(name));
        let ordering = names_in(layers.first("propertyOrdering", Some)).collect();
        let existing = |names: Vec<&str>| -> Vec<Value> {
            let mut seen = HashSet::new();
            names
                .into_iter()
                .filter(|name| properties.contains_key(*name) && seen.insert(*name))
                .map(Value::from)
                .collect()
        };
        let lists = [("required", existing(required)), ("propertyOrdering", existing(ordering))];
        schema.insert("properties".into(), properties.into());
        for (keyword, names) in lists {
            if !names.is_empty() {
                schema.insert(keyword.into(), names.into());
            }
        }
    }

    fn array(&mut self, layers: &Layers<'a>, depth: usize, types: &mut Types, schema: &mut Map<String, Value>) {
        let sources: Vec<&Value> = layers.all("items").filter(|items| items.is_object()).collect();
        let tuple = layers.first("prefixItems", Value::as_array).filter(|tuple| !tuple.is_empty());
        let tuple = tuple.or_else(|| layers.first("items", Value::as_array).filter(|tuple| !tuple.is_empty()));
        if types.untyped() && sources.is_empty() && tuple.is_none() {
            return;
        }
        types.set("array");
        let mut prefix: Vec<Value> = Vec::new();
        for member in tuple.into_iter().flatten() {
            if self.over_budget() {
                break;
            }
            prefix.extend(self.node(&[member], depth + 1).map(|node| Value::from(node.schema)));
        }
        let mut sources = sources;
        if sources.is_empty() {
            let rest = if tuple.is_some() { ["additionalItems", "unevaluatedItems"] } else { ["unevaluatedItems"; 2] };
            sources.extend(
                rest.into_iter().find_map(|keyword| layers.first(keyword, |items| items.is_object().then_some(items))),
            );
        }
        let items = match sources.is_empty() {
            true => None,
            false => self.node(&sources, depth + 1).map(|node| node.schema).filter(|items| !items.is_empty()),
        };
        match items {
            Some(items) => _ = schema.insert("items".into(), items.into()),
            // Google refuses an array that says nothing about its items.
            None if prefix.is_empty() => _ = schema.insert("items".into(), json!({"type": "string"})),
            None => {}
        }
        for keyword in ["minItems", "maxItems"] {
            if let Some(count) = layers.first(keyword, count) {
                schema.insert(keyword.into(), count.into());
            }
        }
        if !prefix.is_empty() {
            let ends = ["items", "additionalItems", "unevaluatedItems"];
            if ends.into_iter().flat_map(|keyword| layers.all(keyword)).any(|rest| *rest == Value::Bool(false)) {
                schema.entry("maxItems").or_insert(prefix.len().into());
            }
            schema.insert("prefixItems".into(), prefix.into());
        }
    }

    /// The clean members of the first `anyOf` or `oneOf` that has a choice; empty when anything goes.
    fn alternatives(&mut self, layers: &Layers<'a>, depth: usize) -> Vec<Value> {
        let choice = layers
            .maps()
            .flat_map(|map| ["anyOf", "oneOf"].map(|keyword| alternatives(map.get(keyword))))
            .find(|members| members.len() > 1);
        let mut members: Vec<Value> = Vec::new();
        for source in choice.into_iter().flatten() {
            if self.over_budget() {
                break;
            }
            let Some(node) = self.node(&[source], depth + 1) else { continue };
            if node.schema.is_empty() {
                return Vec::new();
            }
            add_alternative(&mut members, node.schema.into());
        }
        members
    }
}

/// Adds what is not yet there.
pub(super) fn push_new(values: &mut Vec<Value>, value: Value) {
    if !values.contains(&value) {
        values.push(value);
    }
}

fn names_in(value: Option<&Value>) -> impl Iterator<Item = &str> {
    list(value).iter().filter_map(Value::as_str)
}

/// Adds a member; a member that is nothing but a choice itself is taken apart.
pub(super) fn add_alternative(members: &mut Vec<Value>, member: Value) {
    match member {
        Value::Object(mut map) if map.len() == 1 && map.contains_key("anyOf") => {
            if let Some(Value::Array(inner)) = map.remove("anyOf") {
                inner.into_iter().for_each(|member| push_new(members, member));
            }
        }
        member => push_new(members, member),
    }
}

/// Puts a choice into the schema it belongs to.
fn join(schema: &mut Map<String, Value>, mut members: Vec<Value>, types: &mut Types) {
    if types.nullable && types.names.is_empty() {
        push_new(&mut members, json!({"type": "null"}));
    }
    // What all members allow, or a list of values that is already a choice, is no further choice.
    if schema.contains_key("anyOf") {
        return;
    }
    if members.len() > 1 {
        schema.insert("anyOf".into(), members.into());
        return;
    }
    let Some(Value::Object(only)) = members.pop() else { return };
    for (keyword, value) in only {
        match (keyword.as_str(), &value) {
            ("type", Value::String(name)) => {
                if let Some(name) = known_type(name) {
                    types.set(name);
                }
            }
            ("type", _) if !types.untyped() => {}
            _ => _ = schema.entry(keyword).or_insert(value),
        }
    }
}

/// The types for which a keyword means something; `None`: for all.
pub(super) fn meant_for(keyword: &str) -> Option<&'static [&'static str]> {
    Some(match keyword {
        "properties" | "required" | "propertyOrdering" | "additionalProperties" => &["object"],
        "items" | "prefixItems" | "minItems" | "maxItems" => &["array"],
        "minimum" | "maximum" => &["number", "integer"],
        "enum" | "format" => &["string", "number", "integer"],
        _ => return None,
    })
}

/// Writes a list of types as a choice, each member with the keywords that mean something for its type. A choice that is
/// already there says it all.
pub(super) fn split_types(schema: &mut Map<String, Value>, names: &[Value]) {
    if schema.contains_key("anyOf") {
        schema.retain(|keyword, _| meant_for(keyword).is_none());
        return;
    }
    let mut members: Vec<Map<String, Value>> =
        names.iter().map(|name| Map::from_iter([("type".to_owned(), name.clone())])).collect();
    for (keyword, value) in std::mem::take(schema) {
        let Some(types) = meant_for(&keyword) else {
            schema.insert(keyword, value);
            continue;
        };
        let mut takers = members.iter_mut().filter(|member| {
            member["type"].as_str().is_some_and(|name| types.contains(&name) && fits(&keyword, &value, name))
        });
        if let Some(first) = takers.next() {
            takers.for_each(|member| _ = member.insert(keyword.clone(), value.clone()));
            first.insert(keyword, value);
        }
    }
    schema.insert("anyOf".into(), members.into_iter().map(Value::Object).collect());
}

/// Whether a keyword's value suits a type that shares the keyword with others.
fn fits(keyword: &str, value: &Value, name: &str) -> bool {
    match keyword {
        "enum" => {
            value.as_array().is_some_and(|values| values.iter().all(|value| value.is_string() == (name == "string")))
        }
        "format" => matches!(value.as_str(), Some("date-time" | "date" | "time")) == (name == "string"),
        _ => true,
    }
}

/// A node of which only the type is told.
fn of_type_only(word: Option<&str>) -> Map<String, Value> {
    let name = word.and_then(known_type).unwrap_or("object");
    let mut schema = Map::new();
    schema.insert("type".into(), name.into());
    if name == "array" {
        schema.insert("items".into(), json!({"type": "string"}));
    }
    schema
}
