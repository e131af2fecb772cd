//! The conversation as dialects use it that are not chat: items and blocks in any order, signatures carried apart from
//! what they sign, system messages in their place, answers as deltas.

use crate::common::translation::models;
use gemini_openai_proxy::api::{Context, Fetch, MidSystem, Settings};
use gemini_openai_proxy::conversation::answer::{Answer, Block, Delta, Finish, Folded};
use gemini_openai_proxy::conversation::asked::Asked;
use gemini_openai_proxy::conversation::history::{Call, Entry, ModelTurn, Outcome, Said, open_turn};
use gemini_openai_proxy::conversation::plan::Plan;
use gemini_openai_proxy::conversation::signatures::{Carried, Signed, split_id};
use gemini_openai_proxy::conversation::tools::Choice;
use gemini_openai_proxy::gemini::models::ModelTable;
use gemini_openai_proxy::gemini::signatures::SignatureCache;
use gemini_openai_proxy::gemini::{Part, Response};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const MODEL: &str = "gemini-3-flash-preview";
const FAMILY: &str = "gemini-3-flash";
const PLACEHOLDER: &str = "skip_thought_signature_validator";

/// A machine without a network.
struct NoNetwork;

impl Fetch for NoNetwork {
    fn fetch(&self, _url: &str) -> Result<(String, Vec<u8>), String> {
        Err("there is no network".into())
    }
}

struct World {
    models: ModelTable,
    signatures: Arc<SignatureCache>,
    settings: Settings,
}

impl World {
    fn new() -> World {
        let settings = Settings { continue_text: "Go on.".into(), ..Settings::default() };
        let signatures = Arc::new(SignatureCache::new(1 << 20, Duration::from_secs(3600)));
        World { models: models(), signatures, settings }
    }

    /// Google's request and the plan for what `ask` puts in.
    fn compose(&self, model: &str, ask: impl FnOnce(&mut Asked)) -> (Value, Plan) {
        let context = Context {
            models: &self.models,
            signatures: &self.signatures,
            fetch: &NoNetwork,
            key_name: "key-1",
            settings: &self.settings,
            asked: None,
        };
        let mut asked = Asked::new(self.models.resolve(model).unwrap(), &context);
        asked.mid_system = MidSystem::InPlace;
        ask(&mut asked);
        let (request, plan) = asked.compose(&context);
        (serde_json::to_value(request).unwrap(), plan)
    }

    fn contents(&self, model: &str, history: Vec<Entry>) -> Value {
        self.compose(model, |asked| asked.history = history).0["contents"].take()
    }
}

fn user(text: &str) -> Entry {
    Entry::User(vec![Part::text(text)])
}

fn call(id: &str, name: &str) -> Said {
    Said::Call(Call { id: Some(id.into()), name: name.into(), args: json!({}), ..Call::default() })
}

fn result(id: &str, text: &str) -> Entry {
    Entry::Result(Outcome::new(Some(id.into()), None, vec![Part::text(text)]))
}

fn carried(signed: Signed, family: &str) -> Said {
    let text = Carried { signed, family: family.into(), signature: "U0lH".into() }.write();
    Said::Signature(Carried::read(&text).unwrap())
}

/// Turns in short: `role: part part ...`.
fn short(contents: &Value) -> Vec<String> {
    let part = |part: &Value| {
        let signature = match part["thoughtSignature"].as_str() {
            None => "",
            Some(PLACEHOLDER) => "?",
            Some(_) => "!",
        };
        let what = match (&part["text"], &part["functionCall"], &part["functionResponse"]) {
            (Value::String(text), ..) => format!("'{text}'"),
            (_, Value::Object(call), _) => format!("{}()", call["name"].as_str().unwrap()),
            (.., Value::Object(response)) => {
                format!("{}={}", response["name"].as_str().unwrap(), response["response"])
            }
            _ => "media".into(),
        };
        format!("{what}{signature}")
    };
    let turn = |turn: &Value| {
        let parts: Vec<String> = turn["parts"].as_array().unwrap().iter().map(part).collect();
        format!("{}: {}", turn["role"].as_str().unwrap(), parts.join(" "))
    };
    contents.as_array().unwrap().iter().map(turn).collect()
}

