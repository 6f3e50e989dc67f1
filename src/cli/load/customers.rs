//! The customers of a run: registered through the API, with sessions that are renewed, or from a file of access tokens.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::client::Client;
use super::schedule::Share;
use super::shop::{self, Bearer, SessionAnswer};

/// Registrations at the same time; hashing a password is slow on purpose.
const REGISTRATIONS_AT_ONCE: usize = 4;
/// How long one registration may take, rate limits included.
const REGISTERED_WITHIN: Duration = Duration::from_secs(120);
/// A session is renewed after this share of its access token's lifetime.
const RENEW_AT: f64 = 0.7;
/// A failed renewal is repeated after this time.
const RENEW_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// A longer lifetime in an answer is cut to this.
const SESSION_SECONDS_MAX: u64 = 7 * 86_400;

/// One customer, signed in.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Session {
    pub bearer: Bearer,
    /// The number among all customers of a run.
    pub number: usize,
    renewal: Option<Renewal>,
}

#[derive(Debug, Clone)]
struct Renewal {
    sign_in: SignIn,
    refresh_token: String,
    due: Instant,
}

/// The credentials of an account.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::cli) struct SignIn {
    pub email: String,
    pub password: String,
}

impl SignIn {
    pub(in crate::cli) async fn session(&self, client: &Client) -> anyhow::Result<Session> {
        let body = json!({"email": self.email, "password": self.password}).to_string();
        let shown = shop::ask(client, shop::post("/v1/auth/login", None, body.into())).await?;
        Session::of(shown, self.clone())
    }
}

impl Session {
    fn of(shown: SessionAnswer, sign_in: SignIn) -> anyhow::Result<Self> {
        let lasts = Duration::from_secs(shown.expires_in.min(SESSION_SECONDS_MAX)).mul_f64(RENEW_AT);
        let due = Instant::now() + lasts;
        Ok(Self {
            bearer: shop::bearer(&shown.access_token)?,
            number: 0,
            renewal: Some(Renewal { sign_in, refresh_token: shown.refresh_token, due }),
        })
    }

    pub(super) fn is_due(&self) -> bool {
        self.renewal.as_ref().is_some_and(|renewal| Instant::now() >= renewal.due)
    }

    /// Gets new tokens. A refresh token works once: if its answer was lost, the customer signs in again. A session from
    /// a token file is not renewed, and a failed renewal is due again a little later.
    pub(super) async fn renew(&mut self, client: &Client) -> anyhow::Result<()> {
        let Some(renewal) = &mut self.renewal else { return Ok(()) };
        let body = Bytes::from(json!({"refresh_token": renewal.refresh_token}).to_string());
        let refreshed = shop::ask(client, shop::post("/v1/auth/refresh", None, body)).await;
        let renewed = match refreshed {
            Ok(shown) => Self::of(shown, renewal.sign_in.clone()),
            Err(_) => renewal.sign_in.session(client).await,
        };
        match renewed {
            Ok(renewed) => *self = Self { number: self.number, ..renewed },
            Err(error) => {
                renewal.due = Instant::now() + RENEW_AGAIN_AFTER;
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Registers this share of `count` customers of a run.
pub(super) async fn register(
    client: &Client,
    run: &str,
    count: usize,
    share: Share,
) -> anyhow::Result<Vec<Session>> {
    stream::iter((share.index..count).step_by(share.of))
        .map(|number| register_one(client, format!("load-{run}-{number}@load.example")))
        .buffered(REGISTRATIONS_AT_ONCE)
        .try_collect()
        .await
}

async fn register_one(client: &Client, email: String) -> anyhow::Result<Session> {
    let sign_in = SignIn { email, password: uuid::Uuid::new_v4().to_string() };
    let SignIn { email, password } = &sign_in;
    let body = json!({"email": email, "password": password, "name": "Load"}).to_string();
    let give_up = Instant::now() + REGISTERED_WITHIN;
    loop {
        let answer = client.send(shop::post("/v1/auth/register", None, body.clone().into())).await;
        let wait = match &answer {
            Ok(answer) if answer.status == 201 => {
                return Session::of(serde_json::from_slice(&answer.body)?, sign_in);
            }
            Ok(answer) if matches!(answer.status, 429 | 503) => shop::retry_after(answer),
            Ok(answer) => {
                let said = String::from_utf8_lossy(&answer.body).into_owned();
                anyhow::bail!("a customer could not be registered: {} {said}", answer.status)
            }
            Err(_) => Duration::from_secs(1),
        };
        anyhow::ensure!(Instant::now() + wait < give_up, "no customer could be registered in time");
        tokio::time::sleep(wait).await;
    }
}

/// This share of the access tokens in a file, one per line; all must outlast the run.
pub(super) fn from_file(path: &Path, share: Share, run_lasts: Duration) -> anyhow::Result<Vec<Session>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("the token file {}", path.display()))?;
    let tokens: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut distinct = HashSet::new();
    if let Some(twice) = tokens.iter().position(|token| !distinct.insert(token.trim())) {
        anyhow::bail!("{}: token {} appears twice", path.display(), twice + 1);
    }
    let sessions = tokens.into_iter().skip(share.index).step_by(share.of).map(|token| {
        let token = token.trim();
        if let Some(expires_at) = expiry(token) {
            let left = expires_at - jiff::Timestamp::now().as_second();
            anyhow::ensure!(
                u64::try_from(left).is_ok_and(|left| left > run_lasts.as_secs()),
                "{}: a token is valid for {left} more seconds only, and the run takes {}",
                path.display(),
                run_lasts.as_secs()
            );
        }
        Ok(Session { bearer: shop::bearer(token)?, number: 0, renewal: None })
    });
    let sessions = sessions.collect::<anyhow::Result<Vec<_>>>()?;
    anyhow::ensure!(!sessions.is_empty(), "{} has no token for this share", path.display());
    Ok(sessions)
}

/// When a JWT expires, in seconds since 1970; `None` for another kind of token.
fn expiry(token: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }

    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Claims>(&claims).ok().map(|claims| claims.exp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_expires_during_the_run_is_refused_and_shares_are_disjoint() {
        let token = |expires_at: i64| {
            let claims = URL_SAFE_NO_PAD.encode(format!("{{\"exp\": {expires_at}}}"));
            format!("e30.{claims}.signature")
        };
        let path = std::env::temp_dir().join(format!("shobai-tokens-{}", uuid::Uuid::now_v7()));
        let now = jiff::Timestamp::now().as_second();
        std::fs::write(&path, format!("{}\n{}\n\nopaque\n", token(now + 3_600), token(now + 7_200))).unwrap();
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        assert_eq!(from_file(&path, Share { index: 0, of: 1 }, minutes(10)).unwrap().len(), 3);
        assert!(from_file(&path, Share { index: 0, of: 1 }, minutes(61)).is_err());
        assert_eq!(from_file(&path, Share { index: 0, of: 2 }, minutes(10)).unwrap().len(), 2);
        assert_eq!(from_file(&path, Share { index: 1, of: 2 }, minutes(61)).unwrap().len(), 1);
        assert!(from_file(&path, Share { index: 3, of: 4 }, minutes(1)).is_err());
        std::fs::remove_file(path).unwrap();
    }
}
