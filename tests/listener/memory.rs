//! A pipeline without end costs no memory. What its neighbours hold would be counted, so it runs alone.

use super::harness::{Client, PATIENCE, limits, start};
use crate::common::alone;
use gemini_openai_proxy::os::platform;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

const PIPELINED: usize = 10_000;
/// Of a field of each.
const LENGTH: usize = 4000;

#[test]
fn a_huge_pipeline_is_answered_in_order_beside_everybody_else() {
    if !alone::is_alone(a_huge_pipeline_is_answered_in_order_beside_everybody_else, &[]) {
        return;
    }
    let rig = start(limits());
    let mut others = Client::connect(rig.address);
    let mut writer = TcpStream::connect(rig.address).unwrap();
    let mut reader = writer.try_clone().unwrap();
    reader.set_read_timeout(Some(PATIENCE)).unwrap();
    let before = platform::resident_memory();
    thread::scope(|scope| {
        scope.spawn(move || {
            let field = "x".repeat(LENGTH);
            for number in 0..PIPELINED {
                writer
                    .write_all(format!("GET /{number} HTTP/1.1\r\nHost: h\r\nX: {field}\r\n\r\n").as_bytes())
                    .unwrap();
            }
        });
        let mut next = 0;
        let mut text = String::new();
        let mut bytes = vec![0; 65536];
        while next < PIPELINED {
            let count = reader.read(&mut bytes).unwrap();
            assert!(count > 0, "cut after {next}");
            text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            let mut used = 0;
            while let Some(found) = text[used..].find("GET /") {
                let rest = &text[used + found + 5..];
                let Some(end) = rest.find(' ') else { break };
                assert_eq!(rest[..end].parse(), Ok(next));
                used += found + 5 + end;
                next += 1;
            }
            text.drain(..used);
            if next % 1000 == 0 {
                let begun = Instant::now();
                others.get("/other");
                assert_eq!(others.answer().status, 200);
                assert!(begun.elapsed() < Duration::from_secs(2), "another client waited {:?}", begun.elapsed());
            }
        }
    });
    let grown = platform::resident_memory().saturating_sub(before);
    assert!(grown < (PIPELINED * LENGTH / 2) as u64, "{grown} bytes were kept of the pipeline");
}
