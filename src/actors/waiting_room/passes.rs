//! The papers of a waiting room: a ticket says which number is whose, an admission who may buy until when.
//!
//! They are signed with a key of the engine's own, so that the process that serves a request accepts or refuses one without
//! asking anybody. A paper is the base64url text, without padding, of
//!
//! | bytes | ticket | admission |
//! |---|---|---|
//! | 1 | `0x11`: version 1, kind 1 | `0x12`: version 1, kind 2 |
//! | 16 | sale | sale |
//! | 4 | number, big-endian | number, big-endian |
//! | 16 | customer | customer |
//! | 8 | | expiry in seconds since 1970, big-endian |
//! | 16 | first half of HMAC-SHA256 over all before | the same |
//!
//! The first byte is signed too, so no paper of one kind is ever taken for another. A paper does not say that it is
//! still worth something: whether an admission was used already is known to the room alone.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

use super::draw::unhex;
use super::model::TicketNumber;
use crate::error::{Fault, Kind};
use crate::storage::private_file::{self, PrivateFileError};
use crate::types::{CustomerId, SaleId};

const TICKET: u8 = 0x11;
const ADMISSION: u8 = 0x12;
/// The kind of a challenge, which `challenge.rs` signs with the same key.
pub(super) const CHALLENGE: u8 = 0x13;

/// Half of an HMAC-SHA256, which RFC 2104 (section 5) allows to be enough.
pub(super) const SIGNATURE_BYTES: usize = 16;
const TICKET_BYTES: usize = 1 + 16 + 4 + 16;
const ADMISSION_BYTES: usize = TICKET_BYTES + 8;

/// Whose number it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ticket {
    pub sale: SaleId,
    pub number: TicketNumber,
    pub customer: CustomerId,
}

/// Who may order until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    pub sale: SaleId,
    pub number: TicketNumber,
    pub customer: CustomerId,
    /// From this second on it is worth nothing. Fractions of a second are not written.
    pub expires_at: Timestamp,
}

/// Why a paper is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassError {
    /// It is not the text of such a paper; one of another kind is not either.
    #[error("the pass cannot be understood")]
    Malformed,
    #[error("the pass was not signed by this shop")]
    Forged,
    #[error("the pass has expired")]
    Expired,
}

impl Fault for PassError {
    fn kind(&self) -> Kind {
        match self {
            PassError::Malformed => Kind::Invalid,
            PassError::Forged | PassError::Expired => Kind::Forbidden,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            PassError::Malformed => "malformed-pass",
            PassError::Forged => "forged-pass",
            PassError::Expired => "pass-expired",
        }
    }
}

/// The key that signs tickets, admissions and challenges, made on the first start; cheap to clone.
#[derive(Clone)]
pub struct PassKey {
    /// Fed with the key already.
    hmac: Hmac<Sha256>,
}

impl fmt::Debug for PassKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PassKey(secret)")
    }
}

impl PassKey {
    /// Reads `<data_dir>/keys/sales-hmac.key` (64 hexadecimal digits), or makes it.
    ///
    /// Engines that serve the same sale must have the same file, or they refuse each other's papers as forged.
    pub fn load_or_create(data_dir: &Path) -> Result<Self, PrivateFileError> {
        let path = data_dir.join("keys").join("sales-hmac.key");
        let text = private_file::read_or_create(&path, || {
            let mut bytes = [0; 32];
            SysRng
                .try_fill_bytes(&mut bytes)
                .map_err(|error| PrivateFileError::malformed(&path, error.to_string()))?;
            Ok(hex::encode(bytes).into())
        })?;
        unhex(text.expose_secret().trim())
            .and_then(|bytes| Self::from_bytes(&bytes))
            .ok_or_else(|| PrivateFileError::malformed(&path, "it must have 64 hexadecimal digits"))
    }

