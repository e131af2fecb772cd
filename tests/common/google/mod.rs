//! A fake Google: OAuth, Code Assist (`/v1internal`) and the public Gemini API (`/v1beta`) on one loopback port. It refuses
//! what Google refuses, answers plausibly when nothing is scripted, and misbehaves when told to. Knows nothing of the
//! program under test.
//!
//! Order of things for a generation: credential, strict checks, scripted step, default answer (see [`engine`] for what the
//! default answers and for the `call:tool{...}` convention).

pub mod calls;
pub mod code_assist;
pub mod engine;
pub mod errors;
pub mod federation;
pub mod files;
pub mod long;
pub mod media;
pub mod merge;
pub mod messages;
pub mod models;
pub mod oauth;
pub mod proto;
pub mod public;
pub mod routes;
pub mod script;
pub mod script_errors;
pub mod server;
pub mod state;
pub mod strict;
pub mod strict_contents;
pub mod strict_schema;
pub mod vertex;

#[cfg(feature = "media")]
pub use files::Looking;
pub use models::Model;
pub use script::{Cut, End, Step};
pub use server::Outcome;
pub use state::{Login, OnboardAnswer, Recorded, Settings, State, Tier, User};

use super::written;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What the server's threads share.
pub struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    pub stop: AtomicBool,
    /// Open connections by number, to end them at the end.
    pub open: Mutex<HashMap<u64, TcpStream>>,
    pub base: String,
}

impl Shared {
    /// Changes the state and wakes everyone who waits for a condition.
    pub fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let result = act(&mut self.state.lock().unwrap());
        self.changed.notify_all();
        result
    }

    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap())
    }
}

/// A running fake; dropping it ends its connections and joins its threads.
pub struct FakeGoogle {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl FakeGoogle {
    /// On a free loopback port.
    pub fn start() -> FakeGoogle {
        FakeGoogle::start_on(0)
    }

    pub fn start_on(port: u16) -> FakeGoogle {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new()),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
            open: Mutex::new(HashMap::new()),
            base: format!("http://{address}"),
        });
        let twin = shared.clone();
        let run = move || server::serve(twin, listener);
        let thread = std::thread::Builder::new().name("fake-google".into()).spawn(run).expect("thread");
        FakeGoogle { shared, address, thread: Some(thread) }
    }

    /// `http://127.0.0.1:port`.
    pub fn base(&self) -> String {
        self.shared.base.clone()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `endpoints` object of a config that points everything here.
    pub fn endpoints_json(&self) -> Value {
        let base = self.base();
        json!({
            "code_assist": base,
            "oauth_authorize": format!("{base}/o/oauth2/v2/auth"),
            "oauth_token": format!("{base}/token"),
            "userinfo": format!("{base}/v1/userinfo"),
            "generative_language": base,
            "vertex": base,
            "sts": format!("{base}/sts/v1/token"),
            "iam_credentials": base,
            "metadata": base,
        })
    }

    /// Changes anything; the direct way for what has no method.
    pub fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        self.shared.change(act)
    }

    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        self.shared.read(look)
    }

    pub fn settings(&self, act: impl FnOnce(&mut Settings)) {
        self.change(|state| act(&mut state.settings));
    }

    /// Adds an account and logs it in once.
    pub fn add_user(&self, user: User) -> Login {
        let email = user.email.clone();
        self.change(|state| {
            state.users.retain(|known| known.email != email);
            state.users.push(user);
        });
        self.login(&email)
    }

    /// Another login of a known account: new tokens beside the old ones.
    pub fn login(&self, email: &str) -> Login {
        self.change(|state| {
            let scopes = state.user(email).expect("a known user").scopes.clone();
            let access_token = state.issue_access(email, &scopes);
            let refresh_token = state.issue_refresh(email);
            Login { access_token, refresh_token, expiry_ms: now_ms() + state.settings.expires_in * 1000 }
        })
    }

    /// A fresh login as the credentials file holds it.
    pub fn oauth_credential(&self, email: &str) -> Value {
        let login = self.login(email);
        let scope = self.read(|state| state.user(email).expect("a known user").scopes.join(" "));
        json!({
            "access_token": login.access_token,
            "refresh_token": login.refresh_token,
            "scope": scope,
            "token_type": "Bearer",
            "expiry_date": login.expiry_ms,
        })
    }

    /// The user's access tokens are dead from now on (401); refreshing helps.
    pub fn expire(&self, email: &str) {
        self.change(|state| {
            state.access.values_mut().filter(|token| token.email == email).for_each(|token| token.dead = true);
        });
    }

    /// The user's grant is gone: access tokens 401, refresh `invalid_grant`.
    pub fn revoke(&self, email: &str) {
        self.expire(email);
        self.change(|state| {
            state.refresh.values_mut().filter(|token| token.email == email).for_each(|token| token.revoked = true);
        });
    }

    pub fn set_tier(&self, email: &str, tier: Tier) {
        self.change(|state| {
            state.users.iter_mut().filter(|user| user.email == email).for_each(|user| user.tier = tier.clone());
        });
    }

    pub fn add_api_key(&self, key: &str) {
        written::secret(key);
        self.change(|state| state.keys.insert(key.to_string()));
    }

    pub fn remove_api_key(&self, key: &str) {
        self.change(|state| state.keys.remove(key));
    }

    /// From now on another model serves the name, to one credential or to all (`*`).
    pub fn serve(&self, who: &str, name: &str, by: &str) {
        self.change(|state| state.moved.push((who.into(), name.into(), by.into())));
    }

    pub fn add_model(&self, model: Model) {
        self.change(|state| state.models.push(model));
    }

    /// Queues one answer for `who` (e-mail, API key or `*`); used once, in order.
    pub fn script(&self, who: &str, step: Step) {
        self.change(|state| state.scripts.entry(who.to_string()).or_default().push_back(step));
    }

    /// Answers `who` like this whenever the queue has nothing, until [`FakeGoogle::clear_scripts`].
    pub fn always(&self, who: &str, step: Step) {
        self.change(|state| state.always.entry(who.to_string()).or_default().push(step));
    }

    pub fn clear_scripts(&self) {
        self.change(|state| {
            state.scripts.clear();
            state.always.clear();
        });
    }

    /// Lets the answer to every request that has come so far go on, once, if it holds now or will.
    pub fn release(&self) {
        self.change(|state| state.released += 1);
    }

    /// Everything that came, in order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.read(|state| state.requests.clone())
    }

    /// generateContent and streamGenerateContent of both services.
    pub fn generations(&self) -> Vec<Recorded> {
        self.read(|state| state.generations().cloned().collect())
    }

    /// How many of them came.
    pub fn generations_count(&self) -> usize {
        self.read(|state| state.generations().count())
    }

    pub fn last_generation(&self) -> Recorded {
        self.generations().pop().expect("a generation came")
    }

    pub fn count(&self, path_prefix: &str) -> usize {
        self.read(|state| state.requests.iter().filter(|request| request.path.starts_with(path_prefix)).count())
    }

    /// Successful refreshes of that user.
    pub fn refreshes(&self, email: &str) -> u64 {
        self.read(|state| state.refreshed.get(email).copied().unwrap_or(0))
    }

    /// Waits until the condition holds; false when time ran out.
    pub fn wait_for(&self, condition: impl Fn(&State) -> bool, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        let mut state = self.shared.state.lock().unwrap();
        while !condition(&state) {
            let Some(left) = end.checked_duration_since(Instant::now()) else { return false };
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
        true
    }
}

impl Drop for FakeGoogle {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the accept loop.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Unix time in milliseconds.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}
