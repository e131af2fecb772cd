//! The built-in models and model families, as data (docs/google.md "Models of Code Assist", docs/thinking.md "What each
//! model accepts"). There is no list method on Code Assist, so this table is what the server can tell about models; the
//! config adds to it.

use super::{Model, Told};
use crate::gemini::thinking::{Control, Level};
use std::borrow::Cow;
use std::sync::Arc;

/// A named model: what cannot be told from its name, that is the name and description for people, the day of its release
/// and its limits. Where Google's date is not known to us the month is right at best.
type Row = (&'static str, &'static str, &'static str, Day, Limits);

/// Year, month, day.
type Day = (i64, i64, i64);

/// Tokens in and out.
type Limits = (u64, u64);

/// The text models. The old program told 65535 for the output; Google documents 65536.
const TEXT: Limits = (1_048_576, 65_536);
const SECOND_GENERATION: Limits = (1_048_576, 8_192);
const IMAGE: Limits = (32_768, 32_768);
const IMAGE_3: Limits = (65_536, 32_768);
const SPEECH: Limits = (8_192, 16_384);
const GEMMA_3: Limits = (131_072, 8_192);
const GEMMA_4: Limits = (262_144, 32_768);

#[rustfmt::skip]
const MODELS: &[Row] = &[
    ("gemini-2.0-flash", "Gemini 2.0 Flash", "Fast multimodal model of the second generation", (2025, 2, 5), SECOND_GENERATION),
    ("gemini-2.0-flash-lite", "Gemini 2.0 Flash-Lite", "Small multimodal model of the second generation", (2025, 2, 25), SECOND_GENERATION),
    ("gemini-2.5-pro", "Gemini 2.5 Pro", "Reasoning model for complex tasks", (2025, 6, 17), TEXT),
    ("gemini-2.5-pro-preview-05-06", "Gemini 2.5 Pro Preview 05-06", "Preview of Gemini 2.5 Pro", (2025, 5, 6), TEXT),
    ("gemini-2.5-flash", "Gemini 2.5 Flash", "Fast reasoning model", (2025, 6, 17), TEXT),
    ("gemini-2.5-flash-lite", "Gemini 2.5 Flash-Lite", "Small and fast model, thinks when asked", (2025, 7, 22), TEXT),
    ("gemini-2.5-flash-image", "Gemini 2.5 Flash Image", "Makes and edits images", (2025, 10, 2), IMAGE),
    ("gemini-2.5-flash-preview-tts", "Gemini 2.5 Flash Preview TTS", "Makes speech", (2025, 5, 20), SPEECH),
    ("gemini-2.5-pro-preview-tts", "Gemini 2.5 Pro Preview TTS", "Makes speech", (2025, 5, 20), SPEECH),
    ("gemini-3-pro-preview", "Gemini 3 Pro Preview", "Reasoning model for complex tasks", (2025, 11, 18), TEXT),
    ("gemini-3-pro-image-preview", "Gemini 3 Pro Image Preview", "Makes and edits images", (2025, 11, 20), IMAGE_3),
    ("gemini-3-flash-preview", "Gemini 3 Flash Preview", "Fast reasoning model", (2025, 12, 17), TEXT),
    ("gemini-3.1-pro-preview", "Gemini 3.1 Pro Preview", "Reasoning model for complex tasks", (2026, 2, 19), TEXT),
    ("gemini-3.1-flash-image-preview", "Gemini 3.1 Flash Image Preview", "Makes and edits images", (2026, 2, 26), IMAGE_3),
    ("gemini-3.1-flash-lite-preview", "Gemini 3.1 Flash-Lite Preview", "Small and fast model", (2026, 3, 3), TEXT),
    ("gemini-3-pro-image", "Gemini 3 Pro Image", "Makes and edits images", (2026, 5, 28), IMAGE_3),
    ("gemini-3.1-flash-image", "Gemini 3.1 Flash Image", "Makes and edits images", (2026, 5, 28), IMAGE_3),
    ("gemini-3.1-flash-lite", "Gemini 3.1 Flash-Lite", "Small and fast model", (2026, 5, 7), TEXT),
    ("gemini-3.5-flash", "Gemini 3.5 Flash", "Fast reasoning model", (2026, 5, 19), TEXT),
    ("gemini-3.5-flash-lite", "Gemini 3.5 Flash-Lite", "Small and fast model", (2026, 7, 21), TEXT),
    ("gemini-3.6-flash", "Gemini 3.6 Flash", "Fast reasoning model", (2026, 7, 21), TEXT),
    ("gemini-3.7-flash", "Gemini 3.7 Flash", "Fast reasoning model", (2026, 8, 13), TEXT),
    ("gemini-3.8-flash", "Gemini 3.8 Flash", "Fast reasoning model", (2026, 9, 2), TEXT),
    ("gemini-4-argon", "Gemini 4 Argon", "Reasoning model for complex tasks", (2026, 10, 13), TEXT),
    ("gemini-4-carbon", "Gemini 4 Carbon", "The most capable reasoning model", (2026, 11, 1), TEXT),
    ("gemini-4-hydrogen", "Gemini 4 Hydrogen", "Fast reasoning model", (2026, 11, 12), TEXT),
    ("gemini-4-neon", "Gemini 4 Neon", "Reasoning model between Argon and Hydrogen", (2026, 11, 18), TEXT),
    ("gemini-embedding-001", "Gemini Embedding 001", "Makes embeddings of text", (2025, 7, 14), (2_048, 1)),
    ("gemini-flash-latest", "Gemini Flash Latest", "The newest Flash model", (2025, 9, 25), TEXT),
    ("gemini-flash-lite-latest", "Gemini Flash-Lite Latest", "The newest Flash-Lite model", (2025, 9, 25), TEXT),
    ("gemini-pro-latest", "Gemini Pro Latest", "The newest Pro model", (2026, 2, 19), TEXT),
    ("gemma-3-27b-it", "Gemma 3 27B", "Open model", (2025, 3, 12), GEMMA_3),
    ("gemma-4-26b-a4b-it", "Gemma 4 26B A4B", "Open model", (2026, 4, 2), GEMMA_4),
    ("gemma-4-31b-it", "Gemma 4 31B", "Open model", (2026, 4, 2), GEMMA_4),
];

/// The names whose variants the old program listed.
pub(super) const LISTED_WITH_VARIANTS: &[&str] =
    &["gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.5-pro-preview-05-06"];

/// Names that Google serves with another model from a day on, without an error (docs/gemini-4.md "Names of models"). The
/// day of the 2.5 models is second-hand; what answers say counts more.
#[rustfmt::skip]
const MOVED: &[(&str, &str, Day)] = &[
    ("gemini-3.5-flash", "gemini-3.6-flash", (2026, 10, 8)),
    ("gemini-3.7-flash", "gemini-3.8-flash", (2026, 10, 8)),
    ("gemini-2.5-pro", "gemini-3.8-flash", (2026, 12, 1)),
    ("gemini-2.5-flash", "gemini-3.5-flash-lite", (2026, 12, 1)),
];

/// What serves this name some day if not the model of that name, and from when on, in Unix seconds.
pub(super) fn successor(name: &str) -> Option<(&'static str, u64)> {
    let moved = MOVED.iter().find(|(from, ..)| *from == name);
    moved.map(|(_, to, day)| (*to, midnight(*day)))
}

const MINIMAL_TO_HIGH: &[Level] = &[Level::Minimal, Level::Low, Level::Medium, Level::High];
const LOW_TO_HIGH: &[Level] = &[Level::Low, Level::Medium, Level::High];
/// Every Gemini 3 text model takes these.
const LOW_AND_HIGH: &[Level] = &[Level::Low, Level::High];
const LOW_TO_XHIGH: &[Level] = &[Level::Low, Level::Medium, Level::High, Level::XHigh];
const MINIMAL_AND_HIGH: &[Level] = &[Level::Minimal, Level::High];

/// What a family of names has in common; the longest prefix that ends at a word wins.
#[rustfmt::skip]
static FAMILIES: &[(&str, Control)] = &[
    ("gemma", Control::None),
    ("gemma-4", levels(MINIMAL_AND_HIGH)),
    ("gemini-embedding", Control::None),
    ("gemini-1.0", Control::None),
    ("gemini-1.5", Control::None),
    ("gemini-2.0", Control::None),
    ("gemini-2.5-pro", Control::Budget { min: 128, max: 32_768, can_be_off: false }),
    ("gemini-2.5-flash", Control::Budget { min: 1, max: 24_576, can_be_off: true }),
    ("gemini-2.5-flash-lite", Control::Budget { min: 512, max: 24_576, can_be_off: true }),
    ("gemini-3-pro", levels(LOW_AND_HIGH)),
    ("gemini-3.1-pro", levels(LOW_TO_HIGH)),
    ("gemini-3-flash", levels(MINIMAL_TO_HIGH)),
    ("gemini-3.1-flash-lite", levels(MINIMAL_TO_HIGH)),
    ("gemini-3.5-flash", levels(MINIMAL_TO_HIGH)),
    ("gemini-3.5-flash-lite", levels(MINIMAL_TO_HIGH)),
    ("gemini-3.6-flash", levels(MINIMAL_TO_HIGH)),
    ("gemini-3.7-flash", levels(LOW_TO_HIGH)),
    ("gemini-3.8-flash", levels(LOW_TO_HIGH)),
    ("gemini-4", levels(LOW_TO_HIGH)),
    ("gemini-4-hydrogen", levels(LOW_TO_XHIGH)),
    // Aliases of Google's that have meant a Gemini 3 model since early 2026.
    ("gemini-pro-latest", levels(LOW_TO_HIGH)),
    ("gemini-flash-latest", levels(LOW_TO_HIGH)),
    ("gemini-flash-lite-latest", levels(LOW_TO_HIGH)),
];

/// Thinks only when it is asked to.
const ON_REQUEST: &str = "gemini-2.5-flash-lite";

const fn levels(levels: &'static [Level]) -> Control {
    Control::Levels(Cow::Borrowed(levels))
}

/// The built-in models.
pub(super) fn models() -> impl Iterator<Item = Model> {
    MODELS.iter().map(|(name, display_name, description, released, limits)| Model {
        display_name: (*display_name).into(),
        description: (*description).into(),
        input_token_limit: limits.0,
        output_token_limit: limits.1,
        created: midnight(*released),
        known: true,
        told: Told::All,
        source: source(name),
        ..guess(name)
    })
}

/// What the name alone tells, with safe guesses for the rest.
pub(super) fn guess(name: &str) -> Model {
    let has = |word: &str| name.split('-').any(|part| part == word);
    let generation = generation(name);
    let gemini3 = generation.0 >= 3;
    let is_newest = generation >= FIXED_SAMPLING;
    // Google's name for the family stands in some of its models' names instead.
    let image_output = has("image") || has("banana");
    let speech_output = has("tts");
    let thinking = if speech_output || has("live") || (has("native") && has("audio")) {
        Control::None
    } else if image_output {
        match gemini3 {
            true if has("pro") => levels(LOW_AND_HIGH),
            true => levels(MINIMAL_AND_HIGH),
            false => Control::None,
        }
    } else {
        match of_family(name) {
            Some(thinking) => thinking.clone(),
            None if is_newest => levels(LOW_TO_HIGH),
            None if gemini3 => levels(LOW_AND_HIGH),
            None => Control::Unknown,
        }
    };
    let limits = match name {
        _ if name.starts_with("gemma-") => GEMMA_3,
        _ if name.starts_with("gemini-2.0-") || name.starts_with("gemini-1.") => SECOND_GENERATION,
        _ => TEXT,
    };
    Model {
        name: name.into(),
        serving: None,
        display_name: name.into(),
        description: String::new(),
        input_token_limit: limits.0,
        output_token_limit: limits.1,
        // Gemma 4 thinks as it likes and is said to refuse a config that sets no level.
        thinks_unasked: thinking != Control::None
            && ![ON_REQUEST, "gemma-"].iter().any(|start| name.starts_with(start)),
        thinking,
        gemini3,
        fixed_sampling: is_newest || name.starts_with("gemini-3.5-flash-lite"),
        long_decode: generation >= (4, 0) && !image_output && !speech_output,
        image_output,
        speech_output,
        embedding: has("embedding"),
        created: midnight((2026, 1, 1)),
        known: false,
        told: Told::Name,
        methods: Arc::default(),
        source: "",
    }
}

fn of_family(name: &str) -> Option<&'static Control> {
    let is_of = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    let families = FAMILIES.iter().filter(|(prefix, _)| is_of(prefix));
    families.max_by_key(|(prefix, _)| prefix.len()).map(|(_, thinking)| thinking)
}

