//! The JSON shapes that whole answers and chunks share.

use crate::api::openai::extra_content::ExtraContent;
use crate::conversation::answer::{Citation, Logprob, ToolCall};
use crate::os::random;
use serde::{Serialize, Serializer};

/// One of `tool_calls`; `index` in streams only.
#[derive(Serialize)]
pub(super) struct CallShape<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FunctionShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<CustomShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
}

/// `function`, and the whole of a legacy `function_call`.
#[derive(Serialize)]
pub(super) struct FunctionShape<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct CustomShape<'a> {
    name: &'a str,
    input: &'a str,
}

impl<'a> CallShape<'a> {
    pub(super) fn new(call: &'a ToolCall, index: Option<usize>) -> CallShape<'a> {
        let extra_content = call.signature.as_deref().map(ExtraContent::new);
        let (function, custom) = match call.custom {
            true => (None, Some(CustomShape { name: &call.name, input: &call.arguments })),
            false => (Some(FunctionShape::new(call)), None),
        };
        let kind = if call.custom { "custom" } else { "function" };
        CallShape { index, id: &call.id, kind, function, custom, extra_content }
    }
}

impl<'a> FunctionShape<'a> {
    pub(super) fn new(call: &'a ToolCall) -> FunctionShape<'a> {
        FunctionShape { name: &call.name, arguments: &call.arguments }
    }
}

/// One of `images`, as litellm and OpenRouter give them.
#[derive(Serialize)]
pub(super) struct ImageShape<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: usize,
    image_url: Address<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
}

#[derive(Serialize)]
struct Address<'a> {
    url: DataUrl<'a>,
}

struct DataUrl<'a> {
    mime: &'a str,
    data: &'a str,
}

impl Serialize for DataUrl<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Written piecewise: the picture is not copied into a string first.
        serializer.collect_str(&format_args!("data:{};base64,{}", self.mime, self.data))
    }
}

impl<'a> ImageShape<'a> {
    pub(super) fn new(index: usize, mime: &'a str, data: &'a str, signature: Option<&'a str>) -> ImageShape<'a> {
        ImageShape {
            kind: "image_url",
            index,
            image_url: Address { url: DataUrl { mime, data } },
            extra_content: signature.map(ExtraContent::new),
        }
    }
}

/// How long a client may refer to an audio answer; nobody can, but the field is not optional.
const AUDIO_LIFE_SECONDS: u64 = 3600;

/// `message.audio`.
#[derive(Serialize)]
pub(super) struct AudioShape<'a> {
    id: String,
    data: &'a str,
    expires_at: u64,
    transcript: &'static str,
}

impl<'a> AudioShape<'a> {
    pub(super) fn new(data: &'a str, created: u64) -> AudioShape<'a> {
        let id = format!("audio_{}", random::id(24));
        AudioShape { id, data, expires_at: created + AUDIO_LIFE_SECONDS, transcript: "" }
    }
}

/// `choices[].logprobs`.
#[derive(Serialize)]
pub(super) struct LogprobsShape<'a> {
    pub content: &'a [Logprob],
    pub refusal: (),
}

/// One of `annotations`.
#[derive(Serialize)]
pub(super) struct AnnotationShape<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    url_citation: UrlCitation<'a>,
}

#[derive(Serialize)]
struct UrlCitation<'a> {
    start_index: usize,
    end_index: usize,
    title: &'a str,
    url: &'a str,
}

impl<'a> AnnotationShape<'a> {
    pub(super) fn new(citation: &'a Citation) -> AnnotationShape<'a> {
        let Citation { start, end, source } = citation;
        let url_citation = UrlCitation { start_index: *start, end_index: *end, title: &source.title, url: &source.url };
        AnnotationShape { kind: "url_citation", url_citation }
    }
}
