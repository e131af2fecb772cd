//! A whole answer: one `chat.completion` document (docs/openai-chat.md "The answer as one document").

use super::ChatReply;
use super::shapes::{AnnotationShape, AudioShape, CallShape, FunctionShape, ImageShape, LogprobsShape};
use crate::api::frame;
use crate::api::openai::extra_content::ExtraContent;
use crate::api::openai::usage::Usage;
use crate::conversation::answer::{Block, Finish, Folded, Totals};
use serde::Serialize;

#[derive(Serialize)]
struct Document<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<Choice<'a>>,
    usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: usize,
    message: Message<'a>,
    logprobs: Option<LogprobsShape<'a>>,
    finish_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<&'a str>,
    refusal: (),
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionShape<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<AnnotationShape<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<ImageShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<AudioShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
}

/// Appends the document.
pub(super) fn write(reply: &ChatReply, answers: &[Folded], out: &mut Vec<u8>) {
    let Some(first) = answers.first() else { return };
    let said: Vec<_> = answers.iter().map(|answer| (answer.text(), answer.thoughts())).collect();
    let whole = answers.iter().zip(&said).filter_map(|(answer, said)| Some((answer, answer.ending.as_ref()?, said)));
    let choices = whole.enumerate().map(|(index, (answer, ending, (text, thoughts)))| {
        let has_calls = answer.calls().next().is_some();
        let says_nothing = text.is_empty() && (has_calls || ending.finish == Finish::Filter);
        let message = Message {
            role: "assistant",
            content: (!says_nothing).then_some(text),
            refusal: (),
            reasoning_content: Some(&**thoughts).filter(|text| !text.is_empty()),
            tool_calls: answer.calls().filter(|_| !reply.legacy).map(|call| CallShape::new(call, None)).collect(),
            function_call: answer.calls().next().filter(|_| reply.legacy).map(FunctionShape::new),
            annotations: ending.search.citations.iter().map(AnnotationShape::new).collect(),
            images: images(answer),
            audio: ending.audio.as_deref().map(|data| AudioShape::new(data, reply.created)),
            extra_content: ExtraContent::found(&ending.search, ending.signature.as_deref()),
        };
        let content = &answer.logprobs;
        let logprobs = (!content.is_empty()).then_some(LogprobsShape { content, refusal: () });
        let finish_reason = reply.finish(ending.finish);
        Choice { index, message, logprobs, finish_reason, extra_content: ExtraContent::reason(ending) }
    });
    let usage: Totals = answers.iter().filter_map(|answer| Some(answer.ending.as_ref()?.usage)).sum();
    let document = Document {
        id: format!("chatcmpl-{}", first.id),
        object: "chat.completion",
        created: reply.created,
        model: &reply.model,
        choices: choices.collect(),
        usage: usage.into(),
        service_tier: reply.tier.then_some("default"),
    };
    frame::document(&document, out);
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
