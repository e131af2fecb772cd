//! OpenAI's old billing endpoints, which some chat programs ask for a balance (docs/clients.md "NextChat"): nothing is
//! spent here, and the limit is far away.

use serde_json::{Value, json};

/// US dollars. Programs show it as the quota, and compute what is left from it.
const LIMIT: f64 = 1_000_000.0;

/// `GET /dashboard/billing/usage`: cents spent.
pub fn usage() -> Value {
    json!({"object": "list", "daily_costs": [], "total_usage": 0})
}

/// `GET /dashboard/billing/subscription`.
pub fn subscription() -> Value {
    json!({
        "object": "billing_subscription",
        "has_payment_method": true,
        "soft_limit_usd": LIMIT,
        "hard_limit_usd": LIMIT,
        "system_hard_limit_usd": LIMIT,
        // 9999-12-31: never.
        "access_until": 253_402_214_400_u64,
    })
}
