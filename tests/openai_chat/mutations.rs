//! Requests that were valid until something was changed in them: refused, or understood as a whole conversation without a
//! field that Google does not know.

use super::{Numbers, World, cases};
use gemini_openai_proxy::api::openai_chat::OpenAiChat;
use serde_json::Value;

#[test]
fn broken_requests_are_refused_and_never_more() {
    let world = World::new(&OpenAiChat);
    let seeds: Vec<String> = ["requests", "requests_more"]
        .into_iter()
        .flat_map(|name| cases("openai_chat", name))
        .map(|case| case["in"].to_string())
        .collect();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut good, mut refused) = (0, 0);
    for _ in 0..4000 {
        let mut body = seeds[numbers.below(seeds.len())].clone().into_bytes();
        let other = seeds[numbers.below(seeds.len())].as_bytes();
        for _ in 0..=numbers.below(3) {
            mutate(&mut body, other, &mut numbers);
        }
        match world.parse(body.clone()) {
            Ok(mut exchange) => {
                good += 1;
                let call = exchange.call();
                if let Some(field) = unknown(&serde_json::to_value(&call.request).unwrap(), "") {
                    panic!("{field} would be refused: {}", String::from_utf8_lossy(&body));
                }
                let turns = &call.request.contents;
                let roles = [turns.first(), turns.last()].map(|turn| turn.unwrap().role.as_deref());
                assert_eq!(roles, [Some("user"); 2], "{}", String::from_utf8_lossy(&body));
                assert!(turns.iter().all(|turn| !turn.parts.is_empty()));
            }
            Err(error) => {
                refused += 1;
                assert!((400..500).contains(&error.status), "{error:?}");
            }
        }
    }
    assert!(good > 200 && refused > 200, "{good} good, {refused} refused: the mutations are worth something");
}

/// One change: of a byte, of a word, a piece cut out, doubled or taken from another request.
fn mutate(body: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    const WORDS: [&str; 12] = [
        "null",
        "[]",
        "{}",
        "-1",
        "1e999",
        "\"\"",
        "\"tool\"",
        "true",
        "\"\\ud83d\"",
        "[[[[",
        "99999999999999999999",
        "\"image_url\"",
    ];
    let (from, length) = (numbers.below(body.len()), numbers.below(40));
    let to = (from + length).min(body.len());
    match numbers.below(7) {
        0 if !body.is_empty() => body[from] = numbers.below(256) as u8,
        1 => drop(body.drain(from..to)),
        2 => drop(body.splice(from..from, body[from..to].to_vec())),
        3 => drop(body.splice(from..to, other[numbers.below(other.len())..].iter().copied().take(length))),
        4 => {
            // A field that nobody knows.
            let objects: Vec<usize> = (0..body.len()).filter(|at| body[*at] == b'{').collect();
            if let Some(start) = objects.get(numbers.below(objects.len())) {
                body.splice(start + 1..start + 1, *b"\"evil\":{\"a\":1},");
            }
        }
        5 => {
            // A value for a value: the document stays whole.
            let colons: Vec<usize> =
                body.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at + 1).collect();
            if let Some(start) = colons.get(numbers.below(colons.len())).copied() {
                let rest = &body[start..];
                let end = serde_json::Deserializer::from_slice(rest)
                    .into_iter::<Value>()
                    .next()
                    .and_then(Result::ok)
                    .map_or(0, |value| value.to_string().len().min(rest.len()));
                body.splice(start..start + end, WORDS[numbers.below(WORDS.len())].bytes());
            }
        }
        _ => drop(body.splice(from..from, WORDS[numbers.below(WORDS.len())].bytes())),
    }
}

/// The fields of a request by the field they stand in; what is not listed is not looked into.
const FIELDS: [(&str, &str); 15] = [
    ("", "contents systemInstruction tools toolConfig generationConfig safetySettings cachedContent serviceTier"),
    ("contents", "role parts"),
    ("systemInstruction", "parts"),
    ("parts", "text thoughtSignature inlineData fileData functionCall functionResponse mediaResolution"),
    ("inlineData", "mimeType data"),
    ("fileData", "mimeType fileUri"),
    ("functionCall", "name args id"),
    ("functionResponse", "name response id parts"),
    ("tools", "functionDeclarations googleSearch urlContext codeExecution"),
    ("functionDeclarations", "name description parameters parametersJsonSchema"),
    ("toolConfig", "functionCallingConfig"),
    ("functionCallingConfig", "mode allowedFunctionNames"),
    ("safetySettings", "category threshold"),
    ("thinkingConfig", "includeThoughts thinkingBudget thinkingLevel"),
    (
        "generationConfig",
        "temperature topP topK seed maxOutputTokens stopSequences presencePenalty frequencyPenalty responseLogprobs logprobs responseMimeType \
         responseSchema responseJsonSchema responseModalities mediaResolution speechConfig imageConfig thinkingConfig",
    ),
];

/// A field in `place` or below that Google does not know there.
fn unknown(value: &Value, place: &str) -> Option<String> {
    let (_, known) = FIELDS.iter().find(|(name, _)| *name == place)?;
    match value {
        Value::Array(items) => items.iter().find_map(|item| unknown(item, place)),
        Value::Object(fields) => {
            fields.iter().find_map(|(name, value)| match known.split(' ').any(|word| word == name) {
                true => unknown(value, name),
                false => Some(format!("{place}.{name}")),
            })
        }
        _ => None,
    }
}
