//! The draw that puts those who came before the opening in a random order, which everyone can recompute.
//!
//! Before the sale the shop publishes a commitment to a secret seed. At the opening it fixes the entries by a digest,
//! draws, and reveals the seed:
//!
//! ```text
//! commitment     = SHA-256(seed)                                         seed: 32 bytes
//! digest         = d(n), d(0) = 32 zero bytes
//! d(k)           = SHA-256(d(k-1) || number(k) || SHA-256(customer(k)))    k: entries by ascending ticket number
//! rank(ticket)   = HMAC-SHA256(key = seed, sale || digest || number)
//! order          = tickets by ascending rank, as bytes; should two be equal, by ascending number
//! ```
//!
//! `||` joins bytes; `number` is the ticket number as 4 bytes, big-endian; `customer` and `sale` are the 16 bytes of
//! their UUIDs. Ticket numbers start at 1. A number is missing when its entry could not be written: its ticket was
//! handed out to no customer, it is in neither digest nor order, and the published draw lists it.
//!
//! It proves that the seed was chosen before the entries, and that no entries were picked once the digest was known.
//! It does not prove that a person who knows the seed made no entries in the last moment: for that the seed would have to
//! be mixed with a beacon that the shop does not control.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use rand::TryRng;
use rand::rngs::SysRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::model::TicketNumber;
use crate::error::{Fault, Kind};
use crate::types::{CustomerId, InvalidValue, SaleId};

/// Why a draw cannot be made, or is not what it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrawError {
    #[error("the system gave no random bytes: {0}")]
    Random(String),
    #[error("the seed's SHA-256 is {actual}, but {published} was published before the sale")]
    CommitmentDiffers { published: Commitment, actual: Commitment },
    #[error(
        "{tickets} tickets were handed out, but the order and the missing numbers together have {listed}"
    )]
    CountDiffers { tickets: u32, listed: usize },
    #[error("ticket {0} was never handed out")]
    NoSuchTicket(TicketNumber),
    #[error("ticket {0} is listed twice")]
    TicketTwice(TicketNumber),
    #[error("place {place} belongs to ticket {expected}, but ticket {found} was put there")]
    OrderDiffers { place: u32, expected: TicketNumber, found: TicketNumber },
    #[error("the entries have the digest {actual}, but {published} was published")]
    EntriesDiffer { published: EntriesDigest, actual: EntriesDigest },
}

impl Fault for DrawError {
    fn kind(&self) -> Kind {
        match self {
            DrawError::Random(_) => Kind::Internal,
            _ => Kind::Invalid,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            DrawError::Random(_) => "no-random-bytes",
            DrawError::CommitmentDiffers { .. } => "commitment-differs",
            DrawError::CountDiffers { .. } => "count-differs",
            DrawError::NoSuchTicket(_) => "no-such-ticket",
            DrawError::TicketTwice(_) => "ticket-twice",
            DrawError::OrderDiffers { .. } => "order-differs",
            DrawError::EntriesDiffer { .. } => "entries-differ",
        }
    }
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name([u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                unhex(text).map(Self).ok_or_else(|| InvalidValue::new($what, NOT_HEX))
            }
        }

        impl From<$name> for String {
            fn from(digest: $name) -> Self {
                digest.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidValue;

            fn try_from(text: String) -> Result<Self, InvalidValue> {
                text.parse()
            }
        }
    };
}

const NOT_HEX: &str = "must have 64 hexadecimal digits";

digest!(
    /// SHA-256 of a seed, published before the sale; written as 64 lower-case hexadecimal digits.
    Commitment,
    "commitment"
);
digest!(
    /// What fixes the entries of a draw: a chain of SHA-256 over them, in the order of their numbers.
    EntriesDigest,
    "entries digest"
);

impl EntriesDigest {
    /// The digest of no entries.
    pub const START: Self = Self([0; 32]);

    /// The digest with one entry more; entries are added by ascending number.
    #[must_use]
    pub fn with(self, number: TicketNumber, customer: CustomerId) -> Self {
        let customer = Sha256::digest(customer.uuid().as_bytes());
        let mut next = Sha256::new();
        next.update(self.0);
        next.update(number.get().to_be_bytes());
        next.update(customer);
        Self(next.finalize().into())
    }

    /// The digest of all entries, which come by ascending number.
    pub fn of(entries: impl IntoIterator<Item = (TicketNumber, CustomerId)>) -> Self {
        entries.into_iter().fold(Self::START, |digest, (number, customer)| digest.with(number, customer))
    }
}

