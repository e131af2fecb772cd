//! What a model takes in a request and gives in an answer, by the model that serves it.

use super::Model;

impl Model {
    /// The most that `maxOutputTokens` may say.
    pub fn longest_answer(&self) -> u64 {
        if self.long_decode { self.input_token_limit.max(self.output_token_limit) } else { self.output_token_limit }
    }

    /// Gemini 3 and 2.5 Pro: "Penalty is not enabled for this model". Of 2.5 Flash it is said and denied; where Google
    /// refuses it, dispatch asks again without.
    pub fn takes_penalties(&self) -> bool {
        !self.gemini3 && !self.is_of("gemini-2.5-pro")
    }

    /// Whether it reads JSON Schema; Gemini 2.0 and older know the subset of OpenAPI only.
    pub fn reads_json_schema(&self) -> bool {
        !self.is_of("gemini-2.0") && !self.is_of("gemini-1")
    }

    /// Whether there may be a system instruction; Gemma 3 and older refuse one.
    pub fn takes_system(&self) -> bool {
        !["gemma-1", "gemma-2", "gemma-3"].iter().any(|old| self.is_of(old))
    }

    /// Whether it tells the probabilities of tokens, on the service that does: Google refuses them from Gemini 3 on
    /// ("Logprobs is not supported for this model").
    pub fn gives_logprobs(&self) -> bool {
        self.is_of("gemini-") && !self.gemini3 && !self.image_output && !self.speech_output && !self.embedding
    }
}
