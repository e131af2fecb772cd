//! Start, reload and stop of the program: the wiring in dependency order, and the ordered end.

use crate::api::openai_responses::Store;
use crate::config::{Config, TlsFiles};
use crate::credentials::consent::Logins;
use crate::credentials::{CredentialId, Credentials, Options, Refresher, StoreError, Timing};
use crate::dispatch::{Bounds, Dispatcher};
use crate::gemini::models::{Listed, Serving};
use crate::gemini::signatures::SignatureCache;
use crate::http::{Caller, Certificates, Limits, Request, Running, Server};
use crate::keys::Keys;
use crate::os::room::Room;
use crate::os::{notify, platform};
use crate::serve::access::Guard;
#[cfg(feature = "alerts")]
use crate::serve::alerts::Alerts;
use crate::serve::app::{App, Current, tables};
use crate::serve::background::{Intervals, Maintenance};
use crate::serve::judge::judge;
use crate::serve::report::Reporter;
use crate::serve::signature_file::SignatureFile;
use crate::serve::watchdog::Watchdog;
use crate::storage::state::{Saver, Section, State};
use crate::store::{Replicas, StoreFault};
use crate::upstream::agent::{self, AgentOptions};
use crate::upstream::{self, CodeAssist, Fetcher, GenerativeLanguage};
use crate::usage::{History, Usage};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Bytes of thought signatures that are remembered, and for how long.
const SIGNATURES: usize = 8 << 20;
const SIGNATURES_FOR: Duration = Duration::from_secs(6 * 3600);

/// The record of the state file's section `models`.
const LIST: &str = "list";

/// What tests shorten or open; no setting leads here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tuning {
    /// The pool's patience.
    pub timing: Timing,
    /// What is done in the background, and how often.
    pub intervals: Intervals,
    /// Addresses beside public ones that media may be fetched from.
    pub media_from: Option<fn(SocketAddr) -> bool>,
    /// The day for the table of models, instead of today.
    pub models_of: Option<SystemTime>,
}

/// Why the program cannot start; the text is one line for the operator.
#[derive(Debug)]
pub enum StartError {
    /// The address cannot be bound.
    Listener(String),
    /// The credentials file cannot be used; it was left as it is.
    Credentials(StoreError),
    /// The store that replicas share is not ours, or the config of it is of no use.
    Store(StoreFault),
    /// A thread could not be started.
    Thread(std::io::Error),
}

