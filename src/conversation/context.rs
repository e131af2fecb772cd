//! What the rules may use of the program around them.

use crate::config::Settings;
use crate::gemini::models::ModelTable;
use crate::gemini::signatures::SignatureCache;
use std::cell::OnceCell;
use std::sync::Arc;

/// What a dialect may use while it reads a request.
pub struct Context<'a> {
    /// The models this server knows.
    pub models: &'a ModelTable,
    /// Thought signatures of earlier answers; shared, because answers put new ones in.
    pub signatures: &'a Arc<SignatureCache>,
    /// Gets media the client named by address.
    pub fetch: &'a dyn Fetch,
    /// The client's key, as a mark that is safe to log and stays what it is over restarts; isolates the signature cache.
    pub key_name: &'a str,
    /// Settings that change translations.
    pub settings: &'a Settings,
    /// Where the name of the model goes that the client wrote, for those who must tell of a request that cannot be served.
    pub asked: Option<&'a OnceCell<String>>,
}

impl Context<'_> {
    /// Notes the name of the model as the client wrote it.
    pub fn note_model(&self, name: &str) {
        if let Some(asked) = self.asked {
            let _ = asked.set(name.to_owned());
        }
    }

    /// The same, but nothing is fetched: media by address are of their type only.
    pub fn offline(&self) -> Context<'_> {
        Context { fetch: &Unfetched, ..*self }
    }
}

struct Unfetched;

impl Fetch for Unfetched {
    fn fetch(&self, url: &str) -> Result<(String, Vec<u8>), String> {
        let mime = if url.ends_with(".pdf") { "application/pdf" } else { "image/png" };
        // Of something: what is empty is refused.
        Ok((mime.into(), vec![0]))
    }
}

/// Gets media by address. The implementation guards against requests into private networks.
pub trait Fetch: Send + Sync {
    /// Returns media type (without parameters) and bytes, or a sentence saying why not.
    fn fetch(&self, url: &str) -> Result<(String, Vec<u8>), String>;
}
