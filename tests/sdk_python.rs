//! The official Python SDKs as clients: OpenAI's on `/v1`, Google's on `/v1beta`, each with a pool on either service of the
//! strict fake Google.

use crate::common::google::{End, FakeGoogle, Recorded, Step};
use crate::common::proxy::{GEMINI_KEY, Pool, Proxy};
use crate::common::script;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gemini_openai_proxy::serve::service::Tuning;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};

/// Runs a script of `tests/py` against a fresh proxy, and returns the generations that Google saw.
fn run(pool: Pool, file: &str, arguments: &[&str]) -> Vec<Recorded> {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, pool);
    script::python(file, arguments, &proxy);
    google.generations()
}

fn paths(generations: &[Recorded]) -> Vec<&str> {
    generations.iter().map(|generation| generation.path.as_str()).collect()
}

#[test]
fn the_table_of_googles_fields_is_whole() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/fields.md");
    assert!(run(Pool::ApiKey, "google_fields.py", &[page]).is_empty());
}

#[test]
fn openai_chats_streams_lists_models_and_sees_images() {
    for pool in Pool::EACH {
        let generations = run(pool, "openai_basics.py", &[]);
        let service = if pool == Pool::Oauth { "/v1internal:" } else { "/v1beta/models/gemini-2.5-flash:" };
        assert!(paths(&generations).iter().all(|path| path.starts_with(service)), "{:?}", paths(&generations));
        let image = generations.last().expect("a generation").body.to_string();
        assert!(image.contains(r#""mimeType":"image/png""#), "{image}");
    }
}

#[cfg(feature = "agents")]
#[test]
fn openai_answers_streams_and_calls_tools_by_the_responses_api() {
    for pool in Pool::EACH {
        for model in ["gemini-2.5-flash", "gemini-3-flash-preview"] {
            let generations = run(pool, "openai_responses.py", &[model]);
            assert_eq!(generations.len(), 14, "five answers, a summary, and four for each of two loops");
        }
    }
}

#[test]
fn openai_sees_images_by_address() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    // The guard refuses this machine, where a test's pictures are; only a test can open it.
    let tuning = Tuning { media_from: Some(|address| address.ip().is_loopback()), ..Tuning::default() };
    let proxy = Proxy::start_with(&google, tuning, |config| config["gemini_api_keys"] = json!([GEMINI_KEY]));
    let pictures = serve_pictures();
    let addresses = ["moved", "page"].map(|name| format!("http://{pictures}/{name}"));
    script::python("openai_vision_url.py", &[&addresses[0], &addresses[1]], &proxy);
    for generation in google.generations() {
        let image = &generation.body["contents"][0]["parts"][1]["inlineData"];
        assert_eq!(image["mimeType"], "image/png", "{}", generation.body);
        assert_eq!(image["data"], STANDARD.encode(PNG));
    }
    assert_eq!(google.generations().len(), 2, "what is no picture does not reach google");
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and what belongs to it";

/// A server with `/moved`, which leads to a picture, and `/page`, which is none; until the process ends.
fn serve_pictures() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut line = String::new();
            let mut reader = BufReader::new(client.try_clone().expect("a twin"));
            let _ = reader.read_line(&mut line);
            let mut field = String::from("-");
            while field.trim_end() != "" {
                field.clear();
                let _ = reader.read_line(&mut field);
            }
            let (head, body): (&str, &[u8]) = match line.split(' ').nth(1) {
                Some("/moved") => ("302 Found\r\nLocation: /picture", b""),
                Some("/picture") => ("200 OK\r\nContent-Type: image/png; charset=binary", PNG),
                _ => ("200 OK\r\nContent-Type: text/html", b"<html></html>"),
            };
            let _ = write!(client, "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = client.write_all(body);
        }
    });
    address
}

#[test]
fn openai_errors_have_their_classes() {
    for pool in Pool::EACH {
        let generations = run(pool, "openai_errors.py", &[]);
        assert!(
            generations.iter().all(|generation| generation.status == 404),
            "what is wrong in itself does not reach google: {:?}",
            paths(&generations)
        );
    }
}

#[test]
fn openai_helpers_parse_schemas_and_tools() {
    for pool in Pool::EACH {
        for model in ["gemini-2.5-flash", "gemini-3-flash-preview"] {
            run(pool, "openai_helpers.py", &[model]);
        }
    }
}

#[test]
fn openai_tool_loops_survive_clients_that_drop_signatures() {
    for pool in Pool::EACH {
        for model in ["gemini-2.5-pro", "gemini-3.1-pro-preview"] {
            let generations = run(pool, "openai_tool_loop.py", &[model]);
            assert_eq!(generations.len(), 16, "four loops of four requests: {:?}", paths(&generations));
        }
    }
}

#[cfg(feature = "agents")]
#[test]
fn anthropics_messages_stream_think_count_and_loop_over_tools() {
    for pool in Pool::EACH {
        for model in ["gemini-2.5-pro", "gemini-3.1-pro-preview"] {
            let generations = run(pool, "anthropic_messages.py", &[model]);
            assert_eq!(generations.len(), 21, "five, and four loops of four requests: {:?}", paths(&generations));
        }
    }
}

#[cfg(feature = "agents")]
#[test]
fn anthropics_tool_runner_goes_over_three_rounds() {
    for pool in Pool::EACH {
        for model in ["gemini-2.5-flash", "gemini-3-flash-preview"] {
            let generations = run(pool, "anthropic_tools.py", &[model]);
            assert_eq!(generations.len(), 8, "four requests, streamed and not");
        }
    }
}

#[test]
fn openai_tool_loops_survive_a_new_proxy() {
    for pool in Pool::EACH {
        let google = FakeGoogle::start();
        let (before, after) = (Proxy::with_pool(&google, pool), Proxy::with_pool(&google, pool));
        script::python("openai_moved.py", &[&before.base()], &after);
        let statuses: Vec<u16> = google.generations().iter().map(|generation| generation.status).collect();
        assert_eq!(statuses, [200; 4], "nothing had to be asked twice");
    }
}

#[test]
fn openai_streams_that_break_raise() {
    for pool in Pool::EACH {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, pool);
        // A thought, then two of three pieces of text.
        google.always("*", Step::default_answer().cut_after_events(3, End::Reset));
        script::python("openai_broken.py", &[], &proxy);
    }
}

#[test]
fn google_genai_generates_streams_calls_tools_counts_lists_and_embeds() {
    run(Pool::Oauth, "google_genai.py", &["oauth"]);
    run(Pool::ApiKey, "google_genai.py", &["api_key"]);
}

#[test]
fn openai_embeds_and_completes() {
    run(Pool::ApiKey, "openai_small.py", &[]);
}

#[cfg(feature = "agents")]
#[test]
fn openai_agents_hand_over_and_call_tools_by_either_api() {
    for pool in Pool::EACH {
        for model in ["gemini-2.5-flash", "gemini-3-flash-preview"] {
            let generations = run(pool, "openai_agents.py", &[model]);
            assert_eq!(
                generations.len(),
                18,
                "three for each of two apis, whole and streamed, two for each of three tools"
            );
        }
    }
}
