//! A month of fifty keys with a moved clock: budgets, edits, renames, restarts, a crash, a revoked key and a dead credential.
//! What the program says each evening is what an independent sum says, to the token and the nanodollar. Debian's libfaketime
//! moves the clock; without it the test says so and is skipped.

use crate::clock_jumps::{faketime, moved, set_clock};
use crate::common::client::{Client, Reply};
use crate::common::google::{FakeGoogle, Step};
use crate::common::numbers::Numbers;
use crate::common::program::{Folder, Program};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const LIMIT: Duration = Duration::from_secs(30);
const GOOD: &str = "AIza-lives-through-the-month";
const DYING: &str = "AIza-dies-within-the-month";
/// Keys in the config, and keys of the page.
const KEYS: (usize, usize) = (35, 15);
const A_DAY: usize = 40;
/// 2031-03-01, a Saturday; the month has 31 days.
const MONTH: u64 = 1_930_089_600;
const DAYS: u64 = 31;

/// Nanodollars for a token: fresh prompt, cached prompt, answer; and of long prompts.
struct Price {
    model: &'static str,
    short: [u64; 3],
    long: [u64; 3],
}

/// The first two as the config has them, in dollars for a million: thousandths of these figures. The third is of the table.
const PRICES: [Price; 3] = [
    Price { model: "gemini-2.5-flash", short: [300, 30, 2_500], long: [300, 30, 2_500] },
    Price { model: "gemini-2.5-pro", short: [1_250, 125, 10_000], long: [2_500, 250, 15_000] },
    Price { model: "gemini-3.1-pro-preview", short: [2_000, 2_000, 12_000], long: [4_000, 4_000, 18_000] },
];

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sum {
    requests: u64,
    tokens: u64,
    /// Nanodollars.
    cost: u64,
}

impl Sum {
    fn add(&mut self, tokens: u64, cost: u64) {
        (self.requests, self.tokens, self.cost) = (self.requests + 1, self.tokens + tokens, self.cost + cost);
    }
}

/// A key as the script knows it.
#[derive(Clone, Debug)]
struct Known {
    text: String,
    name: String,
    /// Of the page.
    id: Option<String>,
    limits: BTreeMap<&'static str, f64>,
    is_gone: bool,
    day: Sum,
    month: Sum,
    refused: u64,
}

impl Known {
    /// The limit that the next request breaks.
    fn is_full(&self) -> bool {
        self.limits.iter().any(|(name, limit)| {
            let (used, limit) = match *name {
                "requests_per_day" => (self.day.requests, *limit),
                "tokens_per_day" => (self.day.tokens, *limit),
                "tokens_per_month" => (self.month.tokens, *limit),
                "dollars_per_day" => (self.day.cost, limit * 1e9),
                "dollars_per_month" => (self.month.cost, limit * 1e9),
                other => panic!("{other}"),
            };
            used >= limit.round() as u64
        })
    }

    fn json(&self) -> Value {
        let limits = self.limits.iter().map(|(name, limit)| match name.starts_with("dollars") {
            true => ((*name).to_owned(), json!(limit)),
            false => ((*name).to_owned(), json!(*limit as u64)),
        });
        let mut object: serde_json::Map<String, Value> = limits.collect();
        object.insert("name".into(), json!(self.name));
        Value::Object(object)
    }
}

