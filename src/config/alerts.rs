//! `alerts`: where people are told that the program needs them.

use super::keys::Draft;
use super::value::{ConfigError, Field};
use crate::secret::Secret;
use serde_json::Value;

/// Who is told, and how.
#[derive(Clone, Debug)]
pub struct AlertTarget {
    /// Where the message is posted. Whoever knows it may write there, so it is a secret.
    pub url: Secret,
    /// The shape of the message.
    pub template: Template,
    /// Telegram's.
    pub chat_id: Option<String>,
    /// Sent as `Authorization: Bearer`.
    pub token: Option<Secret>,
    /// Sentences in Chinese instead of English.
    pub is_chinese: bool,
}

/// The shape of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// All that is known, as JSON.
    Json,
    /// Slack's incoming webhooks, which others take too.
    Slack,
    /// `sendMessage` of a Telegram bot.
    Telegram,
    /// A topic of ntfy.
    Ntfy,
}

pub(super) fn alerts(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    for item in field.items() {
        if !cfg!(feature = "alerts") {
            return Err(ConfigError(format!("{}: this build has no alerts (cargo feature alerts)", field.name)));
        }
        let mut object = match item.value() {
            // The address alone.
            Value::String(_) => {
                let url = address(&item)?;
                let template = Template::Json;
                draft.config.alerts.push(AlertTarget { url, template, chat_id: None, token: None, is_chinese: false });
                continue;
            }
            Value::Object(_) => item.object()?,
            other => return Err(item.wrong("an address or {\"url\", \"template\"}", &other)),
        };
        let url = address(&object.take("url"))?;
        let template = object.take("template");
        let template = match template.given {
            None | Some(Value::Null) => Template::Json,
            Some(_) => template.word(&[
                ("json", Template::Json),
                ("slack", Template::Slack),
                ("telegram", Template::Telegram),
                ("ntfy", Template::Ntfy),
            ])?,
        };
        let chat = object.take("chat_id");
        let chat_id = match chat.value() {
            Value::Null => None,
            Value::String(id) => Some(id),
            Value::Number(id) => Some(id.to_string()),
            other => return Err(chat.wrong("the id of a chat", &other)),
        };
        if (template == Template::Telegram) != chat_id.is_some() {
            return Err(ConfigError(format!("{}: expected the template telegram and chat_id together", item.name)));
        }
        let token = object.take("token").filled()?.map(Secret::new);
        let language = object.take("language");
        let is_chinese = match language.given {
            None | Some(Value::Null) => false,
            Some(_) => language.word(&[("en", false), ("zh", true)])?,
        };
        draft.unknown.extend(object.unknown());
        draft.config.alerts.push(AlertTarget { url, template, chat_id, token, is_chinese });
    }
    Ok(())
}

/// Not repeated in the mistake, for what it holds.
fn address(field: &Field) -> Result<Secret, ConfigError> {
    let wrong = || ConfigError(format!("{}: expected an address that begins with http:// or https://", field.name));
    match field.given.as_ref().and_then(Value::as_str).map(str::trim) {
        Some(url) if super::value::is_url(url) && url.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Secret::new(url))
        }
        _ => Err(wrong()),
    }
}
