//! The tests' fake Google as a program, to try and to load the proxy against:
//! `cargo run --example fake_google -- --port 9000 [--events N] [--delay-ms D] [--api-key K]`. Runs until killed.

#[allow(dead_code, unused_imports)] // the tests use the rest
#[path = "../tests/common/google/mod.rs"]
mod google;
#[allow(dead_code)] // the tests use the rest
#[path = "../tests/common/written.rs"]
mod written;

use google::{FakeGoogle, User};
use std::time::Duration;

fn main() -> Result<(), pico_args::Error> {
    let mut args = pico_args::Arguments::from_env();
    let port = args.opt_value_from_str("--port")?.unwrap_or(0);
    let events: Option<usize> = args.opt_value_from_str("--events")?;
    let delay: u64 = args.opt_value_from_str("--delay-ms")?.unwrap_or(0);
    let key: String = args.opt_value_from_str("--api-key")?.unwrap_or_else(|| "demo-key".into());
    let left = args.finish();
    if !left.is_empty() {
        eprintln!("fake_google: unknown argument {}", left[0].to_string_lossy());
        std::process::exit(2);
    }
    let fake = FakeGoogle::start_on(port);
    fake.settings(|settings| {
        settings.events = events.unwrap_or(settings.events);
        settings.delay = Duration::from_millis(delay);
    });
    // A load test would fill the memory with records.
    fake.settings(|settings| settings.keep_records = false);
    fake.add_api_key(&key);
    fake.add_user(User::licensed("demo@example.com", "demo-project"));
    let credential = fake.oauth_credential("demo@example.com");
    println!("{} api key {key}, project demo-project, credential {credential}", fake.base());
    loop {
        std::thread::park();
    }
}