/// What decides a draw: 32 random bytes, secret until the draw was made.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A new seed from the system's random source. Fails with `Random` when that has none to give.
    pub fn generate() -> Result<Self, DrawError> {
        let mut bytes = [0; 32];
        SysRng.try_fill_bytes(&mut bytes).map_err(|error| DrawError::Random(error.to_string()))?;
        Ok(Self(bytes))
    }

    /// A seed that was made elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// 64 lower-case hexadecimal digits, to be stored, and to be shown when the draw was made.
    pub fn reveal(&self) -> String {
        hex::encode(self.0)
    }

    /// What can be published before the draw without giving the seed away.
    pub fn commitment(&self) -> Commitment {
        Commitment(Sha256::digest(self.0).into())
    }
}

/// Says that there is a seed, not which.
impl fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seed(secret)")
    }
}

impl FromStr for Seed {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        unhex(text).map(Self).ok_or_else(|| InvalidValue::new("seed", NOT_HEX))
    }
}

/// The order in which the tickets are let in, by the formula at the top of `draw.rs`.
///
/// It does not matter in which order the tickets are given, only which.
pub fn draw(
    seed: &Seed,
    sale: SaleId,
    entries: &EntriesDigest,
    tickets: impl IntoIterator<Item = TicketNumber>,
) -> Vec<TicketNumber> {
    // Fed with the key once, then copied: a million tickets are drawn in about the time of as many hashes.
    // HMAC takes keys of every length, so there is always one.
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(&seed.0) else { return Vec::new() };
    hmac.update(sale.uuid().as_bytes());
    hmac.update(&entries.0);
    let rank = |ticket: TicketNumber| -> [u8; 32] {
        let mut hmac = hmac.clone();
        hmac.update(&ticket.get().to_be_bytes());
        hmac.finalize().into_bytes().into()
    };
    let mut ranked: Vec<_> = tickets.into_iter().map(|ticket| (rank(ticket), ticket)).collect();
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, ticket)| ticket).collect()
}

/// The entries that a draw is about; no further ones are taken before it.
///
/// It owns what it needs, so that a large draw can be made on a thread that may take its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedEntries {
    /// The sale that they entered.
    pub sale: SaleId,
    /// The highest number handed out so far, or 0.
    pub tickets: u32,
    /// By ascending number; at most `tickets`.
    pub entries: Vec<(TicketNumber, CustomerId)>,
}

impl ClosedEntries {
    /// Puts them in order. The same entries and seed always come to the same draw, whatever `now` is.
    pub fn draw(&self, seed: &Seed, now: Timestamp) -> PublishedDraw {
        let entries_digest = EntriesDigest::of(self.entries.iter().copied());
        let numbers = || self.entries.iter().map(|(number, _)| *number);
        let mut present = numbers().peekable();
        let missing = (1..=self.tickets)
            .filter_map(TicketNumber::new)
            .filter(|number| present.next_if_eq(number).is_none())
            .collect();
        PublishedDraw {
            sale: self.sale,
            drawn_at: now,
            commitment: seed.commitment(),
            seed: seed.clone(),
            entries_digest,
            tickets: self.tickets,
            missing,
            order: draw(seed, self.sale, &entries_digest, numbers()),
        }
    }
}

/// A draw with all that is needed to check it, as it is published and stored. It reveals the seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedDraw {
    /// The sale that was drawn for.
    pub sale: SaleId,
    /// For the reader; no part of the proof.
    pub drawn_at: Timestamp,
    /// What was published before the sale.
    pub commitment: Commitment,
    /// What the commitment was to.
    #[serde(serialize_with = "reveal", deserialize_with = "revealed")]
    pub seed: Seed,
    /// What fixed the entries before the seed was shown.
    pub entries_digest: EntriesDigest,
    /// The highest number handed out before the draw, or 0.
    pub tickets: u32,
    /// Numbers that no customer got, because their entry could not be written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<TicketNumber>,
    /// Who is let in first, second, …
    pub order: Vec<TicketNumber>,
}

