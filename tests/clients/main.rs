//! Real programs and libraries as clients, in a target of their own since they are large: `make clients` installs them at the
//! versions of `programs.jsonl` and runs this. Each answers a question and works through a loop of tools with calls in
//! parallel, against the strict fake Google, which demands thought signatures and is sent the true ones.

#[allow(dead_code, unused_imports)] // the suite uses the rest
#[path = "../common/mod.rs"]
mod common;

mod agents;
mod libraries;

use std::path::{Path, PathBuf};

const MODEL: &str = "gemini-3.1-pro-preview";

/// Below this folder everything is installed.
fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(path)
}
