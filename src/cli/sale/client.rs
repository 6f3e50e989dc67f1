//! An operator's REST client of a running engine: sign-in, requests, and refusals.

use std::fmt::{self, Display, Formatter};
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, HeaderValue};
use hyper::{Request, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::text;
use crate::cli::load::client::{Body, Client, Target};
use crate::cli::load::customers::SignIn;
use crate::cli::load::shop::{self, Bearer};
use crate::config::{Config, milliseconds};
use crate::http::views::FindingView;

/// The client waits this much longer than the engine lets a request take.
const GRACE: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub(in crate::cli) struct Access {
    /// The address of the engine.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A file with the access token of a staff account. Without it the demo's admin of `<data_dir>/demo.json` signs in,
    /// at an engine on this machine only.
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
    /// Prints the engine's JSON answer unchanged.
    #[arg(long)]
    pub json: bool,
}

impl Access {
    /// Connects as the token's owner, or signs the demo's admin in.
    pub(super) async fn open(&self, config: &Config) -> anyhow::Result<OperatorClient> {
        let target = Target::parse(&self.url).context("--url")?;
        let answered_within = milliseconds(config.http.request_within_ms) + GRACE;
        let client = Client::new(target.clone(), 1, answered_within);
        let staff = match &self.token {
            Some(file) => {
                let token = std::fs::read_to_string(file)
                    .with_context(|| format!("the token file {}", file.display()))?;
                shop::bearer(token.trim()).with_context(|| format!("{} is no token", file.display()))?
            }
            None => {
                // The demo's password must not be sent to another machine.
                anyhow::ensure!(target.is_loopback(), "{} is not on this machine: give a --token", self.url);
                let session = demo_admin(config)?.session(&client).await;
                session.with_context(|| format!("no sign-in at {}", self.url))?.bearer
            }
        };
        let report_within = Duration::from_secs(config.sales.report_within_seconds) + GRACE;
        Ok(OperatorClient {
            client,
            answered_within,
            report_within,
            staff,
            url: self.url.clone(),
            is_raw: self.json,
        })
    }
}

fn demo_admin(config: &Config) -> anyhow::Result<SignIn> {
    #[derive(Deserialize)]
    struct SignIns {
        admin: SignIn,
    }

    let path = config.storage.data_dir.join("demo.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("give a --token: there is no demo sign-in in {}", path.display()))?;
    let SignIns { admin } =
        serde_json::from_str(&text).with_context(|| format!("{} has no sign-in", path.display()))?;
    Ok(admin)
}

/// A signed-in operator.
pub(super) struct OperatorClient {
    client: Client,
    answered_within: Duration,
    report_within: Duration,
    staff: Bearer,
    url: String,
    is_raw: bool,
}

/// An answer of the engine, parsed and as it came.
pub(super) struct EngineAnswer<T> {
    pub value: T,
    raw: String,
    is_raw: bool,
}

impl<T> EngineAnswer<T> {
    /// Prints the JSON unchanged where that is wanted, else this text.
    pub(super) fn print_as(&self, text: impl FnOnce(&T) -> String) {
        let text = if self.is_raw { self.raw.clone() } else { text(&self.value) };
        // A reader that closes the pipe early, such as `head`, is no error.
        if let Err(error) = writeln!(std::io::stdout(), "{}", text.trim_end())
            && error.kind() != ErrorKind::BrokenPipe
        {
            eprintln!("the answer cannot be written: {error}");
        }
    }
}

/// The engine refused the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub status: u16,
    pub raw: String,
}

impl std::error::Error for Refused {}

impl Display for Refused {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        #[derive(Deserialize)]
        struct Problem {
            code: String,
            detail: String,
            #[serde(default)]
            findings: Vec<FindingView>,
        }

        let Ok(problem) = serde_json::from_str::<Problem>(&self.raw) else {
            return write!(formatter, "refused: {} {}", self.status, self.raw);
        };
        write!(formatter, "{} ({})", problem.detail, problem.code)?;
        problem.findings.iter().try_for_each(|finding| write!(formatter, "\n  {}", text::finding(finding)))
    }
}

