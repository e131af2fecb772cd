//! `check`: one line for each thing that was looked at, with what to do where it is wrong. Spends no generation, onboards
//! nobody, and writes nothing but refreshed tokens.

use super::{Failure, agent_for_google};
use crate::commands::args::RunOptions;
use crate::config::{self, Config, Timeouts, TlsFiles};
use crate::credentials::{Check, CredentialId, Credentials, Kind, Options, rekey};
use crate::serve::{app, service};
use crate::storage::state;
use crate::store::{self, Finding};
use crate::upstream::json_client;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// For each of Google's addresses.
const REACH: Duration = Duration::from_secs(5);
/// For each call about a credential.
const CALL: Duration = Duration::from_secs(15);
/// Credentials looked at together.
const TOGETHER: usize = 8;

/// What was found so far; printed at once, because some looks take seconds.
#[derive(Default)]
struct Findings {
    errors: usize,
    good: Vec<String>,
}

impl Findings {
    /// Told once: addresses of Google's may be of one server.
    fn good(&mut self, text: &str) {
        if !self.good.iter().any(|told| told == text) {
            println!("[OK] {text}");
            self.good.push(text.to_owned());
        }
    }

    fn result(&self) -> Result<(), Failure> {
        match self.errors {
            0 => Ok(()),
            _ => Err((1, String::new())),
        }
    }

    fn warn(&self, text: &str) {
        println!("[WARNING] {text}");
    }

    fn error(&mut self, text: &str) {
        self.errors += 1;
        println!("[ERROR] {text}");
    }

    fn take(&mut self, finding: Finding) {
        match finding {
            Finding::Good(text) => self.good(&text),
            Finding::Warning(text) => self.warn(&text),
            Finding::Error(text) => self.error(&text),
        }
    }
}

/// Looks at everything; the failure says nothing more than its exit code.
pub fn check(options: &RunOptions) -> Result<(), Failure> {
    let mut findings = Findings::default();
    look(options, &mut findings);
    findings.result()
}

/// The same, and whether alerts arrive.
pub fn check_with_alerts(options: &RunOptions) -> Result<(), Failure> {
    let mut findings = Findings::default();
    look(options, &mut findings);
    // What is wrong with the config was told.
    if let Ok(config) = super::configured(options) {
        look_at_alerts(&config, &mut findings);
    }
    findings.result()
}

#[cfg(feature = "alerts")]
fn look_at_alerts(config: &Config, findings: &mut Findings) {
    for (place, result) in crate::serve::alerts::try_out(config) {
        match result {
            Ok(()) => findings.good(&format!("{place}: the message of trial was taken")),
            Err(why) => findings.error(&format!("{place}: {why}; check its url, template and token, and proxy_url")),
        }
    }
    if config.alerts.is_empty() {
        findings.error("alerts is empty: nobody is told");
    }
}

#[cfg(not(feature = "alerts"))]
fn look_at_alerts(_: &Config, findings: &mut Findings) {
    findings.error("this build has no alerts (cargo feature alerts)");
}

fn look(options: &RunOptions, findings: &mut Findings) {
    let Some(config) = look_at_config(options, findings) else { return };
    let before = findings.errors;
    store::look(&config).into_iter().for_each(|finding| findings.take(finding));
    if findings.errors > before {
        return;
    }
    let Some(pool) = open_pool(&config, findings) else { return };
    let views = pool.views();
    let has = |kind| views.iter().any(|view| view.kind == kind);
    let nobody = views.is_empty();
    if nobody {
        findings.error(&format!(
            "no credential is loaded; run `gemini-openai-proxy auth -c {}`, or put API keys into gemini_api_keys",
            options.config.as_deref().unwrap_or(Path::new("config.json")).display()
        ));
    }
    let endpoints = &config.endpoints;
    let account = [
        ("endpoints.oauth_token", endpoints.oauth_token.as_str()),
        ("endpoints.userinfo", &endpoints.userinfo),
        ("endpoints.code_assist", &endpoints.code_assist),
    ];
    let key = [("endpoints.generative_language", endpoints.generative_language.as_str())];
    let oauth_reachable = !(nobody || has(Kind::Oauth)) || look_at_addresses(&config, &account, findings);
    let keys_reachable = !(nobody || has(Kind::ApiKey)) || look_at_addresses(&config, &key, findings);
    let vertex = [("endpoints.vertex", endpoints.vertex.as_deref().unwrap_or("https://aiplatform.googleapis.com"))];
    let vertex_reachable = !has(Kind::Vertex) || look_at_addresses(&config, &vertex, findings);
    let ids: Vec<CredentialId> = views
        .iter()
        .filter(|view| match view.kind {
            Kind::Oauth => oauth_reachable,
            Kind::ApiKey => keys_reachable,
            Kind::Vertex => vertex_reachable,
        })
        .filter_map(|view| pool.find(&view.name))
        .collect();
    look_at_credentials(&pool, &ids, findings);
}

