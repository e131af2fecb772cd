//! A real server for a test in this process.

use super::super::super::link;
use super::*;
use crate::config::{StoreConfig, WhenDown};
use crate::credentials::Cipher;
use crate::storage::disk::Scratch;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// A server of the test's own, ended with it.
pub(super) struct Server {
    folder: Scratch,
    child: Child,
}

impl Server {
    pub(super) fn start(name: &str) -> Server {
        let folder = Scratch::new(name);
        let socket = folder.0.join("socket");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--unixsocket"]).arg(&socket).arg("--dir").arg(&folder.0);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap_or_else(|error| {
            panic!("redis-server cannot be started ({error}): tests/setup.sh installs Debian's package redis-server")
        });
        let deadline = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not answer");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Server { folder, child }
    }

    pub(super) fn accounts(&self) -> Accounts {
        let config = StoreConfig {
            url: Secret::new(format!("redis+unix://{}", self.folder.0.join("socket").display())),
            is_from_environment: false,
            prefix: "t:".into(),
            replica: "r".into(),
            when_down: WhenDown::Share,
            authorities: None,
            password: None,
            sentinels: Vec::new(),
            old_keys: Vec::new(),
        };
        let cipher = Cipher::new(&Secret::new("the key of all replicas"));
        let (link, wake, _) = link(&config, cipher).unwrap();
        link.open();
        assert!(link.is_up());
        Accounts::new(Arc::new(Limits::new(link, "r", WhenDown::Share, wake)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
