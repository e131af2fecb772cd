//! OpenAI's old billing endpoints, which some chat programs ask for a balance (docs/clients.md "NextChat"): what the key has
//! spent by the table of prices, and what its budget leaves.

use serde_json::{Value, json};

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

/// `GET /dashboard/billing/subscription`: US dollars, which programs show as the quota, and seconds since 1970.
pub fn subscription(limit: f64, access_until: u64) -> Value {
    json!({
        "object": "billing_subscription",
        "has_payment_method": true,
        "soft_limit_usd": limit,
        "hard_limit_usd": limit,
        "system_hard_limit_usd": limit,
        "access_until": access_until,
    })
}
