//! Access tokens: signed with the engine's own key, and checked by a verifier that asks no other part of the engine.
//!
//! A token is a JWT (RFC 7519) signed with Ed25519 (RFC 8037). No other algorithm, key or issuer is accepted, and it
//! stops working at its expiry to the second, or when its session ends.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use moka::Expiry;
use moka::sync::Cache;
use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::ended_sessions::EndedSessions;
use super::error::UsersError;
use super::model::{Role, User};
use crate::error::{Fault, Kind};
use crate::storage::private_file::{self, PrivateFileError};
use crate::types::{CustomerId, SessionId};

const ISSUER: &str = "shobai";
/// Longer than any token of ours; a longer text is refused without being decoded.
const TOKEN_BYTES_MAX: usize = 2_048;
const REMEMBERED_MAX: u64 = 100_000;
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: CustomerId,
    sid: SessionId,
    role: Role,
    /// Seconds since 1970, as everywhere in a JWT.
    iat: i64,
    exp: i64,
}

/// The key that signs access tokens, made on the first start; cheap to clone.
#[derive(Clone)]
pub struct SigningKey(Arc<KeyParts>);

struct KeyParts {
    encoding: EncodingKey,
    decoding: DecodingKey,
    /// The public key as a JWK writes it.
    x: String,
    id: String,
    header: Header,
}

impl SigningKey {
    /// Reads `<data_dir>/keys/jwt-ed25519.pem` (PKCS #8), or makes it.
    pub fn load_or_create(data_dir: &Path) -> Result<Self, PrivateFileError> {
        let path = data_dir.join("keys").join("jwt-ed25519.pem");
        let malformed = |error: &dyn std::fmt::Display| PrivateFileError::malformed(&path, error.to_string());
        let pem = private_file::read_or_create(&path, || {
            let mut seed = [0; 32];
            SysRng.try_fill_bytes(&mut seed).map_err(|error| malformed(&error))?;
            let key = ed25519_dalek::SigningKey::from_bytes(&seed);
            let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| malformed(&error))?;
            Ok(pem.as_str().into())
        })?;
        let key = ed25519_dalek::SigningKey::from_pkcs8_pem(pem.expose_secret())
            .map_err(|error| malformed(&error))?;
        Self::of(&key).map_err(|error| malformed(&error))
    }

    fn of(key: &ed25519_dalek::SigningKey) -> Result<Self, ed25519_dalek::pkcs8::Error> {
        let public = key.verifying_key();
        let x = URL_SAFE_NO_PAD.encode(public.as_bytes());
        // The thumbprint of RFC 7638: the required members, in this order, without white space.
        let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        let id = URL_SAFE_NO_PAD.encode(thumbprint);
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(id.clone());
        Ok(Self(Arc::new(KeyParts {
            encoding: EncodingKey::from_ed_der(key.to_pkcs8_der()?.as_bytes()),
            decoding: DecodingKey::from_ed_der(public.as_bytes()),
            x,
            id,
            header,
        })))
    }

    /// The public key for other services, as a JWK set (RFC 7517).
    pub fn jwks(&self) -> Value {
        let KeyParts { x, id, .. } = &*self.0;
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": id, "x": x}]})
    }

    /// An access token for the user in the session, valid from `now` for `lifetime`.
    pub(super) fn issue(
        &self,
        user: &User,
        session: SessionId,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<String, UsersError> {
        let iat = now.as_second();
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: user.id,
            sid: session,
            role: user.role,
            iat,
            exp: iat.saturating_add(lifetime),
        };
        jsonwebtoken::encode(&self.0.header, &claims, &self.0.encoding)
            .map_err(|error| UsersError::Broken(format!("an access token could not be signed: {error}")))
    }
}

/// Who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub customer: CustomerId,
    pub session: SessionId,
    pub role: Role,
    pub expires_at: Timestamp,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("there is no access token")]
    Missing,
    #[error("the access token was not given out by this shop")]
    Malformed,
    #[error("the access token has expired")]
    Expired,
    #[error("the session of the access token has ended")]
    Ended,
}

