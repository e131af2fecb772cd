//! What a request itself brings about: repairs, its operation, its bounds, its client.

use super::*;

#[test]
fn a_refused_signature_is_taken_out_once() {
    let mut bench = bench(1, false);
    let request = json!({"contents": [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [{"text": "hello", "thoughtSignature": "AAAA"}]},
        {"role": "user", "parts": [{"text": "more"}]},
    ]});
    let mut call = Call { request: serde_json::from_value(request).unwrap(), ..call() };
    bench.always(0, Step::status(400, "Corrupted thought signature."));
    let error = bench.send_call(&mut call).unwrap_err();
    assert_eq!(error.status, 400);
    let bodies: Vec<String> = bench.google.generations().iter().map(|request| request.body.to_string()).collect();
    assert_eq!(bodies.len(), 2, "once with, once without");
    assert!(bodies[0].contains("AAAA") && !bodies[1].contains("AAAA"));
}

#[test]
fn thinking_is_asked_for_once_as_the_other_generation_wants_it() {
    for (sent, message, repaired) in [
        (
            json!({"thinkingBudget": 512, "includeThoughts": true}),
            "Thinking budget is not supported for this model.",
            json!({"thinkingLevel": "LOW", "includeThoughts": true}),
        ),
        (
            json!({"thinkingBudget": 24_576}),
            "thinking_budget is not supported by this model.",
            json!({"thinkingLevel": "HIGH"}),
        ),
        (json!({"thinkingBudget": -1}), "thinking_budget is not supported by this model.", json!({})),
        (
            json!({"thinkingLevel": "MINIMAL"}),
            "'minimal' is not a supported thinking level for this model.",
            json!({"thinkingLevel": "LOW"}),
        ),
        (
            json!({"thinkingLevel": "XHIGH"}),
            "Unable to submit request because thinking_level XHIGH is not supported by this model.",
            json!({"thinkingLevel": "HIGH"}),
        ),
        (
            json!({"thinkingLevel": "MEDIUM", "includeThoughts": true}),
            "Thinking level is not supported for this model.",
            json!({"includeThoughts": true}),
        ),
    ] {
        let mut bench = bench(1, false);
        let mut call = call();
        call.request.generation_config = serde_json::from_value(json!({ "thinkingConfig": sent })).unwrap();
        bench.always(0, Step::status(400, message));
        assert_eq!(bench.send_call(&mut call).unwrap_err().status, 400);
        let bodies: Vec<Value> = bench
            .google
            .generations()
            .iter()
            .map(|sent| sent.inner()["generationConfig"]["thinkingConfig"].clone())
            .collect();
        assert_eq!(bodies, [sent, repaired, Value::Null], "as asked, the other way, and without a word: {message}");
    }
}

#[test]
fn a_model_that_does_not_think_is_asked_once_more_without_a_word_of_it() {
    for message in [
        "Thinking is not enabled for models/x",
        "Unable to submit request because Thinking_config.include_thoughts is only enabled when thinking is enabled.",
    ] {
        let mut bench = bench(1, false);
        let mut call = call();
        let config = json!({"thinkingConfig": {"includeThoughts": true}});
        call.request.generation_config = serde_json::from_value(config).unwrap();
        bench.script(0, Step::status(400, message));
        bench.send_call(&mut call).unwrap();
        let sent = bench.google.generations();
        assert_eq!((sent.len(), sent[1].inner()["generationConfig"].get("thinkingConfig")), (2, None), "{message}");
    }
}

#[test]
fn refused_schemas_are_simplified_once() {
    let mut bench = bench(1, false);
    let schema = json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "^x$"}}});
    let tools = json!([{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}]);
    let mut call = call();
    call.request.tools = serde_json::from_value(tools).unwrap();
    // The fake refuses `pattern` as Google does, with its bare 400.
    bench.send_call(&mut call).unwrap();
    let bodies: Vec<String> = bench.google.generations().iter().map(|request| request.body.to_string()).collect();
    assert!(bodies[0].contains("pattern") && !bodies[1].contains("pattern"), "{bodies:?}");

    bench.script(0, Step::status(400, "Request contains an invalid argument."));
    assert_eq!(bench.send().unwrap_err().status, 400, "without schemas there is nothing to simplify");
    assert_eq!(bench.asked().len(), 3);
}

#[test]
fn a_client_that_left_stops_everything_and_no_credential_is_blamed() {
    let bench = bench(2, false);
    bench.always(0, Step::hang());
    let cancel = CancelToken::default();
    let flag = cancel.clone();
    let google = &bench.google;
    thread::scope(|scope| {
        scope.spawn(move || {
            assert!(google.wait_for(|state| state.generations().count() == 1, Duration::from_secs(10)));
            flag.cancel();
        });
        let began = Instant::now();
        let mut told = Vec::new();
        let mut failed = |_: &Lease, verdict: &Verdict| told.push(verdict.reason.to_string());
        bench.dispatcher.send(&mut call(), &mut Budget::new(), &cancel, &mut failed).unwrap_err();
        assert_eq!(told, ["GONE"], "it was an attempt");
        assert!(began.elapsed() < Duration::from_secs(10));
    });
    assert_eq!((bench.asked().len(), bench.states()), (1, vec!["used 0".to_owned(); 2]));
}

#[test]
fn embeddings_go_to_keys_only() {
    let mut embed = Call { operation: Operation::Embed, ..call() };
    embed.model = "gemini-embedding-001".into();
    embed.request = serde_json::from_value(json!({"content": {"parts": [{"text": "hi"}]}})).unwrap();
    let mut both = bench(2, true);
    assert_eq!(both.send_call(&mut embed).unwrap().lease.kind, Kind::ApiKey);
    let error = bench(2, false).send_call(&mut embed).unwrap_err();
    assert_eq!(error.status, 503);
    assert!(error.message.contains("API key"), "{}", error.message);
}