impl StartError {
    /// The process's exit code: 3 for credentials, as the old program ended then, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            StartError::Credentials(error) => error.exit_code(),
            StartError::Store(fault) => fault.exit_code,
            StartError::Listener(_) | StartError::Thread(_) => 1,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listener(message) => f.write_str(message),
            StartError::Credentials(error) => write!(f, "{error}"),
            StartError::Store(fault) => f.write_str(&fault.message),
            StartError::Thread(error) => write!(f, "a thread could not be started: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A program that serves.
pub struct Service {
    current: Arc<Current>,
    running: Running,
    address: SocketAddr,
    refresher: Refresher,
    reporter: Option<Reporter>,
    maintenance: Maintenance,
    saver: Saver,
    signatures: Arc<Option<SignatureFile>>,
    agent: ureq::Agent,
    watchdog: Option<Watchdog>,
    #[cfg(feature = "alerts")]
    alerts: Alerts,
}

impl Service {
    /// Opens the credentials, binds, and starts every thread. Google is not asked for anything before the listener
    /// answers.
    pub fn start(config: Config) -> Result<Service, StartError> {
        Service::start_with(config, Tuning::default())
    }

    /// As [`Service::start`], with other times.
    pub fn start_with(config: Config, tuning: Tuning) -> Result<Service, StartError> {
        let agent = agent::build(&AgentOptions {
            timeouts: config.timeouts,
            workers: config.sizes.workers,
            proxy: config.proxy.clone(),
            authorities: config.authorities.clone(),
        });
        let state = Arc::new(State::open(&config.state_file));
        let pool = open_pool(&state, &config, &tuning, &agent)?;
        let keys = keep_keys(&state, &config);
        let usage = keep_usage(&state, &keys, &config)?;
        #[cfg(feature = "replicas")]
        observe_keys(&keys, &usage);
        let replicas = Replicas::start(&config, &keys, &pool, &usage, &state).map_err(StartError::Store)?;
        let logins = Logins::new(config.login_lifetime);
        replicas.iter().for_each(|replicas| replicas.share_logins(&logins));
        let listed: Arc<Vec<Listed>> = Arc::new(listed(&state.take("models")));
        let certificates = certificates(&config)?;
        let server = bind(&config)?;
        let server = match &certificates {
            Some(certificates) => server.with_tls(certificates.clone()),
            None => server,
        };
        let address = server.local_addr();

        let memory = Arc::new(SignatureCache::new(SIGNATURES, SIGNATURES_FOR));
        let signatures = Arc::new(SignatureFile::open(&config, memory.clone()));
        replicas.iter().for_each(|replicas| replicas.share_signatures(&memory));
        let serving = keep_serving(&state, &pool, tuning.models_of.map(Serving::at).unwrap_or_default());
        let (models, spare_models) = tables(&config, &listed, &serving);
        models.doubts(&config.models, &config.model_routes).iter().for_each(|doubt| log::warn!("{doubt}"));
        let app = App {
            guard: Guard::new(&config, keys.clone(), replicas.clone()),
            models,
            spare_models,
            listed,
            signatures: memory,
            responses: Arc::new(Store::new(config.responses_store)),
            fetch: match tuning.media_from {
                None => upstream::fetcher().into(),
                Some(also) => Arc::new(Fetcher::allowing(also)),
            },
            dispatcher: Arc::new(vertex(
                Dispatcher::new(
                    pool.clone(),
                    Box::new(CodeAssist::new(agent.clone(), &config.endpoints.code_assist)),
                    Box::new(GenerativeLanguage::new(agent.clone(), &config.endpoints.generative_language)),
                    Bounds {
                        attempts: config.max_attempts,
                        credentials: config.max_credentials_per_request,
                        patience: config.failover,
                    },
                )
                .with_serving(serving),
                &agent,
                &config,
            )),
            uploads: Arc::default(),
            logins: Arc::new(logins),
            usage,
            keys,
            replicas,
            of_pages: Caller::default(),
            room: Arc::new(Room::new(config.sizes.memory, config.sizes.max_body * 4 + (16 << 20))),
            state: state.clone(),
            certificates,
            started: Instant::now(),
            port: address.port(),
            server: Arc::default(),
            pool: pool.clone(),
            config,
        };
        let current = Arc::new(Current::new(app));
        let (serving, trusting) = (current.clone(), current.clone());
        let (learnt, listing) = (current.clone(), current.clone());
        state.own("models", move || learnt.lists(), move |_, sink| sink.put(LIST, &*listing.get().listed));
        let judge = move |request: &Request| judge(&serving, request);
        let app = current.get();
        let trusts = move |address| trusting.get().guard.trusts(address);
        let server = server.behind(Box::new(trusts), app.config.proxy_protocol);
        let running = server.start(Box::new(judge)).map_err(StartError::Thread)?;
        let _ = app.server.set(running.gauge());
        app.introduce();
        log::info!("listening on {}://{address}", app.config.scheme());

        let refresher = Refresher::start(pool.clone()).map_err(StartError::Thread)?;
        let reporter = match app.config.usage_interval {
            Some(interval) => Some(Reporter::start(app.usage.clone(), pool, interval).map_err(StartError::Thread)?),
            None => None,
        };
        let maintenance = Maintenance::start(current.clone(), tuning.intervals).map_err(StartError::Thread)?;
        #[cfg(feature = "alerts")]
        let alerts =
            Alerts::start(current.clone(), &state, &app.config, tuning.intervals.alerts).map_err(StartError::Thread)?;
        let saved = signatures.clone();
        let also = move || saved.iter().for_each(SignatureFile::save);
        let saver = Saver::start(state, also).map_err(StartError::Thread)?;
        app.warn_about_few_credentials(address.port());
        let watchdog = Watchdog::start(address, &app.config).map_err(StartError::Thread)?;
        notify::tell("READY=1");
        Ok(Service {
            current,
            running,
            address,
            refresher,
            reporter,
            maintenance,
            saver,
            signatures,
            agent,
            watchdog,
            #[cfg(feature = "alerts")]
            alerts,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What requests use, for tests and figures.
    pub fn app(&self) -> Arc<App> {
        self.current.get()
    }

    /// Takes over another state of the config file and of the credentials file, and says in the log what changed and what
    /// needs a restart. Requests under way go on as they began, unless their key is gone.
    pub fn reload(&self, new: &Config) {
        let old = self.current.get();
        let (config, changes) = match old.config.reloaded(new) {
            Ok(reloaded) => reloaded,
            Err(error) => return log::error!("config: not reloaded: {error}"),
        };
        // Who asked for it wants to see it, also in a quiet log.
        let level = if log::log_enabled!(log::Level::Info) { log::Level::Info } else { log::Level::Warn };
        log::log!(level, "config: {changes}");
        log::set_max_level(config.log_level.filter());
        old.responses.limit(config.responses_store);
        old.keys.reload(&config.auth_keys);
        old.usage.name_keys(old.keys.names());
        old.pool.reload(config.project_id_map.clone(), &config.gemini_api_keys);
        old.pool.poll_file();
        if let Some(certificates) = &old.certificates {
            certificates.refresh();
        }
        self.current.configure(config);
        let app = self.current.get();
        app.introduce();
        app.models.doubts(&app.config.models, &app.config.model_routes).iter().for_each(|doubt| log::warn!("{doubt}"));
        self.current.get().warn_about_few_credentials(self.address.port());
    }

    /// Ends in order: say that it ends while whoever balances load looks elsewhere, stop accepting, let answers finish for at most the configured time, join the threads.
    pub fn stop(mut self) {
        notify::tell("STOPPING=1");
        if let Some(watchdog) = self.watchdog {
            watchdog.stop();
        }
        let config = &self.current.get().config;
        self.running.leave(config.drain_delay);
        let cut = self.running.stop(config.drain);
        if cut > 0 {
            log::warn!("{cut} answers were still running and had to be cut");
        }
        if let Some(reporter) = self.reporter {
            reporter.stop();
        }
        if let Some(replicas) = &self.current.get().replicas {
            replicas.stop();
        }
        // Calls to Google that nobody waits for any more would only delay the end.
        self.agent.shutdown();
        #[cfg(feature = "alerts")]
        self.alerts.stop();
        self.refresher.stop();
        self.maintenance.stop();
        // Tokens that a full disk has kept out of the file have a last chance.
        self.current.get().pool.poll_file();
        self.saver.stop();
        self.current.get().usage.stop();
        self.signatures.iter().for_each(SignatureFile::finish);
        log::info!("Application shutdown complete.");
    }
}

#[cfg(feature = "vertex")]
fn vertex(dispatcher: Dispatcher, agent: &ureq::Agent, config: &Config) -> Dispatcher {
    dispatcher.with_vertex(Box::new(upstream::Vertex::new(agent.clone(), config.endpoints.vertex.as_deref())))
}

#[cfg(not(feature = "vertex"))]
fn vertex(dispatcher: Dispatcher, _: &ureq::Agent, _: &Config) -> Dispatcher {
    dispatcher
}

/// The pool goes on where it was, and the state file follows it from now on.
fn keep_usage(state: &State, keys: &Keys, config: &Config) -> Result<Arc<Usage>, StartError> {
    let history = History::beside(&config.state_file, config.requests_history).map_err(StartError::Thread)?;
    let usage = Arc::new(Usage::restore(&state.take("usage"), keys.names()).with_history(history));
    let (counted, kept) = (usage.clone(), usage.clone());
    state.own("usage", move || counted.version(), move |part, sink| kept.save(part, sink));
    Ok(usage)
}

/// What serves the names of models, as answers said.
fn keep_serving(state: &State, pool: &Credentials, serving: Serving) -> Arc<Serving> {
    let section = state.take("serving");
    let kept = section.records().find(|(name, _)| *name == LIST);
    let kept = kept.and_then(|(_, json)| serde_json::from_str(json).ok()).unwrap_or_default();
    serving.restore(kept, |credential| pool.view(CredentialId(credential)).is_some());
    let serving = Arc::new(serving);
    let (changed, told) = (serving.clone(), serving.clone());
    state.own("serving", move || changed.changes(), move |_, sink| sink.put(LIST, &told.kept()));
    serving
}

/// The credentials, with what the state file says of them. What replicas share stands there no more, and stays as it was.
fn open_pool(
    state: &Arc<State>,
    config: &Config,
    tuning: &Tuning,
    agent: &ureq::Agent,
) -> Result<Arc<Credentials>, StartError> {
    let options = Options { timing: tuning.timing, ..Options::new(config, agent.clone()) };
    let options = match options.is_shared {
        true => options,
        false => Options { remembered: state.take("pool").value(), ..options },
    };
    let is_shared = options.is_shared;
    let pool = Arc::new(Credentials::open(options).map_err(StartError::Credentials)?);
    if !is_shared {
        let (changed, kept) = (pool.clone(), pool.clone());
        state.own("pool", move || changed.version(), move |part, sink| kept.save(part, sink));
    }
    Ok(pool)
}

fn keep_keys(state: &State, config: &Config) -> Arc<Keys> {
    let keys = Arc::new(Keys::new(&config.auth_keys, &state.take("keys")));
    if keys.is_spoilt() {
        state.keep_copy("keys");
    }
    let (changed, kept) = (keys.clone(), keys.clone());
    state.own("keys", move || changed.version(), move |part, sink| kept.save(part, sink));
    keys
}

/// Usage calls keys by the names that other replicas give them.
#[cfg(feature = "replicas")]
fn observe_keys(keys: &Keys, usage: &Arc<Usage>) {
    let usage = usage.clone();
    keys.observe(move |keys| usage.name_keys(keys.names()));
}

/// Google's list of models as it was last; in an older file it is all of its section.
fn listed(section: &Section) -> Vec<Listed> {
    let list = section.records().find(|(name, _)| matches!(*name, "" | LIST));
    list.and_then(|(_, json)| serde_json::from_str(json).ok()).unwrap_or_default()
}

/// Two descriptors a stream, and some that stay for files, for the threads' own work, and for telling who comes too late.
fn most_connections(open_files: u64) -> usize {
    let free = open_files.saturating_sub(40).max(open_files / 4);
    usize::try_from(free / 2).unwrap_or(usize::MAX).max(4)
}

/// What the listener shows its clients, where it speaks TLS.
pub fn certificates(config: &Config) -> Result<Option<Arc<Certificates>>, StartError> {
    let load = |files: &TlsFiles| Certificates::load(&files.certificate, &files.key);
    let loaded = config.tls.as_ref().map(load).transpose();
    loaded.map(|loaded| loaded.map(Arc::new)).map_err(|error| StartError::Listener(format!("server.tls: {error}")))
}

fn bind(config: &Config) -> Result<Server, StartError> {
    let (sizes, limits) = (config.sizes, Limits::default());
    let limits = Limits {
        workers: sizes.workers,
        max_connections: sizes.max_connections.min(most_connections(platform::raise_open_files())),
        max_connections_per_address: sizes.max_connections_per_address,
        max_body: sizes.max_body,
        body_budget: limits.body_budget.max(sizes.max_body * 2),
        ..limits
    };
    Server::bind(&config.host, config.port, limits)
        .map_err(|error| StartError::Listener(format!("cannot listen on {}:{}: {error}", config.host, config.port)))
}
