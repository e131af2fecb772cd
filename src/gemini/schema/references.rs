//! What one schema node consists of once `$ref` and `allOf` are followed: layers of keywords, the nearest first.
//!
//! Layers borrow from the schema, so following a reference costs nothing however large its target is. Owns where
//! recursion is cut; knows no other keyword.

use serde_json::{Map, Value};
use std::cell::OnceCell;
use std::collections::HashMap;

/// More keyword maps than this in one node are not looked at: chains of references must end.
const MOST_LAYERS: usize = 64;

/// The keyword maps of a node. The first map that has a keyword has the say.
#[derive(Default)]
pub(super) struct Layers<'a> {
    maps: Vec<&'a Map<String, Value>>,
    /// The name of a type whose recursion ends here, and its own schema.
    pub(super) cut: Option<(String, &'a Value)>,
    /// A boolean schema says that nothing is valid.
    pub(super) never: bool,
}

impl<'a> Layers<'a> {
    /// The values of a keyword, nearest first.
    pub(super) fn all(&self, keyword: &str) -> impl Iterator<Item = &'a Value> {
        self.maps.iter().filter_map(move |map| map.get(keyword))
    }

    /// The value of a keyword in the nearest layer where it has the right form.
    pub(super) fn first<T>(&self, keyword: &str, read: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
        self.all(keyword).find_map(read)
    }

    /// Each layer by itself, for keywords that belong together.
    pub(super) fn maps(&self) -> impl Iterator<Item = &'a Map<String, Value>> {
        self.maps.iter().copied()
    }
}

/// Follows references within one document and knows which are being followed.
pub(super) struct References<'a> {
    root: &'a Value,
    /// Targets on the way from the root to the present node.
    followed: Vec<&'a Value>,
    /// How often a target may be inside itself.
    unroll: usize,
    /// What has a name of its own: anchors and ids, those whole and by their last word.
    named: OnceCell<HashMap<&'a str, &'a Value>>,
}

impl<'a> References<'a> {
    pub(super) fn new(root: &'a Value, unroll: usize) -> References<'a> {
        References { root, followed: vec![root], unroll, named: OnceCell::new() }
    }

    /// Where the way is now, for [`References::back`].
    pub(super) fn here(&self) -> usize {
        self.followed.len()
    }

    /// Leaves the node that was entered at `here`.
    pub(super) fn back(&mut self, here: usize) {
        self.followed.truncate(here);
    }

    /// The layers of a node that is described by several schemas at once. References that are followed stay on the way
    /// until [`References::back`].
    pub(super) fn enter(&mut self, sources: &[&'a Value]) -> Layers<'a> {
        let mut layers = Layers::default();
        for source in sources {
            self.expand(source, &mut layers);
        }
        layers
    }

    fn expand(&mut self, source: &'a Value, layers: &mut Layers<'a>) {
        let map = match source {
            Value::Object(map) => map,
            Value::Bool(valid) => {
                layers.never |= !valid;
                return;
            }
            _ => return,
        };
        if layers.maps.len() == MOST_LAYERS {
            return;
        }
        layers.maps.push(map);
        // zod's way to say `false`, for what may be absent but never present.
        layers.never |= map.get("not").is_some_and(is_anything);
        let reference = ["$ref", "$dynamicRef", "$recursiveRef"].iter().find_map(|keyword| map.get(*keyword)?.as_str());
        if let Some(reference) = reference
            && let Some(target) = self.resolve(reference)
        {
            let times = self.followed.iter().filter(|followed| std::ptr::eq(**followed, target)).count();
            if times > self.unroll {
                layers.cut = Some((self.name(reference), target));
            } else {
                self.followed.push(target);
                self.expand(target, layers);
            }
        }
        for member in list(map.get("allOf")) {
            self.expand(member, layers);
        }
        for keyword in ["anyOf", "oneOf"] {
            if let [member] = alternatives(map.get(keyword))[..] {
                self.expand(member, layers);
            }
        }
    }

    /// The target of `#`, a `#/json/pointer`, an `#anchor` or the id of a part; nothing is ever fetched.
    pub(super) fn resolve(&self, reference: &str) -> Option<&'a Value> {
        let (id, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let base = if id.is_empty() { self.root } else { self.named(id)? };
        let pointer = percent_encoding::percent_decode_str(fragment).decode_utf8().ok()?;
        let target = match pointer.is_empty() || pointer.starts_with('/') {
            true => base.pointer(&pointer)?,
            // Drafts up to 6 write an anchor as the id `#name`.
            false => self.named(&pointer).or_else(|| self.named(&format!("#{pointer}")))?,
        };
        (target.is_object() || target.is_boolean()).then_some(target)
    }

    fn named(&self, name: &str) -> Option<&'a Value> {
        let named = self.named.get_or_init(|| {
            let mut named = HashMap::new();
            name_all(self.root, &mut named);
            named
        });
        named.get(name).or_else(|| named.get(last_word(name))).copied()
    }

    fn name(&self, reference: &str) -> String {
        let last = reference.rsplit('/').next().unwrap_or_default();
        if last.is_empty() || last.starts_with('#') {
            return self.root.get("title").and_then(Value::as_str).unwrap_or("the root").to_owned();
        }
        let decoded = percent_encoding::percent_decode_str(last).decode_utf8_lossy();
        decoded.replace("~1", "/").replace("~0", "~")
    }
}

/// Collects the names of all parts; the first of a name has it.
fn name_all<'a>(value: &'a Value, named: &mut HashMap<&'a str, &'a Value>) {
    let Value::Object(map) = value else {
        return value.as_array().into_iter().flatten().for_each(|value| name_all(value, named));
    };
    for (keyword, inner) in map {
        match (keyword.as_str(), inner) {
            ("$id" | "id", Value::String(id)) => {
                let id = id.trim_end_matches('#');
                named.entry(id).or_insert(value);
                named.entry(last_word(id)).or_insert(value);
            }
            ("$anchor" | "$dynamicAnchor", Value::String(anchor)) => _ = named.entry(anchor).or_insert(value),
            ("enum" | "const" | "default" | "example" | "examples", _) => {}
            _ => name_all(inner, named),
        }
    }
}

fn last_word(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// The members of a list of schemas.
pub(super) fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The members of `anyOf` or `oneOf` that anything can match.
pub(super) fn alternatives(value: Option<&Value>) -> Vec<&Value> {
    let never = |member: &Value| *member == Value::Bool(false) || member.get("not").is_some_and(is_anything);
    list(value).iter().filter(|member| !never(member)).collect()
}

pub(super) fn is_anything(schema: &Value) -> bool {
    *schema == Value::Bool(true) || schema.as_object().is_some_and(Map::is_empty)
}
