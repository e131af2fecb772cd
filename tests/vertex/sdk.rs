//! Google's Python SDK with a pool on Vertex AI, told of Vertex or not.

use super::*;
use crate::common::script;

#[test]
fn google_genai_generates_streams_calls_tools_counts_lists_and_embeds() {
    let google = FakeGoogle::start();
    let items = [account(&google, &["global"]), google.add_vertex_key("AQ.sdk-express-key")];
    for item in items {
        let proxy = proxy(&google, &json!([item]));
        script::python("google_genai.py", &["vertex"], &proxy);
        assert!(google.generations().iter().all(|request| request.path.starts_with("/v1beta1/")));
    }
}