fn look_at_config(options: &RunOptions, findings: &mut Findings) -> Option<Config> {
    let loaded = match config::load(options.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(error) => {
            findings.error(&error.to_string());
            return None;
        }
    };
    let key = match super::encryption_key(options) {
        Ok(key) => key,
        Err(message) => {
            findings.error(&message);
            return None;
        }
    };
    let config = Config { encryption_key: key, ..loaded.config };
    if let Err(message) = store::can_be_asked(&config) {
        findings.error(&message);
        return None;
    }
    match &options.config {
        Some(path) => {
            findings.good(&format!("{} is a good configuration", path.display()));
            look_at_mode(path, findings);
        }
        None => findings.good("no config file was named; the built-in defaults apply"),
    }
    for note in &loaded.notes {
        findings.warn(note);
    }
    for warning in &loaded.warnings {
        findings.warn(warning);
    }
    for doubt in app::doubts(&config) {
        findings.warn(&doubt);
    }
    if let Some(files) = &config.tls {
        look_at_tls(&config, files, findings);
    }
    if config.admin.is_none() && !matches!(config.host.as_str(), "127.0.0.1" | "::1" | "localhost") {
        findings.warn(
            "the admin page has no password and so answers this machine only; set admin_username and admin_password to reach it from elsewhere",
        );
    }
    Some(config)
}

fn look_at_tls(config: &Config, files: &TlsFiles, findings: &mut Findings) {
    match service::certificates(config) {
        Ok(_) => {
            let (certificate, key) = (files.certificate.display(), files.key.display());
            findings.good(&format!("server.tls: {certificate} and {key} fit together"));
            look_at_mode(&files.key, findings);
        }
        Err(error) => findings.error(&error.to_string()),
    }
}

fn look_at_mode(path: &Path, findings: &mut Findings) {
    let Ok(meta) = fs::metadata(path) else { return };
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let name = path.display();
        findings
            .warn(&format!("{name} holds secrets and others may read it (mode {mode:04o}); run `chmod 600 {name}`"));
    }
}

/// Opens the credentials as `run` would, but encrypts nothing.
fn open_pool(config: &Config, findings: &mut Findings) -> Option<Arc<Credentials>> {
    if config.store.is_some() {
        return open_shared(config, findings);
    }
    let path = &config.credentials_file;
    let name = path.display();
    let mut config = config.clone();
    match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let folder = std::env::current_dir().unwrap_or_default();
            findings.warn(&format!(
                "credentials file {name} does not exist in {}; it is made when the first account is connected",
                folder.display()
            ));
        }
        Err(error) => {
            findings.error(&format!(
                "credentials file {name} cannot be read: {error}; let the user who runs the proxy own it"
            ));
            return None;
        }
        Ok(bytes) => {
            if let Some(mistake) = rekey::mistake(&bytes) {
                findings.error(&format!("{name}: {mistake}. Correct {name}, or restore a backup"));
                return None;
            }
            let plain = rekey::is_plain(&bytes);
            match (plain, config.encryption_key.is_some()) {
                (true, true) => {
                    findings.warn(&format!(
                        "{name} is in clear although a key is given; the next start of the proxy encrypts it"
                    ));
                    config.encryption_key = None;
                }
                (true, false) => findings.good(&format!("{name} is readable, and in clear")),
                (false, true) => {}
                (false, false) => {
                    findings.error(&format!(
                        "{name} is encrypted and no key is given; give it with --encryption-key-file FILE, GEMINI_PROXY_ENCRYPTION_KEY or -ek KEY"
                    ));
                    return None;
                }
            }
            look_at_mode(path, findings);
        }
    }
    look_at_folder(path, findings);
    let agent = agent_for_google(&config, Timeouts { connect: Some(REACH), read: Some(CALL) }, TOGETHER);
    let remembered = state::section(&config.state_file, "pool").value();
    match Credentials::open(Options { remembered, ..Options::new(&config, agent) }) {
        Ok(pool) => {
            if config.encryption_key.is_some() && path.exists() {
                findings.good(&format!("{name} is encrypted, and the key fits"));
            }
            Some(Arc::new(pool))
        }
        Err(error) if config.encryption_key.is_some() => {
            findings.error(&format!("{error} Give the key that {name} was encrypted with, or restore a backup"));
            None
        }
        Err(error) => {
            findings.error(&format!("{error} Correct {name}, or restore a backup"));
            None
        }
    }
}

