//! What a client must do before it may join, so that a thousand accounts cost a thousand times the work.
//!
//! The built-in challenge is a proof of work in the manner of Hashcash (Back, 2002). The shop sends a text that it
//! signed and keeps nothing; the client looks for a nonce, a number, such that
//!
//! ```text
//! SHA-256(challenge || ":" || nonce) begins with `bits` zero bits
//! ```
//!
//! and answers `challenge:nonce`. The challenge is `<bits>.<signed>`, so that a client can read its difficulty. It
//! takes 2^bits hashes on average; a phone's browser makes some hundred thousand in a second, so 18 bits are a
//! second or two. It slows down, and is no proof of a human: a shop that wants one brings another [`Challenge`].
//!
//! An answer is good until it expires, as often as it is shown, but for its own customer alone, who gets one ticket.

use std::time::Duration;

use futures_util::future::{LocalBoxFuture, ready};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::passes::{CHALLENGE, PassError, PassKey, timestamp_at};
use crate::error::{Fault, Kind};
use crate::types::{CustomerId, InvalidValue};

/// Kind, bits, expiry.
const CHALLENGE_BYTES: usize = 1 + 1 + 8;
/// Longer than any answer; what is longer is not looked at.
const ANSWER_BYTES_MAX: usize = 100;
/// More digits than any client needs to try.
const NONCE_DIGITS_MAX: usize = 20;

/// Why an answer is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    #[error("the answer to the challenge cannot be understood")]
    Malformed,
    /// Or it was given to another customer.
    #[error("the challenge was not given to this customer by this shop")]
    Forged,
    #[error("the challenge has expired")]
    Expired,
    #[error("the answer does not solve the challenge")]
    NotSolved,
    /// The service that has to be asked does not answer.
    #[error("the answer to the challenge cannot be checked at this moment")]
    Unavailable,
}

impl Fault for ChallengeError {
    fn kind(&self) -> Kind {
        match self {
            ChallengeError::Malformed => Kind::Invalid,
            ChallengeError::Unavailable => Kind::Unavailable,
            _ => Kind::Forbidden,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            ChallengeError::Malformed => "malformed-challenge",
            ChallengeError::Forged => "forged-challenge",
            ChallengeError::Expired => "challenge-expired",
            ChallengeError::NotSolved => "challenge-not-solved",
            ChallengeError::Unavailable => "challenge-unavailable",
        }
    }
}

impl From<PassError> for ChallengeError {
    fn from(error: PassError) -> Self {
        match error {
            PassError::Malformed => Self::Malformed,
            PassError::Forged => Self::Forged,
            PassError::Expired => Self::Expired,
        }
    }
}

/// Something that a client must answer before it may join: the built-in one, or an external service.
pub trait Challenge: Send + Sync {
    /// A text for the customer, from which the client finds the answer.
    fn issue(&self, customer: CustomerId, now: Timestamp) -> String;

    /// Accepts the customer's answer, or says why not. It may ask elsewhere, and is waited for as long as the gateway waits.
    fn check<'a>(
        &'a self,
        customer: CustomerId,
        answer: &'a str,
        now: Timestamp,
    ) -> LocalBoxFuture<'a, Result<(), ChallengeError>>;
}

/// The built-in challenge; see the top of `challenge.rs`.
#[derive(Debug, Clone)]
pub struct ProofOfWork {
    key: PassKey,
    bits: u8,
    valid_for: Duration,
}

impl ProofOfWork {
    /// A billion hashes, far more than anybody waits for.
    pub const BITS_MAX: u8 = 30;

    /// Challenges of so many zero bits, at most [`ProofOfWork::BITS_MAX`], good for so long.
    pub fn new(key: PassKey, bits: u8, valid_for: Duration) -> Result<Self, InvalidValue> {
        if bits > Self::BITS_MAX {
            return Err(InvalidValue::new("bits", format!("must be at most {}, not {bits}", Self::BITS_MAX)));
        }
        Ok(Self { key, bits, valid_for })
    }

    /// Zero bits that an answer's hash must begin with.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Does a client's work: the answer to a challenge. None when it is not the text of one.
    pub fn solve(challenge: &str) -> Option<String> {
        let bits = bits_of(challenge).filter(|bits| *bits <= Self::BITS_MAX)?;
        (0..u64::MAX)
            .map(|nonce| format!("{challenge}:{nonce}"))
            .find(|answer| zero_bits(answer) >= u32::from(bits))
    }

    /// Refuses with each of the errors but the last. The difficulty is what the challenge was signed with.
    fn verify(&self, customer: CustomerId, answer: &str, now: Timestamp) -> Result<(), ChallengeError> {
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(ChallengeError::Malformed);
        }
        let (challenge, nonce) = answer.split_once(':').ok_or(ChallengeError::Malformed)?;
        let is_nonce =
            (1..=NONCE_DIGITS_MAX).contains(&nonce.len()) && nonce.bytes().all(|it| it.is_ascii_digit());
        let (bits, signed) = challenge.split_once('.').ok_or(ChallengeError::Malformed)?;
        if !is_nonce {
            return Err(ChallengeError::Malformed);
        }
        let bytes: [u8; CHALLENGE_BYTES] = self.key.open(CHALLENGE, signed, customer.uuid().as_bytes())?;
        // The number in front is for the client alone, and it must not be another one.
        if bits != bytes[1].to_string() {
            return Err(ChallengeError::Forged);
        }
        if now >= timestamp_at::<2>(&bytes)? {
            return Err(ChallengeError::Expired);
        }
        if zero_bits(answer) < u32::from(bytes[1]) {
            return Err(ChallengeError::NotSolved);
        }
        Ok(())
    }
}

