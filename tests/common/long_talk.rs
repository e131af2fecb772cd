//! A conversation of an agent in each dialect: hundreds of turns with thoughts, two calls each, signatures and results of some
//! kilobytes, grown as a client grows it, that is out of the answers it was given.

use super::translation::{World, answer};
use gemini_openai_proxy::api::anthropic_messages::AnthropicMessages;
use gemini_openai_proxy::api::openai_chat::OpenAiChat;
use gemini_openai_proxy::api::openai_responses::{OpenAiResponses, Store, Task};
use gemini_openai_proxy::api::{Exchange, Surface};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

static RESPONSES: LazyLock<OpenAiResponses> =
    LazyLock::new(|| OpenAiResponses { store: Arc::new(Store::new(0)), task: Task::Answer });
static MESSAGES: AnthropicMessages = AnthropicMessages { id: String::new() };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Chat,
    Responses,
    Messages,
}

impl Dialect {
    pub const EACH: [Dialect; 3] = [Dialect::Chat, Dialect::Responses, Dialect::Messages];

    fn surface(self) -> &'static (dyn Surface + Send) {
        match self {
            Dialect::Chat => &OpenAiChat,
            Dialect::Responses => &*RESPONSES,
            Dialect::Messages => &MESSAGES,
        }
    }
}

pub struct Talk {
    dialect: Dialect,
    model: &'static str,
    world: World,
    history: Vec<Value>,
    turns: usize,
}

impl Talk {
    pub fn new(dialect: Dialect, model: &'static str) -> Talk {
        let question = json!({"role": "user", "content": "Rename every function of the project and run its tests."});
        Talk { dialect, model, world: World::new(dialect.surface()), history: vec![question], turns: 0 }
    }

    /// The request of the present turn.
    pub fn body(&self) -> Value {
        self.request(&self.history, false)
    }

    /// The request of the first turn.
    pub fn first(&self, stream: bool) -> Box<dyn Exchange> {
        self.world.parse(self.request(&self.history[..1], stream).to_string()).expect("a good request")
    }

    fn request(&self, history: &[Value], stream: bool) -> Value {
        let tools: Vec<Value> = (0..40).map(|number| self.tool(number)).collect();
        let (model, system) = (self.model, "You edit files. Keep to the style of what is there. ".repeat(80));
        match self.dialect {
            Dialect::Chat => {
                let messages = [&[json!({"role": "system", "content": system})], history].concat();
                json!({"model": model, "stream": stream, "messages": messages, "tools": tools, "reasoning_effort": "high"})
            }
            Dialect::Responses => json!({"model": model, "stream": stream, "store": false, "instructions": system,
                "input": history, "tools": tools, "reasoning": {"effort": "high", "summary": "auto"},
                "include": ["reasoning.encrypted_content"], "prompt_cache_key": "one-thread"}),
            Dialect::Messages => json!({"model": model, "stream": stream, "max_tokens": 32_000, "system": system,
                "messages": history, "tools": tools, "thinking": {"type": "adaptive"}}),
        }
    }

    fn tool(&self, number: usize) -> Value {
        let name = format!("tool_{number}");
        let description = "Does to a file what its name says, and returns what the file holds then. ".repeat(4);
        let schema = json!({"type": "object", "required": ["path"], "additionalProperties": false, "properties": {
            "path": {"type": "string", "description": "Where the file is, from the root of the project", "minLength": 1},
            "lines": {"type": "array", "items": {"type": "integer", "minimum": 1}, "maxItems": 2},
            "mode": {"type": "string", "enum": ["look", "change", "remove"], "default": "look"}}});
        match self.dialect {
            Dialect::Chat => json!({"type": "function",
                "function": {"name": name, "description": description, "parameters": schema}}),
            Dialect::Responses => {
                json!({"type": "function", "name": name, "description": description, "parameters": schema, "strict": false})
            }
            Dialect::Messages => json!({"name": name, "description": description, "input_schema": schema}),
        }
    }

    /// The model calls two tools, and the client sends what they returned.
    pub fn advance(&mut self) {
        self.turns += 1;
        let turn = self.turns;
        let call = |number: usize| {
            json!({"name": format!("tool_{}", (turn + number) % 40),
                "args": {"path": format!("src/part_{turn}/file_{number}.rs"), "lines": [turn, turn + 9], "mode": "look"}})
        };
        // As long as Google's are.
        let signature = format!("{turn:0>4}").repeat(120);
        let parts = json!([
            {"text": format!("Part {turn} is next. ").repeat(12), "thought": true},
            {"text": format!("I look at part {turn}.")},
            {"functionCall": call(0), "thoughtSignature": signature}, {"functionCall": call(1)}]);
        let event = json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]});
        let document = answer(&*self.first(false), &[json!([event])]).expect("an answer");
        let mut said: Value = serde_json::from_str(&document).expect("a document");
        let result = |at: usize| format!("{turn}.{at}: let renamed = \"before\"; // nothing else\n").repeat(42);
        match self.dialect {
            Dialect::Chat => {
                let message = said["choices"][0]["message"].take();
                let calls = message["tool_calls"].clone();
                self.history.push(message);
                let calls = calls.as_array().expect("calls").iter().enumerate();
                self.history.extend(
                    calls.map(|(at, call)| json!({"role": "tool", "tool_call_id": call["id"], "content": result(at)})),
                );
            }
            Dialect::Responses => {
                let Value::Array(items) = said["output"].take() else { panic!("{said}") };
                let calls = items.iter().filter(|item| item["type"] == "function_call").enumerate();
                let outputs: Vec<Value> = calls
                    .map(|(at, call)| {
                        json!({"type": "function_call_output", "call_id": call["call_id"], "output": result(at)})
                    })
                    .collect();
                self.history.extend(items.into_iter().chain(outputs));
            }
            Dialect::Messages => {
                let content = said["content"].take();
                let calls = content.as_array().expect("blocks").iter().filter(|block| block["type"] == "tool_use");
                let results: Vec<Value> = calls
                    .enumerate()
                    .map(|(at, call)| json!({"type": "tool_result", "tool_use_id": call["id"], "content": result(at)}))
                    .collect();
                self.history.push(json!({"role": "assistant", "content": content}));
                self.history.push(json!({"role": "user", "content": results}));
            }
        }
    }

    /// What goes to Google for a body.
    pub fn translate(&self, body: Vec<u8>) -> gemini_openai_proxy::gemini::Request {
        let mut exchange = self.world.parse(body).expect("a good request");
        std::mem::take(&mut exchange.call().request)
    }
}
