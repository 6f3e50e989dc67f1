//! A listening HTTP server, and its orderly end.

use std::net::SocketAddr;

use tokio::task::JoinHandle;

/// A listening HTTP server.
pub(super) struct Server {
    pub handle: actix_web::dev::ServerHandle,
    pub running: JoinHandle<std::io::Result<()>>,
    pub address: SocketAddr,
}

impl Server {
    pub fn run((server, address): (actix_web::dev::Server, SocketAddr)) -> Self {
        Self { handle: server.handle(), running: actix_rt::spawn(server), address }
    }

    /// Takes no more connections, answers what was accepted, ends.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        // One that ended by itself has been waited for already.
        if !self.running.is_finished() {
            let _ = self.running.await;
        }
    }
}
