//! Calls of tools, whole or in pieces: what the client gets of them, and their signatures.

use super::partial::Partial;
use super::{Answer, Delta, Sink, ToolCall};
use crate::conversation::arguments;
use crate::conversation::names::Kind;
use crate::conversation::signatures::Anchor;
use crate::gemini::Text;
use crate::gemini::response::ResponseCall;
use crate::os::random;
use serde_json::value::RawValue;
use std::sync::Arc;

impl Answer {
    pub(super) fn call_or_piece(&mut self, call: &ResponseCall<'_>, signature: Option<&str>, sink: &mut Sink<'_>) {
        let goes_on = self.partial.is_some() && call.name.as_deref().is_none_or(str::is_empty);
        if !goes_on {
            self.complete(sink);
            if !Partial::is_piece(call) {
                return self.call(call, signature, sink);
            }
            self.partial = Some(self.begin_partial(call, signature, sink));
        }
        let Some(mut partial) = self.partial.take() else { return };
        partial.push(call, signature);
        if let Some(text) = partial.fresh().filter(|text| !text.is_empty()) {
            self.give(Delta::Arguments(text), sink);
        }
        self.partial = Some(partial);
        if !call.will_continue {
            self.complete(sink);
        }
    }

    /// Begins a call that comes in pieces, for the client, too, where that takes them and they are what it gets.
    fn begin_partial(&mut self, call: &ResponseCall<'_>, signature: Option<&str>, sink: &mut Sink<'_>) -> Partial {
        let name = call.name.as_deref().unwrap_or_default().trim();
        let is_plain = match self.plan.names.called(name).map(|tool| &tool.kind) {
            Some(Kind::Function { wrapped, .. }) => !wrapped,
            Some(Kind::Custom) => false,
            None => true,
        };
        if !(is_plain && self.plan.gives_pieces()) {
            return Partial::default();
        }
        let Some(begun) = self.begin(call, signature, sink) else { return Partial::default() };
        let id = begun.id.clone();
        self.give(Delta::Call(begun), sink);
        Partial::streamed(id)
    }

    /// Nothing more comes of the call in pieces.
    pub(super) fn complete(&mut self, sink: &mut Sink<'_>) {
        let Some(mut partial) = self.partial.take() else { return };
        let args = partial.args();
        let args = serde_json::from_str::<&RawValue>(&args).ok();
        let name = std::mem::take(&mut partial.name);
        let schema = self.plan.names.called(&name).and_then(|tool| tool.kind.schema());
        let text = arguments::to_client(args, schema, false);
        let (id, signature) = (std::mem::take(&mut partial.id), partial.signature.take());
        match partial.rest(&text) {
            Some(rest) => {
                if let Some(signature) = &signature {
                    self.plan.signatures.remember(&id, signature, args.map(RawValue::get));
                }
                self.give(Delta::Arguments(rest), sink);
            }
            None => {
                let whole = ResponseCall {
                    name: Some(Text(name.into())),
                    id: Some(Text(id.into())),
                    args,
                    ..ResponseCall::default()
                };
                self.call(&whole, signature.as_deref(), sink);
            }
        }
    }

    fn call(&mut self, call: &ResponseCall<'_>, signature: Option<&str>, sink: &mut Sink<'_>) {
        let Some(mut begun) = self.begin(call, signature, sink) else { return };
        let plan = Arc::clone(&self.plan);
        if let Some(signature) = signature {
            plan.signatures.remember(&begun.id, signature, call.args.map(RawValue::get));
        }
        let declared = plan.names.called(call.name.as_deref().unwrap_or_default().trim());
        begun.arguments = match declared.map(|tool| &tool.kind) {
            Some(Kind::Custom) => arguments::input(call.args),
            Some(Kind::Function { wrapped, schema }) => arguments::to_client(call.args, schema.as_ref(), *wrapped),
            None => arguments::to_client(call.args, None, false),
        };
        self.give(Delta::Call(begun), sink);
    }

    /// A call without its arguments; `None`: the client does not get it.
    fn begin(&mut self, call: &ResponseCall<'_>, signature: Option<&str>, sink: &mut Sink<'_>) -> Option<ToolCall> {
        let name = call.name.as_deref().unwrap_or_default().trim();
        if name.is_empty() {
            self.seen.nameless_call = true;
            return None;
        }
        if self.is_cut() || self.plan.single_call && self.seen.calls > 0 {
            return None;
        }
        self.flush(sink);
        self.seen.calls += 1;
        let id = match call.id.as_deref().filter(|id| !id.is_empty() && !self.call_ids.contains(*id)) {
            Some(id) => id.to_owned(),
            None => format!("{}{}", self.plan.call_prefix, random::id(24)),
        };
        self.call_ids.insert(id.clone());
        if let Some(parts) = self.invoked.take() {
            self.plan.signatures.remember_invoked(&Anchor::Call(&id), &parts);
        }
        if let Some(signature) = signature {
            self.call_signature = Some(signature.to_owned());
            if self.text_signature.as_deref() == Some(signature) {
                self.text_signature = None;
            }
        }
        let declared = self.plan.names.called(name);
        let custom = declared.is_some_and(|tool| tool.kind == Kind::Custom);
        let name = declared.map_or(name, |tool| tool.client.as_str()).to_owned();
        Some(ToolCall { id, name, arguments: String::new(), custom, signature: signature.map(str::to_owned) })
    }
}
