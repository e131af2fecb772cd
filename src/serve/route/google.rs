//! The paths of Google's API: `[upload/]{version}/[projects/P/locations/L/][publishers/google/]{rest}`. Its SDKs can be told
//! any of the versions, and Vertex or not; all lead to the same place.

use super::split::Segment;
use super::{ANY, Found, READ, Route};
use crate::http::{Request, query_value};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;

/// Every version that Google's SDKs can be told. What is passed on goes to `v1beta`, which has everything.
pub(super) const VERSIONS: [&str; 4] = ["v1", "v1beta", "v1alpha", "v1beta1"];

/// Methods of models that are translated, so that every credential of the pool can serve them; others are passed on.
const TRANSLATED: [&str; 5] =
    ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"];

/// Tuned models are in no table and on no other service; `predict` makes vectors, or pictures on the public API alone.
fn is_translated(model: &str, method: &str) -> bool {
    let is_known = TRANSLATED.contains(&method) || method == "predict" && model.contains("embedding");
    is_known && !model.starts_with("tunedModels/")
}

/// Google's collections under `/v1`. OpenAI has some of the same names.
const COLLECTIONS: [&str; 8] =
    ["batches", "cachedContents", "corpora", "fileSearchStores", "files", "interactions", "operations", "tunedModels"];

/// A path of Google's API, read.
pub(super) struct GooglePath<'a> {
    /// `upload` or `download`.
    transfer: Option<&'a str>,
    /// Plain `/v1/...`, where OpenAI's paths are, too.
    pub is_shared: bool,
    rest: &'a [Segment<'a>],
    /// The decoded words of `rest`, also of segments that hold a slash.
    words: Vec<&'a str>,
}

/// A request of Google's API that is passed on as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passthrough {
    /// The path at Google, encoded as the client wrote it.
    pub path: String,
    /// What cool-downs are for: the collection, or the model of a method.
    pub resource: String,
    /// Whether it begins an upload or goes on with one.
    pub is_upload: bool,
    model: Option<String>,
}

impl<'a> GooglePath<'a> {
    pub fn read(segments: &'a [Segment<'a>]) -> Option<GooglePath<'a>> {
        let all: Vec<&str> = segments.iter().map(|segment| &*segment.word).collect();
        let transfer = all.first().copied().filter(|word| ["upload", "download"].contains(word));
        let mut at = usize::from(transfer.is_some());
        let version = all.get(at).copied().filter(|word| VERSIONS.contains(word));
        at += usize::from(version.is_some());
        let before_place = at;
        at += if matches!(all[at..], ["projects", _, "locations", _, ..]) { 4 } else { 0 };
        at += if matches!(all[at..], ["publishers", "google", ..]) { 2 } else { 0 };
        let is_vertex = at > before_place;
        // Vertex may stand behind an address that has the version already.
        if version.is_none() && (transfer.is_some() || !is_vertex) {
            return None;
        }
        let is_shared = transfer.is_none() && version == Some("v1") && !is_vertex;
        let rest = &segments[at..];
        let words = rest.iter().flat_map(|segment| segment.word.split('/')).filter(|word| !word.is_empty()).collect();
        Some(GooglePath { transfer, is_shared, rest, words })
    }

    /// Whether no client of OpenAI's has such a path.
    pub fn is_googles_own(&self) -> bool {
        self.call().is_some() || matches!(self.words[..], ["models", _, "operations", ..])
    }

    /// Whether OpenAI's clients and Google's may both mean it.
    pub fn is_collection(&self) -> bool {
        self.words.first().is_some_and(|word| COLLECTIONS.contains(&word.split(':').next().unwrap_or_default()))
    }

    /// Google's own server need not agree on where a path with dots leads.
    pub fn has_dots(&self) -> bool {
        self.words.iter().any(|word| matches!(*word, "." | ".."))
    }

    /// Whether it is `models` or begins with it.
    pub fn is_models(&self) -> bool {
        self.rest.first().is_some_and(|segment| segment.word == "models")
    }

    /// `models/x:method`, `tunedModels/x:method`: the model and the method.
    fn call(&self) -> Option<(String, &'a str)> {
        let (last, before) = self.rest.split_last()?;
        let (name, method) = last.word.rsplit_once(':')?;
        match before {
            [first] if first.word == "tunedModels" => Some((format!("tunedModels/{name}"), method)),
            [first, between @ ..] if first.word == "models" => {
                let mut path: Vec<&str> = between.iter().map(|segment| &*segment.word).collect();
                path.push(name);
                Some((path.join("/"), method))
            }
            _ => None,
        }
    }

    /// The route of a client of Google's.
    pub fn route(&self) -> Found {
        if self.rest.is_empty() || self.has_dots() {
            return None;
        }
        if self.transfer.is_some() {
            return Some((Route::Passthrough(self.passthrough()), ANY));
        }
        match (self.call(), self.rest) {
            (Some((model, method)), _) if is_translated(&model, method) => {
                Some((Route::GeminiCall { model, method: method.to_owned() }, "POST"))
            }
            (None, [models]) if models.word == "models" => Some((Route::GeminiModels, READ)),
            (None, [models, id @ ..]) if models.word == "models" && !self.is_googles_own() => {
                let id: Vec<&str> = id.iter().map(|segment| &*segment.word).collect();
                Some((Route::GeminiModel(id.join("/")), READ))
            }
            _ => Some((Route::Passthrough(self.passthrough()), ANY)),
        }
    }

    fn passthrough(&self) -> Passthrough {
        let raw = ["v1beta"].into_iter().chain(self.rest.iter().map(|segment| segment.raw));
        let path = self.transfer.into_iter().chain(raw).fold(String::new(), |path, word| path + "/" + word);
        let model = named(&self.words);
        let resource = match self.words.first() {
            Some(&"models") => model.clone().unwrap_or_else(|| "models".to_owned()),
            first => first.unwrap_or(&"").split(':').next().unwrap_or_default().to_owned(),
        };
        Passthrough { path, resource, is_upload: self.transfer == Some("upload"), model }
    }
}