impl PublishedDraw {
    /// Recomputes all that can be recomputed without knowing who entered; the error says what is wrong.
    ///
    /// The holder of a commitment from before the sale must compare it with this one too, and the holder of a ticket
    /// must look for it in the order: a number among `missing` was declared unassigned.
    pub fn verify(&self) -> Result<(), DrawError> {
        let actual = self.seed.commitment();
        if actual != self.commitment {
            return Err(DrawError::CommitmentDiffers { published: self.commitment, actual });
        }
        let listed = self.order.len() + self.missing.len();
        // First, so that no number in a file makes us reserve more than the file's own size.
        if u32::try_from(listed) != Ok(self.tickets) {
            return Err(DrawError::CountDiffers { tickets: self.tickets, listed });
        }
        let mut seen = vec![false; listed];
        for ticket in self.order.iter().chain(&self.missing) {
            match seen.get_mut(ticket.index()) {
                None => return Err(DrawError::NoSuchTicket(*ticket)),
                Some(true) => return Err(DrawError::TicketTwice(*ticket)),
                Some(unseen) => *unseen = true,
            }
        }
        let drawn = draw(&self.seed, self.sale, &self.entries_digest, self.order.iter().copied());
        for ((place, expected), found) in (1..).zip(drawn).zip(&self.order) {
            if expected != *found {
                return Err(DrawError::OrderDiffers { place, expected, found: *found });
            }
        }
        Ok(())
    }

    /// Checks that these are the entries that were drawn, for those who may know who entered.
    pub fn verify_entries(
        &self,
        entries: impl IntoIterator<Item = (TicketNumber, CustomerId)>,
    ) -> Result<(), DrawError> {
        let actual = EntriesDigest::of(entries);
        let published = self.entries_digest;
        if actual == published { Ok(()) } else { Err(DrawError::EntriesDiffer { published, actual }) }
    }

    /// The ticket's place, from 1; none when it was not drawn.
    pub fn place_of(&self, ticket: TicketNumber) -> Option<u32> {
        let index = self.order.iter().position(|drawn| *drawn == ticket)?;
        u32::try_from(index + 1).ok()
    }
}

fn reveal<S: Serializer>(seed: &Seed, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&seed.reveal())
}