/// From this generation on, sampling is the model's own affair.
const FIXED_SAMPLING: (u32, u32) = (3, 6);

/// Generation and version: `gemini-3.5-flash` is (3, 5). A name of Google's that tells none, or of a family that nobody
/// knows yet, is taken for the newest: that is what Google puts behind new names.
pub(super) fn generation(name: &str) -> (u32, u32) {
    const OTHERS: [&str; 4] = ["gemma-", "gemini-embedding", "gemini-exp-", "text-embedding"];
    if OTHERS.iter().any(|other| name.starts_with(other)) {
        return (0, 0);
    }
    let number = |text: &str| text[..text.bytes().take_while(u8::is_ascii_digit).count()].parse::<u32>().ok();
    let Some((rest, major)) = name.strip_prefix("gemini-").and_then(|rest| Some((rest, number(rest)?))) else {
        return (u32::MAX, 0);
    };
    let minor = rest.split_once('.').filter(|(head, _)| head.bytes().all(|byte| byte.is_ascii_digit()));
    (major, minor.and_then(|(_, tail)| number(tail)).unwrap_or(0))
}

/// How the newest models think.
pub(super) fn newest_thinking() -> Control {
    levels(LOW_TO_HIGH)
}

/// Where the day and the levels of a model are told.
fn source(name: &str) -> &'static str {
    match generation(name) {
        (0 | u32::MAX, _) => "docs/google.md \"Limits and modalities\"",
        (4.., _) => "docs/gemini-4.md \"Names of models\"",
        (2, 5) | (3, _) => "docs/gemini-4.md \"Release and retirement dates\"",
        _ => "docs/google.md \"Limits and modalities\"",
    }
}

