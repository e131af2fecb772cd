//! The fields that only one of the two services takes, which refuse each other's (docs/vertex.md "Differences in the body"). A
//! request loses those of the other service on its way. What a request is about is not in here: tools and files that one
//! service does not have decide who is asked ([`Request::names_stored`] and the like).

use crate::gemini::{Part, Request};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Public,
    Vertex,
}

/// Where in a request a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Request,
    Generation,
    Calling,
    Search,
    Maps,
    Part,
    Blob,
}

use Place::{Blob, Calling, Generation, Maps, Search};
use Service::{Public, Vertex};

/// Place, name in camelCase, and the only service that takes it. A dot leads into an object.
const FIELDS: &[(Place, &str, Service)] = &[
    (Place::Request, "store", Public),
    (Place::Request, "labels", Vertex),
    (Place::Request, "modelArmorConfig", Vertex),
    (Generation, "enableEnhancedCivicAnswers", Public),
    (Generation, "speechConfig.voiceConfig.replicatedVoiceConfig.consentAudio", Public),
    (Generation, "speechConfig.voiceConfig.replicatedVoiceConfig.voiceConsentSignature", Public),
    (Generation, "audioTimestamp", Vertex),
    (Generation, "routingConfig", Vertex),
    (Generation, "modelSelectionConfig", Vertex),
    (Generation, "modelConfig", Vertex),
    (Generation, "generationOutputConfig", Vertex),
    (Generation, "imageConfig.personGeneration", Vertex),
    (Generation, "imageConfig.prominentPeople", Vertex),
    (Generation, "imageConfig.imageOutputOptions", Vertex),
    (Calling, "streamFunctionCallArguments", Vertex),
    (Search, "timeRangeFilter", Public),
    (Search, "excludeDomains", Vertex),
    (Search, "blockingConfidence", Vertex),
    (Maps, "authConfig", Vertex),
    (Maps, "groundingTypes", Vertex),
    (Place::Part, "partMetadata", Public),
    (Blob, "displayName", Vertex),
];

/// The request without what `service` refuses; it is copied only if it holds any of that.
pub(super) fn for_service(request: &Request, service: Service) -> Cow<'_, Request> {
    let other = || FIELDS.iter().filter(|(_, _, only)| *only != service);
    let mut holds = false;
    each(request, &mut |place, map| {
        holds |= !map.is_empty() && other().any(|(at, name, _)| *at == place && get(map, name));
    });
    if !holds {
        return Cow::Borrowed(request);
    }
    let mut changed = request.clone();
    each_mut(&mut changed, &mut |place, map| {
        other().filter(|(at, _, _)| *at == place).for_each(|(_, name, _)| remove(map, name));
    });
    Cow::Owned(changed)
}

fn each(request: &Request, look: &mut dyn FnMut(Place, &Map<String, Value>)) {
    look(Place::Request, &request.other);
    request.generation_config.iter().for_each(|config| look(Generation, &config.other));
    let calling = request.tool_config.iter().filter_map(|config| config.function_calling_config.as_ref());
    calling.for_each(|calling| look(Calling, &calling.other));
    for tool in &request.tools {
        tool.google_search.iter().filter_map(Value::as_object).for_each(|search| look(Search, search));
        let maps = ["googleMaps", "google_maps"].iter().filter_map(|name| tool.other.get(*name)?.as_object());
        maps.for_each(|maps| look(Maps, maps));
    }
    let parts = request.contents.iter().chain(&request.system_instruction).flat_map(|content| &content.parts);
    parts.for_each(|part| each_part(part, look));
}

fn each_part(part: &Part, look: &mut dyn FnMut(Place, &Map<String, Value>)) {
    look(Place::Part, &part.other);
    part.inline_data.iter().for_each(|blob| look(Blob, &blob.other));
    part.function_response.iter().flat_map(|response| &response.parts).for_each(|part| each_part(part, look));
}

