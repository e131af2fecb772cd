//! The state file, from any bytes: it opens, is never lost in silence, and what is saved is read again.
#![no_main]

use gemini_openai_proxy::keys::Keys;
use gemini_openai_proxy::storage::state::{Part, State, reread, section};
use gemini_openai_proxy::usage::Usage;
use libfuzzer_sys::fuzz_target;
use std::collections::HashMap;
use std::fs;

fuzz_target!(|data: &[u8]| {
    let folder = std::env::temp_dir().join(format!("fuzz-state-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("a folder");
    let path = folder.join("state.json");
    fs::write(&path, data).expect("a file");
    let state = State::open(&path);
    let (keys, usage) = (state.take("keys"), state.take("usage"));
    let _ = (state.take("pool").value(), state.take("fuzz"));
    let keys = Keys::new(&[], &keys);
    let again = Keys::new(&[], &reread(|sink| keys.save(Part::Whole, sink)));
    assert_eq!(again.list().len(), keys.list().len());
    let usage = Usage::restore(&usage, HashMap::new());
    let again = Usage::restore(&reread(|sink| usage.save(Part::Whole, sink)), HashMap::new());
    assert_eq!(again.json(), usage.json());
    state.own("fuzz", || 1, |_, sink| sink.put("saved", &7));
    if state.save().is_ok() {
        assert_eq!(section(&path, "fuzz").value()["saved"], 7);
        if let Ok(kept) = fs::read(folder.join("state.json.broken")) {
            assert_eq!(kept, data, "the copy is the file");
        }
    } else {
        assert_eq!(fs::read(&path).expect("it is left"), data, "what is not understood stays");
    }
});
