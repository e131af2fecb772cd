//! The real binary as a child process: started, spoken to, ended.

use super::written;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A folder of its own under the system's temporary folder; removed when dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        static COUNTER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gemini-proxy-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        written::file(name, &String::from_utf8_lossy(text.as_ref()));
        let path = self.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        written::files_of(&self.0);
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One that nobody listens on now, for a program that cannot choose.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The binary with arguments, in a folder, without the caller's proxy and key variables.
pub fn command(folder: &Folder, arguments: &[&str]) -> Command {
    written::secrets_of_arguments(arguments);
    // What is measured is the program as it is installed.
    let other = std::env::var_os("GEMINI_PROXY_BINARY");
    let mut command = Command::new(other.unwrap_or_else(|| env!("CARGO_BIN_EXE_gemini-openai-proxy").into()));
    command.current_dir(folder.path()).args(arguments);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "GEMINI_PROXY_ENCRYPTION_KEY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command
}

/// Runs the binary to its end, which must come by itself.
pub fn run(folder: &Folder, arguments: &[&str]) -> Output {
    let mut child =
        command(folder, arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if child.try_wait().unwrap().is_some() {
            let output = child.wait_with_output().unwrap();
            keep(arguments, &output);
            return output;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("{arguments:?} did not end by itself: {:?}", child.wait_with_output());
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// What a command printed. Two print a secret on standard output because that is what they are for.
fn keep(arguments: &[&str], output: &Output) {
    let printed = String::from_utf8_lossy(&output.stdout);
    match arguments {
        ["generate-key"] => {
            let key = printed.lines().last().unwrap_or_default();
            written::secret(key);
            written::log(&printed.replace(key, "(shown once)"));
        }
        ["decrypt", .., "--output", "-"] => {}
        _ => written::log(&printed),
    }
    written::log(&String::from_utf8_lossy(&output.stderr));
}

/// A server process; killed when dropped.
pub struct Program {
    child: Child,
    lines: Receiver<String>,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    pub port: u16,
}

impl Program {
    /// Starts the server with a config and waits until it says where it listens.
    pub fn start(folder: &Folder, config: &Value, arguments: &[&str]) -> Program {
        Program::start_in(folder, config, arguments, &[])
    }

    /// The same with variables of the environment.
    pub fn start_in(folder: &Folder, config: &Value, arguments: &[&str], environment: &[(&str, &str)]) -> Program {
        let mut all = vec!["run", "-c", "config.json"];
        all.extend(arguments);
        let mut command = command(folder, &all);
        environment.iter().filter(|(name, _)| name.ends_with("_KEY")).for_each(|(_, key)| written::secret(key));
        command.envs(environment.iter().copied());
        Program::spawn(folder, config, command)
    }

    /// The same with a command of any kind that reads config.json in the folder.
    pub fn spawn(folder: &Folder, config: &Value, mut command: Command) -> Program {
        folder.write("config.json", config.to_string());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (send, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        let readers = streams.map(|stream| {
            let (send, log) = (send.clone(), log.clone());
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    written::log(&line);
                    log.lock().unwrap().push_str(&format!("{line}\n"));
                    let _ = send.send(line);
                }
            })
        });
        let mut program = Program { child, lines, log, readers: readers.into(), port: 0 };
        let line = program.wait_for_line("listening on http");
        // In the JSON format, and with several replicas, more follows.
        let address = line.rsplit("://").next().unwrap().split(['"', ' ']).next().unwrap().trim_end();
        program.port = address.rsplit(':').next().unwrap().parse().expect("a port at the end of the address");
        program
    }

    /// The next line with this text; everything before it is passed over.
    pub fn wait_for_line(&mut self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(_) => panic!("no line with {text:?}; the log:\n{}", self.log()),
            }
        }
    }

    /// What the program has written and we have read. Whole only after [`Program::wait`]: a line may still be in the
    /// pipe when the answer it belongs to is here, so a line that must come is asked for with [`Program::has_said`].
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log holds this text anywhere.
    pub fn has_said(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.log.lock().unwrap().contains(text) {
            assert!(Instant::now() < deadline, "nothing said {text:?}; the log:\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    #[cfg(feature = "tls")]
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end and returns the exit code. The log is whole then.
    pub fn wait(&mut self, limit: Duration) -> Option<i32> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.readers.drain(..).for_each(|reader| reader.join().unwrap());
                return status.code();
            }
            assert!(Instant::now() < deadline, "the program did not end; the log:\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The last lines are kept too.
        self.readers.drain(..).for_each(|reader| drop(reader.join()));
    }
}