struct Month {
    google: FakeGoogle,
    folder: Folder,
    program: Program,
    keys: Vec<Known>,
    random: Numbers,
    /// Requests that reached Google and were answered.
    answered: u64,
    environment: [(&'static str, String); 5],
}

fn config(google: &FakeGoogle, keys: &[Known]) -> Value {
    let in_config = keys.iter().filter(|key| key.id.is_none() && !key.is_gone).map(|key| {
        let mut object = key.json();
        object["key"] = json!(key.text);
        object
    });
    let price = |price: &Price| {
        let [input, cached, output] = price.short.map(|nano| nano as f64 / 1000.0);
        let [long_input, _, long_output] = price.long.map(|nano| nano as f64 / 1000.0);
        let figures = json!({"input": input, "cached": cached, "output": output, "long_input": long_input, "long_output": long_output});
        (price.model.to_owned(), figures)
    };
    json!({
        "server": {"host": "127.0.0.1", "port": 0, "workers": 4}, "endpoints": google.endpoints_json(),
        "gemini_api_keys": [GOOD, DYING], "credentials_file": "c.json", "log_level": "info",
        "usage_logging": {"enabled": false}, "prices": PRICES[..2].iter().map(price).collect::<serde_json::Map<_, _>>(),
        "auth_keys": in_config.collect::<Vec<_>>(),
    })
}

fn limits(random: &mut Numbers) -> BTreeMap<&'static str, f64> {
    let choices = [
        ("requests_per_day", 3.0),
        ("tokens_per_day", 60_000.0),
        ("tokens_per_month", 900_000.0),
        ("dollars_per_day", 0.25),
        ("dollars_per_month", 2.5),
    ];
    let scale = [1.0, 2.0, 4.0][random.below(3)];
    choices.into_iter().filter(|_| random.below(4) == 0).map(|(name, limit)| (name, limit * scale)).collect()
}

impl Month {
    fn begin() -> Option<Month> {
        let Some(library) = faketime() else {
            println!("skipped: libfaketime is not installed; tests/setup.sh installs it");
            return None;
        };
        let (google, folder, mut random) = (FakeGoogle::start(), Folder::new("month"), Numbers(20_260_301));
        [GOOD, DYING].iter().for_each(|key| google.add_api_key(key));
        let key = |at: usize, random: &mut Numbers| Known {
            text: format!("sk-client-of-the-month-{at}"),
            name: format!("key {at}"),
            id: None,
            limits: limits(random),
            is_gone: false,
            day: Sum::default(),
            month: Sum::default(),
            refused: 0,
        };
        let keys: Vec<Known> = (0..KEYS.0).map(|at| key(at, &mut random)).collect();
        let environment = moved(&folder, &library);
        let program = start(&google, &folder, &keys, &environment);
        let mut month = Month { google, folder, program, keys, random, answered: 0, environment };
        month.set_time(0, 0);
        for at in 0..KEYS.1 {
            let mut known = key(KEYS.0 + at, &mut month.random);
            let made = month.call("POST", "/admin/keys", &known.json()).json();
            (known.text, known.id) = (made["key"].as_str().unwrap().into(), Some(made["id"].as_str().unwrap().into()));
            month.keys.push(known);
        }
        Some(month)
    }

