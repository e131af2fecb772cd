//! What models there are: the table, the config's aliases and routes, and which credentials serve them now.

use super::left_out;
use super::view::iso;
use crate::credentials::{Kind, View};
use crate::gemini::models::{Model, Told};
use crate::http::Response;
use crate::serve::app::App;
use serde_json::{Value, json};

/// Of the credentials that do not serve a model so many are named.
const NAMED: usize = 20;

/// `GET /admin/models`.
pub(super) fn models(app: &App) -> Response {
    if let Some(refusal) = left_out() {
        return refusal;
    }
    let (table, views) = (&app.models, app.pool.views());
    let listed = table.list();
    let others = table.embeddings();
    let models = listed.iter().map(|model| (model, true)).chain(others.iter().map(|model| (model, false)));
    let models: Vec<Value> = models
        .map(|(model, is_listed)| {
            let target = table.alias_of(&model.name);
            let asked = table.resolve(&model.name).map_or_else(|| model.name.clone(), |resolved| resolved.model.name);
            let mut entry = json!({
                "name": model.name,
                "display_name": model.display_name,
                "kind": kind(model),
                "listed": is_listed,
                "alias_of": target,
                "served_by": Some(model.served_by()).filter(|name| *name != model.name && target.is_none()),
                "input_token_limit": (model.told >= Told::Limits).then_some(model.input_token_limit),
                "output_token_limit": (model.told >= Told::Limits).then_some(model.output_token_limit),
            });
            serving(&mut entry, model, &asked, &views);
            entry
        })
        .collect();
    let routes = app.config.model_routes.iter().map(|(pattern, models)| json!({"pattern": pattern, "models": models}));
    Response::json(200, &json!({"models": models, "routes": routes.collect::<Vec<_>>()}))
}

fn kind(model: &Model) -> &'static str {
    match model {
        _ if model.embedding => "embeddings",
        _ if model.image_output => "pictures",
        _ if model.speech_output => "speech",
        _ => "text",
    }
}

/// How many credentials could serve it, how many of them do now, and which do not until when.
fn serving(entry: &mut Value, model: &Model, asked: &str, views: &[View]) {
    // Code Assist makes text only.
    let fits = |view: &&View| !view.disabled && (kind(model) == "text" || view.kind != Kind::Oauth);
    let (mut able, mut now, mut away, mut resting) = (0, 0, 0, Vec::new());
    for view in views.iter().filter(fits) {
        able += 1;
        let cooling = view.cooling.iter().find(|cooling| cooling.model == asked);
        if view.available && cooling.is_none() {
            now += 1;
        } else if let Some(cooling) = cooling {
            away += 1;
            if resting.len() < NAMED {
                resting.push(json!({"credential": view.name, "label": view.label, "until": iso(Some(cooling.until)),
                    "refused": cooling.refused, "told": cooling.message.json(), "detail": cooling.message.to_string()}));
            }
        }
    }
    entry["credentials"] = json!({"able": able, "now": now, "away": away, "resting": resting});
}
