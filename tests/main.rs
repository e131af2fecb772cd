//! Every test of the whole program, in one binary: one file or folder for each surface or promise. README.md says which kind of
//! test stands where; `written.rs` alone is another binary, since it searches what this one has collected.

// What tests share is not all used where some of them are left out with their feature.
#![cfg_attr(not(feature = "agents"), allow(dead_code, unused_imports))]

#[cfg_attr(not(feature = "vertex"), allow(dead_code))] // those of Vertex AI are among them
mod common;

mod accounts;
#[cfg(feature = "alerts")]
mod alerts;
#[cfg(feature = "agents")]
mod anthropic_messages;
mod architecture;
mod arguments;
mod binary;
mod browser;
mod chat_http;
mod clock_jumps;
mod commands;
mod configuration;
mod conformance;
#[cfg(feature = "codings")]
mod content_codings;
mod conversation;
mod credentials_file;
mod credentials_pool;
mod dependencies;
mod deploy;
mod dispatch;
#[cfg(feature = "agents")]
mod endings;
mod failover;
mod failures;
mod fake_google;
mod faults;
#[cfg(feature = "agents")]
mod fields;
mod gemini;
mod gemini_4;
mod gemini_cli;
mod listener;
mod long_decode;
mod masks;
mod memory;
#[cfg(feature = "agents")]
mod model_routes;
#[cfg(feature = "ledger")]
mod month;
#[cfg(feature = "agents")]
mod moving_names;
mod mutations;
mod native_forward;
mod openai_chat;
mod openai_completions;
mod openai_embeddings;
#[cfg(feature = "media")]
mod openai_media;
#[cfg(feature = "agents")]
mod openai_responses;
mod operations;
mod overload;
#[cfg(feature = "agents")]
mod prefixes;
mod readme;
#[cfg(feature = "agents")]
mod reasons;
#[cfg(feature = "replicas")]
mod replicas;
mod resilience;
#[cfg(feature = "agents")]
mod sdk_errors;
mod sdk_node;
mod sdk_python;
mod several_answers;
#[cfg(feature = "agents")]
mod signature_file;
mod signatures;
mod small_surfaces;
mod sse;
mod strangers;
mod streaming;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "agents")]
mod tools_together;
mod upstream;
mod usage;
#[cfg(feature = "vertex")]
mod vertex;
