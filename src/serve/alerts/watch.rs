//! What a person should know now.

use super::Alert;
use crate::admin;
use crate::calendar;
use crate::credentials::View;
use crate::keys::{Allowance, Key};
use crate::mask;
use crate::message::Message;
use crate::serve::app::App;

/// Percents of a budget at which its operator is told.
const MARKS: [u64; 2] = [100, 80];

/// All that is so at this moment.
pub(super) fn alerts(app: &App) -> Vec<Alert> {
    let views = app.pool.views();
    let mut alerts: Vec<Alert> = views.iter().filter_map(credential).collect();
    let error = |id: &str, message| Alert { id: id.into(), is_error: true, message, link: None };
    if !views.iter().any(|view| view.available) {
        alerts.push(error("pool", Message::new("alert_pool")));
    }
    if let Some(message) = admin::unsaved(app) {
        alerts.push(error("credentials file", message));
    }
    if app.state.is_failing() {
        alerts.push(error("state file", Message::new("state_readonly")));
    }
    if app.usage.history_fails() {
        alerts.push(error("history", Message::new("history_readonly")));
    }
    for key in app.keys.list().iter().filter(|key| !key.disabled) {
        alerts.extend(key.allowances().iter().filter_map(|allowance| budget(key, allowance)));
    }
    alerts
}

/// One that Google blocks until somebody acts.
fn credential(view: &View) -> Option<Alert> {
    let reason = view.reason_code.as_ref().filter(|_| view.status == "error" && !view.disabled)?;
    let reason: String = reason.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
    let why = view.failure_reason.clone()?;
    let label = view.label.clone().unwrap_or_else(|| mask::email(view.email.as_deref()));
    Some(Alert {
        id: format!("{} {reason}", view.name),
        is_error: true,
        message: Message::new("alert_credential")
            .with("name", &view.name)
            .with("label", label)
            .with_message("why", why),
        link: view.link.clone(),
    })
}

/// Requests are no budget: who has many keys with such limits would be told every day.
fn budget(key: &Key, allowance: &Allowance) -> Option<Alert> {
    if allowance.name.starts_with("requests") {
        return None;
    }
    let mark = MARKS.into_iter().find(|mark| allowance.percent() >= *mark)?;
    let ends = calendar::iso(allowance.ends);
    Some(Alert {
        id: format!("{} {} {mark} {ends}", &*key.mark, allowance.name),
        is_error: mark == 100,
        message: Message::new("alert_budget")
            .with("name", &key.name)
            .with("percent", mark)
            .with("limit", allowance.name)
            .with("ends", ends),
        link: None,
    })
}
