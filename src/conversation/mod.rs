//! The one conversation that all dialects speak: what clients say in many dialects, in Google's terms, and what Google
//! answers, in no dialect. It knows Google's types, no JSON of a client, no socket and no dialect.
//!
//! **In.** A dialect (a folder of `api/`) reads its JSON into an [`asked::Asked`]:
//! - the conversation as a list of [`history::Entry`] in the client's order: what the operator, the user and the model said,
//!   and what tools answered. A model's turn is a list of parts, calls under the client's own names and ids, and signatures
//!   that were carried apart from what they sign. Nothing need be repaired, joined, renamed or put in order before.
//! - media as parts, which [`attachments`] makes of data URLs, base64, addresses and files;
//! - the tools, declared to a [`tools::Toolbox`], and the [`tools::Choice`] among them;
//! - the [`format::Format`] of the answer, how much to think, the options of `generationConfig` (one table in
//!   `api/options`), and in its [`plan::Plan`] what the answer must obey.
//!
//! [`asked::Asked::compose`] makes Google's request of it and the plan complete. Its rules, in their order:
//! 1. thinking: what is asked, clamped to what the model can (`gemini/thinking`);
//! 2. tools: names that Google takes ([`names`]), the client's functions, beside Google's own tools where the model takes both;
//! 3. signatures: a call's own, then those carried apart, then those of the whole turn, then those that [`signatures`]
//!    remembers; none twice, none of another family of models;
//! 4. system messages: to the front, or in their place as marked user text ([`turns`]);
//! 5. results are brought to their calls; what no call wants becomes text, and ids become unique ([`pairing`]);
//! 6. turns: same roles are joined, results stand directly behind their calls, the user speaks first and last, which takes
//!    a continuation text where the model spoke last; a lost signature that Google insists on becomes its placeholder;
//! 7. the output format: Google's fields, or a sentence where it refuses them beside tools.
//!
//! **Out.** Each attempt at an answer is an [`answer::Answer`]: it takes Google's events and gives [`answer::Delta`]s. The first is
//! `Start` and, unless the answer failed, the last is `End` with the finish, token counts, citations, a signature of the text
//! and speech. Between them come thoughts, text, whole calls (with the client's name, an id and the signature) and pictures,
//! in Google's order. Stop sequences that Google had no room for, code fences around JSON, halves of surrogate pairs,
//! arguments and repeated signatures are dealt with on the way; the signature of every call is remembered. An answer that
//! is empty, blocked, malformed or cut off ends in a verdict: a finish, or an error and whether another attempt is worth it.
//! A whole answer is [`answer::Folded`] from the same deltas, so it cannot differ from a streamed one.
//!
//! Nothing here is copied per event: deltas borrow Google's text where nothing in it had to change, and a dialect writes
//! its frame straight into the buffer of the client.
//!
//! **What a new dialect writes:** a `request` that makes an `Asked` of its JSON and refuses what its API refuses; a
//! `api::conversing::Reply` with the document of a whole answer and the frames of a stream; the words of its finish reasons,
//! token counts and errors. `api/openai_chat` is the example. What it needs of two dialects' JSON alike stands in
//! `api/params`, `api/options` and, for OpenAI's, in `api/openai`. If it seems to need a rule, the rule belongs here.

pub mod answer;
pub(crate) mod arguments;
pub mod asked;
pub mod attachments;
pub(crate) mod built_in;
mod context;
pub mod format;
pub mod history;
mod media;
pub mod names;
mod pairing;
pub mod plan;
mod shape;
pub mod signatures;
pub mod tokens;
pub mod tools;
mod turns;

pub use context::{Context, Fetch};
