//! The programs that are measured, as child processes, and what /proc says of them.

use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server under measurement; ended when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

/// What a process, with its children, uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// CPU time since the start, user and system.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub resident: u64,
    pub threads: u64,
    pub descriptors: usize,
}

/// A folder for configs and logs; removed when dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        let path = std::env::temp_dir().join(format!("gemini-proxy-load-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder for temporary files");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A port nobody listens on at the moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// Starts the proxy in front of `google`; `change` completes its config.
pub fn proxy(program: &Path, folder: &Folder, google: &str, change: impl FnOnce(&mut Value)) -> Server {
    // As deploy/gemini-openai-proxy.service starts it.
    proxy_with(program, folder, google, &[("GLIBC_TUNABLES", "glibc.malloc.tcache_max=256")], change)
}

/// The same with these variables of the environment and no settings of the allocator else.
pub fn proxy_with(
    program: &Path,
    folder: &Folder,
    google: &str,
    environment: &[(&str, &str)],
    change: impl FnOnce(&mut Value),
) -> Server {
    let port = free_port();
    let mut config = json!({
        "server": {"host": "127.0.0.1", "port": port},
        "auth_keys": ["sk-load"], "gemini_api_keys": ["AIza-load"], "log_level": "info",
        "credentials_file": folder.0.join(format!("credentials-{port}.json")),
        "usage_logging": {"enabled": false},
        "endpoints": {"generative_language": google, "code_assist": google,
            "oauth_token": format!("{google}/token"), "userinfo": format!("{google}/userinfo")},
    });
    change(&mut config);
    let file = folder.0.join(format!("proxy-{port}.json"));
    fs::write(&file, config.to_string()).expect("the proxy's config");
    let log = fs::File::create(folder.0.join(format!("proxy-{port}.log"))).expect("a log file");
    let mut command = Command::new(program);
    without_proxies(&mut command);
    command.env_remove("GLIBC_TUNABLES").envs(environment.iter().copied());
    if config.get("store").is_some() {
        command.env("GEMINI_PROXY_ENCRYPTION_KEY", "the key of all replicas");
    }
    let errors = log.try_clone().expect("a second handle");
    let child = command
        .args(["run".as_ref(), "-c".as_ref(), file.as_os_str()])
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .expect("the proxy starts");
    Server { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }.ready("/health")
}

fn without_proxies(command: &mut Command) {
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
}

/// Starts another server, which will listen on `port`; what it writes goes to a file.
pub fn start(mut command: Command, folder: &Folder, port: u16, patience: Duration) -> Server {
    without_proxies(&mut command);
    let log = fs::File::create(folder.0.join(format!("{port}.log"))).expect("a log file");
    let errors = log.try_clone().expect("a second handle");
    let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().expect("make bench-peers installs it");
    Server { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }.ready_within(patience, "/")
}

/// Starts nginx as a plain pass-through to `google`: no translation, no buffering, kept connections.
pub fn nginx(folder: &Folder, google: SocketAddr) -> Server {
    let port = free_port();
    let root = folder.0.display();
    let config = format!(
        "daemon off; worker_processes auto; pid {root}/nginx.pid; error_log {root}/nginx-error.log;
        worker_rlimit_nofile 8192;
        events {{ worker_connections 4096; }}
        http {{
            access_log {root}/nginx-access.log;
            client_body_temp_path {root}/nginx-body; proxy_temp_path {root}/nginx-proxy;
            fastcgi_temp_path {root}/nginx-f; uwsgi_temp_path {root}/nginx-u; scgi_temp_path {root}/nginx-s;
            keepalive_requests 1000000;
            upstream google {{ server {google}; keepalive 1024; keepalive_requests 1000000; }}
            server {{
                listen 127.0.0.1:{port} backlog=1024;
                location / {{
                    proxy_pass http://google; proxy_http_version 1.1; proxy_set_header Connection \"\";
                    proxy_buffering off; proxy_read_timeout 90s;
                }}
            }}
        }}"
    );
    let file = folder.0.join("nginx.conf");
    fs::write(&file, config).expect("nginx's config");
    let child = Command::new("nginx")
        .arg("-c")
        .arg(&file)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx; tests/setup.sh installs it");
    Server { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }.ready("/userinfo")
}

