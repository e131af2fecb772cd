//! What requests use, and how a reload or a new model list puts another one in its place.

use crate::api::openai_responses::Store;
use crate::api::{Context, Fetch};
use crate::config::Config;
use crate::credentials::Credentials;
use crate::credentials::consent::Logins;
use crate::dispatch::Dispatcher;
use crate::gemini::models::{Listed, ModelTable, Serving};
use crate::gemini::signatures::SignatureCache;
use crate::http::{Caller, Certificates, Gauge, Response};
use crate::keys::Keys;
use crate::os::room::Room;
use crate::serve::access::Guard;
use crate::serve::uploads::Uploads;
use crate::storage::state::State;
use crate::store::Replicas;
use crate::usage::Usage;
use parking_lot::RwLock;
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// What every request may use. Parts that a reload changes are plain values, all others are shared with the [`App`] that
/// takes this one's place.
pub struct App {
    /// What the user said.
    pub config: Config,
    /// Who may call.
    pub guard: Guard,
    /// The models: the built-in table, the config's, and what Google lists.
    pub models: ModelTable,
    /// The same for requests whose first model cannot serve them: routes lead to their second model, their third and so on.
    pub spare_models: Vec<ModelTable>,
    /// What Google lists for the pool's keys.
    pub listed: Arc<Vec<Listed>>,
    /// Thought signatures of earlier answers.
    pub signatures: Arc<SignatureCache>,
    /// Responses of the Responses API that clients may go on from.
    pub responses: Arc<Store>,
    /// Gets images by address.
    pub fetch: Arc<dyn Fetch>,
    /// The credentials.
    pub pool: Arc<Credentials>,
    /// Logins with Google that are under way.
    pub logins: Arc<Logins>,
    /// Sends requests to Google.
    pub dispatcher: Arc<Dispatcher>,
    /// Uploads that are under way.
    pub uploads: Arc<Uploads>,
    /// Counters.
    pub usage: Arc<Usage>,
    /// What outlives a restart.
    pub state: Arc<State>,
    /// The keys of the clients.
    pub keys: Arc<Keys>,
    /// Those that share a store with this one; `None`: it is alone.
    pub replicas: Option<Arc<Replicas>>,
    /// The memory for parsed requests.
    pub room: Arc<Room>,
    /// Callers without a key: those of the admin pages.
    pub of_pages: Caller,
    /// What the listener shows its clients, where it speaks TLS.
    pub certificates: Option<Arc<Certificates>>,
    /// Since when it runs.
    pub started: Instant,
    /// The port it listens on.
    pub port: u16,
    /// The server's figures, once it serves.
    pub server: Arc<OnceLock<Gauge>>,
}

/// Names in the config that lead to no known model, for who does not know what Google lists.
pub fn doubts(config: &Config) -> Vec<String> {
    ModelTable::new(&config.models).doubts(&config.models, &config.model_routes)
}

/// The present [`App`]: each request takes it once, and a reload puts another one here.
pub struct Current {
    app: RwLock<Arc<App>>,
    /// How many model lists were learnt.
    lists: AtomicU64,
}

impl Current {
    pub(super) fn new(app: App) -> Current {
        Current { app: RwLock::new(Arc::new(app)), lists: AtomicU64::new(0) }
    }

    /// The one for a request that begins now.
    pub fn get(&self) -> Arc<App> {
        self.app.read().clone()
    }

    /// Rises with every model list.
    pub(super) fn lists(&self) -> u64 {
        self.lists.load(Ordering::Acquire)
    }

    /// Takes over what Google lists.
    pub fn learn(&self, list: Vec<Listed>) {
        let mut app = self.app.write();
        *app = Arc::new(app.with(app.config.clone(), Arc::new(list)));
        self.lists.fetch_add(1, Ordering::Release);
    }

    pub(super) fn configure(&self, config: Config) {
        let mut app = self.app.write();
        *app = Arc::new(app.with(config, app.listed.clone()));
    }
}

/// The models, and those for requests whose first model cannot serve them.
pub(super) fn tables(config: &Config, listed: &[Listed], serving: &Arc<Serving>) -> (ModelTable, Vec<ModelTable>) {
    let table = |position: usize| {
        let nth = |models: &[String]| models[position.min(models.len() - 1)].clone();
        let routes: Vec<_> = config.model_routes.iter().map(|(names, models)| (names.clone(), nth(models))).collect();
        let mut models = ModelTable::new(&config.models).serving(serving);
        models.route(&routes);
        models.learn(listed);
        models
    };
    let longest = config.model_routes.iter().map(|(_, models)| models.len()).max().unwrap_or(1);
    (table(0), (1..longest).map(table).collect())
}

impl App {
    /// The same with another config or model list.
    fn with(&self, config: Config, listed: Arc<Vec<Listed>>) -> App {
        let (models, spare_models) = tables(&config, &listed, self.dispatcher.serving());
        App {
            guard: self.guard.with(&config),
            models,
            spare_models,
            listed,
            signatures: self.signatures.clone(),
            responses: self.responses.clone(),
            fetch: self.fetch.clone(),
            pool: self.pool.clone(),
            dispatcher: self.dispatcher.clone(),
            uploads: self.uploads.clone(),
            logins: self.logins.clone(),
            usage: self.usage.clone(),
            state: self.state.clone(),
            keys: self.keys.clone(),
            replicas: self.replicas.clone(),
            of_pages: self.of_pages.clone(),
            room: self.room.clone(),
            certificates: self.certificates.clone(),
            started: self.started,
            port: self.port,
            server: self.server.clone(),
            config,
        }
    }

    /// What a dialect may use for the client of this key.
    pub(super) fn context<'a>(&'a self, key_name: &'a str) -> Context<'a> {
        Context {
            models: &self.models,
            signatures: &self.signatures,
            fetch: &*self.fetch,
            key_name,
            settings: &self.config.settings,
            asked: None,
        }
    }

    /// Whether it may get traffic, as far as other replicas are concerned.
    pub(super) fn readiness(&self) -> Response {
        match self.replicas.as_ref().and_then(|replicas| replicas.unready()) {
            Some(why) => Response::json(503, &json!({"status": why})).with_header("Retry-After", "1"),
            None => Response::json(200, &json!({"status": "ready"})),
        }
    }

    /// Tells other replicas how this one is, and with which config.
    pub(super) fn introduce(&self) {
        if let Some((replicas, gauge)) = self.replicas.as_ref().zip(self.server.get().cloned()) {
            let busy = move || {
                let figures = gauge.snapshot();
                [figures.busy, figures.workers]
            };
            replicas.introduce(Box::new(busy), &self.config);
        }
    }

    pub(super) fn warn_about_few_credentials(&self, port: u16) {
        let wanted = self.config.min_credentials;
        let available = self.pool.views().iter().filter(|view| view.available).count() as u64;
        if wanted > 0 && available < wanted {
            log::warn!(
                "Available credentials ({available}) is less than the required minimum ({wanted}). Please add more \
                 credentials via the admin page: {}/oauth2/login",
                self.config.base_url(port)
            );
            // The line above is the old program's; a login needs a licence by now, and a key does not.
            if available == 0 {
                log::warn!("A Gemini API key is the quickest way: add one at {}/#add", self.config.base_url(port));
            }
        }
    }
}
