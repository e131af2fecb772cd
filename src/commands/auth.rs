//! `auth`: connects an account from the terminal, and hands it to the running proxy or writes it into the file
//! (docs/compatibility.md "The auth command").

use super::listener::Listener;
use super::{Failure, agent_for_google, configured};
use crate::commands::args::AuthOptions;
use crate::config::{AdminLogin, Config, ProxyChoice, Timeouts};
use crate::credentials::consent::{Attempt, Return, paste_redirect};
use crate::credentials::{AddFault, Credentials, Options, exchange_code, import};
use crate::mask;
use crate::store;
use crate::upstream::agent::{self, AgentOptions};
use crate::upstream::json_client;
use crate::upstream::own_listener::{self, Question};
use serde_json::{Value, json};
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// The proxy tries the account out before it answers, and a new account is onboarded for up to 90 s.
const ADDING: Duration = Duration::from_secs(180);

/// Connects one account.
pub fn auth(options: &AuthOptions) -> Result<(), Failure> {
    connect(options).map_err(|message| (1, format!("[ERROR] {message}")))
}

/// Puts the credentials for Vertex AI of a file into the pool.
pub fn auth_vertex(options: &AuthOptions, file: &Path) -> Result<(), Failure> {
    add_file(options, file).map_err(|message| (1, format!("[ERROR] {message}")))
}

fn add_file(options: &AuthOptions, file: &Path) -> Result<(), String> {
    let config = configured(&options.run)?;
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    let items = import::items(&text).and_then(|items| items.into_iter().collect::<Result<Vec<Value>, _>>());
    let mut items = items.map_err(|reason| format!("{name}: {reason}"))?;
    for item in &mut items {
        // Elsewhere these are for another service.
        match item.get("type").and_then(Value::as_str) {
            Some("authorized_user") | None => item["upstream"] = "vertex".into(),
            Some("api_key") => item["type"] = "vertex_key".into(),
            Some(_) => {}
        }
    }
    if options.offline {
        let agent = agent_for_google(&config, config.timeouts, 1);
        let pool = open(&config, Options::new(&config, agent))?;
        for item in items {
            let added = pool.add(item).map_err(sentence)?;
            report(&added.label, if added.updated { "credential_updated" } else { "credential_added" });
        }
        return pool.unsaved().map_or(Ok(()), |reason| Err(format!("{reason}; correct this and start again")));
    }
    let proxy = RunningProxy::find(&config)?;
    for item in items {
        told_of(&proxy.add(item)?);
    }
    Ok(())
}

fn connect(options: &AuthOptions) -> Result<(), String> {
    let config = configured(&options.run)?;
    let agent = agent_for_google(&config, config.timeouts, 1);
    let pool_options = Options::new(&config, agent);
    // Whatever can fail without Google fails before a person goes through the consent page.
    if options.offline {
        let pool = open(&config, pool_options)?;
        let (attempt, code) = consent(&config, options.paste)?;
        let added = pool.login(&code, &attempt.redirect_uri, attempt.verifier.expose()).map_err(sentence)?;
        if let Some(reason) = pool.unsaved() {
            return Err(format!("{reason}; the login is lost, correct this and start again"));
        }
        report(
            &mask::email(added.email.as_deref()),
            if added.updated { "credential_updated" } else { "credential_added" },
        );
        match config.store {
            Some(_) => println!("Every replica takes it over within seconds."),
            None => {
                println!("A proxy that runs on {} takes it over within seconds.", config.credentials_file.display())
            }
        }
        return Ok(());
    }
    let proxy = RunningProxy::find(&config)?;
    let (attempt, code) = consent(&config, options.paste)?;
    let item =
        exchange_code(&pool_options, &code, &attempt.redirect_uri, attempt.verifier.expose()).map_err(sentence)?;
    told_of(&proxy.add(item)?);
    Ok(())
}

/// The credentials of the file, or of the store that replicas share.
fn open(config: &Config, options: Options) -> Result<Arc<Credentials>, String> {
    let pool = Credentials::open(options).map_err(|error| error.to_string())?;
    store::visit(config, pool, true)
}

/// What the proxy answered to a credential.
fn told_of(answer: &Value) {
    let text = |name| answer.get(name).and_then(Value::as_str);
    report(text("email").unwrap_or_default(), text("message").unwrap_or_default());
    if let Some(warning) = text("warning") {
        eprintln!("[WARNING] {warning}");
    }
}

fn sentence(fault: AddFault) -> String {
    format!("{} ({})", fault.message, fault.reason)
}

fn report(email: &str, message: &str) {
    println!("[SUCCESS] Credential for '{email}' processed successfully: {message}");
}

/// Leads a person through Google's consent page, to a code.
fn consent(config: &Config, paste: bool) -> Result<(Attempt, String), String> {
    let found = if paste { pasted(config)? } else { returned(config)? };
    match found {
        (attempt, Return::Code { code, state }) if state.as_ref().is_none_or(|state| *state == attempt.state) => {
            Ok((attempt, code))
        }
        (_, Return::Code { .. }) => Err("this address belongs to another login; start again".into()),
        (_, Return::Refused { error, .. }) => {
            let word: String = error.chars().filter(|c| c.is_ascii_graphic()).take(100).collect();
            Err(format!("access was not granted ({word}); start again and agree to all that is asked"))
        }
    }
}