    pub(in crate::actors) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        Some(Self { hmac: Hmac::new_from_slice(bytes).ok()? })
    }

    /// The text of a ticket, 71 characters.
    pub fn ticket(&self, ticket: &Ticket) -> String {
        let Ticket { sale, number, customer } = *ticket;
        self.sign(fields(TICKET, sale, number, customer), &[])
    }

    /// Believes a ticket, or refuses with `Malformed` or `Forged`.
    pub fn read_ticket(&self, text: &str) -> Result<Ticket, PassError> {
        let bytes: [u8; TICKET_BYTES] = self.open(TICKET, text, &[])?;
        let (sale, number, customer) = parse_fields(&bytes)?;
        Ok(Ticket { sale, number, customer })
    }

    /// The text of an admission, 82 characters.
    pub fn admission(&self, admission: &Admission) -> String {
        let Admission { sale, number, customer, expires_at } = *admission;
        let mut bytes = fields(ADMISSION, sale, number, customer);
        bytes.extend(expires_at.as_second().to_be_bytes());
        self.sign(bytes, &[])
    }

    /// Believes an admission until its last second, or refuses with `Malformed`, `Forged` or `Expired`.
    pub fn read_admission(&self, text: &str, now: Timestamp) -> Result<Admission, PassError> {
        let bytes: [u8; ADMISSION_BYTES] = self.open(ADMISSION, text, &[])?;
        let (sale, number, customer) = parse_fields(&bytes)?;
        let expires_at = timestamp_at::<TICKET_BYTES>(&bytes)?;
        if now >= expires_at {
            return Err(PassError::Expired);
        }
        Ok(Admission { sale, number, customer, expires_at })
    }

    /// A word that always stands for the same name, and from which the name cannot be found without the key.
    pub fn pseudonym(&self, kind: &str, name: &str) -> String {
        let code = self.code(name.as_bytes(), kind.as_bytes()).finalize().into_bytes();
        format!("{kind}:{}", URL_SAFE_NO_PAD.encode(&code[..SIGNATURE_BYTES]))
    }

    /// The text of signed bytes, which begin with their kind. `context` is signed with them and not written down.
    pub(super) fn sign(&self, mut bytes: Vec<u8>, context: &[u8]) -> String {
        let code = self.code(&bytes, context).finalize().into_bytes();
        bytes.extend(code.iter().take(SIGNATURE_BYTES));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The bytes of a signed text of that kind, without the signature.
    pub(super) fn open<const BYTES: usize>(
        &self,
        kind: u8,
        text: &str,
        context: &[u8],
    ) -> Result<[u8; BYTES], PassError> {
        // Nothing is decoded that is not as long as such a text: what decodes has exactly the bytes of one.
        if text.len() != ((BYTES + SIGNATURE_BYTES) * 4).div_ceil(3) {
            return Err(PassError::Malformed);
        }
        let decoded = URL_SAFE_NO_PAD.decode(text).map_err(|_| PassError::Malformed)?;
        let (bytes, signature) = decoded.split_first_chunk::<BYTES>().ok_or(PassError::Malformed)?;
        if signature.len() != SIGNATURE_BYTES || bytes.first() != Some(&kind) {
            return Err(PassError::Malformed);
        }
        // Compared in constant time.
        self.code(bytes, context).verify_truncated_left(signature).map_err(|_| PassError::Forged)?;
        Ok(*bytes)
    }

    fn code(&self, bytes: &[u8], context: &[u8]) -> Hmac<Sha256> {
        let mut hmac = self.hmac.clone();
        hmac.update(bytes);
        hmac.update(context);
        hmac
    }

    #[cfg(test)]
    pub(super) fn for_tests(byte: u8) -> Self {
        Self::from_bytes(&[byte; 32]).unwrap()
    }
}

fn fields(kind: u8, sale: SaleId, number: TicketNumber, customer: CustomerId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ADMISSION_BYTES + SIGNATURE_BYTES);
    bytes.push(kind);
    bytes.extend(sale.uuid().as_bytes());
    bytes.extend(number.get().to_be_bytes());
    bytes.extend(customer.uuid().as_bytes());
    bytes
}

fn parse_fields(bytes: &[u8]) -> Result<(SaleId, TicketNumber, CustomerId), PassError> {
    let parse = || {
        let (sale, rest) = bytes.get(1..)?.split_first_chunk::<16>()?;
        let (number, rest) = rest.split_first_chunk::<4>()?;
        let customer = rest.first_chunk::<16>()?;
        Some((
            SaleId::from_uuid(Uuid::from_bytes(*sale)),
            TicketNumber::new(u32::from_be_bytes(*number))?,
            CustomerId::from_uuid(Uuid::from_bytes(*customer)),
        ))
    };
    parse().ok_or(PassError::Malformed)
}