    fn client(&self) -> Client {
        Client::new(SocketAddr::from(([127, 0, 0, 1], self.program.port)))
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Reply {
        let reply = self.client().send(method, path, &[], &body.to_string()).unwrap();
        assert_eq!(reply.status, 200, "{method} {path}: {}", reply.body);
        reply
    }

    /// So many days and seconds after the month began.
    fn set_time(&self, day: u64, second: u64) {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        set_clock(&self.folder, &format!("+{}", MONTH + day * 86_400 + second - real));
    }

    fn restart(&mut self, signal: &str) {
        self.program.signal(signal);
        self.program.wait(LIMIT);
        self.program = start(&self.google, &self.folder, &self.keys, &self.environment);
    }

    /// The config is edited and read again.
    fn reload(&mut self) {
        self.folder.write("config.json", config(&self.google, &self.keys).to_string());
        self.program.signal("-HUP");
        self.program.wait_for_line("config: reloaded");
    }

    /// One request; what it must cost, and whether it must be answered, is reckoned here.
    fn ask(&mut self, at: usize) {
        let price = &PRICES[self.random.below(PRICES.len())];
        let prompt =
            [20, 5_000, 40_000, 200_000, 200_001, 350_000][[0, 0, 1, 1, 1, 2, 2, 3, 4, 5][self.random.below(10)]];
        let cached = if self.random.below(3) == 0 { prompt / 4 } else { 0 };
        let (answer, thoughts) = (self.random.below(4_000) as u64, self.random.below(1_000) as u64);
        let [fresh, kept, out] = if prompt > 200_000 { price.long } else { price.short };
        let cost = (prompt - cached) * fresh + cached * kept + (answer + thoughts) * out;
        let tokens = prompt + answer + thoughts;
        self.google.clear_scripts();
        let counts = json!({"promptTokenCount": prompt, "cachedContentTokenCount": cached, "candidatesTokenCount": answer,
            "thoughtsTokenCount": thoughts, "totalTokenCount": tokens});
        self.google.always(
            "*",
            Step::answer(json!({"candidates": [{"content": {"role": "model",
            "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}], "usageMetadata": counts})),
        );
        let known = &mut self.keys[at];
        let expected = match (known.is_gone, known.is_full()) {
            (true, _) => 401,
            (false, true) => 429,
            (false, false) => 200,
        };
        let text = known.text.clone();
        let reply = self.client().chat(&text, price.model).unwrap();
        let known = &mut self.keys[at];
        assert_eq!(reply.status, expected, "{known:?}: {}", reply.body);
        match expected {
            200 => {
                known.day.add(tokens, cost);
                known.month.add(tokens, cost);
                self.answered += 1;
            }
            429 => {
                known.refused += 1;
                assert!(reply.header("retry-after").is_some() && reply.body.contains("T00:00:00Z"), "{}", reply.body);
            }
            _ => {}
        }
    }

    /// The program's figures are the script's.
    fn compare(&self, when: &str) {
        let listed = self.client().get("/admin/keys").json()["keys"].clone();
        let there: Vec<&Known> = self.keys.iter().filter(|key| !key.is_gone).collect();
        assert_eq!(listed.as_array().unwrap().len(), there.len(), "{when}");
        for known in there {
            let shown = listed.as_array().unwrap().iter().find(|shown| shown["name"] == known.name.as_str());
            let shown = shown.unwrap_or_else(|| panic!("{when}: {known:?} is not in the list"));
            for (period, sum) in [("today", known.day), ("month", known.month)] {
                let cost = (shown[period]["cost_usd"].as_f64().unwrap() * 1e9).round() as u64;
                let found = Sum {
                    requests: shown[period]["requests"].as_u64().unwrap(),
                    tokens: shown[period]["tokens"].as_u64().unwrap(),
                    cost,
                };
                assert_eq!(found, sum, "{when}, {period}: {known:?}");
            }
        }
        // What old programs show as a balance is what is left of the month's money.
        let has_month = |known: &&Known| known.limits.contains_key("dollars_per_month") && known.limits.len() == 1;
        for known in self.keys.iter().filter(|known| !known.is_gone).filter(has_month) {
            let ask = |path: &str| {
                let key = format!("Bearer {}", known.text);
                self.client().send("GET", path, &[("Authorization", &key)], "").unwrap().json()
            };
            let limit = ask("/dashboard/billing/subscription")["hard_limit_usd"].as_f64().unwrap();
            let first = if when.starts_with("day") { "2031-03-01" } else { "2031-04-01" };
            let spent =
                ask(&format!("/dashboard/billing/usage?start_date={first}"))["total_usage"].as_f64().unwrap() / 100.0;
            let left = known.limits["dollars_per_month"] - known.month.cost as f64 / 1e9;
            assert!((limit - spent - left).abs() < 1e-6, "{when}: {limit} {spent} {left} {known:?}");
        }
    }

    /// What a person or an accident does on this day.
    fn happen(&mut self, day: u64) {
        let at_random = |random: &mut Numbers, keys: &[Known], of_page: bool| loop {
            let at = random.below(keys.len());
            if keys[at].id.is_some() == of_page && !keys[at].is_gone {
                return at;
            }
        };
        match day {
            // Names and places in the config change, live and while it is stopped.
            3 | 9 | 21 => {
                let at = at_random(&mut self.random, &self.keys, false);
                self.keys[at].name = format!("renamed on day {day}");
                self.keys[..KEYS.0].reverse();
                if day == 9 { self.restart("-TERM") } else { self.reload() }
            }
            // A key of the page is renamed and gets other limits.
            5 | 17 => {
                let at = at_random(&mut self.random, &self.keys, true);
                self.keys[at].name = format!("phone of day {day}");
                self.keys[at].limits = BTreeMap::from([("dollars_per_month", 9.0)]);
                let path = format!("/admin/keys/{}", self.keys[at].id.as_ref().unwrap());
                let mut edit = json!({"requests_per_day": null, "tokens_per_day": null, "tokens_per_month": null, "dollars_per_day": null});
                edit.as_object_mut().unwrap().extend(self.keys[at].json().as_object().unwrap().clone());
                self.call("POST", &path, &edit);
            }
            // A crash, after a change that was acknowledged.
            7 => {
                self.call("POST", "/admin/usage/reset", &Value::Null);
                self.restart("-KILL");
            }
            // One of the two credentials dies for good.
            12 => self.google.remove_api_key(DYING),
            13 | 26 => self.restart("-TERM"),
            // A key is revoked, and one is taken out of the config, to come back.
            15 => {
                let at = at_random(&mut self.random, &self.keys, true);
                let path = format!("/admin/keys/{}", self.keys[at].id.as_ref().unwrap());
                self.call("DELETE", &path, &Value::Null);
                self.keys[at].is_gone = true;
                let at = at_random(&mut self.random, &self.keys, false);
                self.keys[at].is_gone = true;
                self.reload();
            }
            19 => self.restart("-TERM"),
            23 => {
                self.keys.iter_mut().filter(|key| key.id.is_none()).for_each(|key| key.is_gone = false);
                self.reload();
            }
            // Limits in the config change.
            25 => {
                self.keys.iter_mut().take(10).for_each(|key| _ = key.limits.insert("requests_per_day", 2.0));
                self.reload();
            }
            _ => {}
        }
    }
}

fn start(google: &FakeGoogle, folder: &Folder, keys: &[Known], environment: &[(&'static str, String)]) -> Program {
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Program::start_in(folder, &config(google, keys), &[], &environment)
}

#[test]
fn every_count_cost_and_limit_of_a_month_is_what_an_independent_sum_says() {
    let Some(mut month) = Month::begin() else { return };
    let mut of_statistics = 0;
    for day in 0..DAYS {
        month.set_time(day, 60 + month.random.0 % 3600);
        month.keys.iter_mut().for_each(|key| key.day = Sum::default());
        month.happen(day);
        if day == 7 {
            // The statistics were reset, and no limit was.
            of_statistics = 0;
        }
        let before: u64 = month.keys.iter().map(|key| key.month.cost).sum();
        for at in 0..A_DAY {
            month.set_time(day, 4_000 + at as u64 * 1_800);
            let at = month.random.below(month.keys.len());
            month.ask(at);
        }
        of_statistics += month.keys.iter().map(|key| key.month.cost).sum::<u64>() - before;
        month.compare(&format!("day {day}"));
    }
    let refused: u64 = month.keys.iter().map(|key| key.refused).sum();
    assert!(month.answered > 500 && refused > 100, "{} were answered and {refused} refused", month.answered);
    let stats = month.client().get("/admin/stats?range=30d").json();
    let cost = stats["keys"].as_array().unwrap().iter().map(|key| key["cost_usd"].as_f64().unwrap()).sum::<f64>();
    assert_eq!((cost * 1e9).round() as u64, of_statistics, "{stats}");

    // The next month begins with nothing used, and who was over a budget may ask again.
    month.set_time(DAYS, 600);
    for key in &mut month.keys {
        (key.day, key.month) = (Sum::default(), Sum::default());
    }
    month.compare("the next month");
    (0..month.keys.len()).for_each(|at| month.ask(at));
    month.restart("-TERM");
    month.compare("the next month, restarted");
}
