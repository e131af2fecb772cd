//! A request as a dialect has read it, and the order in which the rules make Google's request of it.

use super::Context;
use super::format::Format;
use super::history::Entry;
use super::plan::Plan;
use super::signatures::Signatures;
use super::tools::{Toolbox, Tools};
use super::turns::{Rules, Turns, question, say_first};
use crate::config::MidSystem;
use crate::gemini::models::{Model, Resolved};
use crate::gemini::thinking::{self, Ask};
use crate::gemini::{Content, GenerationConfig, Part, Request};
use serde_json::{Map, Value};

/// What a client asks, in no dialect.
pub struct Asked {
    /// Google's model.
    pub model: Model,
    /// The answer is wanted in events.
    pub stream: bool,
    /// The conversation.
    pub history: Vec<Entry>,
    /// Where system messages after the first turn go.
    pub mid_system: MidSystem,
    /// The tools, once a choice among them is made.
    pub toolbox: Toolbox,
    /// The fields of `generationConfig` that stand for themselves.
    pub config: Map<String, Value>,
    /// The limit of the answer, which thinking counts against.
    pub max_tokens: Option<u64>,
    /// The same as the client set it, which may be more than the model gives.
    pub limit: Option<u64>,
    /// How much to think.
    pub thinking: Option<Ask>,
    /// Whether thoughts are shown, if the client says so.
    pub include_thoughts: Option<bool>,
    /// The output format.
    pub format: Format,
    /// The fields of Google's request that stand for themselves; the rules fill the others.
    pub request: Request,
    /// What the answer must obey; the rules fill what follows from the fields above.
    pub plan: Plan,
}

impl Asked {
    /// A question that says no more than the name of its model does.
    pub fn new(resolved: Resolved, context: &Context<'_>) -> Asked {
        let Resolved { model, base: _, search, thinking } = resolved;
        let mut toolbox = Toolbox::new(&model);
        if search {
            toolbox.built_in("google_search");
        }
        Asked {
            toolbox,
            plan: Plan::new(Signatures::new(context, model.served_by(), model.gemini3)),
            model,
            stream: false,
            history: Vec::new(),
            mid_system: context.settings.mid_system,
            config: Map::new(),
            max_tokens: None,
            limit: None,
            thinking,
            include_thoughts: None,
            format: Format::Text,
            request: Request::default(),
        }
    }

    /// Google's request, and what must be remembered until it is answered.
    pub fn compose(self, context: &Context<'_>) -> (Request, Plan) {
        let Asked { model, mut config, mut request, mut plan, .. } = self;
        let thinking_config = thinking::plan(&model, self.thinking, self.include_thoughts, self.max_tokens);
        let Tools { tools, config: tool_config, names, notices } = self.toolbox.close();
        (request.tools, request.tool_config) = (tools, tool_config);
        let rules = Rules {
            model: &model,
            names: &names,
            signatures: &plan.signatures,
            mid_system: self.mid_system,
            continue_text: &context.settings.continue_text,
            circulates: request.circulates(),
        };
        if request.circulates() {
            plan.question = question(&self.history);
        }
        let Turns { mut system, mut contents } = rules.turns(self.history);
        let (json, instruction) = self.format.ask(&model, !request.tools.is_empty(), &mut config);
        system.extend(instruction.map(Part::text));
        (plan.names, plan.json) = (names, json);
        plan.notices.extend(notices);

        if !model.takes_system() && !system.is_empty() {
            say_first(&mut contents, std::mem::take(&mut system));
        }
        request.contents = contents;
        request.system_instruction = (!system.is_empty()).then(|| Content { parts: system, ..Content::default() });
        if !config.is_empty() || thinking_config.is_some() {
            request.generation_config = Some(GenerationConfig { thinking_config, other: config });
        }
        plan.keep(self.stream, &request);
        (request, plan)
    }
}