fn each_mut(request: &mut Request, change: &mut dyn FnMut(Place, &mut Map<String, Value>)) {
    change(Place::Request, &mut request.other);
    request.generation_config.iter_mut().for_each(|config| change(Generation, &mut config.other));
    let calling = request.tool_config.iter_mut().filter_map(|config| config.function_calling_config.as_mut());
    calling.for_each(|calling| change(Calling, &mut calling.other));
    for tool in &mut request.tools {
        tool.google_search.iter_mut().filter_map(Value::as_object_mut).for_each(|search| change(Search, search));
        for name in ["googleMaps", "google_maps"] {
            tool.other.get_mut(name).and_then(Value::as_object_mut).into_iter().for_each(|maps| change(Maps, maps));
        }
    }
    let parts = request.contents.iter_mut().chain(&mut request.system_instruction).flat_map(|turn| &mut turn.parts);
    parts.for_each(|part| each_part_mut(part, change));
}

fn each_part_mut(part: &mut Part, change: &mut dyn FnMut(Place, &mut Map<String, Value>)) {
    change(Place::Part, &mut part.other);
    part.inline_data.iter_mut().for_each(|blob| change(Blob, &mut blob.other));
    part.function_response.iter_mut().flat_map(|call| &mut call.parts).for_each(|part| each_part_mut(part, change));
}

/// Whether the field is there, in either spelling.
fn get(map: &Map<String, Value>, name: &str) -> bool {
    match name.split_once('.') {
        None => map.contains_key(name) || map.contains_key(&snake(name)),
        Some((outer, inner)) => {
            let fields = map.get(outer).or_else(|| map.get(&snake(outer)));
            fields.and_then(Value::as_object).is_some_and(|map| get(map, inner))
        }
    }
}

fn remove(map: &mut Map<String, Value>, name: &str) {
    match name.split_once('.') {
        None => [name, &snake(name)].into_iter().for_each(|name| drop(map.shift_remove(name))),
        Some((outer, inner)) => {
            for name in [outer, &snake(outer)] {
                map.get_mut(name).and_then(Value::as_object_mut).into_iter().for_each(|map| remove(map, inner));
            }
        }
    }
}

fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A request with this field at its place and one that nobody refuses beside it.
    fn with(place: Place, name: &str) -> Value {
        let mut field = json!(1);
        for word in name.rsplit('.') {
            field = json!({word: field});
        }
        field["kept"] = json!(2);
        match place {
            Place::Request => field,
            Generation => json!({"generationConfig": field}),
            Calling => json!({"toolConfig": {"functionCallingConfig": field}}),
            Search => json!({"tools": [{"googleSearch": field}]}),
            Maps => json!({"tools": [{"googleMaps": field}]}),
            Place::Part => json!({"contents": [{"role": "user", "parts": [field]}]}),
            Blob => {
                (field["mimeType"], field["data"]) = ("image/png".into(), "AAAA".into());
                json!({"contents": [{"role": "user", "parts": [{"inlineData": field}]}]})
            }
        }
    }

    #[test]
    fn each_service_gets_what_it_takes_and_nothing_of_the_others() {
        for (place, name, only) in FIELDS {
            let last = name.rsplit('.').next().unwrap();
            for text in [with(*place, name).to_string(), snake(&with(*place, name).to_string())] {
                let text = text.replace("a_a_a_a", "AAAA").replace("aaaa", "AAAA");
                let request: Request = serde_json::from_str(&text).unwrap();
                for service in [Public, Vertex] {
                    let sent = serde_json::to_string(&for_service(&request, service)).unwrap();
                    let is_there = sent.contains(last) || sent.contains(&snake(last));
                    assert_eq!(is_there, service == *only, "{name} to {service:?}: {sent}");
                    assert!(sent.contains("kept"), "{name} to {service:?}: {sent}");
                }
            }
        }
    }

    #[test]
    fn what_needs_no_change_is_not_copied() {
        let request =
            json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "generationConfig": {"topP": 1}});
        let request: Request = serde_json::from_value(request).unwrap();
        assert!(matches!(for_service(&request, Vertex), Cow::Borrowed(_)));
    }
}