impl OperatorClient {
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<EngineAnswer<T>> {
        self.ask(shop::get(path, Some(&self.staff))).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: impl Into<Bytes>,
    ) -> anyhow::Result<EngineAnswer<T>> {
        self.ask(shop::post(path, Some(&self.staff), body.into())).await
    }

    pub(super) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: impl Into<Bytes>,
    ) -> anyhow::Result<EngineAnswer<T>> {
        self.ask(shop::request("PATCH", path, Some(&self.staff), body.into())).await
    }

    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<EngineAnswer<T>> {
        self.ask(shop::request("DELETE", path, Some(&self.staff), Bytes::new())).await
    }

    /// Fetches a document of any length and writes it as it arrives. Answers with the number of bytes.
    pub(super) async fn fetch(
        &self,
        path: &str,
        media_type: &'static str,
        mut to: impl std::io::Write,
    ) -> anyhow::Result<usize> {
        use http_body_util::BodyExt as _;

        let mut body = self.open(path, media_type, self.report_within).await?.into_body();
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                bytes += data.len();
                to.write_all(&data)?;
            }
        }
        to.flush()?;
        Ok(bytes)
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request<Body>) -> anyhow::Result<EngineAnswer<T>> {
        let what = format!("{} {}{}", request.method(), self.url, request.uri());
        let answer = self.client.send(request).await.with_context(|| what.clone())?;
        let raw = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status >= 300 {
            return Err(Refused { status: answer.status, raw }.into());
        }
        let value = serde_json::from_str(&raw).with_context(|| {
            format!("{what}: the answer cannot be parsed; is this command as new as the engine? {raw}")
        })?;
        Ok(EngineAnswer { value, raw, is_raw: self.is_raw })
    }

    /// Opens a stream of events.
    pub(super) async fn listen(&self, path: &str) -> anyhow::Result<Response<Incoming>> {
        self.open(path, "text/event-stream", self.answered_within).await
    }

    /// Opens an answer of any length.
    async fn open(
        &self,
        path: &str,
        media_type: &'static str,
        within: Duration,
    ) -> anyhow::Result<Response<Incoming>> {
        use http_body_util::BodyExt as _;

        let mut request = shop::get(path, Some(&self.staff));
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(media_type));
        let answer = self
            .client
            .open_stream(request, within)
            .await
            .with_context(|| format!("GET {}{path}", self.url))?;
        let status = answer.status().as_u16();
        if status >= 300 {
            let body = answer.into_body().collect().await?.to_bytes();
            return Err(Refused { status, raw: String::from_utf8_lossy(&body).into_owned() }.into());
        }
        Ok(answer)
    }
}

/// Percent-encodes a text for a query (RFC 3986, 2.1).
pub(super) fn in_a_query(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A SKU as a path segment; refuses what could lead to another path.
pub(super) fn in_a_path(sku: &str) -> anyhow::Result<&str> {
    let is_sku = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_' || byte == b'-';
    let is_dots = sku.bytes().all(|byte| byte == b'.');
    anyhow::ensure!(!is_dots && sku.bytes().all(is_sku), "{sku:?} is not a SKU");
    Ok(sku)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_prints_its_detail_and_every_finding() {
        let raw = r#"{"detail": "the sale cannot be run as it is planned", "code": "sale-not-valid",
            "findings": [{"field": "closes_at", "problem": "must be after opens_at"}]}"#;
        let refused = Refused { status: 422, raw: raw.to_owned() };
        let text =
            "the sale cannot be run as it is planned (sale-not-valid)\n  closes_at: must be after opens_at";
        assert_eq!(refused.to_string(), text);
        let other = Refused { status: 502, raw: "<html>".to_owned() };
        assert_eq!(other.to_string(), "refused: 502 <html>");
    }

    #[test]
    fn a_text_that_could_lead_to_another_path_is_no_sku() {
        for sku in ["SHOBAI-HOT-1", "a.b_c"] {
            assert_eq!(in_a_path(sku).unwrap(), sku);
        }
        for other in ["", "..", "a/kill", "a?b", "あ", "a b"] {
            assert!(in_a_path(other).is_err(), "{other}");
        }
    }
}
