//! The old program's `?compat=openai` on native paths: Google's request in, OpenAI's answer out. The one place that joins
//! two surfaces, and it joins them whole.

use super::gemini::GeminiSurface;
use super::openai_chat::{OpenAiChat, answered_as_chat};
use super::{Context, Operation, Parsed, Surface};
use crate::error::ApiError;
use crate::http;

/// A native call whose answer is wanted in OpenAI's shape.
pub struct Compat(pub GeminiSurface);

impl Surface for Compat {
    fn name(&self) -> &'static str {
        "compat"
    }

    fn parse(&self, request: &http::Request, body: Vec<u8>, context: &Context<'_>) -> Parsed {
        let mut exchange = self.0.parse(request, body, context)?;
        let call = exchange.call();
        if !matches!(call.operation, Operation::Generate | Operation::Stream) {
            // Only generation has an answer in OpenAI's terms.
            return Ok(exchange);
        }
        Ok(answered_as_chat(call.clone(), context))
    }

    fn error(&self, error: &ApiError) -> http::Response {
        OpenAiChat.error(error)
    }
}

/// Whether a query asks for it; the words are the old program's.
pub fn wanted(query: &str) -> bool {
    ["compat", "openai_compat"]
        .iter()
        .filter_map(|name| crate::http::query_value(query, name))
        .any(|word| ["openai", "true", "1", "yes", "oai"].iter().any(|known| word.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_old_programs_words_are_known() {
        for query in ["compat=openai", "compat=OPENAI", "alt=sse&openai_compat=1", "compat=yes"] {
            assert!(super::wanted(query), "{query}");
        }
        for query in ["", "compat=", "compat=no", "key=openai"] {
            assert!(!super::wanted(query), "{query}");
        }
    }
}
