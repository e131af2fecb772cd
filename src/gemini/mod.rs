//! Google's own types, the hub between all surfaces and all upstreams, and the knowledge about Gemini that is not tied
//! to a surface: the model table, thinking, tool schemas, thought signatures. Knows no HTTP, no credentials, no OpenAI.

pub mod models;
pub mod request;
pub mod response;
pub mod schema;
pub mod signatures;
mod sniff;
pub mod surrogates;
pub mod thinking;
mod tier;
mod usage_metadata;
pub(crate) mod weight;

pub use request::{
    Blob, Content, FileData, FunctionCall, FunctionCallingConfig, FunctionDeclaration, FunctionResponse,
    GenerationConfig, Part, Request, SafetySetting, ThinkingConfig, Tool, ToolConfig,
};
pub use response::{Candidate, Response, ResponsePart, Text};
pub(crate) use sniff::{sniff, was_here};
pub use tier::Tier;
pub use usage_metadata::{ModalityCount, UsageMetadata};
