//! Reading the query of a request.

use percent_encoding::percent_decode_str;

/// The first value of `name` in a query, decoded; `+` is a space, as forms write it.
pub fn query_value(query: &str, name: &str) -> Option<String> {
    query_values(query, name).into_iter().next()
}

/// All of them, in order.
pub fn query_values(query: &str, name: &str) -> Vec<String> {
    let values = query.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        (decode(key) == name).then(|| decode(value))
    });
    values.collect()
}
