//! The models the fake serves and what each of them can do.

/// How a model lets its thinking be steered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// `thinkingConfig` is refused.
    None,
    /// Tokens from `min` to `max`, -1 for dynamic; 0 only when `off`.
    Budget { min: i64, max: i64, off: bool },
    /// Levels; a budget is tolerated.
    Levels(&'static [&'static str]),
}

/// One served model.
#[derive(Clone, Debug)]
pub struct Model {
    pub id: String,
    pub code_assist: bool,
    pub public: bool,
    pub thinking: Thinking,
    pub image: bool,
    pub embedding: bool,
}

impl Model {
    /// Gemini 3 and later: levels, signature rule, functions beside JSON output.
    pub fn is_three(&self) -> bool {
        self.id.starts_with("gemini-3") || self.is_four()
    }

    /// Gemini 4: answers over several calls, no budgets, no caches, no last turn of the model's.
    pub fn is_four(&self) -> bool {
        self.id.starts_with("gemini-4")
    }

    pub fn speaks(&self) -> bool {
        self.id.ends_with("-tts")
    }

    pub fn transcribes(&self) -> bool {
        self.id.ends_with("-transcribe")
    }

    /// Signatures live inside one family: generation and size.
    pub fn family(&self) -> String {
        let generation = if self.is_four() {
            "4"
        } else if self.is_three() {
            "3"
        } else {
            "2.5"
        };
        let size =
            ["image", "flash-lite", "flash", "pro"].iter().find(|size| self.id.contains(*size)).unwrap_or(&"other");
        format!("{generation}/{size}")
    }
}

/// The built-in table.
pub fn builtin() -> Vec<Model> {
    const ALL: Thinking = Thinking::Levels(&["MINIMAL", "LOW", "MEDIUM", "HIGH"]);
    const LOW_TO_HIGH: Thinking = Thinking::Levels(&["LOW", "MEDIUM", "HIGH"]);
    let text = |id: &str, code_assist, public, thinking| Model {
        id: id.into(),
        code_assist,
        public,
        thinking,
        image: false,
        embedding: false,
    };
    let image = |id: &str, thinking| Model { image: true, ..text(id, false, true, thinking) };
    vec![
        text("gemini-2.5-pro", true, true, Thinking::Budget { min: 128, max: 32768, off: false }),
        text("gemini-2.5-flash", true, true, Thinking::Budget { min: 1, max: 24576, off: true }),
        text("gemini-2.5-flash-lite", true, true, Thinking::Budget { min: 512, max: 24576, off: true }),
        text("gemini-3-pro-preview", true, true, Thinking::Levels(&["LOW", "HIGH"])),
        text("gemini-3.1-pro-preview", true, true, Thinking::Levels(&["LOW", "MEDIUM", "HIGH"])),
        text("gemini-3-flash-preview", true, true, ALL),
        text("gemini-3.1-flash-lite", true, true, ALL),
        // Code Assist serves 3.5 flash under this name only.
        text("gemini-3-flash", true, false, ALL),
        text("gemini-3.5-flash", false, true, ALL),
        text("gemini-3.5-flash-lite", false, true, ALL),
        text("gemini-3.6-flash", false, true, ALL),
        text("gemini-3.8-flash", true, true, LOW_TO_HIGH),
        text("gemini-4-argon", true, true, LOW_TO_HIGH),
        text("gemini-4-hydrogen", false, true, Thinking::Levels(&["LOW", "MEDIUM", "HIGH", "XHIGH"])),
        text("gemma-4-31b-it", false, true, Thinking::Levels(&["MINIMAL", "HIGH"])),
        image("gemini-2.5-flash-image", Thinking::None),
        image("gemini-3-pro-image-preview", Thinking::Levels(&["LOW", "HIGH"])),
        image("gemini-3.1-flash-image", Thinking::Levels(&["MINIMAL", "HIGH"])),
        text("gemini-2.5-flash-preview-tts", false, true, Thinking::None),
        text("gemini-3.8-flash-tts", false, true, Thinking::None),
        text("gemini-3.8-flash-lite-tts", false, true, Thinking::None),
        text("gemini-3.5-transcribe", false, true, Thinking::None),
        Model { embedding: true, ..text("text-embedding-005", false, false, Thinking::None) },
        Model { embedding: true, ..text("gemini-embedding-001", false, true, Thinking::None) },
    ]
}
