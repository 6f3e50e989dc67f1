//! What the provider reports by itself, and how a report is authenticated.
//!
//! A report carries `Shobai-Signature: t=<unix seconds>,v1=<hex>`, where v1 is the HMAC-SHA256 of `<t>.<raw body>`
//! with the webhook secret. The time is signed with the body, so an old report cannot be sent again later.

use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::error::PaymentsError;
use crate::storage::private_file::{self, PrivateFileError};
use crate::types::{InvalidValue, Money, OrderId};

/// The name of the header with the signature.
pub const SIGNATURE_HEADER: &str = "Shobai-Signature";

const SECRET_BYTES: usize = 32;
const REPORT_ID_MAX: usize = 255;

/// The secret that the sandbox provider and the shop share; cheap to clone.
#[derive(Clone)]
pub struct WebhookSecret {
    /// Fed with the key already.
    hmac: Hmac<Sha256>,
}

impl WebhookSecret {
    /// Reads `<data_dir>/keys/sandbox-webhook.secret` (64 hexadecimal digits), or makes it.
    pub fn load_or_create(data_dir: &Path) -> Result<Self, PrivateFileError> {
        let path = data_dir.join("keys").join("sandbox-webhook.secret");
        let text = private_file::read_or_create(&path, || {
            let mut bytes = [0; SECRET_BYTES];
            SysRng
                .try_fill_bytes(&mut bytes)
                .map_err(|error| PrivateFileError::malformed(&path, error.to_string()))?;
            Ok(hex::encode(bytes).into())
        })?;
        Self::parse(&text)
            .ok_or_else(|| PrivateFileError::malformed(&path, "it must have 64 hexadecimal digits"))
    }

    fn parse(text: &SecretString) -> Option<Self> {
        let text = text.expose_secret().trim();
        // The digits themselves are the key, so that any tool can sign with what stands in the file.
        hex::decode(text).ok().filter(|bytes| bytes.len() == SECRET_BYTES)?;
        Some(Self { hmac: Hmac::new_from_slice(text.as_bytes()).ok()? })
    }

    /// The value of the signature header for this body.
    pub fn sign(&self, body: &[u8], now: Timestamp) -> String {
        let seconds = now.as_second();
        format!("t={seconds},v1={}", hex::encode(self.code(&[seconds.to_string().as_bytes(), b".", body])))
    }

    /// Accepts the body or refuses with `BadSignature` or `StaleSignature`.
    ///
    /// Of several v1 signatures one must be right; they are compared in constant time.
    pub fn verify(
        &self,
        signature: &str,
        body: &[u8],
        now: Timestamp,
        tolerance_seconds: u64,
    ) -> Result<(), PaymentsError> {
        let parts = || signature.split(',').filter_map(|part| part.trim().split_once('='));
        let signed_at = parts().find(|(name, _)| *name == "t").map(|(_, value)| value);
        let signed_at = signed_at.ok_or(PaymentsError::BadSignature)?;
        let mut expected = self.hmac.clone();
        for piece in [signed_at.as_bytes(), b".", body] {
            expected.update(piece);
        }
        let is_right = |code: &[u8]| expected.clone().verify_slice(code).is_ok();
        let mut codes =
            parts().filter(|(name, _)| *name == "v1").filter_map(|(_, value)| hex::decode(value).ok());
        if !codes.any(|code| is_right(&code)) {
            return Err(PaymentsError::BadSignature);
        }
        let signed_at: i64 = signed_at.parse().map_err(|_| PaymentsError::BadSignature)?;
        if now.as_second().abs_diff(signed_at) > tolerance_seconds {
            return Err(PaymentsError::StaleSignature { tolerance_seconds });
        }
        Ok(())
    }

    /// The HMAC over all pieces, one after the other.
    pub(super) fn code(&self, pieces: &[&[u8]]) -> [u8; 32] {
        let mut hmac = self.hmac.clone();
        for piece in pieces {
            hmac.update(piece);
        }
        hmac.finalize().into_bytes().into()
    }

    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        Self::parse(&"0123456789abcdef".repeat(4).into()).unwrap()
    }
}

/// A konbini payment that was paid, as the provider reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentReport {
    /// The provider's own id of the report; the same report may come more than once.
    pub id: String,
    pub order: OrderId,
    pub amount: Option<Money>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportBody {
    id: String,
    #[serde(rename = "type")]
    kind: ReportKind,
    order_id: OrderId,
    /// Yen.
    amount: Option<i64>,
}

#[derive(Deserialize)]
enum ReportKind {
    #[serde(rename = "konbini.paid")]
    KonbiniPaid,
}