fn revealed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Seed, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn number(number: u32) -> TicketNumber {
        TicketNumber::new(number).unwrap()
    }

    fn customer(number: u128) -> CustomerId {
        CustomerId::from_uuid(Uuid::from_u128(number))
    }

    fn seed() -> Seed {
        Seed::from_bytes(std::array::from_fn(|index| index as u8))
    }

    fn entries(numbers: impl IntoIterator<Item = u32>, tickets: u32) -> ClosedEntries {
        let sale = SaleId::from_uuid(Uuid::from_u128(7));
        let entries = numbers.into_iter().map(|it| (number(it), customer(it.into()))).collect();
        ClosedEntries { sale, tickets, entries }
    }

    fn published() -> PublishedDraw {
        entries([1, 2, 4, 5, 6, 7, 8], 8).draw(&seed(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_draw_is_what_anybody_computes_from_the_formula() {
        // import hashlib, hmac; H = lambda b: hashlib.sha256(b).digest(); seed = bytes(range(32))
        // d = bytes(32)
        // for n in [1,2,4,5,6,7,8]: d = H(d + n.to_bytes(4, "big") + H(n.to_bytes(16, "big")))
        // rank = lambda n: hmac.digest(seed, (7).to_bytes(16, "big") + d + n.to_bytes(4, "big"), "sha256")
        // H(seed).hex(), d.hex(), sorted([1,2,4,5,6,7,8], key=rank)
        let draw = published();
        assert_eq!(
            draw.commitment.to_string(),
            "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd"
        );
        assert_eq!(
            draw.entries_digest.to_string(),
            "38eebf5481efb52a91193256d4d11fbbc24c51b385076528f0dc58be6f187e81"
        );
        assert_eq!(draw.order, [1, 7, 8, 6, 2, 4, 5].map(number));
        assert_eq!(draw.missing, [number(3)]);
        assert_eq!(draw.verify(), Ok(()));
    }

    #[test]
    fn whoever_changes_a_published_draw_is_found_out() {
        let refused = |change: &dyn Fn(&mut PublishedDraw)| {
            let mut draw = published();
            change(&mut draw);
            draw.verify().unwrap_err()
        };
        let other = Seed::from_bytes([9; 32]);
        assert!(matches!(refused(&|it| it.seed = other.clone()), DrawError::CommitmentDiffers { .. }));
        let reseeded = |it: &mut PublishedDraw| {
            it.seed = other.clone();
            it.commitment = other.commitment();
        };
        assert!(matches!(refused(&reseeded), DrawError::OrderDiffers { .. }));
        assert!(matches!(
            refused(&|it| it.entries_digest = EntriesDigest::START),
            DrawError::OrderDiffers { .. }
        ));
        let other_sale = SaleId::from_uuid(Uuid::from_u128(8));
        assert!(matches!(refused(&|it| it.sale = other_sale), DrawError::OrderDiffers { .. }));
        assert_eq!(
            refused(&|it| it.tickets = u32::MAX),
            DrawError::CountDiffers { tickets: u32::MAX, listed: 8 }
        );
        assert_eq!(refused(&|it| it.order.truncate(6)), DrawError::CountDiffers { tickets: 8, listed: 7 });
        assert_eq!(refused(&|it| it.missing[0] = number(9)), DrawError::NoSuchTicket(number(9)));
        assert_eq!(refused(&|it| it.missing[0] = number(1)), DrawError::TicketTwice(number(1)));
        let first = published().order[0];
        assert!(matches!(
            refused(&|it| it.order.swap(0, 1)),
            DrawError::OrderDiffers { place: 1, expected, .. } if expected == first
        ));
    }

    #[test]
    fn entries_cannot_be_exchanged_once_their_digest_is_known() {
        let draw = published();
        let closed = entries([1, 2, 4, 5, 6, 7, 8], 8).entries;
        assert_eq!(draw.verify_entries(closed.iter().copied()), Ok(()));
        let mut exchanged = closed.clone();
        exchanged[2].1 = customer(99);
        assert!(matches!(draw.verify_entries(exchanged), Err(DrawError::EntriesDiffer { .. })));
        assert!(draw.verify_entries(closed.iter().copied().skip(1)).is_err());
        assert!(draw.verify_entries(closed.iter().copied().rev()).is_err());
    }

    #[test]
    fn a_place_is_counted_from_one() {
        let draw = published();
        assert_eq!(draw.place_of(draw.order[0]), Some(1));
        assert_eq!(draw.place_of(draw.order[6]), Some(7));
        assert_eq!(draw.place_of(number(3)), None);
    }

    #[test]
    fn a_draw_of_nobody_is_empty_and_right() {
        let draw = entries([], 0).draw(&seed(), Timestamp::UNIX_EPOCH);
        assert_eq!((draw.order.len(), draw.verify()), (0, Ok(())));
    }

    #[test]
    fn a_seed_is_read_and_written_but_not_printed() {
        let seed = Seed::generate().unwrap();
        assert_eq!(seed.reveal().parse::<Seed>().unwrap(), seed);
        assert_ne!(Seed::generate().unwrap(), seed);
        assert_eq!(format!("{seed:?}"), "Seed(secret)");
        for text in ["", "00", &"g0".repeat(32), &"é".repeat(32), &"0".repeat(65)] {
            assert!(text.parse::<Seed>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_published_draw_is_the_same_after_a_journey_as_json() {
        let draw = published();
        let json = serde_json::to_string(&draw).unwrap();
        assert!(json.contains(&draw.seed.reveal()) && json.contains(&draw.commitment.to_string()));
        assert_eq!(serde_json::from_str::<PublishedDraw>(&json).unwrap(), draw);
        let short = json.replace(&draw.seed.reveal(), "00");
        assert!(serde_json::from_str::<PublishedDraw>(&short).unwrap_err().to_string().contains("64"));
        assert!(
            serde_json::from_str::<PublishedDraw>(&json.replace("\"missing\":[3]", "\"missing\":[0]"))
                .is_err()
        );
    }

    #[test]
    fn everybody_has_the_same_chance_to_be_first() {
        // 2,000 draws of 4: a fair one strays from 500 by more than 100 once in a hundred million times.
        let mut first = [0; 4];
        for round in 0..2_000_u32 {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&round.to_be_bytes());
            let draw = entries(1..=4, 4).draw(&Seed::from_bytes(bytes), Timestamp::UNIX_EPOCH);
            first[draw.order[0].index()] += 1;
        }
        assert!(first.iter().all(|count| (400..600).contains(count)), "{first:?}");
    }

    proptest! {
        #[test]
        fn every_draw_verifies_and_holds_each_entry_once(
            seed in any::<[u8; 32]>(), present in prop::collection::vec(any::<bool>(), 0..60)
        ) {
            let tickets = u32::try_from(present.len()).unwrap();
            let numbers: Vec<_> = (1..=tickets).zip(&present).filter(|(_, is)| **is).map(|(it, _)| it).collect();
            let draw = entries(numbers.clone(), tickets).draw(&Seed::from_bytes(seed), Timestamp::UNIX_EPOCH);
            prop_assert_eq!(draw.verify(), Ok(()));
            let mut drawn: Vec<_> = draw.order.iter().map(|it| it.get()).collect();
            drawn.sort_unstable();
            prop_assert_eq!(drawn, numbers);
        }
    }
}