/// The time that stands at this offset, in seconds.
pub(super) fn timestamp_at<const OFFSET: usize>(bytes: &[u8]) -> Result<Timestamp, PassError> {
    let seconds = bytes.get(OFFSET..).and_then(|rest| rest.first_chunk::<8>()).ok_or(PassError::Malformed)?;
    Timestamp::from_second(i64::from_be_bytes(*seconds)).map_err(|_| PassError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNTIL: i64 = 1_800_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ticket() -> Ticket {
        Ticket {
            sale: SaleId::from_uuid(Uuid::from_u128(1)),
            number: TicketNumber::new(3).unwrap(),
            customer: CustomerId::from_uuid(Uuid::from_u128(2)),
        }
    }

    fn admission() -> Admission {
        let Ticket { sale, number, customer } = ticket();
        Admission { sale, number, customer, expires_at: at(UNTIL) }
    }

    #[test]
    fn a_ticket_is_what_anybody_with_the_key_computes() {
        // import base64, hmac; key = bytes([7]) * 32; u = lambda n: n.to_bytes(16, "big")
        // b = b"\x11" + u(1) + (3).to_bytes(4, "big") + u(2)
        // base64.urlsafe_b64encode(b + hmac.digest(key, b, "sha256")[:16])
        let text = PassKey::for_tests(7).ticket(&ticket());
        assert_eq!(text, "EQAAAAAAAAAAAAAAAAAAAAEAAAADAAAAAAAAAAAAAAAAAAAAAslvIKE1hm3nvFVn072HNoE");
    }

    #[test]
    fn an_admission_is_believed_until_its_last_second() {
        let key = PassKey::for_tests(7);
        let text = key.admission(&admission());
        assert_eq!(text.len(), 82);
        assert_eq!(key.read_admission(&text, at(0)), Ok(admission()));
        assert_eq!(key.read_admission(&text, at(UNTIL - 1)), Ok(admission()));
        assert_eq!(key.read_admission(&text, at(UNTIL)), Err(PassError::Expired));
    }

    #[test]
    fn a_paper_of_one_kind_is_not_taken_for_another() {
        let key = PassKey::for_tests(7);
        let (ticket, admission) = (key.ticket(&ticket()), key.admission(&admission()));
        assert_eq!(key.read_ticket(&admission), Err(PassError::Malformed));
        assert_eq!(key.read_admission(&ticket, at(0)), Err(PassError::Malformed));
        // Of the right length and rightly signed, but with the byte of another kind.
        let Ticket { sale, number, customer } = super::tests::ticket();
        let other = key.sign(fields(ADMISSION, sale, number, customer), &[]);
        assert_eq!(key.read_ticket(&other), Err(PassError::Malformed));
        // As above, with the byte exchanged after the signature.
        let mut bytes = URL_SAFE_NO_PAD.decode(&other).unwrap();
        bytes[0] = TICKET;
        assert_eq!(key.read_ticket(&URL_SAFE_NO_PAD.encode(bytes)), Err(PassError::Forged));
    }

    #[test]
    fn a_number_that_is_nobodys_is_refused_even_when_signed() {
        let key = PassKey::for_tests(7);
        let text = key.sign([&[TICKET][..], &[1; 16], &[0; 4], &[2; 16]].concat(), &[]);
        assert_eq!(key.read_ticket(&text), Err(PassError::Malformed));
    }

    #[test]
    fn what_this_shop_did_not_sign_is_refused() {
        let key = PassKey::for_tests(7);
        let text = key.ticket(&ticket());
        assert_eq!(PassKey::for_tests(8).read_ticket(&text), Err(PassError::Forged));
        for text in [
            String::new(),
            "=".repeat(71),
            format!("{text}="),
            text[1..].to_owned(),
            format!("{text}A"),
            "A".repeat(1 << 20),
            "é".repeat(35) + "A",
        ] {
            assert_eq!(key.read_ticket(&text), Err(PassError::Malformed), "{}", text.len());
        }
    }

    #[test]
    fn the_key_is_the_same_after_a_restart() {
        let data_dir = std::env::temp_dir().join(format!("shobai-{}", Uuid::now_v7()));
        let text = PassKey::load_or_create(&data_dir).unwrap().ticket(&ticket());
        assert_eq!(PassKey::load_or_create(&data_dir).unwrap().read_ticket(&text), Ok(ticket()));

        let file = data_dir.join("keys/sales-hmac.key");
        assert_eq!(std::fs::read_to_string(&file).unwrap().len(), 64);
        std::fs::write(&file, "short").unwrap();
        assert!(PassKey::load_or_create(&data_dir).is_err());
        std::fs::remove_dir_all(data_dir).unwrap();
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", PassKey::for_tests(7)), "PassKey(secret)");
    }

    proptest! {
        #[test]
        fn every_paper_is_read_as_it_was_written(
            sale in any::<u128>(), customer in any::<u128>(), number in 1..=u32::MAX, second in 0..4_000_000_000_i64
        ) {
            let key = PassKey::for_tests(7);
            let (sale, number) = (SaleId::from_uuid(Uuid::from_u128(sale)), TicketNumber::new(number).unwrap());
            let customer = CustomerId::from_uuid(Uuid::from_u128(customer));
            let ticket = Ticket { sale, number, customer };
            prop_assert_eq!(key.read_ticket(&key.ticket(&ticket)), Ok(ticket));
            let admission = Admission { sale, number, customer, expires_at: at(second + 1) };
            prop_assert_eq!(key.read_admission(&key.admission(&admission), at(second)), Ok(admission));
        }

        #[test]
        fn no_other_text_is_the_same_paper(place in 0..82_usize, other in "[A-Za-z0-9_-]") {
            let key = PassKey::for_tests(7);
            let mut text = key.admission(&admission());
            let changed = text[place..=place] != other;
            text.replace_range(place..=place, &other);
            prop_assert_eq!(key.read_admission(&text, at(0)).is_err(), changed);
        }
    }
}
