//! gemini-openai-proxy: OpenAI-compatible access to Google Gemini from a pool of the user's own credentials.
//!
//! A request goes one way: [`http`] (front, then a worker) -> [`serve`] (route,
//! endpoints, generate) -> `api/<dialect>` (its JSON) -> [`conversation`] (the rules that all dialects share) ->
//! [`dispatch`] -> [`credentials`] (the pool) -> [`upstream`] -> Google; and back: upstream events -> [`conversation`]
//! (deltas) -> `api/<dialect>` (its frames) -> the event writer in [`http`]. Google's own types ([`gemini`]) are the hub: N
//! dialects cost N readers and writers, and the native one loses nothing.
//!
//! Who may know whom, mostly about what is absent:
//! - only [`http`] knows client sockets; it knows no route and no JSON but its own refusals;
//! - only [`upstream`] and `credentials/google/oauth` know the HTTP client (ureq); [`commands`] is given a built one;
//! - [`api`] knows neither of them, nor credentials; a surface never knows another surface;
//! - [`conversation`] knows no dialect and no JSON of a client;
//! - only [`dispatch`] knows the pool and the upstreams together;
//! - the credentials file and its records are private to [`credentials`]; [`admin`] sees views, never a [`secret::Secret`];
//! - [`config`] is at the bottom: it takes [`secret`], [`mask`] and [`os`], and others take its types;
//! - no lock is held across I/O, logging or a refresh.
//!
//! docs/http.md has the life of a connection, docs/architecture.md the map of the running program.
//!
//! Reading order: [`serve`] (its `mod.rs` names its files in the order of a request), [`api`], [`dispatch`], then the folders. [`commands`] is what the
//! program does in a terminal besides serving.

pub mod admin;
pub mod api;
pub(crate) mod calendar;
pub mod commands;
pub mod config;
pub mod conversation;
pub mod credentials;
pub mod dispatch;
pub mod error;
pub mod gemini;
pub mod http;
pub mod keys;
pub mod logging;
pub mod mask;
pub mod message;
pub mod os;
pub(crate) mod page;
pub mod secret;
pub mod serve;
pub mod sse;
pub mod storage;
#[cfg_attr(not(feature = "replicas"), path = "store/none.rs")]
pub mod store;
pub mod upstream;
pub mod usage;
