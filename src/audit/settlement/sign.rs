//! The chain that holds a report's rows together, and the engine's own key under it.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Row, Summary};
use crate::storage::private_file::{self, PrivateFileError};
use crate::types::SaleId;

/// The key that signs settlements, made on the first start; cheap to clone.
#[derive(Clone)]
pub struct ReportKey(Arc<SigningKey>);

/// The signature of a report. All values are base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    pub algorithm: String,
    /// The thumbprint of the public key (RFC 7638). It must be known from another source to prove who signed.
    pub key_id: String,
    pub public_key: String,
    /// Ed25519 (RFC 8032) over the summary's JSON without white space.
    pub signature: String,
}

pub(super) const ALGORITHM: &str = "Ed25519";

impl ReportKey {
    /// Reads `<data_dir>/keys/report-ed25519.pem` (PKCS #8), or makes it.
    pub fn load_or_create(data_dir: &Path) -> Result<Self, PrivateFileError> {
        let path = Self::path(data_dir);
        let malformed = |error: &dyn std::fmt::Display| PrivateFileError::malformed(&path, error.to_string());
        let pem = private_file::read_or_create(&path, || {
            let mut seed = [0; 32];
            SysRng.try_fill_bytes(&mut seed).map_err(|error| malformed(&error))?;
            let pem = SigningKey::from_bytes(&seed).to_pkcs8_pem(LineEnding::LF);
            Ok(pem.map_err(|error| malformed(&error))?.as_str().into())
        })?;
        let key = SigningKey::from_pkcs8_pem(pem.expose_secret()).map_err(|error| malformed(&error))?;
        Ok(Self(Arc::new(key)))
    }

    /// Writes the public key to `<data_dir>/keys/report-ed25519.pub.pem` (SubjectPublicKeyInfo), for verification
    /// elsewhere.
    pub fn publish(&self, data_dir: &Path) -> Result<(), PrivateFileError> {
        let path = data_dir.join("keys").join("report-ed25519.pub.pem");
        let pem = self.0.verifying_key().to_public_key_pem(LineEnding::LF);
        let pem = pem.map_err(|error| PrivateFileError::malformed(&path, error.to_string()))?;
        private_file::replace(&path, &pem.into())
    }

    /// The key of a data directory; `None` where no engine has made one yet.
    pub fn load(data_dir: &Path) -> Result<Option<Self>, PrivateFileError> {
        match Self::path(data_dir).exists() {
            true => Self::load_or_create(data_dir).map(Some),
            false => Ok(None),
        }
    }

    fn path(data_dir: &Path) -> std::path::PathBuf {
        data_dir.join("keys").join("report-ed25519.pem")
    }

    pub fn id(&self) -> String {
        key_id(&self.0.verifying_key())
    }

    pub(super) fn sign(&self, text: &str) -> Signature {
        let public = self.0.verifying_key();
        Signature {
            algorithm: ALGORITHM.to_owned(),
            key_id: key_id(&public),
            public_key: URL_SAFE_NO_PAD.encode(public.as_bytes()),
            signature: URL_SAFE_NO_PAD.encode(self.0.sign(text.as_bytes()).to_bytes()),
        }
    }

    #[cfg(test)]
    pub(super) fn from_seed(seed: u8) -> Self {
        Self(Arc::new(SigningKey::from_bytes(&[seed; 32])))
    }
}

/// The id of a public key (PEM, SubjectPublicKeyInfo); `None` where the text is not one.
pub fn public_key_id(pem: &str) -> Option<String> {
    VerifyingKey::from_public_key_pem(pem).ok().map(|key| key_id(&key))
}

/// The SHA-256 of the key's required JWK members, in this order, without white space (RFC 7638).
pub(super) fn key_id(public: &VerifyingKey) -> String {
    let x = URL_SAFE_NO_PAD.encode(public.as_bytes());
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
}

/// The signed text.
pub(super) fn signed_text(summary: &Summary) -> Result<String, serde_json::Error> {
    serde_json::to_string(summary)
}

/// A hash in the chain of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChainHash([u8; 32]);

impl ChainHash {
    pub fn first(sale: SaleId) -> Self {
        Self(Sha256::digest(sale.to_string()).into())
    }

    pub fn next(self, row: &Row) -> Result<Self, serde_json::Error> {
        let text = serde_json::to_vec(row)?;
        Ok(Self(Sha256::new().chain_update(self.0).chain_update(text).finalize().into()))
    }

    pub fn text(self) -> String {
        hex::encode(self.0)
    }

    pub fn from_text(text: &str) -> Option<Self> {
        // `text()` writes lower case, and any other spelling is a change.
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash)
            .ok()
            .filter(|()| !text.bytes().any(|byte| byte.is_ascii_uppercase()))?;
        Some(Self(hash))
    }
}
