//! Usage as the old program told it.

use super::{Usage, sum_by};
use serde_json::{Map, Value, json};

impl Usage {
    /// The old program's `GET /admin/usage` (docs/compatibility.md "The usage counts"); scripts take its top-level keys
    /// for models.
    pub fn json(&self) -> Value {
        let mut models = Map::new();
        for (model, counts) in sum_by(self.snapshot().total.rows(), |line| &line.model) {
            // Requests for which nobody could be asked count nothing here, as in the old program.
            if counts.successful == 0 && counts.failed.is_empty() {
                continue;
            }
            let failed: Map<String, Value> =
                counts.failed.iter().map(|(reason, count)| (reason.clone(), json!(count))).collect();
            let mut entry = json!({
                "successful_requests": counts.successful,
                "failed_requests": failed,
                "total_tokens": counts.total_tokens,
                "prompt_tokens": counts.prompt_tokens,
                "candidates_tokens": counts.candidates_tokens,
                "thoughts_tokens": counts.thoughts_tokens,
                "cached_content_token_count": counts.cached_tokens,
            });
            counts.tell_media(&mut entry);
            models.insert(model, entry);
        }
        Value::Object(models)
    }
}
