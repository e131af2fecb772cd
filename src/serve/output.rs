//! Where a generated answer goes: out in one piece, or in pieces as they come.

use crate::api::{Framing, Surface, Translator};
use crate::error::ApiError;
use crate::gemini::Tier;
use crate::http::{EventWriter, Pings, Responder, Response};
use crate::serve::app::App;
use crate::sse;
use std::io;

/// The header field of such sentences.
pub(super) const NOTICE: &str = "X-Proxy-Notice";
/// Says which of Google's models has answered: a route may lead to several.
const SERVED: &str = "X-Served-Model";

/// What has served, as the head of the answer says it.
#[derive(Default)]
pub(super) struct Served {
    model: String,
    tier: Option<Tier>,
}

impl Served {
    fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [(SERVED, &*self.model)].into_iter().chain(self.tier.map(|tier| (Tier::HEADER, tier.word())))
    }
}

/// Where an answer goes.
pub(super) enum Output {
    Whole { responder: Responder, media_type: &'static str, served: Served },
    Pieces { writer: EventWriter, served: Served, has_content: bool },
}

impl Output {
    pub fn new(responder: Responder, framing: Framing, media_type: &'static str, app: &App) -> Output {
        let (media_type, piece): (_, &'static [u8]) = match framing {
            Framing::Whole => return Output::Whole { responder, media_type, served: Served::default() },
            Framing::Bytes => (media_type, b""),
            Framing::Events => ("text/event-stream; charset=utf-8", sse::KEEP_ALIVE.as_bytes()),
            // White space before an element means nothing to a JSON parser.
            Framing::Array => ("application/json", b"\n"),
        };
        let headers = [("Content-Type", media_type), ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let bridge = |after| if piece.is_empty() { None } else { after };
        let (first_after, every) = (bridge(app.config.early_head_after), bridge(app.config.keep_alive));
        let pings = Pings { piece, first_after, every };
        let writer = responder.events(200, headers.to_vec(), pings);
        Output::Pieces { writer, served: Served::default(), has_content: false }
    }

    /// Whether the client has seen a piece of this answer; a ping is none.
    pub fn has_content(&self) -> bool {
        matches!(self, Output::Pieces { has_content: true, .. })
    }

    /// Tells the client beside its answer what could not be done.
    pub fn notice(&mut self, sentence: &str) {
        log::info!("notice to the client: {sentence}");
        match self {
            Output::Whole { responder, .. } => responder.add_header(NOTICE, sentence),
            Output::Pieces { writer, .. } => writer.add_header(NOTICE, sentence),
        }
    }

    /// Says which of Google's models serves, and with which capacity, once it begins to answer.
    pub fn tell_model(&mut self, model: &str, tier: Option<Tier>) {
        let (Output::Whole { served, .. } | Output::Pieces { served, .. }) = self;
        model.clone_into(&mut served.model);
        served.tier = tier;
    }

    pub fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            // A whole answer is sent when it is complete.
            Output::Whole { .. } => Ok(()),
            Output::Pieces { writer, has_content, served } => {
                if !std::mem::replace(has_content, true) {
                    served.fields().for_each(|(name, value)| writer.add_header(name, value));
                }
                writer.write(piece)
            }
        }
    }

    pub fn finish(mut self, rest: Vec<u8>) {
        // A client that left now has left: nothing more to do for it.
        let is_there = rest.is_empty() || self.write(&rest).is_ok();
        match self {
            Output::Whole { responder, media_type, served } => {
                let response = Response::new(200, media_type, rest);
                responder.respond(served.fields().fold(response, |all, (name, value)| all.with_header(name, value)));
            }
            Output::Pieces { writer, .. } if is_there => _ = writer.finish(),
            Output::Pieces { .. } => {}
        }
    }

    pub fn fail(self, surface: &dyn Surface, translator: &mut dyn Translator, error: &ApiError) {
        match self {
            Output::Whole { responder, .. } => responder.respond(surface.error(error)),
            Output::Pieces { writer, .. } => {
                if let Err(mut writer) = writer.replace_with(surface.error(error)) {
                    let mut frame = Vec::new();
                    translator.fail(error, &mut frame);
                    // Where nothing can be said, the cut connection says it.
                    if !frame.is_empty() && writer.write(&frame).is_ok() {
                        let _ = writer.finish();
                    }
                }
            }
        }
    }
}
