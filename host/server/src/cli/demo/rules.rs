//! The rule that decided each request, from the server's audit events: a response does not contain it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Rules by the ids of requests.
#[derive(Clone, Default)]
pub(super) struct Rules(Arc<Mutex<HashMap<String, String>>>);

impl Rules {
    /// Collects from now on. Nothing else is written of the log.
    pub(super) fn collect() -> Self {
        let rules = Self::default();
        let subscriber = tracing_subscriber::registry().with(rules.clone());
        // It fails only where somebody set another one before; this is the first thing that the process does.
        let _ = tracing::subscriber::set_global_default(subscriber);
        rules
    }

    pub(super) fn of(&self, request_id: Option<&str>) -> String {
        let rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        request_id.and_then(|id| rules.get(id)).cloned().unwrap_or_else(|| "(no audit record)".to_owned())
    }
}

impl<S: Subscriber> Layer<S> for Rules {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "audit" {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let rule = match fields.denied_by.as_str() {
            "" => fields.rule,
            guard => format!("{} by {guard}", fields.rule),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(fields.request_id, rule);
    }
}

#[derive(Default)]
struct Fields {
    request_id: String,
    rule: String,
    denied_by: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "request_id" => value.clone_into(&mut self.request_id),
            "rule" => value.clone_into(&mut self.rule),
            "denied_by" => value.clone_into(&mut self.denied_by),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
