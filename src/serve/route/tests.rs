use super::*;

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

#[test]
fn the_chat_endpoint_is_found_in_every_spelling() {
    for path in [
        "/v1/chat/completions",
        "/v1/chat/completions/",
        "//v1//chat/completions",
        "/v1/v1/chat/completions",
        "/chat/completions",
        "/openai/v1/chat/completions",
        "/v1beta/openai/chat/completions",
        "/v1beta1/projects/p/locations/l/endpoints/openapi/chat/completions",
        "/v1/chat/completions/v1/chat/completions",
        "/v1/chat/completions/chat/completions",
    ] {
        assert_target("POST", path, Route::Chat, Dialect::OpenAi, Lane::Long);
    }
    assert_refused("GET", "/v1/chat/completions", NoRoute::WrongMethod("POST"), Dialect::OpenAi);
    for path in ["/v1/chat/completions/models", "/chat/completions/v1/models", "/openai/v1/chat/completions/models/"] {
        assert_target("GET", path, Route::Models, Dialect::OpenAi, Lane::Short);
    }
    // A stored completion of OpenAI's, which nobody has here.
    assert_refused("GET", "/v1/chat/completions/chatcmpl-1", NoRoute::UnknownPath, Dialect::OpenAi);
}

#[test]
fn the_smaller_endpoints_are_found_with_and_without_v1() {
    for (method, path, route, lane) in [
        ("POST", "/v1/completions", Route::Completions, Lane::Long),
        ("POST", "/completions/", Route::Completions, Lane::Long),
        ("POST", "/v1/completions/v1/completions", Route::Completions, Lane::Long),
        ("POST", "/v1/embeddings", Route::Embeddings, Lane::Long),
        ("POST", "/embeddings", Route::Embeddings, Lane::Long),
        ("POST", "/v1beta/openai/embeddings", Route::Embeddings, Lane::Long),
        ("GET", "/dashboard/billing/usage", Route::BillingUsage, Lane::Short),
        ("GET", "/v1/dashboard/billing/usage", Route::BillingUsage, Lane::Short),
        ("GET", "/dashboard/billing/subscription", Route::BillingSubscription, Lane::Short),
        ("GET", "/v1/dashboard/billing/subscription/", Route::BillingSubscription, Lane::Short),
        ("GET", "/v1alpha/openai/models", Route::Models, Lane::Short),
        ("GET", "/v1/models/google/x", Route::Model("google/x".into()), Lane::Short),
    ] {
        assert_target(method, path, route, Dialect::OpenAi, lane);
    }
    assert_refused("GET", "/v1/embeddings", NoRoute::WrongMethod("POST"), Dialect::OpenAi);
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
fn native_paths_are_read_generously() {
    for (path, model) in [
        ("/v1beta/models/x%3AgenerateContent", "x"),
        ("/v1beta/models/models/x:generateContent", "models/x"),
        ("/models/x:generateContent", "x"),
        ("/v1/v1beta/models/x:generateContent", "x"),
        ("/v1beta/v1alpha/models/x:generateContent", "x"),
        ("/publishers/google/models/x:generateContent", "x"),
        ("/projects/p/locations/l/publishers/google/models/x:generateContent", "x"),
    ] {
        assert_target("POST", path, call(model, "generateContent"), Dialect::Google, Lane::Long);
    }
}

#[test]
fn what_is_passed_on_knows_its_resource_and_its_model() {
    for (path, expected, resource, body, model) in [
        ("/v1beta/files/a%20b", "/v1beta/files/a%20b", "files", "", None),
        ("//v1/v1beta//cachedContents/", "/v1beta/cachedContents", "cachedContents", "", None),
        ("/v1beta/files/v1", "/v1beta/files/v1", "files", "no JSON", None),
        ("/v1beta/files", "/v1beta/files", "files", r#"{"file":{}}"#, None),
        ("/upload/v1beta/files", "/upload/v1beta/files", "files", r#"{"model":"x"}"#, None),
        ("/v1beta/models/veo/operations/x", "/v1beta/models/veo/operations/x", "veo", "", Some("veo")),
        ("/v1beta/models/x%2Dy:predict", "/v1beta/models/x%2Dy:predict", "x-y", "", Some("x-y")),
        ("/v1beta/models/x%3Apredict", "/v1beta/models/x%3Apredict", "x", "", Some("x")),
        ("/v1beta/%6Dodels/x:predict", "/v1beta/%6Dodels/x:predict", "x", "", Some("x")),
        ("/v1beta/models%2Fx:predict", "/v1beta/models%2Fx:predict", "x", "", Some("x")),
        ("/v1beta/models/models/x:predict", "/v1beta/models/models/x:predict", "x", "", Some("x")),
        ("/v1beta/publishers/google/models/x:predict", "/v1beta/models/x:predict", "x", "", Some("x")),
        (
            "/v1beta/publishers/other/models/x:predict",
            "/v1beta/publishers/other/models/x:predict",
            "publishers",
            "",
            Some("x"),
        ),
        (
            "/v1beta/tunedModels/x:generateContent",
            "/v1beta/tunedModels/x:generateContent",
            "tunedModels",
            "",
            Some("tunedModels/x"),
        ),
        ("/v1beta/interactions", "/v1beta/interactions", "interactions", r#"{"model":"models/x"}"#, Some("x")),
        ("/v1beta/interactions", "/v1beta/interactions", "interactions", r#"{"agent":"deep"}"#, Some("deep")),
        (
            "/v1beta/cachedContents",
            "/v1beta/cachedContents",
            "cachedContents",
            r#"{"model":"y","model":"projects/p/locations/l/publishers/google/models/x"}"#,
            Some("x"),
        ),
    ] {
        let passthrough = passed_on(target("POST", path));
        assert_eq!((passthrough.path.as_str(), passthrough.resource.as_str()), (expected, resource), "{path}");
        assert_eq!(passthrough.model(body.as_bytes()).as_deref(), model, "{path} {body}");
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

#[test]
fn unknown_paths_are_refused_in_the_shape_of_whose_they_look_like() {
    for (path, dialect) in [
        ("/nothing", Dialect::Admin),
        ("/vault/x", Dialect::Admin),
        ("/v1", Dialect::OpenAi),
        ("/v1/responses/x", Dialect::OpenAi),
        ("/v1/audio/speech", Dialect::OpenAi),
        ("/images/generations", Dialect::OpenAi),
        ("/v2/models", Dialect::OpenAi),
        ("/v1beta", Dialect::Google),
        ("/v1beta2/models", Dialect::Google),
        ("/v1alpha2/models/x:generateContent", Dialect::Google),
        ("/v1internal:generateContent", Dialect::Google),
        ("/upload/x", Dialect::Google),
        ("/upload/v2/files", Dialect::Google),
        ("/v1beta/files/../../x", Dialect::Google),
        ("/v1beta/%2e%2e/x", Dialect::Google),
        ("/v1beta/files/..%2fx", Dialect::Google),
        ("/upload/v1beta/./x", Dialect::Google),
        ("/v1/models/../x", Dialect::OpenAi),
    ] {
        assert_refused("GET", path, NoRoute::UnknownPath, dialect);
    }
    for path in ["/v1/responses", "/responses", "/v1/chat/completions/v1/responses"] {
        assert_target("POST", path, Route::Responses, Dialect::OpenAi, Lane::Long);
    }
    assert_refused("GET", "/v1/responses", NoRoute::WrongMethod("POST"), Dialect::OpenAi);
    assert_refused("GET", "/v1/messages", NoRoute::WrongMethod("POST"), Dialect::Anthropic);
    assert_refused("POST", "/v1/messages/batches", NoRoute::UnknownPath, Dialect::Anthropic);
    for path in ["/v1/messages", "/messages", "/v1/v1/messages/"] {
        assert_target("POST", path, Route::Messages, Dialect::Anthropic, Lane::Long);
    }
    assert_target("POST", "/messages/count_tokens", Route::CountTokens, Dialect::Anthropic, Lane::Short);
    assert_refused("POST", "/v1beta/models", NoRoute::WrongMethod("GET, HEAD"), Dialect::Google);
    assert_refused("POST", "/v1/models", NoRoute::WrongMethod("GET, HEAD"), Dialect::OpenAi);
    assert_refused("POST", "/health", NoRoute::WrongMethod("GET, HEAD"), Dialect::Admin);
    // A preview of the address must not use the code up.
    assert_refused("HEAD", "/oauth2/callback", NoRoute::WrongMethod("GET"), Dialect::Admin);
    assert_target("HEAD", "/health", Route::Health, Dialect::Admin, Lane::Short);
    assert_target("OPTIONS", "/v1/chat/completions", Route::Preflight, Dialect::OpenAi, Lane::Short);
}

#[test]
fn credentials_are_managed_by_id_and_what_asks_google_takes_the_long_lane() {
    let id = || "cred-0".to_owned();
    for (method, path, account, lane) in [
        ("GET", "/oauth2/login", Account::Login, Lane::Short),
        ("GET", "/oauth2/callback", Account::Callback, Lane::Long),
        ("POST", "/admin/credentials/add", Account::Add, Lane::Long),
        ("DELETE", "/admin/credentials/cred-0", Account::Member(id()), Lane::Short),
        ("GET", "/admin/credentials/cred-0/check", Account::Check(id()), Lane::Long),
        ("POST", "/admin/credentials/cred-0/check/", Account::Check(id()), Lane::Long),
        ("POST", "/admin/credentials/cred-0/reset", Account::Reset(id()), Lane::Short),
    ] {
        assert_target(method, path, Route::Account(account), Dialect::Admin, lane);
    }
    assert_refused("GET", "/admin/credentials/cred-0/reset", NoRoute::WrongMethod("POST"), Dialect::Admin);
    assert_refused("POST", "/admin/credentials/cred-0/frob", NoRoute::UnknownPath, Dialect::Admin);
}
