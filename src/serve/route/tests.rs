use super::*;
use serde_json::{Value, json};

fn target(method: &str, path: &str) -> Target {
    Target::of(&Request::sample(method, path, &[]))
}

fn as_sdk(method: &str, path: &str) -> Target {
    Target::of(&Request::sample(method, path, &[("x-goog-api-client", "google-genai-sdk/1")]))
}

/// Route, dialect and lane must be these.
#[track_caller]
fn assert_target(method: &str, path: &str, route: Route, dialect: Dialect, lane: Lane) {
    assert_eq!(target(method, path), Target { route: Ok(route), dialect, lane }, "{method} {path}");
}

#[track_caller]
fn assert_refused(method: &str, path: &str, refusal: NoRoute, dialect: Dialect) {
    assert_eq!(target(method, path), Target { route: Err(refusal), dialect, lane: Lane::Short }, "{method} {path}");
}

fn call(model: &str, method: &str) -> Route {
    Route::GeminiCall { model: model.into(), method: method.into() }
}

/// Where a request is passed on to; panics when it is not.
#[track_caller]
fn passed_on(target: Target) -> Passthrough {
    assert_eq!((target.dialect, target.lane), (Dialect::Google, Lane::Long));
    match target.route {
        Ok(Route::Passthrough(passthrough)) => passthrough,
        route => panic!("{route:?} is not passed on"),
    }
}