#[test]
fn items_of_one_step_are_one_turn_and_steps_stay_apart() {
    let mut history = vec![user("q")];
    open_turn(&mut history).said.extend([carried(Signed::Call(Some("b".into())), FAMILY), call("a", "f")]);
    open_turn(&mut history).said.push(call("b", "g"));
    history.extend([result("b", "2"), result("a", "1")]);
    open_turn(&mut history).said.push(call("c", "f"));
    history.push(result("c", "3"));
    let contents = World::new().contents(MODEL, history);
    assert_eq!(
        short(&contents),
        [
            "user: 'q'",
            "model: f()? g()!",
            r#"user: f={"output":"1"} g={"output":"2"}"#,
            "model: f()?",
            r#"user: f={"output":"3"}"#
        ]
    );
}

#[test]
fn blocks_keep_their_order_and_failed_tools_say_so() {
    let said = vec![Part::text("a").into(), call("1", "f"), Part::text("b").into(), call("2", "g")];
    let failed = Outcome { is_error: true, ..Outcome::new(Some("1".into()), None, vec![Part::text("no")]) };
    let history = vec![
        user("q"),
        Entry::Model(ModelTurn { said, ..ModelTurn::default() }),
        result("2", "yes"),
        Entry::Result(failed),
        user("and?"),
    ];
    let contents = World::new().contents("gemini-2.5-flash", history);
    assert_eq!(
        short(&contents),
        ["user: 'q'", "model: 'a' f() 'b' g()", r#"user: f={"error":"no"} g={"output":"yes"} 'and?'"#]
    );
}

#[test]
fn signatures_of_other_families_are_left_out_and_ids_of_other_proxies_are_cleaned() {
    for (family, expected) in [(FAMILY, "model: f()!"), ("gemini-2.5-pro", "model: f()?")] {
        let said = vec![carried(Signed::Call(None), family), call("a", "f")];
        let history = vec![user("q"), Entry::Model(ModelTurn { said, ..ModelTurn::default() }), result("a", "1")];
        assert_eq!(short(&World::new().contents(MODEL, history))[1], expected, "{family}");
    }
    let said = vec![Part::text("x").into(), carried(Signed::Text, FAMILY)];
    let history = vec![user("q"), Entry::Model(ModelTurn { said, ..ModelTurn::default() })];
    assert_eq!(short(&World::new().contents(MODEL, history)), ["user: 'q'", "model: 'x'!", "user: 'Go on.'"]);
    assert_eq!(split_id("a__thought__U0lH".into()), ("a".into(), Some("U0lH".into())));
    assert_eq!(split_id("a__thought__?".into()), ("a".into(), None));
}

#[test]
fn system_messages_stay_where_they_stand_unless_they_are_first() {
    let system = |text: &str| Entry::System(vec![Part::text(text)]);
    let history = || vec![system("s"), user("q"), system("t"), user("r")];
    let world = World::new();
    let (request, _) = world.compose(MODEL, |asked| asked.history = history());
    assert_eq!(request["systemInstruction"]["parts"], json!([{"text": "s"}]));
    assert_eq!(short(&request["contents"]), ["user: 'q' '<system>t</system>' 'r'"]);
    let (request, _) = world.compose(MODEL, |asked| {
        asked.mid_system = MidSystem::Hoist;
        asked.history = history();
    });
    assert_eq!(request["systemInstruction"]["parts"], json!([{"text": "s"}, {"text": "t"}]));
}

#[test]
fn a_choice_among_tools_becomes_googles_config() {
    let choose = |choice| {
        let mut refused = None;
        let (request, _) = World::new().compose(MODEL, |asked| {
            asked.history = vec![user("q")];
            asked.toolbox.function("a b", Some("A".into()), Some(json!({"type": "object", "properties": {"x": {}}})));
            asked.toolbox.custom("patch", None, Some(("lark".into(), "start: x".into())));
            assert!(asked.toolbox.built_in("web_search_20250305") && !asked.toolbox.built_in("computer_20250124"));
            refused = asked.toolbox.choose(choice, "tool_choice").err();
        });
        let names = |list: &Value| {
            let names = list.as_array().into_iter().flatten();
            names.map(|entry| entry["name"].as_str().or(entry.as_str()).unwrap().to_owned()).collect::<Vec<_>>()
        };
        let config = &request["toolConfig"]["functionCallingConfig"];
        let declared = names(&request["tools"][0]["functionDeclarations"]);
        let searches = request["tools"][1] == json!({"googleSearch": {}});
        let mode = config["mode"].as_str().unwrap_or_default().to_owned();
        let allowed = names(&config["allowedFunctionNames"]).join(" ");
        (declared.join(" "), searches, mode, allowed, refused.map(|e| e.param.unwrap()))
    };
    let both = "a_b patch";
    let only =
        |names: &[&str], required| Choice::Only { names: names.iter().map(|n| n.to_string()).collect(), required };
    for (choice, declared, searches, mode, allowed, refused) in [
        (Choice::Auto, both, true, "VALIDATED", "", None),
        (Choice::word("none"), both, false, "NONE", "", None),
        (Choice::word("any"), both, true, "ANY", "", None),
        (Choice::One("a b".into()), both, true, "ANY", "a_b", None),
        (Choice::One("c".into()), both, true, "VALIDATED", "", Some("tool_choice".to_owned())),
        (only(&["patch", "c"], true), both, false, "ANY", "patch", None),
        (only(&["patch"], false), "patch", false, "", "", None),
        (only(&["c"], false), both, false, "", "", Some("tool_choice".to_owned())),
    ] {
        let expected = (declared.to_owned(), searches, mode.to_owned(), allowed.to_owned(), refused);
        let name = format!("{choice:?}");
        assert_eq!(choose(choice), expected, "{name}");
    }
}

/// The deltas of an answer in short, and the same answer whole.
fn deltas(plan: Plan, events: &[Value]) -> (Vec<String>, Folded) {
    let mut answer = Answer::new(Arc::new(plan), 0);
    let (mut seen, mut folded) = (Vec::new(), Folded::default());
    let mut take = |delta: Delta<'_>| {
        seen.push(match &delta {
            Delta::Start { id, usage } => format!("start {id} {:?}", usage.prompt_token_count),
            Delta::Thought(text) => format!("thought {text}"),
            Delta::Text(text, _) => format!("text {text}"),
            Delta::Arguments(text) => format!("arguments {text}"),
            Delta::Call(call) => format!("call {} {} {:?}", call.name, call.arguments, call.signature),
            Delta::Image(image) => format!("image {}", image.mime),
            Delta::End(ending) => format!("end {:?} {:?}", ending.finish, ending.stop),
        });
        folded.push(delta);
    };
    for event in events {
        let text = event.to_string();
        let event: Response = serde_json::from_str(&text).unwrap();
        answer.event(&event, &mut take);
    }
    answer.end(false, &mut take).unwrap();
    (seen, folded)
}

