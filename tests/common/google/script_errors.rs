//! Google's well-known failures as scripted steps.

use super::errors::{self, Refusal};
use super::script::Step;
use serde_json::json;

impl Step {
    /// 429 of Code Assist with reason and delay (`"0.5s"`).
    pub fn rate_limited(reason: &str, delay: &str) -> Step {
        Step::refusal(
            Refusal::new(
                429,
                format!("You have exhausted your capacity on this model. Your quota will reset after {delay}."),
            )
            .reason(reason, "cloudcode-pa.googleapis.com", json!({"uiMessage": "true", "quotaResetDelay": delay}))
            .detail(errors::retry_info(delay)),
        )
    }

    /// 429 QUOTA_EXHAUSTED.
    pub fn quota_exhausted(delay: &str) -> Step {
        Step::rate_limited("QUOTA_EXHAUSTED", delay)
    }

    /// 429 without details.
    pub fn bare_429() -> Step {
        Step::status(429, "Resource has been exhausted (e.g. check quota).")
    }

    /// 429 or 503 MODEL_CAPACITY_EXHAUSTED.
    pub fn capacity(status: u16, model: &str) -> Step {
        Step::refusal(
            Refusal::new(status, format!("No capacity available for model {model} on the server"))
                .reason("MODEL_CAPACITY_EXHAUSTED", "cloudcode-pa.googleapis.com", json!({"model": model}))
                .detail(errors::retry_info("1s")),
        )
    }

    /// 429 of the public API; `quota_id` such as `GenerateRequestsPerDayPerProjectPerModel-FreeTier`.
    pub fn public_429(quota_id: &str, delay: &str) -> Step {
        let metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests";
        let message = format!(
            "You exceeded your current quota, please check your plan and billing details.\n* Quota exceeded for metric: \
             {metric}, limit: 2\nPlease retry in {delay}."
        );
        let failure = json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [
            {"quotaMetric": metric, "quotaId": quota_id, "quotaDimensions": {"location": "global"}, "quotaValue": "2"}]});
        Step::refusal(
            Refusal::new(429, message)
                .detail(failure)
                .detail(errors::help(
                    "Learn more about Gemini API quotas",
                    "https://ai.google.dev/gemini-api/docs/rate-limits",
                ))
                .detail(errors::retry_info(delay)),
        )
    }
}
