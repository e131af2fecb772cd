//! Bodies that are small on the wire and large once they are decoded: many at a time end no small process.

use super::{CHAT, start_with, status_of};
use crate::common::google::FakeGoogle;
use crate::common::program::Folder;
use crate::common::wire;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::json;
use std::io::{Read, Write};
use std::time::Duration;

/// What they have in them is just what a body may have.
const DECODED: usize = 31 << 20;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A frame of zstd that asks for a window of 32 MiB less one part: `before` and `after` as they are, and spaces between.
fn frame(before: &str, spaces: usize, after: &str) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x77];
    let mut block = |kind: u32, size: usize, last: u32, content: &[u8]| {
        let head = (u32::try_from(size).unwrap() << 3) | kind << 1 | last;
        frame.extend(&head.to_le_bytes()[..3]);
        frame.extend(content);
    };
    block(0, before.len(), 0, before.as_bytes());
    (0..spaces >> 17).for_each(|_| block(1, 1 << 17, 0, b" "));
    block(0, after.len(), 1, after.as_bytes());
    frame
}

/// Two frames, since a decoder makes room for the window of the second one at its head.
fn zstd(text: &str) -> Vec<u8> {
    [frame("", 0, ""), frame(text, DECODED - text.len() - (1 << 17), " ")].concat()
}

fn post(port: u16, path: &str, coding: &str, body: &[u8]) -> u16 {
    let mut stream = wire::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-client-of-programs\r\nConnection: close\r\n\
         Content-Encoding: {coding}\r\nContent-Type: application/json\r\nX-Goog-Upload-Protocol: resumable\r\n\
         X-Goog-Upload-Command: start\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    status.unwrap_or_else(|| panic!("{path} {coding}: {answer:?}"))
}

#[test]
fn bodies_that_grow_as_they_are_decoded_end_no_small_process() {
    let google = FakeGoogle::start();
    let folder = Folder::new("memory-coded");
    let program = start_with(&google, &folder, "ulimit -d 262144", &json!({}));
    let hello = r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]}"#;
    let bodies = [
        (CHAT, hello),
        ("/v1/messages/count_tokens", hello),
        ("/v1beta/models/gemini-2.5-flash:generateContent", r#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#),
        ("/upload/v1beta/files", r#"{"file":{"display_name":"notes"}}"#),
    ];
    let coded: Vec<_> = bodies
        .iter()
        .flat_map(|(path, text)| {
            let padded = [text.as_bytes(), &vec![b' '; DECODED - text.len()]].concat();
            [(*path, "gzip", gzip(&padded)), (path, "deflate", deflate(&padded)), (path, "zstd", zstd(text))]
        })
        .collect();
    std::thread::scope(|scope| {
        for (path, coding, body) in coded.iter().flat_map(|case| [case; 2]) {
            let port = program.port;
            scope.spawn(move || {
                let status = post(port, path, coding, body);
                assert!([200, 503, 529].contains(&status), "{path} {coding}: {status}");
            });
        }
    });
    assert_eq!(status_of(program.port, CHAT, hello), 200, "{}", program.log());
    for (path, coding, body) in coded.iter().filter(|(_, coding, _)| *coding == "zstd") {
        assert_eq!(post(program.port, path, coding, body), 200, "{path} {coding}, alone");
    }
}