/// Unix seconds of a day's first moment, UTC. Counts years from March, so that the leap day is the last of its year.
const fn midnight((year, month, day): Day) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    const EPOCH: i64 = 719_468;
    ((days - EPOCH) * 86_400) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_unix_seconds() {
        assert_eq!(midnight((1970, 1, 1)), 0);
        assert_eq!(midnight((2024, 2, 29)), 1_709_164_800);
        assert_eq!(midnight((2025, 6, 17)), 1_750_118_400);
        assert_eq!(midnight((2026, 12, 31)), 1_798_675_200);
    }

    #[test]
    fn names_are_unique_and_every_text_model_has_a_family() {
        let mut names: Vec<&str> = MODELS.iter().map(|row| row.0).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), MODELS.len());
        for model in models() {
            assert_ne!(model.thinking, Control::Unknown, "{}", model.name);
        }
    }

    #[test]
    fn names_tell_what_the_table_does_not() {
        let pro = Control::Budget { min: 128, max: 32_768, can_be_off: false };
        for (name, thinking, gemini3) in [
            ("gemini-2.5-pro-preview-06-05", pro, false),
            ("gemini-2.5-flash-preview-09-2025", Control::Budget { min: 1, max: 24_576, can_be_off: true }, false),
            ("gemini-2.5-flash-lite-06-17", Control::Budget { min: 512, max: 24_576, can_be_off: true }, false),
            ("gemini-2.5-flash-image-preview", Control::None, false),
            ("gemini-2.5-flash-native-audio-latest", Control::None, false),
            ("gemini-2.5-computer-use-preview-10-2025", Control::Unknown, false),
            ("gemini-2.0-flash-thinking-exp", Control::None, false),
            ("gemini-3-pro-002", levels(LOW_AND_HIGH), true),
            ("gemini-3.1-pro-preview-customtools", levels(LOW_TO_HIGH), true),
            ("gemini-3-flash", levels(MINIMAL_TO_HIGH), true),
            ("gemini-3.1-flash-image", levels(MINIMAL_AND_HIGH), true),
            ("gemini-4-pro-image", levels(LOW_AND_HIGH), true),
            ("gemini-3.1-flash-tts-preview", Control::None, true),
            ("gemini-3.2-flash", levels(LOW_AND_HIGH), true),
            ("gemini-3.9-flash", levels(LOW_TO_HIGH), true),
            ("gemini-4-argon-cyber-permissive", levels(LOW_TO_HIGH), true),
            ("gemini-4-hydrogen-eap", levels(LOW_TO_XHIGH), true),
            ("gemini-4-ultra", levels(LOW_TO_HIGH), true),
            ("gemini-10.5-flash", levels(LOW_TO_HIGH), true),
            ("aurora-1", levels(LOW_TO_HIGH), true),
            ("gemini-exp-1206", Control::Unknown, false),
            ("gemma-3n-e4b-it", Control::None, false),
        ] {
            let model = guess(name);
            assert_eq!((model.thinking, model.gemini3), (thinking, gemini3), "{name}");
        }
        for (name, limit) in
            [("gemini-2.0-flash-001", 8_192), ("gemini-1.5-pro", 8_192), ("gemini-2.5-flash-001", 65_536)]
        {
            assert_eq!(guess(name).output_token_limit, limit, "{name}");
        }
        for (name, fixed_sampling, long_decode) in [
            ("gemini-2.5-pro", false, false),
            ("gemini-3-pro-preview", false, false),
            ("gemini-3.5-flash", false, false),
            ("gemini-3.5-flash-lite", true, false),
            ("gemini-3.6-flash", true, false),
            ("gemini-3.8-flash", true, false),
            ("gemini-3.10-flash", true, false),
            ("gemini-4-argon", true, true),
            ("gemini-4-hydrogen-eap", true, true),
            ("gemini-4-flash-image", true, false),
            ("aurora-1", true, true),
            ("gemma-3-27b-it", false, false),
        ] {
            let model = guess(name);
            assert_eq!((model.fixed_sampling, model.long_decode), (fixed_sampling, long_decode), "{name}");
        }
        for name in ["gemini-4-flash-image", "gemini-nano-banana-2.1", "nano-banana-pro-preview"] {
            assert!(guess(name).image_output, "{name}");
        }
        assert!(guess("gemini-3.1-flash-tts-preview").speech_output);
        assert!(guess("gemini-embedding-2-preview").embedding);
    }
}
