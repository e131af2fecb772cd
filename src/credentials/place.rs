//! Where a credential of Vertex AI is served: its locations in the order in which they are tried, what each of them said
//! last, and the addresses they have (docs/vertex.md "Hosts and paths of Vertex"). Knows no HTTP client.

use crate::os::random;
use crate::secret::Secret;
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

/// What a name may hold in a path.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b':');
/// A location has no capacity for a second at first, and twice as long each time in a row, up to the other.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// A model that a location does not have is asked for there again after this.
const UNKNOWN: Duration = Duration::from_secs(3600);
/// Answers of locations that are remembered; clients choose the names of models.
const MOST: usize = 256;

/// What a request to Vertex AI needs beside token and project.
#[derive(Debug)]
pub struct VertexPlace {
    /// An API key in place of a token.
    pub is_key: bool,
    /// Who pays for the calls, if the credential says so.
    pub quota_project: Option<String>,
    locations: Vec<String>,
    said: Mutex<HashMap<(String, usize), Said>>,
}

/// How a location has failed a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// It has no room now.
    Full,
    /// It does not have the model.
    Unknown,
}

#[derive(Clone, Debug)]
struct Said {
    until: Instant,
    at: SystemTime,
    times: u32,
    status: u16,
}

/// What a location said last of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationView {
    /// Such as `global`.
    pub location: String,
    /// Such as `gemini-3.5-flash`; `None`: the location has not failed.
    pub model: Option<String>,
    /// The HTTP status of the answer.
    pub status: Option<u16>,
    /// When it was.
    pub at: Option<SystemTime>,
}

impl VertexPlace {
    pub(crate) fn new(is_key: bool, quota_project: Option<String>, locations: Vec<String>) -> VertexPlace {
        VertexPlace { is_key, quota_project, locations, said: Mutex::default() }
    }

    /// What a call authenticates with.
    pub(crate) fn authorization(&self, secret: &Secret) -> Secret {
        if self.is_key { secret.clone() } else { Secret::new(format!("Bearer {}", secret.expose())) }
    }

    /// The headers that say who calls, and who pays.
    pub(crate) fn headers<'a>(&'a self, authorization: &'a Secret) -> Vec<(&'static str, &'a str)> {
        let name = if self.is_key { "x-goog-api-key" } else { "Authorization" };
        let payer = self.quota_project.as_deref().map(|project| ("x-goog-user-project", project));
        [(name, authorization.expose())].into_iter().chain(payer).collect()
    }

    /// Whether it is the place of the same item.
    pub(crate) fn is_same(&self, other: &VertexPlace) -> bool {
        (self.is_key, &self.quota_project, &self.locations) == (other.is_key, &other.quota_project, &other.locations)
    }

    /// The locations to ask for `model`: those that rest come last, the one whose rest ends first before the others.
    pub fn order(&self, model: &str) -> Vec<&str> {
        let (now, said) = (Instant::now(), self.said.lock());
        let rest = |at: usize| said.get(&(model.to_owned(), at)).map(|said| said.until).filter(|until| *until > now);
        let mut order: Vec<usize> = (0..self.locations.len()).collect();
        order.sort_by_key(|at| rest(*at));
        order.into_iter().map(|at| self.locations[at].as_str()).collect()
    }

    /// A location has failed `model` with this status. Says for how long it rests.
    pub fn failed(&self, model: &str, location: &str, failing: Failing, status: u16) -> Duration {
        let Some(at) = self.locations.iter().position(|known| known == location) else { return FIRST };
        let (now, mut said) = (Instant::now(), self.said.lock());
        let times = said.get(&(model.to_owned(), at)).map_or(0, |said| said.times);
        let rest = match failing {
            Failing::Full => {
                FIRST.saturating_mul(1 << times.min(8)).min(LONGEST).mul_f64(1.0 + random::fraction() / 4.0)
            }
            Failing::Unknown => UNKNOWN,
        };
        if said.len() >= MOST {
            said.retain(|_, said| said.until > now);
        }
        if said.len() < MOST {
            let entry = Said { until: now + rest, at: SystemTime::now(), times: times + 1, status };
            said.insert((model.to_owned(), at), entry);
        }
        rest
    }

    /// A location has served `model`.
    pub fn served(&self, model: &str, location: &str) {
        let mut said = self.said.lock();
        if !said.is_empty()
            && let Some(at) = self.locations.iter().position(|known| known == location)
        {
            said.remove(&(model.to_owned(), at));
        }
    }

    /// Each location with its last failure.
    pub(crate) fn views(&self) -> Vec<LocationView> {
        let said = self.said.lock();
        let view = |(at, location): (usize, &String)| {
            let last = said.iter().filter(|((_, place), _)| *place == at).max_by_key(|(_, said)| said.at);
            LocationView {
                location: location.clone(),
                model: last.map(|((model, _), _)| model.clone()),
                status: last.map(|(_, said)| said.status),
                at: last.map(|(_, said)| said.at),
            }
        };
        self.locations.iter().enumerate().map(view).collect()
    }

    /// The address of a model's method. A key without a project names no location. `base` stands in for Google's hosts.
    pub fn url(&self, base: Option<&str>, project: Option<&str>, location: &str, model: &str, method: &str) -> String {
        let model = utf8_percent_encode(model, NAME);
        let place = match project {
            None if self.is_key => String::new(),
            _ => {
                let project = utf8_percent_encode(project.unwrap_or_default(), NAME);
                format!("projects/{project}/locations/{location}/")
            }
        };
        let host = match base {
            Some(base) => base.to_owned(),
            None => host(if place.is_empty() { "global" } else { location }),
        };
        format!("{host}/v1beta1/{place}publishers/google/models/{model}:{method}")
    }
}

