//! A whole answer: one `chat.completion` document (docs/openai-chat.md "The answer as one document").

use super::ChatReply;
use super::shapes::{AnnotationShape, AudioShape, CallShape, FunctionShape, ImageShape, LogprobsShape};
use crate::api::frame::field;
use crate::api::openai::extra_content::ExtraContent;
use crate::api::openai::usage::Usage;
use crate::conversation::answer::{Block, Ending, Finish, Folded, Totals};
use serde::Serialize;

/// Appends the document.
pub(super) fn write(reply: &ChatReply, answers: &[Folded], out: &mut Vec<u8>) {
    let Some(first) = answers.first() else { return };
    field("{\"id\":", &format_args!("chatcmpl-{}", first.id), out);
    field(",\"object\":\"chat.completion\",\"created\":", &reply.created, out);
    field(",\"model\":", &reply.model, out);
    let whole = answers.iter().filter_map(|answer| Some((answer, answer.ending.as_ref()?)));
    for (index, (answer, ending)) in whole.enumerate() {
        let before = if index == 0 { ",\"choices\":[{\"index\":" } else { ",{\"index\":" };
        field(before, &index, out);
        message(reply, answer, ending, out);
        let content = &answer.logprobs;
        field(",\"logprobs\":", &(!content.is_empty()).then_some(LogprobsShape { content, refusal: () }), out);
        field(",\"finish_reason\":", reply.finish(ending.finish), out);
        some(",\"extra_content\":", &ExtraContent::reason(ending), out);
        out.push(b'}');
    }
    let usage: Totals = answers.iter().filter_map(|answer| Some(answer.ending.as_ref()?.usage)).sum();
    field("],\"usage\":", &Usage::from(usage), out);
    out.extend_from_slice(reply.tier(usage.tier).as_bytes());
    out.push(b'}');
}

fn message(reply: &ChatReply, answer: &Folded, ending: &Ending, out: &mut Vec<u8>) {
    let (text, thoughts) = (answer.text(), answer.thoughts());
    let has_calls = answer.calls().next().is_some();
    let says_nothing = text.is_empty() && (has_calls || ending.finish == Finish::Filter);
    field(",\"message\":{\"role\":\"assistant\",\"content\":", &(!says_nothing).then_some(&*text), out);
    out.extend_from_slice(b",\"refusal\":null");
    some(",\"reasoning_content\":", &Some(&*thoughts).filter(|text| !text.is_empty()), out);
    if reply.legacy {
        some(",\"function_call\":", &answer.calls().next().map(FunctionShape::new), out);
    } else {
        list(",\"tool_calls\":", answer.calls().map(|call| CallShape::new(call, None)).collect(), out);
    }
    list(",\"annotations\":", ending.search.citations.iter().map(AnnotationShape::new).collect(), out);
    list(",\"images\":", images(answer), out);
    some(",\"audio\":", &ending.audio.as_deref().map(|data| AudioShape::new(data, reply.created)), out);
    some(",\"extra_content\":", &ExtraContent::found(&ending.search, ending.signature.as_deref()), out);
    out.push(b'}');
}

fn some<T: Serialize>(name: &str, value: &Option<T>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        field(name, value, out);
    }
}

fn list<T: Serialize>(name: &str, values: Vec<T>, out: &mut Vec<u8>) {
    if !values.is_empty() {
        field(name, &values, out);
    }
}

fn images(answer: &Folded) -> Vec<ImageShape<'_>> {
    let mut images = Vec::new();
    for block in &answer.blocks {
        if let Block::Image { mime, data, signature } = block {
            images.push(ImageShape::new(images.len(), mime, data, signature.as_deref()));
        }
    }
    images
}
