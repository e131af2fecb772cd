//! What can be kept of a call's arguments without their text: hashes of the names in them and of the whole. Enough to take
//! out again what a client has put in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Bytes of each hash.
const HASH: usize = 8;
/// Arguments with more names are not kept.
const MOST: usize = 512;

/// The hashes, the whole's first; `salt` is what nobody knows who only has them.
pub(super) fn of(args: &Value, salt: &str) -> Option<String> {
    let mut hashes = hash(salt, &whole(args)).to_vec();
    names(args, "", &mut |path| hashes.extend(hash(salt, path)));
    (hashes.len() <= HASH * MOST).then(|| URL_SAFE_NO_PAD.encode(hashes))
}

/// The arguments without what was not in them, if these are the ones then.
pub(super) fn restore(args: &Value, shape: &str, salt: &str) -> Option<Value> {
    let hashes = URL_SAFE_NO_PAD.decode(shape).ok()?;
    let (known, _) = hashes.as_chunks::<HASH>();
    let (made, names) = known.split_first()?;
    let restored = pruned(args, "", &|path| names.contains(&hash(salt, path)));
    (*made == hash(salt, &whole(&restored))).then_some(restored)
}

fn hash(salt: &str, text: &str) -> [u8; HASH] {
    let digest = Sha256::new().chain_update(salt).chain_update([0]).chain_update(text).finalize();
    *digest.first_chunk().expect("a digest is longer")
}

/// One text for all spellings of the same value.
fn whole(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name:?}:{}", whole(value))).collect();
            fields.sort_unstable();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(whole).collect::<Vec<_>>().join(",")),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string()),
        other => other.to_string(),
    }
}

/// Every name with the names it is in; the items of a list are one.
fn names(value: &Value, path: &str, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{path}/{name:?}");
                found(&path);
                names(value, &path, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, &format!("{path}[]"), found)),
        _ => {}
    }
}

fn pruned(value: &Value, path: &str, is_known: &impl Fn(&str) -> bool) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter_map(|(name, value)| {
                let path = format!("{path}/{name:?}");
                is_known(&path).then(|| (name.clone(), pruned(value, &path, is_known)))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => items.iter().map(|item| pruned(item, &format!("{path}[]"), is_known)).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_client_put_in_is_taken_out_and_nothing_else() {
        let made = json!({"path": "a", "edits": [{"old": "x", "count": 1}, {"old": "y"}], "options": {}});
        let shape = of(&made, "call_1").unwrap();
        for given in [
            made.clone(),
            json!({"options": {}, "edits": [{"old": "x", "count": 1.0}, {"old": "y", "all": false}], "path": "a"}),
            json!({"path": "a", "edits": [{"old": "x", "count": 1}, {"old": "y"}], "options": {"deep": [1]}, "all": false}),
        ] {
            let restored = restore(&given, &shape, "call_1").expect("the same arguments");
            assert_eq!(whole(&restored), whole(&made), "{given}");
        }
        for given in [
            json!({"path": "b", "edits": [{"old": "x", "count": 1}, {"old": "y"}], "options": {}}),
            json!({"path": "a", "options": {}}),
            json!("a"),
        ] {
            assert_eq!(restore(&given, &shape, "call_1"), None, "{given}");
        }
        assert_eq!(restore(&made, &shape, "call_2"), None, "of another call");
        for broken in ["", "!", "AAAA"] {
            assert_eq!(restore(&made, broken, "call_1"), None, "{broken}");
        }
    }

    #[test]
    fn arguments_without_end_are_not_kept() {
        let many: Value = (0..MOST).map(|_| json!({"name": 1})).collect();
        assert_eq!(of(&many, "call_1"), None);
    }
}
