//! Reading and writing Server-Sent Events. Knows nothing else.
pub fn frame(json: &str, out: &mut Vec<u8>) {
    let _ = (json, out);
    todo!()
}
