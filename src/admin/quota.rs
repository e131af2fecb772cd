//! `GET /admin/credentials/{id}/quota`: Google's own figures for an account, as a hint.

use super::view::iso;
use crate::credentials::{Credentials, ManageFault, QuotaFault};
use crate::http::Response;
use serde_json::{Value, json};

/// Asks Google unless the figures are fresh; blocks on it.
pub fn quota(pool: &Credentials, name: &str) -> Response {
    let found = pool.find(name).ok_or(QuotaFault::Credential(ManageFault::Unknown)).and_then(|id| pool.quota(id));
    let fault = match found {
        Ok(quota) => {
            let buckets: Vec<Value> = quota
                .buckets
                .iter()
                .map(|bucket| {
                    json!({"model": bucket.model, "remaining_fraction": bucket.remaining_fraction,
                        "reset_time": bucket.reset_time})
                })
                .collect();
            return Response::json(200, &json!({"buckets": buckets, "fetched_at": iso(Some(quota.fetched_at))}));
        }
        Err(fault) => fault,
    };
    let status = match fault {
        QuotaFault::Credential(ManageFault::Unknown) => 404,
        QuotaFault::ApiKey => 400,
        QuotaFault::Credential(_) | QuotaFault::Blocked(_) => 409,
        QuotaFault::Failed(_) => 424,
    };
    super::refuse(status, &fault.message())
}
