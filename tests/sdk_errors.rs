//! The class that each official SDK raises for each status that it can get, streamed and whole. Programs catch these.

use crate::common::google::{FakeGoogle, Step};
use crate::common::proxy::{GEMINI_KEY, Proxy};
use crate::common::script;
use serde_json::json;
use std::thread;

/// What is wrong in the request; Google's answer to what is not; the status and the class for OpenAI's SDKs and for Anthropic's.
type Case = (&'static str, Option<Step>, u16, &'static str, u16, &'static str);

fn cases() -> [Case; 10] {
    let limited = json!({"error": {"code": 429, "message": "Resource has been exhausted (e.g. check quota).",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "41s"}]}});
    let refused = |status| Some(Step::status(status, "It is so."));
    let (bad, server) = ("BadRequestError", "InternalServerError");
    [
        ("body", None, 400, bad, 400, bad),
        ("ask", refused(400), 400, bad, 400, bad),
        ("key", None, 401, "AuthenticationError", 401, "AuthenticationError"),
        ("ask", refused(403), 403, "PermissionDeniedError", 403, "PermissionDeniedError"),
        ("model", None, 404, "NotFoundError", 404, "NotFoundError"),
        ("large", None, 413, "APIStatusError", 413, "ContentTooLargeError"),
        ("ask", Some(Step::json(429, limited)), 429, "RateLimitError", 429, "RateLimitError"),
        ("ask", refused(500), 500, server, 500, server),
        ("ask", Some(Step::html(502)), 502, server, 500, server),
        ("ask", refused(503), 503, server, 529, "OverloadedError"),
    ]
}

fn every_case(run: impl Fn(&Proxy, &[&str]) + Sync, of_openai_for_413: &str) {
    thread::scope(|scope| {
        for (place, surface) in ["chat", "responses", "messages"].into_iter().enumerate() {
            let run = &run;
            scope.spawn(move || {
                for (at, (what, step, openai, of_openai, anthropic, of_anthropic)) in cases().into_iter().enumerate() {
                    let google = FakeGoogle::start();
                    google.add_api_key(GEMINI_KEY);
                    let proxy = Proxy::start(&google, |config| {
                        config["gemini_api_keys"] = json!([GEMINI_KEY]);
                        config["server"]["max_body_mb"] = json!(1);
                    });
                    step.into_iter().for_each(|step| google.always("*", step));
                    let (status, class) = match surface {
                        "messages" => (anthropic, of_anthropic),
                        _ if what == "large" => (openai, of_openai_for_413),
                        _ => (openai, of_openai),
                    };
                    // Each case is both streamed and whole on some surface; a process each is slow.
                    let way = ["whole", "stream"][(place + at) % 2];
                    run(&proxy, &[surface, what, class, &status.to_string(), way]);
                }
            });
        }
    });
}

#[test]
fn python_raises_a_class_for_each_status() {
    every_case(|proxy, arguments| script::python("refused.py", arguments, proxy), "APIStatusError");
}

#[test]
fn javascript_raises_a_class_for_each_status() {
    every_case(|proxy, arguments| script::node("refused.mjs", arguments, proxy), "APIError");
}
