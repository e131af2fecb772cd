//! Text that is held back because what follows decides whether the client may see it: stop sequences cut over the borders
//! of deltas, code fences around JSON.

use std::borrow::Cow;

/// Cuts a text at the first of some sequences.
#[derive(Debug, Default)]
pub(super) struct Stops {
    stops: Vec<String>,
    held: String,
    /// Which of them was met.
    met: Option<usize>,
}

impl Stops {
    pub(super) fn new(stops: &[String]) -> Stops {
        Stops { stops: stops.to_vec(), held: String::new(), met: None }
    }

    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// The sequence that was met.
    pub(super) fn met(&self) -> Option<&str> {
        self.met.map(|index| self.stops[index].as_str())
    }

    /// What of the text may be shown now; nothing comes after a sequence that was met.
    pub(super) fn push<'a>(&mut self, text: Cow<'a, str>) -> Cow<'a, str> {
        if self.stops.is_empty() {
            return text;
        }
        self.held.push_str(&text);
        let found =
            self.stops.iter().enumerate().filter_map(|(index, stop)| Some((self.held.find(stop.as_str())?, index)));
        if let Some((start, index)) = found.min() {
            self.held.truncate(start);
            self.met = Some(index);
            return std::mem::take(&mut self.held).into();
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        std::mem::replace(&mut self.held, rest).into()
    }

    /// What is still held: no stop sequence after all.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Length of the longest end of `text` with which `stop` begins.
fn overlap(text: &str, stop: &str) -> usize {
    stop.char_indices().map(|(end, _)| end).rev().find(|end| text.ends_with(&stop[..*end])).unwrap_or(0)
}

/// Takes the fences off a streamed text that begins with one.
#[derive(Debug)]
pub(super) struct Fence {
    state: State,
    held: String,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Start,
    Inside,
    Open,
}

impl Fence {
    pub(super) fn new() -> Fence {
        Fence { state: State::Start, held: String::new() }
    }

    /// What of the text may be shown now.
    pub(super) fn push<'a>(&mut self, text: Cow<'a, str>) -> Cow<'a, str> {
        if self.state == State::Open && self.held.is_empty() {
            return text;
        }
        self.held.push_str(&text);
        if self.state == State::Start {
            match opening(&self.held) {
                Opening::Unclear => return Cow::Borrowed(""),
                Opening::None => self.state = State::Open,
                Opening::End(end) => {
                    self.held.drain(..end);
                    self.state = State::Inside;
                }
            }
        }
        if self.state == State::Open {
            return std::mem::take(&mut self.held).into();
        }
        let rest = self.held.split_off(closing(&self.held));
        std::mem::replace(&mut self.held, rest).into()
    }

    /// What is still held, without the closing fence.
    pub(super) fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Inside if held.trim() == "```" || held.trim().is_empty() => String::new(),
            _ => held,
        }
    }

    /// Whether anything is held.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }
}

enum Opening {
    /// More text is needed.
    Unclear,
    None,
    /// The fence's line ends here.
    End(usize),
}

fn opening(text: &str) -> Opening {
    let start = text.len() - text.trim_start().len();
    let rest = &text[start..];
    let Some(after) = rest.strip_prefix("```") else {
        return if "```".starts_with(rest) { Opening::Unclear } else { Opening::None };
    };
    let Some(line) = after.find('\n') else {
        let word = after.trim_end_matches('\r').to_ascii_lowercase();
        return if "json".starts_with(&word) { Opening::Unclear } else { Opening::None };
    };
    match after[..line].trim().to_ascii_lowercase().as_str() {
        "" | "json" => Opening::End(start + 3 + line + 1),
        _ => Opening::None,
    }
}

/// Where the end of the text may be a closing fence with space around it.
fn closing(text: &str) -> usize {
    let trimmed = text.trim_end();
    let body = trimmed.trim_end_matches('`');
    match trimmed.len() - body.len() {
        // No backticks at the end: only the space may belong to a fence that comes.
        0 => trimmed.len(),
        1..=3 => body.trim_end().len(),
        _ => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_found_over_the_borders_of_deltas() {
        let cases: [(&[&str], &[&str], &str, bool); 6] = [
            (&["END"], &["abc E", "N", "D def"], "abc ", true),
            (&["END"], &["abc EN", "x", "E"], "abc ENxE", false),
            (&["aab"], &["aa", "ab"], "a", true),
            (&["xy", "q"], &["axq"], "ax", true),
            (&["ü→"], &["aü", "→b"], "a", true),
            (&["ü→"], &["aü", "b"], "aüb", false),
        ];
        for (stops, deltas, expected, cut) in cases {
            let mut filter = Stops::new(&stops.iter().map(|stop| stop.to_string()).collect::<Vec<_>>());
            let mut shown = String::new();
            for delta in deltas {
                shown.push_str(&filter.push((*delta).into()));
            }
            shown.push_str(&filter.finish());
            assert_eq!((shown.as_str(), filter.met().is_some()), (expected, cut), "{deltas:?}");
        }
    }

    #[test]
    fn fences_are_taken_off_however_the_text_is_cut() {
        for (text, expected) in [
            ("```json\n{\"a\":1}\n```", "{\"a\":1}"),
            (" \n```\n[1]\n```\n", "[1]"),
            ("{\"a\":\"```\"}", "{\"a\":\"```\"}"),
            ("```json\n{\"a\":\"``` \"}\n```", "{\"a\":\"``` \"}"),
            ("```python\nx\n```", "```python\nx\n```"),
            ("plain", "plain"),
        ] {
            for size in 1..=text.len() {
                let mut fence = Fence::new();
                let mut shown = String::new();
                let chars: Vec<char> = text.chars().collect();
                for piece in chars.chunks(size) {
                    shown.push_str(&fence.push(piece.iter().collect::<String>().into()));
                }
                shown.push_str(&fence.finish());
                assert_eq!(shown, expected, "{text:?} in pieces of {size}");
            }
        }
    }
}
