//! The credentials file, from any bytes: it opens and a change keeps every item, or it stays as it is.
#![no_main]

use gemini_openai_proxy::config;
use gemini_openai_proxy::credentials::{Credentials, Options};
use gemini_openai_proxy::upstream::agent::{self, AgentOptions};
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::sync::LazyLock;

static CONFIG: LazyLock<(config::Config, Options)> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("fuzz-credentials-{}.json", std::process::id()));
    let text = serde_json::json!({"credentials_file": path}).to_string();
    let config = config::parse(&text).expect("a config").config;
    let agent = agent::build(&AgentOptions {
        timeouts: config.timeouts,
        workers: 1,
        proxy: config.proxy.clone(),
        authorities: None,
    });
    let options = Options::new(&config, agent);
    (config, options)
});

/// How many items the file has.
fn items(bytes: &[u8]) -> usize {
    match serde_json::from_slice(bytes) {
        Ok(serde_json::Value::Array(items)) => items.len(),
        _ => 1,
    }
}

fuzz_target!(|data: &[u8]| {
    let (config, options) = &*CONFIG;
    fs::write(&config.credentials_file, data).expect("a file");
    let Ok(pool) = Credentials::open(Options::new(config, options.agent.clone())) else {
        return assert_eq!(fs::read(&config.credentials_file).expect("it is left"), data);
    };
    let Some(first) = pool.views().first().and_then(|view| pool.find(&view.name)) else { return };
    if pool.set_label(first, Some("fuzzed")).is_ok() && pool.unsaved().is_none() {
        let kept = fs::read(&config.credentials_file).expect("a file");
        assert_eq!(items(&kept), items(data), "no item is lost");
        assert!(String::from_utf8_lossy(&kept).contains("fuzzed"));
    }
});