impl Challenge for ProofOfWork {
    fn issue(&self, customer: CustomerId, now: Timestamp) -> String {
        // What does not fit into a time never expires.
        let expires_at = SignedDuration::try_from(self.valid_for)
            .ok()
            .and_then(|valid_for| now.checked_add(valid_for).ok())
            .unwrap_or(Timestamp::MAX);
        let mut bytes = vec![CHALLENGE, self.bits];
        bytes.extend(expires_at.as_second().to_be_bytes());
        format!("{}.{}", self.bits, self.key.sign(bytes, customer.uuid().as_bytes()))
    }

    fn check<'a>(
        &'a self,
        customer: CustomerId,
        answer: &'a str,
        now: Timestamp,
    ) -> LocalBoxFuture<'a, Result<(), ChallengeError>> {
        Box::pin(ready(self.verify(customer, answer, now)))
    }
}

fn bits_of(challenge: &str) -> Option<u8> {
    challenge.split_once('.')?.0.parse().ok()
}

/// How many zero bits the SHA-256 of the text begins with.
fn zero_bits(text: &str) -> u32 {
    let hash = Sha256::digest(text);
    let zero_bytes = hash.iter().take_while(|byte| **byte == 0).count();
    let rest = hash.get(zero_bytes).map_or(0, |byte| byte.leading_zeros());
    u32::try_from(zero_bytes).unwrap_or(0) * 8 + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const BITS: u8 = 8;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn customer(number: u128) -> CustomerId {
        CustomerId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn proof_of_work(key: u8) -> ProofOfWork {
        ProofOfWork::new(PassKey::for_tests(key), BITS, Duration::from_secs(60)).unwrap()
    }

    fn unsolved(challenge: &str) -> String {
        let mut answers = (0..).map(|nonce| format!("{challenge}:{nonce}"));
        answers.find(|answer| zero_bits(answer) < u32::from(BITS)).unwrap()
    }

    #[test]
    fn zero_bits_are_counted_from_the_first_one() {
        // printf abc | sha256sum begins with ba, printf 886 with 000f, as python's hashlib says as well.
        assert_eq!(zero_bits("abc"), 0);
        assert_eq!(zero_bits("886"), 12);
    }

    #[test]
    fn an_answer_is_accepted_from_its_customer_until_it_expires() {
        let challenge = proof_of_work(1);
        let text = challenge.issue(customer(1), at(0));
        assert!(text.starts_with("8."), "{text}");
        let answer = ProofOfWork::solve(&text).unwrap();
        assert!(answer.len() < ANSWER_BYTES_MAX - NONCE_DIGITS_MAX);
        assert_eq!(challenge.verify(customer(1), &answer, at(0)), Ok(()));
        assert_eq!(challenge.verify(customer(1), &answer, at(59)), Ok(()));
        assert_eq!(challenge.verify(customer(1), &answer, at(60)), Err(ChallengeError::Expired));
        assert_eq!(challenge.verify(customer(2), &answer, at(0)), Err(ChallengeError::Forged));
        assert_eq!(proof_of_work(2).verify(customer(1), &answer, at(0)), Err(ChallengeError::Forged));
    }

    #[test]
    fn without_the_work_nobody_comes_in() {
        let challenge = proof_of_work(1);
        let text = challenge.issue(customer(1), at(0));
        assert_eq!(challenge.verify(customer(1), &unsolved(&text), at(0)), Err(ChallengeError::NotSolved));
        let easier = ProofOfWork::solve(&text.replacen("8.", "0.", 1)).unwrap();
        assert_eq!(challenge.verify(customer(1), &easier, at(0)), Err(ChallengeError::Forged));
    }

    #[test]
    fn what_is_no_answer_is_malformed() {
        let challenge = proof_of_work(1);
        let text = challenge.issue(customer(1), at(0));
        for answer in [
            String::new(),
            text.clone(),
            format!("{text}:"),
            format!("{text}:x"),
            format!("{text}:1:2"),
            format!("{text}:-1"),
            format!("{text}:{}", "1".repeat(21)),
            format!("{text}:{}", "1".repeat(1 << 20)),
            ":1".to_owned(),
            "8.:1".to_owned(),
            format!("{}:1", text.replace('.', "")),
        ] {
            assert_eq!(
                challenge.verify(customer(1), &answer, at(0)),
                Err(ChallengeError::Malformed),
                "{answer}"
            );
        }
        assert_eq!(ProofOfWork::solve("lamp"), None);
        assert_eq!(ProofOfWork::solve("255.x"), None);
    }

    #[test]
    fn a_challenge_that_nobody_can_solve_is_not_made() {
        assert!(ProofOfWork::new(PassKey::for_tests(1), 31, Duration::ZERO).is_err());
    }

    #[test]
    fn a_challenge_for_ever_does_not_overflow() {
        let challenge = ProofOfWork::new(PassKey::for_tests(1), 0, Duration::MAX).unwrap();
        let answer = ProofOfWork::solve(&challenge.issue(customer(1), at(0))).unwrap();
        assert_eq!(challenge.verify(customer(1), &answer, at(1_000_000_000)), Ok(()));
    }
}