/// Starts the smallest relay of the proxy's shape to `google`; it is this program.
pub fn floor(google: SocketAddr) -> Server {
    let port = free_port();
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--floor", &port.to_string(), "--google", &google.to_string()])
        .stdin(Stdio::null())
        .spawn()
        .expect("the relay starts");
    Server { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }.ready("/")
}

/// A Redis that keeps nothing, and its addresses as `store.url` takes them.
pub struct Redis {
    pub server: Server,
    pub unix: String,
    pub tcp: String,
    pub tls: String,
}

/// Starts it on a unix socket, TCP and TLS, with the certificate for localhost of the tests.
pub fn redis(folder: &Folder) -> Redis {
    let (plain, secure) = (free_port(), free_port());
    let socket = folder.0.join("redis-socket");
    let fixture = |name: &str| format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let child = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &plain.to_string(), "--save", ""])
        .args(["--tls-port", &secure.to_string(), "--tls-auth-clients", "no"])
        .args(["--tls-cert-file", &fixture("localhost.pem"), "--tls-key-file", &fixture("localhost.key")])
        .args(["--tls-ca-cert-file", &fixture("ca.pem"), "--dir"])
        .arg(&folder.0)
        .arg("--unixsocket")
        .arg(&socket)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server; tests/setup.sh installs it");
    let address = SocketAddr::from(([127, 0, 0, 1], plain));
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "redis-server does not answer");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Redis {
        server: Server { child, address },
        unix: format!("redis+unix://{}", socket.display()),
        tcp: format!("redis://{address}"),
        tls: format!("rediss://localhost:{secure}"),
    }
}

impl Server {
    /// Waits for the first answer.
    fn ready(self, path: &str) -> Server {
        self.ready_within(Duration::from_secs(10), path)
    }

    fn ready_within(self, patience: Duration, path: &str) -> Server {
        let deadline = Instant::now() + patience;
        while !answers(self.address, path) {
            assert!(Instant::now() < deadline, "{} does not answer", self.address);
            std::thread::park_timeout(Duration::from_micros(500));
        }
        self
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn figures(&self) -> Figures {
        let mut sum = Figures::default();
        self.family().into_iter().for_each(|id| sum.add(id));
        sum
    }

    /// The process and all that came from it.
    fn family(&self) -> Vec<u32> {
        let mut found = vec![self.child.id()];
        let mut next = 0;
        while let Some(id) = found.get(next).copied() {
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            next += 1;
        }
        found
    }
}

impl Figures {
    fn add(&mut self, id: u32) {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // Behind the name, which may hold anything: utime and stime are the 12th and 13th there, in hundredths.
        let fields: Vec<u64> = stat
            .rsplit(')')
            .next()
            .into_iter()
            .flat_map(str::split_whitespace)
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        let ticks: u64 = fields.get(11..13).into_iter().flatten().sum();
        self.cpu += Duration::from_millis(ticks * 10);
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap_or("");
            line.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0)
        };
        self.resident += field("VmRSS:") * 1024;
        self.threads += field("Threads:");
        self.descriptors += fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx's workers end with their master only when it is asked.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let deadline = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            // What it started would outlive it.
            for id in self.family() {
                let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
            }
        }
        let _ = self.child.wait();
    }
}

fn answers(address: SocketAddr, path: &str) -> bool {
    let Ok(mut socket) = TcpStream::connect(address) else { return false };
    let request = format!("GET {path} HTTP/1.1\r\nHost: load\r\n\r\n");
    let mut answer = Vec::new();
    socket.set_read_timeout(Some(Duration::from_secs(2))).is_ok()
        && socket.write_all(request.as_bytes()).is_ok()
        && crate::clients::read_answer(&mut socket, &mut answer)
}