impl PaymentReport {
    /// Reads a body whose signature was verified. Refuses with `MalformedReport` or `Invalid`.
    pub fn parse(body: &[u8]) -> Result<Self, PaymentsError> {
        let body: ReportBody = serde_json::from_slice(body)
            .map_err(|error| PaymentsError::MalformedReport(error.to_string()))?;
        let ReportBody { id, kind: ReportKind::KonbiniPaid, order_id, amount } = body;
        if id.is_empty() || id.len() > REPORT_ID_MAX || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            let problem = format!("must have 1 to {REPORT_ID_MAX} visible characters");
            return Err(InvalidValue::new("id", problem).into());
        }
        Ok(Self { id, order: order_id, amount: amount.map(Money::yen).transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: u64 = 300;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    #[test]
    fn a_signature_can_be_made_with_any_tool() {
        // printf '1800000000.{}' | openssl dgst -sha256 -hmac 0123…
        let secret = WebhookSecret::for_tests();
        assert_eq!(
            secret.sign(b"{}", now()),
            "t=1800000000,v1=f8de4827e6e8bcd48651668956c32330bc7461487da71c6048b703173200bf4b"
        );
    }

    #[test]
    fn a_signed_body_is_accepted_within_the_tolerance() {
        let secret = WebhookSecret::for_tests();
        let signature = secret.sign(b"body", now());
        let at = |seconds: i64| {
            let then = Timestamp::from_second(now().as_second() + seconds).unwrap();
            secret.verify(&signature, b"body", then, TOLERANCE)
        };
        assert!(at(0).is_ok() && at(300).is_ok() && at(-300).is_ok());
        assert!(matches!(at(301), Err(PaymentsError::StaleSignature { .. })));
        assert!(matches!(at(-301), Err(PaymentsError::StaleSignature { .. })));
        let rotated = format!("{},v1={}", signature.replace("v1=", "v1=00,v1=ff"), "0".repeat(64));
        let twice = format!("{rotated},{}", signature.split(',').nth(1).unwrap());
        assert!(secret.verify(&rotated, b"body", now(), TOLERANCE).is_err());
        assert!(secret.verify(&twice, b"body", now(), TOLERANCE).is_ok());
    }

    #[test]
    fn a_body_that_the_provider_did_not_sign_is_refused() {
        let secret = WebhookSecret::for_tests();
        let signature = secret.sign(b"body", now());
        let code = signature.split_once("v1=").unwrap().1;
        for (signature, body) in [
            (signature.clone(), "other body"),
            (signature.replace("t=18", "t=19"), "body"),
            (format!("v1={code}"), "body"),
            (format!("t=,v1={code}"), "body"),
            ("t=1800000000".to_owned(), "body"),
            ("t=1800000000,v1=".to_owned(), "body"),
            (format!("t=1800000000,v1={}", &code[..62]), "body"),
            (format!("t=1800000000,v1={}x", &code[..63]), "body"),
            (format!("t=1800000000,v0={code}"), "body"),
            (String::new(), "body"),
            ("=,=,=".to_owned(), "body"),
        ] {
            let refusal = secret.verify(&signature, body.as_bytes(), now(), TOLERANCE);
            assert!(matches!(refusal, Err(PaymentsError::BadSignature)), "{signature}");
        }
    }

    #[test]
    fn a_report_says_which_order_was_paid() {
        let order = OrderId::generate();
        let body =
            format!(r#"{{"id": "evt_1", "type": "konbini.paid", "order_id": "{order}", "amount": 1980}}"#);
        let report = PaymentReport::parse(body.as_bytes()).unwrap();
        let amount = Some(Money::yen(1_980).unwrap());
        assert_eq!(report, PaymentReport { id: "evt_1".into(), order, amount });
        for body in [
            "",
            "{}",
            "[]",
            r#"{"id": "evt_1", "type": "konbini.paid", "order_id": "1"}"#,
            &body.replace("konbini.paid", "konbini.expired"),
            &body.replace("evt_1", ""),
            &body.replace("evt_1", "a\\u0000b"),
            &body.replace("1980", "-1"),
            &body.replace("1980", "1.5"),
            &body.replace("amount", "sum"),
        ] {
            assert!(PaymentReport::parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn the_secret_is_the_same_after_a_restart() {
        let data_dir = std::env::temp_dir().join(format!("shobai-{}", uuid::Uuid::now_v7()));
        let signature = WebhookSecret::load_or_create(&data_dir).unwrap().sign(b"body", now());
        let again = WebhookSecret::load_or_create(&data_dir).unwrap();
        assert!(again.verify(&signature, b"body", now(), TOLERANCE).is_ok());

        let file = data_dir.join("keys/sandbox-webhook.secret");
        assert_eq!(std::fs::read_to_string(&file).unwrap().len(), 64);
        std::fs::write(&file, "short").unwrap();
        assert!(WebhookSecret::load_or_create(&data_dir).is_err());
        std::fs::remove_dir_all(data_dir).unwrap();
    }
}
