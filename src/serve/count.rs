//! The routes that ask how many tokens a request has.

use crate::api::{self, Call, anthropic_messages, openai_responses};
use crate::error::ApiError;
use crate::http::Request;
use crate::keys::Key;
use crate::serve::app::App;
use crate::serve::body;
use crate::serve::route::Route;
use serde_json::Value;

/// How many tokens a request has: by Google where the config asks for that and somebody can be asked, else by an estimate.
pub(super) fn count(app: &App, route: &Route, key: &Key, request: &mut Request) -> Result<Value, ApiError> {
    let _permit = key.admit([], &app.models).0?;
    body::decode(request, app.config.sizes.max_body)?;
    api::room::take([&*request.body])?;
    let is_googles = app.config.settings.count_at_google;
    let all = app.context(&key.mark);
    // For an estimate no media are fetched.
    let context = if is_googles { &all } else { &all.offline() };
    let count = |call: &mut Call| is_googles.then(|| app.dispatcher.count(call, &request.cancel)).flatten();
    let body = std::mem::take(&mut request.body);
    match route {
        Route::CountResponse => openai_responses::count_tokens(&app.responses, body, context, &count),
        _ => anthropic_messages::count_tokens(body, context, &count),
    }
}
