//! Whether a password is right, and who must wait because of wrong ones. Each of several replicas counts its own, and what others
//! have told of theirs: who guesses at several within a moment gets a few more guesses, and none afterwards.

use super::address::network;
use super::wrong::WINDOW;
use super::{Guard, unauthorized};
use crate::config::AdminLogin;
use crate::http::{Request, Response};
use crate::secret::Secret;
use serde_json::json;
use std::net::IpAddr;
use std::time::{Duration, Instant};

const TOGETHER: &str = "wrong passwords";

fn of(address: IpAddr) -> String {
    format!("wrong passwords from {}", network(address))
}

impl Guard {
    pub(super) fn judge_password(
        &self,
        request: &Request,
        login: &AdminLogin,
        username: &str,
        password: &str,
    ) -> Result<(), Response> {
        let now = Instant::now();
        let (wrong, address) = (&self.wrong.0, self.address(request));
        if let Some(wait) = wrong.wait(address, now).or_else(|| self.wait_of_all(address, now)) {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            let detail = format!("Too many wrong passwords from this address. Try again in {seconds} s.");
            let response = Response::json(429, &json!({"detail": detail}));
            return Err(response.with_header("Retry-After", seconds.to_string()));
        }
        let name_matches = Secret::new(login.username.clone()).matches(username);
        if login.password.matches(password) & name_matches {
            wrong.is_right(address, now);
            self.tell_right(address);
            Ok(())
        } else {
            wrong.count(address, now);
            self.tell_wrong(address);
            log::warn!("admin: wrong user name or password from {address}");
            Err(unauthorized("Incorrect username or password"))
        }
    }

    /// How long this address must wait, if it must, by what all replicas have seen.
    fn wait_of_all(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let (replicas, wrong) = (self.replicas.as_ref()?, &self.wrong.0);
        let left = |what: &str, most: u32| {
            let (times, left) = replicas.counted(what)?;
            (times >= most).then_some(left)
        };
        left(&of(address), wrong.each).or_else(|| left(TOGETHER, wrong.all).filter(|_| !wrong.was_right(address, now)))
    }

    fn tell_wrong(&self, address: IpAddr) {
        if let Some(replicas) = &self.replicas {
            replicas.count(&of(address), WINDOW);
            replicas.count(TOGETHER, WINDOW);
        }
    }

    fn tell_right(&self, address: IpAddr) {
        let what = of(address);
        if let Some(replicas) = self.replicas.as_ref().filter(|replicas| replicas.counted(&what).is_some()) {
            replicas.forget(&what);
        }
    }
}