impl Fault for TokenError {
    fn kind(&self) -> Kind {
        Kind::Unauthenticated
    }

    fn code(&self) -> &'static str {
        match self {
            TokenError::Missing => "token-missing",
            TokenError::Malformed => "token-malformed",
            TokenError::Expired => "token-expired",
            TokenError::Ended => "session-ended",
        }
    }
}

/// Checks access tokens; cheap to clone, and all clones share one memory.
///
/// A signature takes tens of microseconds to verify, so a token that was verified is remembered until it expires.
/// Its expiry and its session are checked every time.
#[derive(Clone)]
pub struct TokenVerifier {
    key: SigningKey,
    validation: Arc<Validation>,
    ended: EndedSessions,
    verified: Cache<Box<str>, Identity>,
    access_lifetime: Duration,
}

impl TokenVerifier {
    pub fn new(key: SigningKey, ended: EndedSessions, access_lifetime: Duration) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["iss", "sub", "exp"]);
        // Checked below, for remembered tokens too.
        validation.validate_exp = false;
        let verified = Cache::builder().max_capacity(REMEMBERED_MAX).expire_after(UntilExpiry).build();
        Self { key, validation: Arc::new(validation), ended, verified, access_lifetime }
    }

    /// The bearer of the token.
    ///
    /// Refuses with `Missing` when it is empty, with `Malformed` when any part of it is not ours, with `Expired` from
    /// the second of its expiry on, and with `Ended` when its session has ended.
    pub fn verify(&self, token: &str) -> Result<Identity, TokenError> {
        self.verify_at(token, Timestamp::now())
    }

    fn verify_at(&self, token: &str, now: Timestamp) -> Result<Identity, TokenError> {
        let identity = match self.verified.get(token) {
            Some(identity) => identity,
            None => {
                let identity = self.verify_signature(token)?;
                if now < identity.expires_at {
                    self.verified.insert(token.into(), identity);
                }
                identity
            }
        };
        if now >= identity.expires_at {
            return Err(TokenError::Expired);
        }
        if self.ended.contains(identity.session) {
            return Err(TokenError::Ended);
        }
        Ok(identity)
    }

    fn verify_signature(&self, token: &str) -> Result<Identity, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Malformed);
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.key.0.decoding, &self.validation)
            .map_err(|_| TokenError::Malformed)?;
        if decoded.header.kid.as_ref() != Some(&self.key.0.id) {
            return Err(TokenError::Malformed);
        }
        let Claims { sub, sid, role, iat, exp, .. } = decoded.claims;
        // When a shorter lifetime was configured since, older tokens are shortened too: ended sessions are remembered
        // for that lifetime only.
        let lifetime = i64::try_from(self.access_lifetime.as_secs()).unwrap_or(i64::MAX);
        let expires_at = Timestamp::from_second(exp.min(iat.saturating_add(lifetime)))
            .map_err(|_| TokenError::Malformed)?;
        Ok(Identity { customer: sub, session: sid, role, expires_at })
    }
}

/// Forgets a verified token when it expires.
struct UntilExpiry;

impl Expiry<Box<str>, Identity> for UntilExpiry {
    fn expire_after_create(&self, _: &Box<str>, identity: &Identity, _: Instant) -> Option<Duration> {
        Some(Duration::try_from(identity.expires_at.duration_since(Timestamp::now())).unwrap_or_default())
    }
}

/// A refresh token as its user gets it, and the hash of it that is stored.
pub(super) struct RefreshToken {
    pub(super) token: SecretString,
    pub(super) hash: [u8; 32],
}

impl RefreshToken {
    /// 32 random bytes cannot be found by trying, so one fast hash protects those that are stored.
    pub(super) fn generate() -> Self {
        let bytes: [u8; 32] = rand::random();
        let token = SecretString::from(URL_SAFE_NO_PAD.encode(bytes));
        let hash = Self::hash_of(&token);
        Self { token, hash }
    }

