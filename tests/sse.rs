//! Server-sent events, read as upstreams write them in every cut, and written as every client reads them.

use gemini_openai_proxy::sse::{EventReader, ReadError, frame};
use std::io::{self, BufReader, Cursor, Read};
use std::time::{Duration, Instant};

/// Gives out the parts one read at a time, as a socket would.
struct Parts(Vec<Vec<u8>>);

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.0.first().is_some_and(|part| part.is_empty()) {
            self.0.remove(0);
        }
        let Some(part) = self.0.first_mut() else { return Ok(0) };
        let length = part.len().min(buffer.len());
        buffer[..length].copy_from_slice(&part[..length]);
        part.drain(..length);
        Ok(length)
    }
}

fn events(parts: Vec<Vec<u8>>) -> Vec<String> {
    let mut reader = EventReader::new(BufReader::new(Parts(parts)));
    std::iter::from_fn(|| reader.next_event().unwrap()).collect()
}

/// Bodies and their events; `A` stands for an object as upstreams send it.
const CASES: &[(&str, &[u8], &[&str])] = &[
    ("line feeds", b"data: {\"a\":1}\n\ndata: {\"b\":2}\n\n", &["{\"a\":1}", "{\"b\":2}"]),
    ("carriage returns", b"data: {\"a\":1}\r\rdata: {\"b\":2}\r\r", &["{\"a\":1}", "{\"b\":2}"]),
    ("pairs", b"data: {\"a\":1}\r\n\r\ndata: {\"b\":2}\r\n\r\n", &["{\"a\":1}", "{\"b\":2}"]),
    ("mixed line ends", b"data: 1\r\n\ndata: 2\r\r\ndata: 3\n\r\n", &["1", "2", "3"]),
    ("comments", b": ping\n\n:\ndata: {}\n\n", &["{}"]),
    ("other fields", b"event: x\nid: 1\nretry: 5\ndata: {}\n\n", &["{}"]),
    ("fields that begin alike", b"dat: 1\ndatas: 2\ndata2\ndata: 3\n\n", &["3"]),
    ("no space after the colon", b"data:{}\n\ndata:  x\n\n", &["{}", " x"]),
    ("several data lines", b"data: {\"a\":\ndata: 1}\n\n", &["{\"a\":\n1}"]),
    ("a field without colon", b"data\ndata: x\n\n", &["\nx"]),
    ("no blank line at the end", b"data: {\"a\":1}\n\ndata: {\"b\":2}", &["{\"a\":1}", "{\"b\":2}"]),
    ("one line end at the end", b"data: {\"a\":1}\n", &["{\"a\":1}"]),
    ("done", b"data: {}\n\ndata: [DONE]\n\n", &["{}"]),
    ("done at the end of the body", b"data: {}\n\ndata: [DONE]", &["{}"]),
    ("data that is empty", b"data\n\ndata:\n\ndata: \ndata: \n\ndata: {}\n\ndata:", &["{}"]),
    ("blank lines only", b"\n\n\r\n\r\r", &[]),
    ("nothing", b"", &[]),
    ("byte order mark", b"\xEF\xBB\xBFdata: {}\n\n", &["{}"]),
    ("invalid UTF-8", b"data: \xFF\n\n", &["\u{FFFD}"]),
    ("multi-byte characters", "data: \"ü😀\u{2028}\u{85}x\"\n\n".as_bytes(), &["\"ü😀\u{2028}\u{85}x\""]),
    ("an array", b"[{\"a\":1},{\"b\":2}]", &["{\"a\":1}", "{\"b\":2}"]),
    ("a pretty array", b" [{\n \"a\": [1, {}]\n}\n,\r\n{\"b\":2}\n]\n", &["{\n \"a\": [1, {}]\n}", "{\"b\":2}"]),
    ("strings in an array", b"[{\"a\":\"}]\\\"{\\\\\"},{}]", &["{\"a\":\"}]\\\"{\\\\\"}", "{}"]),
    ("scalars in an array", b"[1, \"x,]\" ,null]", &["1", "\"x,]\"", "null"]),
    ("an array that is cut", b"[{\"a\":1},{\"b\":", &["{\"a\":1}", "{\"b\":"]),
    ("an empty array", b"[]", &[]),
    ("one object", b"{\n  \"a\": {\"b\": []}\n}\n", &["{\n  \"a\": {\"b\": []}\n}"]),
    ("a page", b"<html>\n<body>data: x</body>\n\n</html>", &[]),
];

