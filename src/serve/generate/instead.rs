//! Another model answers where the one that was asked for cannot.

use super::{Generation, read};
use crate::api::Exchange;
use crate::error::ApiError;
use crate::os::room;
use crate::serve::money;

impl Generation<'_> {
    /// The same request for the next model that the route of its name leads to, where no credential serves the present
    /// one or it is gone.
    #[inline(never)]
    pub(super) fn with_next_model(
        &mut self,
        exchange: &mut dyn Exchange,
        error: &ApiError,
    ) -> Option<Box<dyn Exchange>> {
        let is_gone = error.code() == Some("model_not_found");
        if self.spare_models.len() == 0 || !(is_gone || self.app.dispatcher.rests(exchange.call())) {
            return None;
        }
        loop {
            let models = self.spare_models.next()?;
            let body = self.request.body.clone();
            let mut next = read(self.app, self.surface, self.key, &mut self.request, models, None).ok()?;
            self.request.body = body;
            let model = next.call().model.clone();
            if model != self.record.model && self.may_ask(&model) {
                log::warn!("No credential serves {}. Asking {model} instead, as model_routes says.", self.record.model);
                self.record.model = model;
                self.asked = room::taken();
                return Some(next);
            }
        }
    }

    /// Whether the same answer may come of another call, by a model that the key may use.
    pub(super) fn asks_instead(&mut self, exchange: &mut dyn Exchange, error: &ApiError) -> bool {
        if !exchange.instead(error) {
            return false;
        }
        let model = exchange.call().model.clone();
        let may = self.may_ask(&model);
        if may {
            log::info!("{} cannot be asked so. Asking {model} another way.", self.record.model);
            self.record.model = model;
        }
        may
    }

    /// The key may use the model, and its budget can count it.
    fn may_ask(&self, model: &str) -> bool {
        self.key.may_use(model, &self.app.models) && money::is_countable(self.app, self.key, model).is_ok()
    }
}