    pub(super) fn hash_of(token: &SecretString) -> [u8; 32] {
        Sha256::digest(token.expose_secret()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ended_sessions::SessionEnded;
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn key(seed: u8) -> SigningKey {
        SigningKey::of(&ed25519_dalek::SigningKey::from_bytes(&[seed; 32])).unwrap()
    }

    fn user() -> User {
        User {
            id: CustomerId::generate(),
            email: "hanako@example.jp".parse().unwrap(),
            name: "Hanako".parse().unwrap(),
            role: Role::Staff,
            created_at: Timestamp::now(),
        }
    }

    fn verifier(key: &SigningKey) -> TokenVerifier {
        TokenVerifier::new(key.clone(), EndedSessions::new(HOUR), HOUR)
    }

    /// A token with the caller's own claims and header, signed with the given key.
    fn forged(key: &SigningKey, header: &Header, change: impl Fn(&mut Value)) -> String {
        let now = Timestamp::now().as_second();
        let mut claims = json!({
            "iss": ISSUER, "sub": CustomerId::generate(), "sid": SessionId::generate(), "role": "customer",
            "iat": now, "exp": now + 600,
        });
        change(&mut claims);
        jsonwebtoken::encode(header, &claims, &key.0.encoding).unwrap()
    }

    #[test]
    fn the_key_id_is_the_thumbprint_of_rfc_8037() {
        // RFC 8037, appendix A.1 and A.3.
        let d = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let seed: [u8; 32] = d.try_into().unwrap();
        let key = SigningKey::of(&ed25519_dalek::SigningKey::from_bytes(&seed)).unwrap();

        let jwk = &key.jwks()["keys"][0];

        assert_eq!(jwk["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(jwk["kid"], "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_key_is_the_same_after_a_restart() {
        let data_dir = std::env::temp_dir().join(format!("shobai-{}", uuid::Uuid::now_v7()));
        let first = SigningKey::load_or_create(&data_dir).unwrap();
        let second = SigningKey::load_or_create(&data_dir).unwrap();
        assert_eq!(first.jwks(), second.jwks());

        let token = first.issue(&user(), SessionId::generate(), Timestamp::now(), HOUR).unwrap();
        assert!(verifier(&second).verify(&token).is_ok());

        std::fs::write(data_dir.join("keys/jwt-ed25519.pem"), "nonsense").unwrap();
        assert!(matches!(SigningKey::load_or_create(&data_dir), Err(PrivateFileError::Malformed { .. })));
        std::fs::remove_dir_all(data_dir).unwrap();
    }

    #[test]
    fn a_token_identifies_its_bearer_until_it_expires() {
        let key = key(1);
        let verifier = verifier(&key);
        let (user, session) = (user(), SessionId::generate());
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
        let token = key.issue(&user, session, now, HOUR).unwrap();

        let expires_at = now + HOUR;
        let identity = Identity { customer: user.id, session, role: Role::Staff, expires_at };
        // The second time it is remembered.
        assert_eq!(verifier.verify(&token), Ok(identity));
        assert_eq!(verifier.verify(&token), Ok(identity));
        assert_eq!(verifier.verify_at(&token, expires_at - Duration::from_millis(1)), Ok(identity));
        assert_eq!(verifier.verify_at(&token, expires_at), Err(TokenError::Expired));
    }

    #[test]
    fn an_expired_token_is_refused_and_not_remembered() {
        let key = key(1);
        let verifier = verifier(&key);
        let token = key.issue(&user(), SessionId::generate(), Timestamp::now() - HOUR, HOUR).unwrap();
        assert_eq!(verifier.verify(&token), Err(TokenError::Expired));
        assert_eq!(verifier.verified.get(token.as_str()), None);
    }

    #[test]
    fn a_token_does_not_outlive_a_lifetime_that_was_shortened_since() {
        let key = key(1);
        let token = key.issue(&user(), SessionId::generate(), Timestamp::now() - HOUR, HOUR * 24).unwrap();
        assert_eq!(verifier(&key).verify(&token), Err(TokenError::Expired));
    }

    #[test]
    fn the_tokens_of_an_ended_session_stop_working_at_once() {
        let key = key(1);
        let verifier = verifier(&key);
        let session = SessionId::generate();
        let token = key.issue(&user(), session, Timestamp::now(), HOUR).unwrap();
        let other = key.issue(&user(), SessionId::generate(), Timestamp::now(), HOUR).unwrap();
        assert!(verifier.verify(&token).is_ok());

        verifier.clone().ended.apply(&SessionEnded { session });

        assert_eq!(verifier.verify(&token), Err(TokenError::Ended));
        assert!(verifier.verify(&other).is_ok());
    }

    #[test]
    fn a_token_that_we_did_not_sign_is_refused() {
        let key = key(1);
        let verifier = verifier(&key);
        let ours = key.issue(&user(), SessionId::generate(), Timestamp::now(), HOUR).unwrap();
        let parts: Vec<&str> = ours.split('.').collect();
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let kid = key.0.id.as_str();

        let mut tampered: Vec<String> = vec![
            "a".into(),
            "..".into(),
            "a.b.c".into(),
            "\0".into(),
            format!("{ours}x"),
            format!("{ours}."),
            "a".repeat(100_000),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}", parts[0], parts[1]),
            format!("{}.{}.{}", parts[0], encoded(r#"{"role":"admin"}"#), parts[2]),
            format!("{}.{}.", encoded(r#"{"alg":"none"}"#), parts[1]),
            format!("{}.{}.{}", encoded(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#)), parts[1], parts[2]),
            format!("{}.{}.{}", encoded(&format!(r#"{{"alg":"none","kid":"{kid}"}}"#)), parts[1], parts[2]),
        ];
        // With the public key as the secret of an HMAC.
        let mut hmac = Header::new(Algorithm::HS256);
        hmac.kid = Some(kid.to_owned());
        let public = EncodingKey::from_secret(&URL_SAFE_NO_PAD.decode(&key.0.x).unwrap());
        tampered.push(jsonwebtoken::encode(&hmac, &json!({"iss": ISSUER}), &public).unwrap());
        // Another key, under its own name and under ours.
        let stranger = super::tests::key(2);
        tampered.push(forged(&stranger, &stranger.0.header, |_| {}));
        tampered.push(forged(&stranger, &key.0.header, |_| {}));
        // Our key, but not our way to write a token.
        tampered.push(forged(&key, &Header::new(Algorithm::EdDSA), |_| {}));
        tampered.push(forged(&key, &key.0.header, |claims| claims["iss"] = json!("other")));
        tampered.push(forged(&key, &key.0.header, |claims| claims["role"] = json!("root")));
        tampered.push(forged(&key, &key.0.header, |claims| claims["sub"] = json!("me")));
        for claim in ["iss", "sub", "sid", "role", "iat", "exp"] {
            tampered.push(forged(&key, &key.0.header, |claims| {
                drop(claims.as_object_mut().unwrap().remove(claim))
            }));
        }

        for token in tampered {
            assert_eq!(verifier.verify(&token), Err(TokenError::Malformed), "{token}");
        }
        assert!(verifier.verify(&forged(&key, &key.0.header, |_| {})).is_ok());
        assert_eq!(verifier.verify(""), Err(TokenError::Missing));
    }

    #[test]
    fn refresh_tokens_are_long_and_never_alike() {
        let (one, other) = (RefreshToken::generate(), RefreshToken::generate());
        assert_eq!(one.token.expose_secret().len(), 43);
        assert_ne!(one.hash, other.hash);
        assert_eq!(RefreshToken::hash_of(&one.token), one.hash);
    }
}