fn event(parts: Value, more: Value) -> Value {
    let mut event = json!({"candidates": [{"content": {"parts": parts}}]});
    for (name, value) in more.as_object().unwrap() {
        match name.as_str() {
            "usageMetadata" | "responseId" => event[name] = value.clone(),
            name => event["candidates"][0][name] = value.clone(),
        }
    }
    event
}

#[test]
fn an_answer_is_deltas_in_googles_order_and_the_whole_is_folded_from_them() {
    let world = World::new();
    let (_, plan) = world.compose(MODEL, |asked| {
        asked.history = vec![user("q")];
        asked.toolbox.function("a b", None, Some(json!({"type": "object", "properties": {"n": {"type": "integer"}}})));
    });
    let events = [
        event(
            json!([{"text": "hm", "thought": true}]),
            json!({"responseId": "r1", "usageMetadata": {"promptTokenCount": 7}}),
        ),
        event(json!([{"text": "let"}]), json!({})),
        event(json!([{"text": " me"}]), json!({})),
        event(json!([{"functionCall": {"name": "a_b", "args": {"n": 3.0}}, "thoughtSignature": "U0lH"}]), json!({})),
        event(json!([{"text": "so"}, {"text": "", "thoughtSignature": "VEVY"}]), json!({"finishReason": "STOP"})),
    ];
    let (seen, folded) = deltas(plan, &events);
    assert_eq!(
        seen,
        [
            "start r1 Some(7)",
            "thought hm",
            "text let",
            "text  me",
            r#"call a b {"n":3} Some("U0lH")"#,
            "text so",
            "end Calls None"
        ]
    );
    let [Block::Thought(thought), Block::Text(text), Block::Call(call), Block::Text(last)] = &folded.blocks[..] else {
        panic!("{:?}", folded.blocks);
    };
    assert_eq!((thought.as_str(), text.as_str(), last.as_str(), &*folded.text()), ("hm", "let me", "so", "let meso"));
    let ending = folded.ending.as_ref().unwrap();
    assert_eq!((ending.finish, ending.signature.as_deref()), (Finish::Calls, Some("VEVY")));

    // A client that gives back nothing but the id finds the signature in the cache.
    let said = vec![Said::Call(Call { id: Some(call.id.clone()), name: "a b".into(), ..Call::default() })];
    let history = vec![user("q"), Entry::Model(ModelTurn { said, ..ModelTurn::default() }), result(&call.id, "1")];
    assert_eq!(short(&world.contents(MODEL, history))[1], "model: a_b()!");
}

