//! What stands in the place of `store` in a program that was built without it: replicas that there cannot be.

use crate::config::Config;
use crate::credentials::Credentials;
use crate::credentials::consent::Logins;
use crate::gemini::signatures::SignatureCache;
use crate::keys::Keys;
use crate::message::Message;
use crate::storage::state::State;
use crate::usage::Usage;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Why replicas cannot meet.
#[derive(Debug)]
pub struct StoreFault {
    /// For the operator.
    pub message: String,
    /// The process ends with this.
    pub exit_code: u8,
}

/// This replica among the others.
#[derive(Debug)]
pub enum Replicas {}

/// What `/metrics` shows of the store.
#[derive(Clone, Debug)]
pub enum StoreFigures {}

/// The place of a change among those of all replicas.
#[derive(Clone, Copy, Debug)]
pub struct Cursor;

impl Cursor {
    /// There is none.
    pub fn parse(_: &str) -> Option<Cursor> {
        None
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

/// One line of `check`.
#[derive(Clone, Debug)]
pub enum Finding {
    /// It is well.
    Good(String),
    /// Somebody should look at it.
    Warning(String),
    /// It does not work.
    Error(String),
}

/// Nobody is.
pub fn can_be_asked(_: &Config) -> Result<(), String> {
    Ok(())
}

/// There is nothing to look at.
pub fn look(_: &Config) -> [Finding; 0] {
    []
}

/// There is nothing to look at.
pub fn look_into(_: &Config) -> [Finding; 0] {
    []
}

/// There is nothing to seal.
pub fn reseal(_: &Config) -> Result<usize, String> {
    Err("this program was built without its feature `replicas`".into())
}

/// There is nothing to visit.
pub fn visit(_: &Config, pool: Credentials, _: bool) -> Result<Arc<Credentials>, String> {
    Ok(Arc::new(pool))
}

impl Replicas {
    /// There are none.
    pub fn start(
        _: &Config,
        _: &Arc<Keys>,
        _: &Arc<Credentials>,
        _: &Arc<Usage>,
        _: &Arc<State>,
    ) -> Result<Option<Arc<Replicas>>, StoreFault> {
        Ok(None)
    }

    /// There is nothing to stop.
    pub fn stop(&self) {
        match *self {}
    }

    /// There is nobody to tell.
    pub fn introduce(&self, _: Box<dyn Fn() -> [usize; 2] + Send + Sync>, _: &Config) {
        match *self {}
    }

    /// There are none.
    pub fn all(&self) -> Vec<Value> {
        match *self {}
    }

    /// There is nobody to share them with.
    pub fn share_logins(&self, _: &Logins) {
        match *self {}
    }

    /// There is nobody to share them with.
    pub fn share_signatures(&self, _: &SignatureCache) {
        match *self {}
    }

    /// Nobody would believe it.
    pub fn voucher(&self, _: &str, _: Duration) -> Option<String> {
        match *self {}
    }

    /// Nobody has said it.
    pub fn vouches(&self, _: &str, _: &str) -> bool {
        match *self {}
    }

    /// There is nobody to tell.
    pub fn count(&self, _: &str, _: Duration) {
        match *self {}
    }

    /// There is nobody to tell.
    pub fn forget(&self, _: &str) {
        match *self {}
    }

    /// Nobody has told.
    pub fn counted(&self, _: &str) -> Option<(u32, Duration)> {
        match *self {}
    }

    /// There is nothing to wait for.
    pub fn cursor(&self) -> Cursor {
        match *self {}
    }

    /// Nobody was told anything elsewhere.
    pub fn wait_for(&self, _: Cursor) {
        match *self {}
    }

    /// Nothing is waited for.
    pub fn unready(&self) -> Option<&'static str> {
        match *self {}
    }

    /// Nothing is away.
    pub fn alert(&self) -> Option<Message> {
        match *self {}
    }

    /// There is nothing to say.
    pub fn health(&self) -> Value {
        match *self {}
    }

    /// There is nothing to count.
    pub fn figures(&self) -> StoreFigures {
        match *self {}
    }
}
