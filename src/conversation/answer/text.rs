//! What of the model's texts may be shown, and when: halves of surrogate pairs, thoughts in tags, stop sequences and code
//! fences all hold something back.

use super::hold::{Fence, Stops};
use crate::conversation::format::Json;
use crate::conversation::plan::Plan;
use crate::gemini::surrogates::Joiner;
use std::borrow::Cow;

/// The texts of one answer.
pub(super) struct Texts {
    thoughts: Joiner,
    text: Joiner,
    /// Thoughts stand in the text between tags of this name.
    marker: Option<String>,
    /// Such a tag is open.
    is_open: bool,
    stops: Stops,
    fence: Option<Fence>,
}

impl Texts {
    pub(super) fn new(plan: &Plan) -> Texts {
        Texts {
            thoughts: Joiner::default(),
            text: Joiner::default(),
            marker: plan.marker.clone(),
            is_open: false,
            stops: Stops::new(&plan.stops),
            fence: (plan.json != Json::No).then(Fence::new),
        }
    }

    /// Whether a stop sequence was met.
    pub(super) fn is_cut(&self) -> bool {
        self.stops.met().is_some()
    }

    /// The stop sequence that was met.
    pub(super) fn met(&self) -> Option<&str> {
        self.stops.met()
    }

    /// What of a thought may be shown now.
    pub(super) fn thought<'a>(&mut self, delta: &'a str) -> Cow<'a, str> {
        let thought = self.thoughts.push(delta);
        if self.is_cut() { Cow::Borrowed("") } else { thought }
    }

    pub(super) fn rest_of_thought(&mut self) -> &'static str {
        self.thoughts.finish()
    }

    /// The tag that comes before a thought, if there is to be one and it is not open.
    pub(super) fn opening(&mut self) -> Option<String> {
        let marker = self.marker.as_deref().filter(|_| !self.is_open)?;
        self.is_open = true;
        Some(format!("<{marker}>"))
    }

    /// The tag that comes before anything but a thought, if one is open.
    pub(super) fn closing(&mut self) -> Option<String> {
        let marker = self.marker.as_deref().filter(|_| self.is_open)?;
        self.is_open = false;
        Some(format!("</{marker}>"))
    }

    /// Text with its surrogate pairs whole.
    pub(super) fn join<'a>(&mut self, delta: &'a str) -> Cow<'a, str> {
        self.text.push(delta)
    }

    pub(super) fn rest_of_text(&mut self) -> &'static str {
        self.text.finish()
    }

    /// What of a joined text may be shown now.
    pub(super) fn let_through<'a>(&mut self, text: Cow<'a, str>) -> Cow<'a, str> {
        let text = self.stops.push(text);
        match &mut self.fence {
            None => text,
            Some(fence) => fence.push(text),
        }
    }

    /// What stop sequences and fences held back, at the end or before something that is no text.
    pub(super) fn held(&mut self) -> String {
        let held = self.stops.finish();
        match self.fence.take() {
            None => held,
            Some(mut fence) => {
                let mut shown = fence.push(held.into()).into_owned();
                shown.push_str(&fence.finish());
                shown
            }
        }
    }

    /// Whether stop sequences or fences hold text back.
    pub(super) fn holds(&self) -> bool {
        self.stops.holds() || self.fence.as_ref().is_some_and(Fence::holds)
    }
}
