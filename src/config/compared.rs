//! What of the config all replicas should have alike, in a form that can be compared and tells nothing.

use super::{Config, variables};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Each machine's own.
const OWN: [&str; 7] = ["server", "store", "credentials_file", "state_file", "ca_file", "log_level", "log_format"];

impl Config {
    /// For each key of the file that is not the machine's own, a hash of what it says, with the environment's part in it.
    pub fn compared(&self) -> Vec<(String, [u8; 32])> {
        let shared = self.source().into_iter().filter(|(name, _)| !OWN.contains(&&**name));
        let hashed = shared.map(|(name, mut value)| {
            // What the environment has no more was there at the start.
            let _ = variables::expand(&mut value, &name, &|name| std::env::var(name).ok());
            let hash = match &*name {
                // The first pattern that fits counts.
                "model_routes" => Sha256::digest(value.to_string()).into(),
                _ => unordered(&value),
            };
            (name, hash)
        });
        hashed.collect()
    }
}

/// A hash of what a value says, in whatever order fields stand: their hashes are joined by XOR. To sort them would be 6 kB.
fn unordered(value: &Value) -> [u8; 32] {
    match value {
        Value::Object(fields) => fields.iter().fold([0; 32], |sum, (name, value)| {
            let field = Sha256::new().chain_update(name).chain_update(unordered(value)).finalize();
            std::array::from_fn(|at| sum[at] ^ field[at])
        }),
        Value::Array(items) => {
            items.iter().fold(Sha256::new(), |list, item| list.chain_update(unordered(item))).finalize().into()
        }
        _ => Sha256::digest(value.to_string()).into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    fn unlike(one: &str, other: &str) -> Vec<String> {
        let [one, other] = [one, other].map(|text| parse(text).unwrap().config.compared());
        one.into_iter().filter(|key| !other.contains(key)).map(|(name, _)| name).collect()
    }

    #[test]
    fn the_order_of_fields_is_no_difference_but_where_the_first_that_fits_counts() {
        let one = r#"{"auth_keys": [{"key": "k1", "tokens_per_day": 1, "concurrency": 2}, "k2"],
            "prices": {"a": {"input": 1, "output": 2}, "b": {"input": 3, "output": 4}},
            "model_routes": {"claude-*haiku*": "a", "claude-*": "b"}}"#;
        let other = r#"{"prices": {"b": {"output": 4, "input": 3}, "a": {"output": 2, "input": 1}},
            "auth_keys": [{"concurrency": 2, "tokens_per_day": 1, "key": "k1"}, "k2"],
            "model_routes": {"claude-*": "b", "claude-*haiku*": "a"}}"#;
        assert_eq!(unlike(one, one), [""; 0]);
        assert_eq!(unlike(one, other), ["model_routes"]);
        let swapped = one.replace("tokens_per_day\": 1, \"concurrency\": 2", "tokens_per_day\": 2, \"concurrency\": 1");
        assert_eq!(unlike(one, &swapped), ["auth_keys"]);
        assert_eq!(unlike(one, &one.replace("\"a\": {\"input\"", "\"c\": {\"input\"")), ["prices"]);
        let list = |keys: &str| format!("{{\"auth_keys\": {keys}}}");
        assert_eq!(unlike(&list(r#"["k1", "k2"]"#), &list(r#"["k2", "k1"]"#)), ["auth_keys"]);
    }
}