/// Opens what replicas share, where there is anything; the file is not theirs.
fn open_shared(config: &Config, findings: &mut Findings) -> Option<Arc<Credentials>> {
    let path = &config.credentials_file;
    if path.exists() {
        findings.warn(&format!(
            "{} is not read: with `store` the credentials are in the store; `store import` brings them in",
            path.display()
        ));
    }
    let agent = agent_for_google(config, Timeouts { connect: Some(REACH), read: Some(CALL) }, TOGETHER);
    let pool = Credentials::open(Options::new(config, agent)).map_err(|error| error.to_string());
    match pool.and_then(|pool| store::visit(config, pool, false)) {
        Ok(pool) => {
            store::look_into(config).into_iter().for_each(|finding| findings.take(finding));
            Some(pool)
        }
        Err(sentence) => {
            findings.error(&sentence);
            None
        }
    }
}

/// New tokens are written through a temporary file beside the old one.
fn look_at_folder(path: &Path, findings: &mut Findings) {
    let probe = path.with_file_name(format!(".gemini-openai-proxy-check-{}", std::process::id()));
    match OpenOptions::new().write(true).create_new(true).open(&probe) {
        Ok(_) => {
            let _ = fs::remove_file(&probe);
        }
        Err(error) => findings.warn(&format!(
            "no file can be made beside {} ({error}), so refreshed tokens are lost at the next start; make the folder writable",
            path.display()
        )),
    }
}

/// Whether all of them answer, asked at the same time.
fn look_at_addresses(config: &Config, addresses: &[(&str, &str)], findings: &mut Findings) -> bool {
    let agent = agent_for_google(config, Timeouts { connect: Some(REACH), read: Some(REACH) }, addresses.len());
    let results: Vec<Result<(), String>> = thread::scope(|scope| {
        let look = |(_, url): &(&str, &str)| {
            let (agent, origin) = (&agent, origin(url));
            scope.spawn(move || json_client::reach(agent, &origin, REACH))
        };
        let threads: Vec<_> = addresses.iter().map(look).collect();
        // A thread that panics has said so by itself.
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("the look failed".into()))).collect()
    });
    let mut reachable = true;
    for ((key, url), result) in addresses.iter().zip(results) {
        match result {
            Ok(()) => findings.good(&format!("{} answers", origin(url))),
            Err(sentence) => {
                reachable = false;
                findings.error(&format!("{} ({key}): {sentence}", origin(url)));
            }
        }
    }
    reachable
}

/// Scheme, host and port: the rest of the address is not the network's business.
fn origin(url: &str) -> String {
    url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}

fn look_at_credentials(pool: &Credentials, ids: &[CredentialId], findings: &mut Findings) {
    for group in ids.chunks(TOGETHER) {
        let checks: Vec<Option<Check>> = thread::scope(|scope| {
            let threads: Vec<_> = group.iter().map(|id| scope.spawn(|| pool.check(*id).ok())).collect();
            threads.into_iter().map(|thread| thread.join().ok().flatten()).collect()
        });
        for check in checks.into_iter().flatten() {
            report(pool, &check, findings);
        }
    }
}

fn report(pool: &Credentials, check: &Check, findings: &mut Findings) {
    let id = pool.find(&check.name);
    let disabled = id.and_then(|id| pool.view(id)).is_some_and(|view| view.disabled);
    let name = if id.is_some_and(CredentialId::is_provisional) { "not in the store yet" } else { &check.name };
    let text = format!("{name} ({}): {}", check.label, check.message.to_string().trim_end_matches('.'));
    match check.healthy {
        true => findings.good(&text),
        false if disabled => findings.warn(&text),
        false => {
            let link = check.link.as_ref().map(|link| format!(" -> {link}")).unwrap_or_default();
            findings.error(&format!("{text}{link}"));
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_origin_has_no_path() {
        for (url, expected) in
            [("https://a.example/x/y?z", "https://a.example"), ("http://127.0.0.1:9", "http://127.0.0.1:9")]
        {
            assert_eq!(super::origin(url), expected);
        }
    }
}
