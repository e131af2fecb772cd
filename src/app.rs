//! The wiring, in dependency order, and the ordered end.

use crate::access::Guard;
use crate::api::Fetch;
use crate::config::Config;
use crate::credentials::{Keeper, Pool, PoolOptions, StoreError};
use crate::dispatch::Dispatcher;
use crate::forward::Uploads;
use crate::gemini::models::ModelTable;
use crate::gemini::signatures::SignatureCache;
use crate::http::{Running, Server};
use crate::state::{Saver, State};
use crate::upstream::agent::{self, AgentOptions, ProxyChoice};
use crate::upstream::{CodeAssist, GenerativeLanguage};
use crate::usage::{Reporter, Usage};
use crate::{endpoints, platform, router, upstream};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What every request may use.
pub struct App {
    /// What the user said.
    pub config: Config,
    /// Who may call.
    pub guard: Guard,
    /// The models.
    pub models: ModelTable,
    /// Thought signatures of earlier answers.
    pub signatures: Arc<SignatureCache>,
    /// Gets images by address.
    pub fetch: Box<dyn Fetch>,
    /// The credentials.
    pub pool: Arc<Pool>,
    /// Sends requests to Google.
    pub dispatcher: Dispatcher,
    /// Uploads that are under way.
    pub uploads: Uploads,
    /// Counters.
    pub usage: Arc<Usage>,
    /// What outlives a restart.
    pub state: Arc<State>,
}

/// Why the program cannot start; the text is one line for the operator.
#[derive(Debug)]
pub enum StartError {
    /// The address cannot be bound.
    Listener(String),
    /// The credentials file cannot be used; it was left as it is.
    Credentials(StoreError),
    /// A thread could not be started.
    Thread(std::io::Error),
}

impl StartError {
    /// The process's exit code: 3 for credentials, as the old program ended then, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            StartError::Credentials(error) => error.exit_code(),
            StartError::Listener(_) | StartError::Thread(_) => 1,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listener(message) => f.write_str(message),
            StartError::Credentials(error) => write!(f, "{error}"),
            StartError::Thread(error) => write!(f, "a thread could not be started: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A program that serves.
pub struct Service {
    app: Arc<App>,
    running: Running,
    address: SocketAddr,
    keeper: Keeper,
    reporter: Option<Reporter>,
    saver: Saver,
    agent: ureq::Agent,
}

impl Service {
    /// Opens the credentials, binds, and starts every thread. Google is not asked for anything before the listener
    /// answers.
    pub fn start(config: Config) -> Result<Service, StartError> {
        let agent = agent::build(&AgentOptions {
            timeouts: config.timeouts,
            workers: config.limits.workers,
            proxy: ProxyChoice::Environment,
        });
        let pool = Arc::new(Pool::open(PoolOptions::new(&config, agent.clone())).map_err(StartError::Credentials)?);
        let state = Arc::new(State::open(&config.state_file));
        if let Some(snapshot) = state.take("pool") {
            pool.restore(&snapshot);
        }
        let snapshot_of = pool.clone();
        state.source("pool", move || snapshot_of.snapshot());
        let limits = crate::http::Limits {
            // Two descriptors a stream, and some for files and idle connections to Google.
            max_connections: config.limits.max_connections.min((platform::raise_open_files() as usize / 2).max(64)),
            ..config.limits.clone()
        };
        let server = Server::bind(&config.host, config.port, limits).map_err(|error| {
            StartError::Listener(format!("cannot listen on {}:{}: {error}", config.host, config.port))
        })?;
        let address = server.local_addr();

        let app = Arc::new(App {
            guard: Guard::new(&config),
            models: ModelTable::new(&config.models),
            signatures: Arc::new(SignatureCache::new(8 * 1024 * 1024, Duration::from_secs(6 * 3600))),
            fetch: upstream::fetcher(),
            dispatcher: Dispatcher::new(
                pool.clone(),
                Box::new(CodeAssist::new(agent.clone(), &config.endpoints.code_assist)),
                Box::new(GenerativeLanguage::new(agent.clone(), &config.endpoints.generative_language)),
                config.max_attempts,
            ),
            uploads: Uploads::default(),
            usage: Arc::new(Usage::default()),
            state: state.clone(),
            pool: pool.clone(),
            config,
        });
        let serving = app.clone();
        let running = server
            .start(router::lane, Arc::new(move |request, responder| endpoints::serve(&serving, request, responder)))
            .map_err(StartError::Thread)?;
        log::info!("listening on http://{address}");

        let keeper = Keeper::start(pool.clone()).map_err(StartError::Thread)?;
        let reporter = match app.config.usage_interval {
            Some(interval) => Some(Reporter::start(app.usage.clone(), pool, interval).map_err(StartError::Thread)?),
            None => None,
        };
        let saver = Saver::start(state).map_err(StartError::Thread)?;
        app.warn_about_few_credentials(address.port());
        Ok(Service { app, running, address, keeper, reporter, saver, agent })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What requests use, for tests and figures.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Ends in order: stop accepting, let answers finish for at most the configured time, join the threads.
    pub fn stop(self) {
        let cut = self.running.stop(self.app.config.drain);
        if cut > 0 {
            log::warn!("{cut} answers were still running and had to be cut");
        }
        if let Some(reporter) = self.reporter {
            reporter.stop();
        }
        // Calls to Google that nobody waits for any more would only delay the end.
        self.agent.shutdown();
        self.keeper.stop();
        self.saver.stop();
        log::info!("Application shutdown complete.");
    }
}

impl App {
    fn warn_about_few_credentials(&self, port: u16) {
        let wanted = self.config.min_credentials;
        let available = self.pool.views().iter().filter(|view| view.available).count() as u64;
        if wanted > 0 && available < wanted {
            log::warn!(
                "Available credentials ({available}) is less than the required minimum ({wanted}). Please add more \
                 credentials via the admin page: {}/oauth2/login",
                self.config.base_url(port)
            );
        }
    }
}
