//! A question one domain may ask another, without knowing who answers it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix::Message;

type Answer<M> = Pin<Box<dyn Future<Output = <M as Message>::Result> + Send>>;

/// A closure over an actor's handle, over a remote peer, or over a test's fake; the asker cannot tell which.
pub struct Port<M: Message> {
    ask: Arc<dyn Fn(M) -> Answer<M> + Send + Sync>,
}

impl<M: Message> Port<M> {
    pub fn new(ask: impl Fn(M) -> Answer<M> + Send + Sync + 'static) -> Self {
        Self { ask: Arc::new(ask) }
    }

    pub fn ask(&self, message: M) -> impl Future<Output = M::Result> + Send + use<M> {
        (self.ask)(message)
    }
}

impl<M: Message> Clone for Port<M> {
    fn clone(&self) -> Self {
        Self { ask: self.ask.clone() }
    }
}
