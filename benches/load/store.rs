//! What a store costs: the same short requests with files alone and with a real Redis over a unix socket, TCP and TLS, by a
//! key without limits and by one with them; and by how many replicas one Redis is shared. `make bench` writes the table,
//! `--only store` prints it.

use crate::clients::{self, post};
use crate::process::{self, Figures, Folder, Server};
use crate::report::{Spread, mib};
use crate::upstream;
use serde_json::json;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

const FREE: &str = "sk-load";
/// Its limits are asked of the store for each request and never met.
const LIMITED: &str = "sk-limited";

pub struct Store {
    ways: Vec<Way>,
    /// For each number of replicas: CPU microseconds per request of all proxies and of Redis, and requests a second.
    replicas: Vec<(usize, f64, f64, f64)>,
    fleets: Vec<Fleet>,
}

/// So many replicas that have nothing to do.
pub struct Fleet {
    number: usize,
    /// Milliseconds of CPU a second of Redis, and of one replica.
    redis: f64,
    replica: f64,
    /// Commands a second, calls from inside of scripts included.
    commands: f64,
    /// Bytes that Redis has more for each replica: its connections and what it says of itself.
    memory: f64,
}

struct Way {
    name: &'static str,
    free: Asked,
    limited: Asked,
    resident: u64,
}

struct Asked {
    /// CPU microseconds per request of the proxy and of Redis, over eight connections.
    proxy: f64,
    redis: f64,
    /// Over one connection.
    times: Spread,
}

/// Asks `count` requests on each connection; takes about a minute with 4,000.
pub fn measure(program: &Path, folder: &Folder, google: SocketAddr, count: usize) -> Store {
    let redis = process::redis(folder);
    let start = |name: &str, address: Option<String>| {
        process::proxy(program, folder, &format!("http://{google}"), |config| {
            let limits = json!({"key": LIMITED, "name": "limited", "requests_per_minute": 100_000_000, "requests_per_day": 100_000_000});
            config["auth_keys"] = json!([FREE, limits]);
            if let Some(url) = address {
                // Pools of their own, so that none pays for another one's news.
                config["store"] = json!({"url": url, "prefix": name.replace(' ', "-")});
                if name == "TLS" {
                    config["store"]["ca_file"] = json!(upstream::AUTHORITY);
                }
            }
        })
    };
    let ways = [
        ("files", None),
        ("unix socket", Some(redis.unix.clone())),
        ("TCP", Some(redis.tcp.clone())),
        ("TLS", Some(redis.tls.clone())),
    ];
    let ways = ways.map(|(name, address)| {
        let proxy = start(name, address);
        let asked = |key| asked(&proxy, &redis.server, key, count);
        Way { name, free: asked(FREE), limited: asked(LIMITED), resident: proxy.figures().resident }
    });
    let replicas = [1, 2, 3].map(|number| {
        let all: Vec<Server> = (0..number).map(|_| start(&format!("of-{number}"), Some(redis.tcp.clone()))).collect();
        let cpu = || all.iter().map(|proxy| proxy.figures().cpu).sum::<Duration>();
        let before = (cpu(), redis.server.figures().cpu, Instant::now());
        std::thread::scope(|scope| {
            for proxy in &all {
                scope.spawn(|| load(proxy, LIMITED, 8 / number, count));
            }
        });
        let requests = (number * (8 / number) * count) as f64;
        let each = |time: Duration| time.as_nanos() as f64 / 1000.0 / requests;
        let rate = requests / before.2.elapsed().as_secs_f64();
        (number, each(cpu() - before.0), each(redis.server.figures().cpu - before.1), rate)
    });
    drop(redis);
    let fleets = [10, 100].map(|number| fleet(program, folder, google, number));
    Store { ways: ways.into(), replicas: replicas.into(), fleets: fleets.into() }
}

