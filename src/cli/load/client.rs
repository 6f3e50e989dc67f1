//! A light HTTP/1.1 client: keep-alive connections, requests with a deadline, answers as bytes.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The longest accepted answer; those of a shop are far shorter.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

pub(in crate::cli) type Body = Full<Bytes>;

/// The address of a shop.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Target {
    /// As it was given, without a trailing slash.
    pub url: String,
    pub host: String,
    port: u16,
    authority: HeaderValue,
    tls: Option<Arc<ClientConfig>>,
}

impl Target {
    pub(in crate::cli) fn parse(url: &str) -> anyhow::Result<Self> {
        let url = url.trim_end_matches('/');
        let uri: hyper::Uri = url.parse().map_err(|error| anyhow::anyhow!("target {url}: {error}"))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => anyhow::bail!("target {url}: it must begin with http:// or https://"),
        };
        anyhow::ensure!(matches!(uri.path(), "" | "/"), "target {url}: it must not have a path");
        let authority =
            uri.authority().ok_or_else(|| anyhow::anyhow!("target {url}: it must have a host"))?;
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = || Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
        Ok(Self {
            url: url.to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            authority: HeaderValue::from_str(authority.as_str())?,
            tls: is_tls.then(tls),
        })
    }

    pub(in crate::cli) fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// A complete answer.
#[derive(Debug)]
pub(in crate::cli) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli) enum RequestError {
    /// The request was never sent.
    #[error("no-connection")]
    NoConnection,
    /// The connection broke after the request may have been sent.
    #[error("connection-broken")]
    Broken,
    #[error("no-answer-in-time")]
    TimedOut,
}

/// The connections of one generator thread.
pub(in crate::cli) struct Client {
    target: Target,
    timeout: Duration,
    places: Semaphore,
    idle: RefCell<Vec<SendRequest<Body>>>,
    opened: Cell<u64>,
}

impl Client {
    pub(in crate::cli) fn new(target: Target, connections: usize, timeout: Duration) -> Self {
        Self {
            target,
            timeout,
            places: Semaphore::new(connections),
            idle: RefCell::default(),
            opened: Cell::new(0),
        }
    }

    /// Connections opened so far.
    pub(super) fn opened(&self) -> u64 {
        self.opened.get()
    }

    /// Sends the request on an exclusive connection, and waits for the whole answer.
    pub(in crate::cli) async fn send(&self, request: Request<Body>) -> Result<Answer, RequestError> {
        match tokio::time::timeout(self.timeout, self.send_unhurried(request)).await {
            Ok(answer) => answer,
            // The connection was dropped with the future, because its answer may still come.
            Err(_) => Err(RequestError::TimedOut),
        }
    }

    /// Sends the request on a new connection, and returns when the answer begins, which must be within that time; its
    /// body may take as long as it likes.
    pub(in crate::cli) async fn open_stream(
        &self,
        mut request: Request<Body>,
        within: Duration,
    ) -> Result<Response<Incoming>, RequestError> {
        request.headers_mut().insert(HOST, self.target.authority.clone());
        let answer = async {
            let mut connection = self.open().await?;
            connection.send_request(request).await.map_err(|_| RequestError::Broken)
        };
        tokio::time::timeout(within, answer).await.map_err(|_| RequestError::TimedOut)?
    }

    async fn send_unhurried(&self, mut request: Request<Body>) -> Result<Answer, RequestError> {
        request.headers_mut().insert(HOST, self.target.authority.clone());
        let _place: SemaphorePermit<'_> =
            self.places.acquire().await.map_err(|_| RequestError::NoConnection)?;
        loop {
            let kept = self.idle.borrow_mut().pop();
            let was_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) if connection.is_closed() => continue,
                Some(connection) => connection,
                None => self.open().await?,
            };
            match connection.try_send_request(request).await {
                Ok(answer) => {
                    let (head, body) = answer.into_parts();
                    let body = http_body_util::Limited::new(body, ANSWER_BYTES_MAX);
                    let body = body.collect().await.map_err(|_| RequestError::Broken)?.to_bytes();
                    self.idle.borrow_mut().push(connection);
                    return Ok(Answer { status: head.status.as_u16(), headers: head.headers, body });
                }
                Err(mut error) => match error.take_message() {
                    // The shop closed an idle connection.
                    Some(unsent) if was_kept => request = unsent,
                    Some(_) => return Err(RequestError::NoConnection),
                    None => return Err(RequestError::Broken),
                },
            }
        }
    }

    async fn open(&self) -> Result<SendRequest<Body>, RequestError> {
        let stream = TcpStream::connect((&*self.target.host, self.target.port))
            .await
            .map_err(|_| RequestError::NoConnection)?;
        let _ = stream.set_nodelay(true);
        self.opened.set(self.opened.get() + 1);
        match &self.target.tls {
            None => speak_http(stream).await,
            Some(config) => {
                let name =
                    ServerName::try_from(self.target.host.clone()).map_err(|_| RequestError::NoConnection)?;
                let stream = TlsConnector::from(config.clone()).connect(name, stream).await;
                speak_http(stream.map_err(|_| RequestError::NoConnection)?).await
            }
        }
    }
}

async fn speak_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
) -> Result<SendRequest<Body>, RequestError> {
    // A small request is written in one piece, which costs less than a vectored write.
    let (sender, connection) = http1::Builder::new()
        .writev(false)
        .handshake::<_, Body>(TokioIo::new(stream))
        .await
        .map_err(|_| RequestError::NoConnection)?;
    tokio::task::spawn_local(async move {
        // The requests on this connection get its error.
        let _ = connection.await;
    });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_scheme_and_a_host() {
        let target = Target::parse("http://127.0.0.1:8080/").unwrap();
        assert_eq!((&*target.host, target.port), ("127.0.0.1", 8080));
        assert!(target.is_loopback() && target.tls.is_none());
        let target = Target::parse("https://shop.example").unwrap();
        assert_eq!((&*target.host, target.port), ("shop.example", 443));
        assert!(!target.is_loopback() && target.tls.is_some());
        for other in ["shop.example", "ftp://shop.example", "http://", "http://shop.example/v1"] {
            assert!(Target::parse(other).is_err(), "{other}");
        }
    }
}