#[test]
fn every_case_gives_its_events() {
    for (name, body, expected) in CASES {
        assert_eq!(events(vec![body.to_vec()]), *expected, "{name}");
    }
}

#[test]
fn any_split_into_two_reads_and_single_bytes_give_the_same_events() {
    for (name, body, expected) in CASES {
        assert_eq!(events(body.iter().map(|byte| vec![*byte]).collect()), *expected, "{name}, byte by byte");
        for cut in 0..body.len() {
            let parts = vec![body[..cut].to_vec(), body[cut..].to_vec()];
            assert_eq!(events(parts), *expected, "{name}, cut at {cut}");
        }
    }
}

#[test]
fn an_event_is_there_before_the_next_read() {
    struct Once(Option<Vec<u8>>);
    impl Read for Once {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = self.0.take().expect("a second read would wait for the network");
            buffer[..bytes.len()].copy_from_slice(&bytes);
            Ok(bytes.len())
        }
    }
    for body in [&b"data: 1\n\ndata: 2\r\r"[..], b"data: 1\r\n\r\ndata: 2\r\n\r", b"[1,2,"] {
        let mut reader = EventReader::new(BufReader::new(Once(Some(body.to_vec()))));
        assert_eq!(reader.next_event().unwrap().as_deref(), Some("1"));
        assert_eq!(reader.next_event().unwrap().as_deref(), Some("2"));
    }
}

#[test]
fn only_an_event_without_its_end_counts_as_cut() {
    for (body, cut) in [(&b"data: {}\n\n"[..], false), (b"data: {}\n", true), (b"[{}]", false), (b"[{", true)] {
        let mut reader = EventReader::new(Cursor::new(body));
        while reader.next_event().unwrap().is_some() {}
        assert_eq!(reader.was_cut(), cut, "{}", String::from_utf8_lossy(body));
    }
}

fn endless(head: &'static [u8]) -> Box<dyn Read> {
    Box::new(Cursor::new(head).chain(io::repeat(b'x')))
}

#[test]
fn an_endless_event_stops_at_the_limit() {
    let endless_lines = "data:\n".repeat(100_002).into_bytes();
    // One read that holds all of it, and its end, is no exception.
    let scalar = format!("[{} ]", "1".repeat(100_001));
    assert!(matches!(EventReader::with_limit(scalar.as_bytes(), 100_000).next_event(), Err(ReadError::TooLong(_))));
    for body in [endless(b"data: "), endless(b"[\""), Box::new(Cursor::new(endless_lines))] {
        let mut reader = EventReader::with_limit(BufReader::new(body), 100_000);
        assert!(matches!(reader.next_event(), Err(ReadError::TooLong(100_000))));
        assert!(reader.next_event().unwrap().is_none());
    }
}

#[test]
fn twenty_megabytes_take_linear_time() {
    let time = |size: usize| {
        let body = format!("data: {{\"a\":\"{}\"}}\n\n", "x".repeat(size));
        let mut reader = EventReader::new(BufReader::with_capacity(16 << 10, Cursor::new(body)));
        let begin = Instant::now();
        assert_eq!(reader.next_event().unwrap().unwrap().len(), size + 8);
        begin.elapsed()
    };
    // Quadratic work would take minutes here; the bound leaves room for a loaded machine.
    assert!(time(20 << 20) < Duration::from_secs(10));
}

#[test]
fn a_frame_is_one_line_for_every_client() {
    for (json, expected) in [
        ("{\"t\":\"a\u{2028}b\u{2029}c\u{85}d\"}", "data: {\"t\":\"a\\u2028b\\u2029c\\u0085d\"}\n\n"),
        ("{\"t\":\"a\\nb\\r\"}", "data: {\"t\":\"a\\nb\\r\"}\n\n"),
        ("{\r\n  \"t\": \"é\u{2027}\u{86}â\"\n}", "data: {    \"t\": \"é\u{2027}\u{86}â\" }\n\n"),
        ("", "data: \n\n"),
    ] {
        let mut out = Vec::new();
        frame(json, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
