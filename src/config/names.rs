//! Names that somebody wrote, and the known ones that may be meant.

/// A name may be longer, but clients send megabytes, and counting takes as many steps as both have letters multiplied.
const LONGEST: usize = 200;

/// Longest name that is said back.
const LONGEST_SAID: usize = 64;

/// What is said of a field that is none of those which are known.
pub(crate) fn no_such_field(name: &str, known: &[&str]) -> String {
    let said: String = name.chars().take(LONGEST_SAID).collect();
    match nearest(name, known) {
        Some(meant) => format!("{said}: there is no such field; {meant} may be meant"),
        None => format!("{said}: there is no such field; there are {}", known.join(", ")),
    }
}

/// The known name that is meant: misspelt, shortened to its initials (`rpm`), or with a word of it in common that no other has.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_ascii_lowercase().replace(['-', ' ', '.'], "_");
    // Tokens per minute, nearly everywhere; they are no limit here, and a month's are another thing.
    if name == "tpm" {
        return None;
    }
    let initials = |known: &str| known.split('_').filter_map(|word| word.chars().next()).collect::<String>();
    if let Some(found) = known.iter().find(|known| known.contains('_') && initials(known) == name) {
        return Some(found);
    }
    if let Some((apart, found)) = known.iter().map(|known| (distance(&name, known), *known)).min()
        && apart <= 2.min(name.len() / 4)
    {
        return Some(found);
    }
    let words = |text: &str| text.split('_').map(|word| stem(word).to_owned()).collect::<Vec<_>>();
    let wanted = words(&name);
    let common = |known: &str| words(known).iter().filter(|word| word.len() > 2 && wanted.contains(word)).count();
    let most = known.iter().map(|known| common(known)).max().filter(|most| *most > 0)?;
    let mut best = known.iter().filter(|known| common(known) == most);
    let first = best.next()?;
    best.next().is_none().then_some(first)
}

/// Without what makes a word of another kind: `requests`, `daily`, `expiry`.
fn stem(word: &str) -> &str {
    match word {
        "daily" => "day",
        "expiry" | "expires" | "expiration" | "expire" => "expires",
        "concurrent" | "parallel" => "concurrency",
        "min" => "minute",
        "monthly" => "month",
        "usd" | "cost" | "costs" | "spend" | "money" | "budget" | "budgets" => "dollar",
        _ => word.strip_suffix('s').unwrap_or(word),
    }
}

/// How many letters have to be changed, put in or left out; of texts that nobody took for a name, at least so many.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    if one.len() > LONGEST {
        return one.len().abs_diff(other.len());
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, a) in one.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], at + 1);
        for (at, b) in other.bytes().enumerate() {
            let above = std::mem::replace(&mut corner, row[at + 1]);
            row[at + 1] = (above + usize::from(a != b)).min(corner + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_not_counted_one_by_one_in_what_is_no_name() {
        assert_eq!((distance("gemini", "gemni"), distance("", "abc")), (1, 3));
        // Compared letter by letter this would take minutes.
        let long = "g".repeat(20 << 20);
        assert!((0..1000).all(|_| distance(&long, "gemini-2.5-flash") > LONGEST));
    }

    #[cfg(feature = "ledger")]
    #[test]
    fn a_limit_is_found_by_what_people_call_it() {
        for (name, expected) in [
            ("rpm", Some("requests_per_minute")),
            ("RPD", Some("requests_per_day")),
            ("tpd", Some("tokens_per_day")),
            ("request_per_day", Some("requests_per_day")),
            ("requests-per-minute", Some("requests_per_minute")),
            ("requestsPerDay", Some("requests_per_day")),
            ("max_requests_per_min", Some("requests_per_minute")),
            ("daily_tokens", Some("tokens_per_day")),
            ("token_per_month", Some("tokens_per_month")),
            ("monthly_tokens", Some("tokens_per_month")),
            ("dollar_per_month", Some("dollars_per_month")),
            ("usd_per_day", Some("dollars_per_day")),
            ("monthly_budget", Some("dollars_per_month")),
            ("daily_budget", Some("dollars_per_day")),
            ("cost_per_month", Some("dollars_per_month")),
            ("dollarsPerMonth", Some("dollars_per_month")),
            ("max_budget", None),
            ("max_concurrency", Some("concurrency")),
            ("concurrent_requests", None),
            ("expiry", Some("expires_at")),
            ("allowed_models", Some("models")),
            ("colour", None),
            ("sha256", None),
            ("masked", None),
            ("disabled", None),
        ] {
            assert_eq!(nearest(name, crate::config::limits::FIELDS), expected, "{name}");
        }
    }
}