#[test]
fn a_raw_request_goes_on_to_the_next_key_and_keeps_googles_own_reply() {
    let headers = Headers::default();
    let get = |path| RawRequest { method: "GET", path, query: "", headers: &headers, body: b"" };
    let read = |mut reply: RawReply| {
        let mut body = String::new();
        reply.reader.read_to_string(&mut body).unwrap();
        (reply.status, body)
    };
    let wrong = json!({"api_key": "AIzaWrong"});
    let google = FakeGoogle::start();
    google.add_api_key(KEY);
    let pair = bench_of(google, vec![wrong.clone(), json!({"api_key": KEY})], BOUNDS);
    let cancel = CancelToken::default();
    let (lease, reply) =
        pair.dispatcher.send_raw(&get("/v1beta/models/gemini-2.5-flash"), "models", None, &cancel).unwrap();
    assert_eq!((lease.name.as_str(), reply.status), ("cred-1", 200));
    assert_eq!(pair.states(), ["blocked API_KEY_INVALID", "used 1"]);

    let (_, reply) = pair.dispatcher.send_raw(&get("/v1beta/models/no-such-model"), "models", None, &cancel).unwrap();
    let (status, body) = read(reply);
    assert_eq!(status, 404);
    assert!(body.contains("\"NOT_FOUND\""), "{body}");
    assert_eq!(pair.states()[1], "used 1", "a thing that is not there is nobody's fault");

    let alone = bench_of(FakeGoogle::start(), vec![wrong], BOUNDS);
    let error = alone.dispatcher.send_raw(&get("/v1beta/models"), "models", None, &cancel).unwrap_err();
    assert!(error.status == 503 || error.status == 429, "{error:?}");
}

/// As many keys that Google does not know as wanted.
fn strangers(count: usize, bounds: Bounds) -> Bench {
    let items = (0..count).map(|at| json!({"api_key": format!("AIzaStranger{at}")})).collect();
    bench_of(FakeGoogle::start(), items, bounds)
}

#[test]
fn a_request_ends_after_16_credentials_or_30_seconds_and_says_that_others_are_left() {
    let late = Bounds { patience: Duration::ZERO, ..BOUNDS };
    for (count, bounds, calls) in [(40, BOUNDS, 16), (40, late, 1), (16, BOUNDS, 16), (1, late, 1)] {
        for passed_on in [false, true] {
            let mut bench = strangers(count, bounds);
            let error = match passed_on {
                false => bench.send().unwrap_err(),
                true => {
                    let headers = Headers::default();
                    let request =
                        RawRequest { method: "GET", path: "/v1beta/files", query: "", headers: &headers, body: b"" };
                    bench.dispatcher.send_raw(&request, "files", None, &CancelToken::default()).unwrap_err()
                }
            };
            assert_eq!(bench.google.requests().len(), calls, "{count} keys, passed on: {passed_on}");
            if count == 40 {
                assert_eq!((error.status, error.code()), (503, Some("no_available_account")));
                assert_eq!(error.retry_after, Some(Duration::from_secs(1)));
                assert!(error.message.contains(&format!("{calls} were asked")), "{}", error.message);
            } else {
                assert!(!error.message.contains("were asked"), "nobody is left: {}", error.message);
            }
        }
    }
}

#[test]
fn the_bound_counts_over_all_attempts_of_a_request() {
    let bench = strangers(40, BOUNDS);
    let mut budget = Budget::new();
    for asked in [16, 17] {
        bench.dispatcher.send(&mut call(), &mut budget, &CancelToken::default(), &mut |_, _| {}).unwrap_err();
        assert_eq!(bench.google.requests().len(), asked, "a request that goes on makes one more attempt at least");
        assert!(!bench.dispatcher.may_ask_again(&budget));
    }
}

#[test]
fn a_credential_without_a_token_is_passed_over() {
    for (is_revoked, code) in [(true, "no_available_account"), (false, "upstream_auth_error")] {
        for count in [2, 1] {
            let google = FakeGoogle::start();
            let mut items: Vec<Value> = Vec::new();
            for at in 0..count {
                google.add_user(user(at));
                let mut item = google.oauth_credential(&user(at).email);
                item["expiry_date"] = json!(1_000_000_000_000_u64);
                items.push(item);
            }
            match is_revoked {
                true => google.revoke(&user(0).email),
                false => google.script("*", Step::html(500).on("token")),
            }
            let mut bench = bench_of(google, items, BOUNDS);
            match bench.send() {
                Ok(done) => assert_eq!((count, done.lease.name.as_str()), (2, "cred-1")),
                Err(error) => assert_eq!((count, error.status, error.code()), (1, 503, Some(code))),
            }
        }
    }
}

#[test]
fn a_fault_in_the_stream_is_judged_and_reported() {
    let mut bench = bench(1, false);
    let done = bench.send().unwrap();
    let error = bench.dispatcher.judge(&done.lease, MODEL, &Fault::Timeout);
    assert_eq!((error.status, error.code()), (504, Some("timeout")));
    let body = br#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"m"}}"#;
    let fault = gemini_openai_proxy::upstream::error::Refusal::within(body).fault();
    for seconds in [30, 60] {
        assert_eq!(bench.dispatcher.judge(&done.lease, MODEL, &fault).status, 429);
        about(bench.cool_down(0).1, Duration::from_secs(seconds));
    }
}