#[test]
fn what_is_carried_comes_back_to_its_call() {
    let world = World::new();
    let (_, plan) = world.compose(MODEL, |asked| asked.history = vec![user("q")]);
    let text = plan.signatures.carry(Signed::Call(Some("x".into())), "U0lH");
    let said = vec![Said::Signature(Carried::read(&text).unwrap()), call("y", "g"), call("x", "f")];
    let history = vec![user("q"), Entry::Model(ModelTurn { said, ..ModelTurn::default() })];
    assert_eq!(short(&world.contents(MODEL, history))[1], "model: g()? f()!");
}

#[test]
fn the_end_tells_the_stop_sequence_and_what_was_found() {
    let (_, mut plan) =
        World::new().compose(MODEL, |asked| asked.toolbox.built_in("web_search").then_some(()).unwrap());
    plan.stops = vec!["HALT".into(), "STOP".into()];
    let grounding = json!({
        "webSearchQueries": ["zürich weather"],
        "groundingChunks": [{"web": {"uri": "https://a.test", "title": "A"}}, {"web": {"uri": "https://b.test", "domain": "b"}}],
        "groundingSupports": [{"segment": {"endIndex": 7}, "groundingChunkIndices": [1]}]});
    let events = [
        event(json!([{"text": "Zürich ST"}]), json!({"groundingMetadata": grounding})),
        event(json!([{"text": "OP and more"}]), json!({"finishReason": "MAX_TOKENS"})),
    ];
    let (seen, folded) = deltas(plan, &events);
    assert_eq!(seen[1..], ["text Zürich ", r#"end Stop Some("STOP")"#]);
    let search = folded.ending.unwrap().search;
    assert_eq!(search.queries, ["zürich weather"]);
    assert_eq!(search.sources.iter().map(|source| source.title.as_str()).collect::<Vec<_>>(), ["A", "b"]);
    let [cited] = &search.citations[..] else { panic!("{search:?}") };
    assert_eq!((cited.start, cited.end, cited.source.url.as_str()), (0, 6, "https://b.test"));
}
