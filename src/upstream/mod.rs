//! Google's two services behind one trait: Code Assist for OAuth credentials, the public Generative Language API for API
//! keys. The only folder, with `credentials/google/oauth`, that knows the HTTP client.
//!
//! A call becomes an [`EventStream`], which gives the upstream's events one by one in the public API's shape, whatever the
//! service wraps them in. What fails is a [`Fault`], judged by the table in `error/`.

pub mod agent;
mod body;
pub mod cancel;
mod code_assist;
mod coding;
pub mod error;
mod event_stream;
pub mod fetch;
mod fields;
#[cfg(feature = "media")]
pub(crate) mod files;
mod generative_language;
pub(crate) mod json_client;
pub(crate) mod own_listener;
mod raw;
mod round_trip;
mod tcp;
#[cfg(feature = "vertex")]
mod vertex;
#[cfg(feature = "alerts")]
mod webhook;

use crate::api::{Call, Fetch};
use crate::credentials::Access;
pub use code_assist::CodeAssist;
pub use error::{Fault, Verdict};
pub use event_stream::{Event, EventStream};
pub use fetch::Fetcher;
pub use generative_language::GenerativeLanguage;
pub use raw::{RawReply, RawRequest};
#[cfg(feature = "vertex")]
pub use vertex::Vertex;
#[cfg(feature = "alerts")]
pub use webhook::Poster;

#[cfg(test)]
mod tests;

/// What gets media that clients name by address; it shares nothing with the client for Google.
pub fn fetcher() -> Box<dyn Fetch> {
    Box::new(Fetcher::new())
}

/// What stands for a service that this program was built without.
pub struct Unserved;

impl Upstream for Unserved {
    fn send(&self, _: &Access, _: &Call) -> Result<EventStream, Fault> {
        Err(Fault::Unsupported("this program was built without the service of this credential"))
    }
}

/// One of Google's services.
pub trait Upstream: Send + Sync {
    /// Sends the call and waits for the head of a good answer. Ends early with [`Fault::Cancelled`] under a
    /// [`cancel::scope`] whose client left.
    fn send(&self, access: &Access, call: &Call) -> Result<EventStream, Fault>;

    /// Sends a request of a native client as it is, but for its credentials, and gives back the head of whatever comes:
    /// for everything of the public API that is not a [`Call`], such as files, caches, uploads and model lists.
    fn send_raw(&self, _access: &Access, _request: &RawRequest<'_>) -> Result<RawReply, Fault> {
        Err(Fault::Unsupported("this needs a Gemini API key in the pool"))
    }
}