/// Starts so many replicas and looks for ten seconds at what they cost when nobody asks for anything.
pub fn fleet(program: &Path, folder: &Folder, google: SocketAddr, number: usize) -> Fleet {
    const LOOK: Duration = Duration::from_secs(10);
    let redis = process::redis(folder);
    let info = |field: &str| -> f64 {
        let mut socket = TcpStream::connect(redis.server.address).expect("a connection to Redis");
        socket.write_all(b"INFO\r\nQUIT\r\n").expect("a question");
        let mut said = String::new();
        socket.read_to_string(&mut said).expect("an answer");
        let value = said.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value.and_then(|value| value.parse().ok()).expect("a figure of Redis")
    };
    let empty = info("used_memory");
    let all: Vec<Server> = (0..number)
        .map(|_| {
            process::proxy(program, folder, &format!("http://{google}"), |config| {
                config["store"] = json!({"url": redis.tcp});
                // One fleet shares one machine here.
                config["server"]["workers"] = json!(4);
            })
        })
        .collect();
    let cpu = || all.iter().map(|proxy| proxy.figures().cpu).sum::<Duration>();
    std::thread::park_timeout(LOOK / 2);
    let before = (redis.server.figures().cpu, cpu(), info("total_commands_processed"), Instant::now());
    std::thread::park_timeout(LOOK);
    let seconds = before.3.elapsed().as_secs_f64();
    let rate = |time: Duration| time.as_secs_f64() * 1000.0 / seconds;
    Fleet {
        number,
        redis: rate(redis.server.figures().cpu - before.0),
        replica: rate(cpu() - before.1) / number as f64,
        commands: (info("total_commands_processed") - before.2) / seconds,
        memory: (info("used_memory") - empty) / number as f64,
    }
}

fn request(key: &str) -> Vec<u8> {
    let body = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hello"}]});
    let bytes = post("/v1/chat/completions", &body.to_string());
    String::from_utf8(bytes).expect("text").replace("Bearer sk-load", &format!("Bearer {key}")).into_bytes()
}

/// Over so many connections; every request must be answered.
fn load(proxy: &Server, key: &str, connections: usize, count: usize) {
    let request = request(key);
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let (times, failures) = clients::ask_one(proxy.address, &request, count);
                assert_eq!((times.len(), failures), (count, 0), "each request must be answered");
            });
        }
    });
}

fn asked(proxy: &Server, redis: &Server, key: &str, count: usize) -> Asked {
    load(proxy, key, 8, count / 16 + 1);
    let before = (proxy.figures(), redis.figures());
    load(proxy, key, 8, count);
    let each = |server: &Server, before: Figures| {
        server.figures().cpu.saturating_sub(before.cpu).as_nanos() as f64 / 1000.0 / (8 * count) as f64
    };
    let (own, of_redis) = (each(proxy, before.0), each(redis, before.1));
    let (times, _) = clients::ask_one(proxy.address, &request(key), count);
    Asked { proxy: own, redis: of_redis, times: Spread::of(times) }
}

impl Store {
    pub fn tell(&self, page: &mut String) {
        page.push_str(
            "## The store of replicas\n\nShort requests with files alone and with a Redis on the same machine, by a key without limits and by one \
             with limits of a minute and a day, which are asked of the store. CPU time over 8 connections, times over 1; *added* is the \
             difference to the same key with files.\n\n\
             | store | key | CPU us/request: proxy | Redis | p50 / p99 ms | added p50 / p99 ms | RSS MB |\n|--|--|--|--|--|--|--|\n",
        );
        let files = &self.ways[0];
        for way in &self.ways {
            for (key, own, base) in [("no limits", &way.free, &files.free), ("limits", &way.limited, &files.limited)] {
                let _ = writeln!(
                    page,
                    "| {} | {key} | {:.0} | {:.1} | {:.2} / {:.2} | {:.2} / {:.2} | {:.1} |",
                    way.name,
                    own.proxy,
                    own.redis,
                    own.times.p50 / 1000.0,
                    own.times.p99 / 1000.0,
                    (own.times.p50 - base.times.p50) / 1000.0,
                    (own.times.p99 - base.times.p99) / 1000.0,
                    mib(way.resident)
                );
            }
        }
        page.push_str(
            "\nThe key with limits at replicas that share one Redis over TCP. All of them, Redis, the clients and Google share this machine's \
             cores: CPU time per request says what replicas cost, requests a second only what is left here.\n\n\
             | replicas | CPU us/request: proxies | Redis | requests/s |\n|--|--|--|--|\n",
        );
        for (number, proxies, redis, rate) in &self.replicas {
            let _ = writeln!(page, "| {number} | {proxies:.0} | {redis:.1} | {rate:.0} |");
        }
        page.push_str("\nReplicas that nobody asks for anything:\n\n");
        page.push_str(&Fleet::table(&self.fleets));
        page.push('\n');
    }
}

impl Fleet {
    pub fn table(fleets: &[Fleet]) -> String {
        let mut table = String::from(
            "| replicas | Redis: CPU ms/s | commands/s | KB of memory each | one replica: CPU ms/s |\n|--|--|--|--|--|\n",
        );
        for Fleet { number, redis, replica, commands, memory } in fleets {
            let memory = memory / 1024.0;
            let _ = writeln!(table, "| {number} | {redis:.1} | {commands:.0} | {memory:.1} | {replica:.1} |");
        }
        table
    }
}
