//! A pool on a file of its own in front of the fake Google, for tests of the credentials alone.

use super::google::FakeGoogle;
use super::written;
use gemini_openai_proxy::config::{Endpoints, OauthClient};
use gemini_openai_proxy::credentials::{Credentials, Kinds, Options, Timing, Want};
use gemini_openai_proxy::secret::Secret;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Of the OAuth client in [`options`].
const OAUTH_SECRET: &str = "oauth-secret-0003";

/// A folder that goes away with the test.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gemini-proxy-test-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a fresh folder");
        Scratch(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self) -> PathBuf {
        self.0.join("credentials.json")
    }

    /// Writes the credentials file.
    pub fn put(&self, items: &Value) -> PathBuf {
        written::secrets_in(items);
        fs::write(self.file(), items.to_string()).expect("the file");
        self.file()
    }

    pub fn items(&self) -> Value {
        serde_json::from_slice(&fs::read(self.file()).expect("the file")).expect("JSON")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        written::files_of(&self.0);
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Rests and polls short enough for a test, everything at `base`.
pub fn options(base: &str, file: PathBuf) -> Options {
    written::secret(OAUTH_SECRET);
    let agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None).build();
    Options {
        is_shared: false,
        credentials_file: file,
        encryption_key: None,
        old_encryption_keys: Vec::new(),
        api_keys: Vec::new(),
        project_id_map: Default::default(),
        prefer: Vec::new(),
        is_machine: false,
        endpoints: Endpoints {
            code_assist: base.into(),
            oauth_authorize: format!("{base}/o/oauth2/v2/auth"),
            oauth_token: format!("{base}/token"),
            userinfo: format!("{base}/v1/userinfo"),
            generative_language: base.into(),
            vertex: Some(base.into()),
            sts: format!("{base}/sts/v1/token"),
            iam_credentials: base.into(),
            metadata: base.into(),
        },
        oauth_client: OauthClient { id: "client".into(), secret: Secret::new(OAUTH_SECRET) },
        agent: agent.into(),
        timing: Timing {
            first_backoff: Duration::from_millis(20),
            longest_backoff: Duration::from_millis(200),
            blocked_probe: Duration::from_secs(60),
            onboarding_poll: Duration::from_millis(5),
            onboarding_limit: Duration::from_secs(5),
            file_poll: Duration::from_millis(20),
            ..Timing::default()
        },
        remembered: Value::Null,
    }
}

/// A pool on `items`.
pub fn open(google: &FakeGoogle, scratch: &Scratch, items: &Value) -> Credentials {
    Credentials::open(options(&google.base(), scratch.put(items))).expect("a file that opens")
}

/// A pool on `items` after a restart.
pub fn reopen(google: &FakeGoogle, scratch: &Scratch, items: &Value, remembered: Value) -> Credentials {
    let options = Options { remembered, ..options(&google.base(), scratch.put(items)) };
    Credentials::open(options).expect("a file that opens")
}

/// Anybody, for any model.
pub fn anybody<'a>() -> Want<'a> {
    Want { model: "gemini-2.5-pro", kinds: Kinds::ALL, tried: &[], affinity: None }
}