/// Google's host for a location, which is known to be a plain name. `global` has none of its own.
fn host(location: &str) -> String {
    match location {
        "global" => "https://aiplatform.googleapis.com".to_owned(),
        multi if !multi.contains('-') => format!("https://aiplatform.{multi}.rep.googleapis.com"),
        region => format!("https://{region}-aiplatform.googleapis.com"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(locations: &[&str]) -> VertexPlace {
        VertexPlace::new(false, None, locations.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn each_kind_of_location_has_its_host() {
        let place = place(&["global"]);
        for (location, host) in [
            ("global", "aiplatform.googleapis.com"),
            ("us", "aiplatform.us.rep.googleapis.com"),
            ("eu", "aiplatform.eu.rep.googleapis.com"),
            ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
            ("us-central1", "us-central1-aiplatform.googleapis.com"),
        ] {
            assert_eq!(
                place.url(None, Some("p"), location, "gemini-3.5-flash", "countTokens"),
                format!(
                    "https://{host}/v1beta1/projects/p/locations/{location}/publishers/google/models/gemini-3.5-flash:countTokens"
                )
            );
        }
        assert_eq!(
            place.url(Some("http://h"), Some("a/b?c"), "eu", "x/../y", "predict"),
            "http://h/v1beta1/projects/a%2Fb%3Fc/locations/eu/publishers/google/models/x%2F..%2Fy:predict"
        );
    }

    #[test]
    fn a_key_names_no_place_unless_it_has_a_project() {
        let key = VertexPlace::new(true, None, vec!["us".into()]);
        let models = "v1beta1/publishers/google/models/m:f";
        assert_eq!(key.url(None, None, "us", "m", "f"), format!("https://aiplatform.googleapis.com/{models}"));
        assert!(key.url(None, Some("p"), "us", "m", "f").contains("us.rep.googleapis.com/v1beta1/projects/p/"));
    }

    #[test]
    fn a_location_that_failed_comes_last_for_that_model_until_it_serves() {
        let place = place(&["global", "us", "eu"]);
        assert!(place.failed("a", "global", Failing::Unknown, 404) >= UNKNOWN);
        assert_eq!((place.order("a"), place.order("b")), (vec!["us", "eu", "global"], vec!["global", "us", "eu"]));
        place.failed("a", "us", Failing::Full, 429);
        assert_eq!(place.order("a"), ["eu", "us", "global"], "the shorter rest comes first");
        place.served("a", "global");
        assert_eq!(place.order("a"), ["global", "eu", "us"]);
        assert_eq!((place.views()[0].status, place.views()[1].status), (None, Some(429)));
    }

    #[test]
    fn a_full_location_rests_for_longer_each_time_but_never_long() {
        let place = place(&["global"]);
        let rests: Vec<u64> = (0..9).map(|_| place.failed("m", "global", Failing::Full, 429).as_secs()).collect();
        assert!(rests[0] <= 1 && rests[8] >= 30 && rests.iter().all(|rest| *rest < 38), "{rests:?}");
        for at in 0..2 * MOST {
            place.failed(&format!("m{at}"), "global", Failing::Full, 429);
        }
        assert!(place.said.lock().len() <= MOST, "what clients name is bounded");
    }
}