fn returned(config: &Config) -> Result<(Attempt, Return), String> {
    let no_listener = |error: io::Error| format!("cannot listen on 127.0.0.1: {error}; try again with --paste");
    let listener = Listener::bind().map_err(no_listener)?;
    let attempt = Attempt::new(listener.redirect_uri().map_err(no_listener)?);
    let url = attempt.url(&config.endpoints.oauth_authorize, &config.oauth_client);
    let receive = listener.serve(&attempt);
    println!("Open this address in a browser on this machine (elsewhere? stop, and use --paste):\n\n{url}\n");
    open_browser(&url);
    println!("Waiting for Google's answer...");
    match receive.recv_timeout(config.login_lifetime) {
        Ok(found) => Ok((attempt, found)),
        Err(_) => Err("no answer came within ten minutes; start again, or use --paste".into()),
    }
}

fn pasted(config: &Config) -> Result<(Attempt, Return), String> {
    let attempt = Attempt::new(paste_redirect(&config.oauth_client));
    let url = attempt.url(&config.endpoints.oauth_authorize, &config.oauth_client);
    println!("Open this address in any browser and agree:\n\n{url}\n");
    print!("Paste the code that is shown then, or the whole address of the last page: ");
    let _ = io::stdout().flush();
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(|error| format!("standard input: {error}"))?;
    println!();
    Ok((attempt, Return::from_pasted(&line).map_err(|message| message.to_string())?))
}

/// Opens a browser if there seems to be one. That there is none is no error: the address has been printed.
fn open_browser(url: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    // Without a display xdg-open starts a text browser in this terminal.
    let display =
        ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()));
    if cfg!(target_os = "macos") || display {
        let _ = Command::new(opener).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    }
}

/// The server that gets the credential.
struct RunningProxy<'a> {
    url: String,
    login: Option<&'a AdminLogin>,
    agent: ureq::Agent,
    /// By which it is known, where it is that of this config and speaks TLS.
    certificate: Option<&'a Path>,
}

impl<'a> RunningProxy<'a> {
    /// Makes sure that it answers and takes the login.
    fn find(config: &'a Config) -> Result<RunningProxy<'a>, String> {
        let given = config.auth_client.proxy_url.clone();
        let certificate = config.tls.as_ref().filter(|_| given.is_none()).map(|files| &*files.certificate);
        let url = given.unwrap_or_else(|| config.listening_at("127.0.0.1", config.port));
        let authority = url.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or_default();
        // The environment's proxy is for the way to Google; it does not know this machine's loopback.
        let local = crate::serve::access::is_loopback_name(authority);
        let agent = agent::build(&AgentOptions {
            timeouts: Timeouts { connect: Some(Duration::from_secs(10)), read: Some(ADDING) },
            workers: 1,
            proxy: if local { ProxyChoice::Direct } else { config.proxy.clone() },
            authorities: config.authorities.clone(),
        });
        let login = config.auth_client.login.as_ref().or(config.admin.as_ref());
        let proxy = RunningProxy { url, login, agent, certificate };
        let url = &proxy.url;
        match proxy.ask("/admin/credentials", None) {
            Ok((200, _)) => Ok(proxy),
            Ok((401, _)) => Err(format!(
                "the proxy at {url} does not accept the admin login; correct admin_username and admin_password, or auth_client, in the config"
            )),
            Ok((status, answer)) => Err(format!("the proxy at {url} refuses: {}", told(status, &answer))),
            Err(reason) => Err(format!(
                "no proxy answers at {url} ({reason}); start it, correct auth_client.proxy_url, or use --offline to write the credentials file"
            )),
        }
    }

    fn add(&self, item: Value) -> Result<Value, String> {
        match self.ask("/admin/credentials/add", Some(&json!({"credential": item}))) {
            Ok((200, answer)) => Ok(answer),
            Ok((status, answer)) => Err(format!("the proxy did not take the account: {}", told(status, &answer))),
            Err(reason) => Err(format!("the proxy did not answer: {reason}")),
        }
    }

    /// GET, or POST of a body. Status, and the body if it is JSON.
    fn ask(&self, path: &str, body: Option<&Value>) -> Result<(u16, Value), String> {
        let login = self.login.map(|login| (login.username.as_str(), login.password.expose()));
        let url = format!("{}{path}", self.url);
        match (self.certificate, body) {
            (Some(certificate), _) => own_listener::ask(&self.url, certificate, Question { path, login, body }, ADDING),
            (None, None) => json_client::get_json(&self.agent, &url, login),
            (None, Some(body)) => json_client::post_json(&self.agent, &url, login, body),
        }
    }
}

/// The sentence in an answer of the proxy's, else its reason word.
fn told(status: u16, answer: &Value) -> String {
    let text = |name| answer.get(name).and_then(Value::as_str);
    match (text("message"), text("detail")) {
        (Some(sentence), Some(reason)) => format!("{sentence} ({reason})"),
        (Some(sentence), None) | (None, Some(sentence)) => sentence.to_owned(),
        (None, None) => format!("status {status}"),
    }
}