/// Parts of the names of methods that run a model.
const RUNNING: [&str; 3] = ["embed", "generate", "predict"];

/// The model that a path names, read as Google will read it.
fn named(words: &[&str]) -> Option<String> {
    let bare = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
    if let [kind @ ("tunedModels" | "dynamic"), name, ..] = words {
        return Some(format!("{kind}/{}", bare(name)));
    }
    if let Some(at) = words.iter().position(|word| *word == "models") {
        return words[at..].iter().find(|word| **word != "models").map(|name| bare(name));
    }
    // A kind of models that nobody here knows.
    let (last, before) = words.split_last()?;
    let (name, method) = last.split_once(':')?;
    let method = method.to_ascii_lowercase();
    let is_run = RUNNING.iter().any(|word| method.contains(word));
    is_run.then(|| before.iter().copied().chain([name]).collect::<Vec<_>>().join("/"))
}

const JSON: &str = "application/json";
/// Fields of Google's requests that say which model is to work.
const NAMES: [&str; 4] = ["model", "agent", "baseModel", "base_model"];
/// Fields whose content is a program's own, where such a name means nothing.
const FOREIGN: [&str; 5] = ["args", "arguments", "properties", "response", "result"];

/// Collects the models that a JSON text names. A field that stands twice in one object is an error: of two readers each may
/// take another.
struct Named<'a>(&'a mut Vec<String>);

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Named<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("JSON that names a model once")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = 0_u8;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let at = NAMES.iter().position(|known| known.eq_ignore_ascii_case(&name));
            match at {
                Some(at) if seen & 1 << at != 0 => return Err(A::Error::custom("a model is named twice")),
                Some(at) => {
                    seen |= 1 << at;
                    let Some(model) = map.next_value::<Option<String>>()? else { continue };
                    self.0.push(model.rsplit_once("models/").map_or(&*model, |(_, name)| name).to_owned());
                }
                None if FOREIGN.contains(&&*name) => drop(map.next_value::<IgnoredAny>()?),
                None => map.next_value_seed(Named(self.0))?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Named(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

impl Passthrough {
    /// Whether it is about files, which Google keeps for nothing.
    pub fn is_files(&self) -> bool {
        self.resource == "files"
    }

    /// The models that the request is about, for a key may be held to some: that of the path, and those that the body names
    /// anywhere, such as one of interactions. `None` when Google may read another than is found here.
    pub fn models(&self, request: &Request) -> Option<Vec<String>> {
        if NAMES.iter().any(|name| query_value(&request.query, name).is_some()) {
            return None;
        }
        let mut found: Vec<String> = self.model.iter().cloned().collect();
        // What is uploaded may be anything, and names no model.
        if !self.path.starts_with("/v1beta/") || request.body.is_empty() {
            return Some(found);
        }
        let is_json = |kind: &str| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(JSON));
        if !request.headers.all("content-type").all(is_json) || request.headers.get("content-encoding").is_some() {
            return None;
        }
        let mut body = serde_json::Deserializer::from_slice(&request.body);
        Named(&mut found).deserialize(&mut body).and_then(|()| body.end()).ok()?;
        Some(found)
    }
}
