//! OpenAI's old billing endpoints, which some chat programs ask for a balance (docs/clients.md "NextChat"): what the key has
//! spent by the table of prices, and a limit that is far away.

use serde_json::{Value, json};

/// US dollars. Programs show it as the quota, and compute what is left from it.
const LIMIT: f64 = 1_000_000.0;

/// `GET /dashboard/billing/usage`: cents spent, in all and by day and model. `days` are `2026-11-26`, and dollars by model.
pub fn usage(days: &[(String, Vec<(String, f64)>)]) -> Value {
    let cents = |dollars: f64| dollars * 100.0;
    let item = |(model, dollars): &(String, f64)| json!({"name": model, "cost": cents(*dollars)});
    let daily = days
        .iter()
        .map(|(day, items)| json!({"timestamp": day, "line_items": items.iter().map(item).collect::<Vec<_>>()}));
    let total: f64 = days.iter().flat_map(|(_, items)| items).map(|(_, dollars)| cents(*dollars)).sum();
    let total = if total == 0.0 { json!(0) } else { json!(total) };
    json!({"object": "list", "daily_costs": daily.collect::<Vec<_>>(), "total_usage": total})
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
