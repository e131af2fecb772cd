//! Mutated requests, read by this listener and by h11: the same requests, or a difference that
//! `fixtures/http/differences.jsonl` explains: `we` is the beginning of our sentence or `reads`, `h11` the beginning of its
//! error or `reads`, `title` the reason. A gate takes a few, `make conformance` 200,000. The changes are the same in every run.

use super::bytes;
use super::reader::{Found, Heard, Reader};
use crate::common::numbers::Numbers;
use crate::common::program::Folder;
use crate::common::{python, script};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;
use std::thread;

/// What all others are made of.
const BASES: [&str; 14] = [
    "GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
    "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
    "GET http://other:80/a HTTP/1.1\r\nHost: h\r\n\r\nPATCH /b HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /a HTTP/1.0\r\n\r\n",
    "POST /a HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
    "OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
    "PUT /a%20b HTTP/1.1\r\nHost: [::1]:8080\r\nX-Long: a, b;c=\"d\"\r\nContent-Length: 2\r\n\r\n\r\n",
    "\r\nGET /a HTTP/1.1\r\nhOST: h\r\nX:\r\nY: \t z \t\r\n\r\n",
    "DELETE /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
];

/// What is put in.
const PIECES: [&str; 52] = [
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    "\0",
    ":",
    ";",
    ",",
    "\u{b}",
    "\u{c}",
    "\u{7f}",
    "\u{80}",
    "\u{ff}",
    "0",
    "5",
    "a",
    "F",
    "-",
    "+",
    "_",
    "0x",
    "/",
    "?",
    "#",
    "%",
    "\"",
    "[",
    "@",
    "chunked",
    " chunked",
    "chunked, ",
    "identity",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length : 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer_Encoding: chunked\r\n",
    " folded\r\n",
    "\r\n\r\n",
    "0\r\n\r\n",
    "ffffffffffffffff",
    "0000000000000000005",
    "Host: x\r\n",
    "Connection: close\r\n",
    "X: \u{e4}\r\n",
    "HTTP/1.0",
    "HTTP/1.2",
    "HTTP/2.0",
    "GET /b HTTP/1.1\r\nHost: h\r\n\r\n",
];

fn mutated(numbers: &mut Numbers) -> Vec<u8> {
    let mut sent = bytes(BASES[numbers.below(BASES.len())]);
    if numbers.below(8) == 0 {
        sent.extend(bytes(BASES[numbers.below(BASES.len())]));
    }
    for _ in 0..1 + numbers.below(3) {
        let at = numbers.below(sent.len() + 1);
        let end = (at + 1 + numbers.below(6)).min(sent.len());
        let piece = bytes(PIECES[numbers.below(PIECES.len())]);
        match numbers.below(6) {
            0 => drop(sent.splice(at..end, [])),
            1 => drop(sent.splice(at..end, piece)),
            2 => {
                let twice = sent[at..end].to_vec();
                drop(sent.splice(at..at, twice));
            }
            3 if at < sent.len() => sent[at] ^= 0x20,
            _ => drop(sent.splice(at..at, piece)),
        }
    }
    sent
}

/// Path and query of a target, which may have a host.
fn local(target: &str) -> String {
    let after = |rest: &str| rest.find(['/', '?']).map_or("/".to_owned(), |at| rest[at..].to_owned());
    let lower = target.to_ascii_lowercase();
    let local = match ["http://", "https://"].iter().find(|scheme| lower.starts_with(**scheme)) {
        Some(scheme) => after(&target[scheme.len()..]),
        None if target == "*" => "/".to_owned(),
        None => target.to_owned(),
    };
    let rooted = if local.starts_with('?') { format!("/{local}") } else { local };
    // An empty query is none.
    let empty = rooted.strip_suffix('?').filter(|path| !path.contains('?'));
    empty.map_or_else(|| rooted.clone(), str::to_owned)
}

/// How they differ, as `we` and `h11` of the list; `None`: not at all.
fn difference(ours: &Found, theirs: &Value) -> Option<(String, String)> {
    let read = |it: &Value| Heard {
        method: it[0].as_str().unwrap().into(),
        target: local(it[1].as_str().unwrap()),
        length: it[2].as_u64().unwrap() as usize,
        sum: it[3].as_u64().unwrap(),
    };
    let requests: Vec<Heard> = theirs[0].as_array().unwrap().iter().map(read).collect();
    let (we, error) = (&ours.refusal, theirs[1].as_str());
    if ours.requests == requests && we.is_some() == error.is_some() {
        return None;
    }
    let common = ours.requests.len().min(requests.len());
    if ours.requests[..common] != requests[..common] {
        return Some(("another request".into(), format!("{:?} for {:?}", requests, ours.requests)));
    }
    let we = if ours.requests.len() > common { None } else { we.as_ref().map(|(_, sentence)| sentence.as_str()) };
    let theirs = if requests.len() > common { None } else { error };
    Some((we.unwrap_or("reads").into(), theirs.unwrap_or("reads").into()))
}

#[test]
fn an_independent_parser_reads_the_same_from_mutated_requests() {
    let count = std::env::var("GEMINI_PROXY_MUTATED").map_or(10_000, |count| count.parse().unwrap());
    let mut numbers = Numbers(0x5eed);
    let all: Vec<Vec<u8>> = (0..count).map(|_| mutated(&mut numbers)).collect();
    let folder = Folder::new("h11");
    let file = folder.join("connections");
    let framed = all.iter().flat_map(|sent| [&u32::try_from(sent.len()).unwrap().to_be_bytes()[..], sent].concat());
    std::fs::write(&file, framed.collect::<Vec<u8>>()).unwrap();
    let parser = thread::spawn(move || {
        let mut command = Command::new(python::venv_python());
        let output = command.arg(script::file("py/h11_reads.py")).arg(file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    });
    let read = |part: &[Vec<u8>]| {
        let reader = Reader::start();
        part.iter().map(|sent| reader.read(&[sent])).collect::<Vec<Found>>()
    };
    let ours: Vec<Found> = thread::scope(|scope| {
        let parts: Vec<_> = all.chunks(all.len().div_ceil(4)).map(|part| scope.spawn(move || read(part))).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    let theirs = parser.join().unwrap();
    let list = include_str!("../fixtures/http/differences.jsonl");
    let explained: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let begins = |found: &str, row: &Value, name: &str| found.starts_with(row[name].as_str().unwrap());
    let mut unexplained: BTreeMap<(String, String), (usize, String)> = BTreeMap::new();
    for ((sent, ours), theirs) in all.iter().zip(&ours).zip(theirs.lines()) {
        let Some((we, h11)) = difference(ours, &serde_json::from_str(theirs).unwrap()) else { continue };
        if !explained.iter().any(|row| begins(&we, row, "we") && begins(&h11, row, "h11")) {
            let shown = format!("{:?} {theirs}", String::from_utf8_lossy(sent));
            unexplained.entry((we, h11)).or_insert((0, shown)).0 += 1;
        }
    }
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    assert_eq!((ours.len(), theirs.lines().count()), (count, count));
}