fn cases(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_request_finds_its_route_dialect_and_lane() {
    for case in cases(include_str!("../../../tests/fixtures/routes/targets.jsonl")) {
        let (method, path) = case["title"].as_str().unwrap().split_once(' ').unwrap();
        let Target { route, dialect, lane } = target(method, path);
        let is_left_out = !cfg!(feature = "ledger") && (path == "/me" || path.starts_with("/me/"));
        let expected = if is_left_out { "Err(UnknownPath) Admin Short".into() } else { case["target"].clone() };
        assert_eq!(format!("{route:?} {dialect:?} {lane:?}"), expected, "{method} {path}");
    }
}

#[test]
fn what_is_passed_on_knows_its_resource_and_its_model() {
    for case in cases(include_str!("../../../tests/fixtures/routes/passed_on.jsonl")) {
        let passthrough = passed_on(target("POST", case["title"].as_str().unwrap()));
        let kind = case["content-type"].as_str().unwrap_or("application/json; charset=utf-8");
        let mut request = Request::sample("POST", case["title"].as_str().unwrap(), &[("Content-Type", kind)]);
        request.body = case["body"].as_str().unwrap().into();
        let found = json!([passthrough.path, passthrough.resource, passthrough.models(&request)]);
        assert_eq!(found, json!([case["path"], case["resource"], case["models"]]), "{case}");
    }
}

/// Whatever version, place and publisher an SDK is told.
fn prefixes() -> impl Iterator<Item = String> {
    ["v1", "v1beta", "v1alpha", "v1beta1"].into_iter().flat_map(|version| {
        ["", "/projects/p/locations/us-central1"].into_iter().flat_map(move |place| {
            ["", "/publishers/google"].into_iter().map(move |publisher| format!("/{version}{place}{publisher}"))
        })
    })
}

#[test]
fn every_version_leads_to_the_same_place() {
    assert_eq!(prefixes().count(), 16);
    for prefix in prefixes() {
        for method in ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"]
        {
            let path = format!("{prefix}/models/x:{method}");
            assert_target("POST", &path, call("x", method), Dialect::Google, Lane::Long);
            assert_refused("GET", &path, NoRoute::WrongMethod("POST"), Dialect::Google);
        }
        let short = |path: &str, route| {
            let found = as_sdk("GET", &format!("{prefix}{path}"));
            assert_eq!(
                found,
                Target { route: Ok(route), dialect: Dialect::Google, lane: Lane::Short },
                "{prefix}{path}"
            );
        };
        short("/models", Route::GeminiModels);
        short("/models/", Route::GeminiModels);
        short("/models/x", Route::GeminiModel("x".into()));
        short("/models/a/b", Route::GeminiModel("a/b".into()));
        for (method, path) in [
            ("GET", "/files"),
            ("DELETE", "/files/x"),
            ("GET", "/files/x:download"),
            ("POST", "/cachedContents"),
            ("PATCH", "/cachedContents/x"),
            ("GET", "/operations/x"),
            ("GET", "/models/veo-3.0/operations/x"),
            ("POST", "/models/imagen-4.0:predict"),
            ("GET", "/tunedModels"),
            ("POST", "/tunedModels/x:generateContent"),
        ] {
            let passthrough = passed_on(as_sdk(method, &format!("{prefix}{path}")));
            assert_eq!(passthrough.path, format!("/v1beta{path}"), "{prefix}{path}");
        }
    }
    for version in ["v1", "v1beta", "v1alpha", "v1beta1"] {
        for place in ["", "/projects/p/locations/l"] {
            let upload = passed_on(target("POST", &format!("/upload/{version}{place}/files")));
            assert_eq!((upload.path.as_str(), upload.is_upload), ("/upload/v1beta/files", true), "{version}{place}");
        }
        let download = passed_on(target("GET", &format!("/download/{version}/files/x:download")));
        assert_eq!((download.path.as_str(), download.is_upload), ("/download/v1beta/files/x:download", false));
    }
}

#[test]
fn under_v1_the_signs_of_the_caller_say_whose_a_path_is() {
    let sdk = ("x-goog-api-client", "google-genai-sdk/1");
    let key = ("x-goog-api-key", "k");
    let of = |path: &str, headers: &[(&str, &str)]| {
        let Target { route, dialect, .. } = Target::of(&Request::sample("GET", path, headers));
        (route, dialect)
    };
    let (openai, google) = (Dialect::OpenAi, Dialect::Google);
    assert_eq!(of("/v1/models", &[]), (Ok(Route::Models), openai));
    assert_eq!(of("/v1/models", &[sdk]), (Ok(Route::GeminiModels), google));
    // Keys have always been taken from all these places: the list stays the old program's.
    assert_eq!(of("/v1/models", &[key]), (Ok(Route::Models), google));
    assert_eq!(of("/v1/models?key=k", &[]), (Ok(Route::Models), google));
    assert_eq!(of("/v1/models/x", &[sdk]), (Ok(Route::GeminiModel("x".into())), google));
    for headers in [sdk, key] {
        assert!(matches!(of("/v1/files/x", &[headers]).0, Ok(Route::Passthrough(_))), "{headers:?}");
        assert_eq!(of("/v1/nothing", &[headers]), (Err(NoRoute::UnknownPath), google));
        assert_eq!(of("/nothing", &[headers]), (Err(NoRoute::UnknownPath), google));
    }
    for path in ["/v1/files", "/files", "/v1/files?key=k", "/v1/batches", "/v1/nothing"] {
        assert_eq!(of(path, &[]), (Err(NoRoute::UnknownPath), openai), "{path}");
    }
    let chat = Target::of(&Request::sample("POST", "/v1/chat/completions", &[sdk]));
    assert_eq!((chat.route, chat.dialect), (Ok(Route::Chat), openai));
    assert_eq!(of("/admin/nothing", &[]).1, Dialect::Admin);
}

#[cfg(feature = "media")]
#[test]
fn pictures_and_sound_have_routes_under_every_base() {
    for (method, path, expected) in [
        ("POST", "/v1/images/generations", "Ok(Media(Generations)) OpenAi Long"),
        ("POST", "/images/edits", "Ok(Media(Edits)) OpenAi Long"),
        ("POST", "/v1/v1/audio/speech/", "Ok(Media(Speech)) OpenAi Long"),
        ("POST", "/v1beta/openai/audio/transcriptions", "Ok(Media(Transcriptions)) OpenAi Long"),
        ("POST", "/openai/v1/audio/translations", "Ok(Media(Translations)) OpenAi Long"),
        ("GET", "/v1/audio/voices", "Ok(Media(Voices)) OpenAi Short"),
        ("GET", "/v1/audio/models", "Ok(Media(SpeechModels)) OpenAi Short"),
        ("POST", "/v1/images/variations", "Ok(Media(Variations)) OpenAi Long"),
        ("GET", "/v1/audio/speech", "Err(WrongMethod(\"POST\")) OpenAi Short"),
    ] {
        let target = Target::of(&Request::sample(method, path, &[]));
        assert_eq!(format!("{:?} {:?} {:?}", target.route, target.dialect, target.lane), expected, "{path}");
    }
}
