//! Whether the engine serves and its database answers: what `/readyz` tells.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::http;
use crate::storage::Database;

/// What `/readyz` looks at.
#[derive(Clone, Default)]
pub(super) struct Readiness {
    serving: Arc<AtomicBool>,
    database: Arc<OnceLock<Database>>,
}

impl Readiness {
    pub fn serving(&self) {
        self.serving.store(true, Ordering::Release);
    }

    pub fn database_is(&self, database: Database) {
        let _ = self.database.set(database);
    }

    /// As a question that the internal server asks.
    pub fn asked(self) -> http::internal::Readiness {
        http::internal::Readiness::new(move || {
            let readiness = self.clone();
            async move {
                match readiness.database.get() {
                    Some(database) if readiness.serving.load(Ordering::Acquire) => {
                        database.ping().await.map_err(|error| error.to_string())
                    }
                    _ => Err("the engine is starting".to_owned()),
                }
            }
        })
    }
}
