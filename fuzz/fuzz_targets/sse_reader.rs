//! The event reader: however a body is cut into reads, the events are the same; and what we write we can read.
#![no_main]

use gemini_openai_proxy::sse::{EventReader, frame};
use libfuzzer_sys::fuzz_target;
use std::io::{self, BufReader, Read};

/// Small, so that the limit is reached.
const LIMIT: usize = 512;

/// Gives out pieces of one length.
struct Pieces<'a> {
    rest: &'a [u8],
    length: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.length.min(self.rest.len()).min(buffer.len());
        let (now, rest) = self.rest.split_at(length);
        buffer[..length].copy_from_slice(now);
        self.rest = rest;
        Ok(length)
    }
}

/// The events, whether the last one was cut, and whether one was too long.
fn read(rest: &[u8], length: usize) -> (Vec<String>, bool, bool) {
    let mut reader = EventReader::with_limit(BufReader::new(Pieces { rest, length }), LIMIT);
    let mut events = Vec::new();
    loop {
        match reader.next_event() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, reader.was_cut(), false),
            Err(_) => return (events, reader.was_cut(), true),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((length, body)) = data.split_first() else { return };
    let whole = read(body, body.len().max(1));
    assert_eq!(read(body, 1), whole);
    assert_eq!(read(body, usize::from(*length).max(1)), whole);
    for event in &whole.0 {
        // A replacement character is three bytes where one was read.
        assert!(event.len() <= 3 * (LIMIT + 1), "{}", event.len());
        let mut framed = Vec::new();
        frame(event, &mut framed);
        assert!(framed.ends_with(b"\n\n") && framed.iter().filter(|byte| **byte == b'\n').count() == 2);
        let mut reader = EventReader::new(&framed[..]);
        match reader.next_event().unwrap() {
            Some(again) => assert!(again.len() >= event.len()),
            None => assert_eq!(event.trim(), "[DONE]"),
        }
        assert_eq!(reader.next_event().unwrap(), None);
    }
});
