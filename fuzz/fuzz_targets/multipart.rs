//! Forms of clients: the first line is the `Content-Type`, the rest the body. Parts lie in the body in order and without
//! overlap, there is a bounded number of them, and a form that is made of what was read is read the same.
#![no_main]

use gemini_openai_proxy::api::openai_media::multipart;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (kind, body) = (String::from_utf8_lossy(&data[..at]), data.get(at + 1..).unwrap_or_default());
    multipart::is_form(&kind);
    let parts = match multipart::parts(&kind, body) {
        Ok(parts) => parts,
        Err(error) => return assert_eq!(error.status, 400),
    };
    assert!(parts.len() <= 128);
    let mut end = body.as_ptr() as usize;
    for part in parts.iter().filter(|part| !part.data.is_empty()) {
        assert!(part.data.as_ptr() as usize >= end);
        end = part.data.as_ptr() as usize + part.data.len();
    }
    assert!(end <= body.as_ptr() as usize + body.len());

    let boundary = "a-boundary-of-our-own-0123456789";
    let is_plain = |name: &str| !name.contains(['"', '\\', '\r', '\n', ':']) && name.trim() == name;
    let is_in_it = |bytes: &[u8]| bytes.windows(boundary.len()).any(|window| window == boundary.as_bytes());
    if !parts.iter().all(|part| is_plain(&part.name)) || is_in_it(body) {
        return;
    }
    let mut written = Vec::new();
    for part in &parts {
        written.extend_from_slice(
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n", part.name).as_bytes(),
        );
        written.extend_from_slice(part.data);
        written.extend_from_slice(b"\r\n");
    }
    written.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let again = multipart::parts(&format!("multipart/form-data; boundary={boundary}"), &written).unwrap();
    let read = |parts: &[multipart::Part<'_>]| -> Vec<(String, Vec<u8>)> {
        parts.iter().map(|part| (part.name.clone(), part.data.to_vec())).collect()
    };
    assert_eq!(read(&again), read(&parts));
});
