//! How often one account or device may try, remembered for any number of them in a table that never grows.
//!
//! Each key has a bucket that refills steadily and holds a burst. The table remembers a key by its 64-bit hash, made
//! with a secret of the process, in one of eight slots; the hash says which eight.
//!
//! - Two keys with the same hash share a bucket. With a million keys that happens to any two of them once in some
//!   ten million tables.
//! - A ninth key takes over, of the eight slots, the bucket that is fullest again, and goes on with what is in it.
//!   As long as the table has a slot for every key that tried within the time that a bucket needs to refill, that
//!   is a full bucket, and no key loses anything. When it has not, a newcomer may be refused for what others did, and
//!   a forgotten key may get a fuller bucket than it left. But all keys together never get more than the buckets
//!   of the table give, so making up keys does not help.

use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;

use crate::error::{Fault, Kind};

const WAYS: usize = 8;

/// Too many tries; another one may succeed after so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; the next one is possible in {seconds} seconds")]
pub struct RetryAfter {
    /// At least 1.
    pub seconds: u32,
}

impl Fault for RetryAfter {
    fn kind(&self) -> Kind {
        Kind::Busy
    }

    fn code(&self) -> &'static str {
        "too-many-attempts"
    }

    fn details(&self) -> serde_json::Map<String, serde_json::Value> {
        [("retry_after".to_owned(), self.seconds.into())].into_iter().collect()
    }
}

/// The buckets of all keys of one sort: accounts and devices have a table each.
#[derive(Debug)]
pub struct Pacing {
    /// Microseconds for one token.
    every: i64,
    /// Microseconds that an empty bucket needs until it is full.
    full_after: i64,
    hasher: RandomState,
    sets: Vec<[Slot; WAYS]>,
}

/// A bucket as the generic cell rate algorithm (ITU-T I.371) keeps it: by the time when it will be full.
#[derive(Debug, Clone, Copy)]
struct Slot {
    key: u64,
    /// Microseconds since 1970.
    full_at: i64,
}

impl Pacing {
    /// One try per `every` and key, after a burst of so many at once; remembers at least `keys` keys, which take 16
    /// bytes each.
    pub fn new(every: Duration, burst: NonZeroU32, keys: usize) -> Self {
        let every = i64::try_from(every.as_micros()).unwrap_or(i64::MAX);
        let full_after = every.saturating_mul(i64::from(burst.get()));
        let empty = Slot { key: 0, full_at: i64::MIN };
        Self {
            every,
            full_after,
            hasher: RandomState::new(),
            sets: vec![[empty; WAYS]; keys.div_ceil(WAYS).max(1)],
        }
    }

    /// Takes one try of a key, or refuses with the time to wait; a refused try costs nothing.
    pub fn allow(&mut self, key: impl Hash, now: Timestamp) -> Result<(), RetryAfter> {
        let key = self.hasher.hash_one(key);
        let now = now.as_microsecond();
        let (every, full_after) = (self.every, self.full_after);
        let Some(slot) = self.slot(key) else { return Ok(()) };
        slot.key = key;
        let full_at = slot.full_at.max(now).saturating_add(every);
        let wait = full_at.saturating_sub(now).saturating_sub(full_after);
        if wait > 0 {
            let seconds = u32::try_from(wait.unsigned_abs().div_ceil(1_000_000)).unwrap_or(u32::MAX);
            return Err(RetryAfter { seconds });
        }
        slot.full_at = full_at;
        Ok(())
    }

    /// Bytes of the table, which stay the same.
    pub fn memory_bytes(&self) -> usize {
        size_of_val(self.sets.as_slice())
    }

    /// The key's slot, or the one that it takes over.
    fn slot(&mut self, key: u64) -> Option<&mut Slot> {
        // There is at least one set, and a remainder fits.
        let index = usize::try_from(key % self.sets.len() as u64).ok()?;
        let set = self.sets.get_mut(index)?;
        let known = set.iter().position(|slot| slot.key == key && slot.full_at != i64::MIN);
        match known {
            Some(way) => set.get_mut(way),
            None => set.iter_mut().min_by_key(|slot| slot.full_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
    }

    /// A burst of 3, then one in 10 seconds.
    fn pacing(keys: usize) -> Pacing {
        Pacing::new(Duration::from_secs(10), NonZeroU32::new(3).unwrap(), keys)
    }

    #[test]
    fn a_burst_is_allowed_and_then_one_at_a_time() {
        let mut pacing = pacing(100);
        for _ in 0..3 {
            assert_eq!(pacing.allow("lamp", at(0)), Ok(()));
        }
        assert_eq!(pacing.allow("lamp", at(0)), Err(RetryAfter { seconds: 10 }));
        assert_eq!(pacing.allow("lamp", at(9_999)), Err(RetryAfter { seconds: 1 }));
        assert_eq!(pacing.allow("lamp", at(10_000)), Ok(()));
        assert_eq!(pacing.allow("lamp", at(10_000)), Err(RetryAfter { seconds: 10 }));
    }

    #[test]
    fn a_quiet_key_has_its_burst_again_and_no_more() {
        let mut pacing = pacing(100);
        let burst =
            |pacing: &mut Pacing, millis| (0..10).filter(|_| pacing.allow(1, at(millis)).is_ok()).count();
        assert_eq!(burst(&mut pacing, 0), 3);
        assert_eq!(burst(&mut pacing, 30_000), 3);
        assert_eq!(burst(&mut pacing, 3_600_000), 3);
    }

    #[test]
    fn one_key_does_not_pay_for_another_while_there_is_room() {
        let mut pacing = pacing(100);
        while pacing.allow("greedy", at(0)).is_ok() {}
        assert_eq!(pacing.allow("modest", at(0)), Ok(()));
        assert!(pacing.allow("greedy", at(0)).is_err());
    }

    #[test]
    fn quiet_keys_make_room_for_new_ones() {
        let mut pacing = pacing(8);
        for round in 0..100_i64 {
            for key in 0..8 {
                assert_eq!(pacing.allow((round, key), at(round * 10_000)), Ok(()));
            }
        }
    }

    #[test]
    fn made_up_keys_get_no_more_than_the_table_gives() {
        let mut pacing = pacing(8);
        assert_eq!((0..1_000).filter(|key| pacing.allow(key, at(0)).is_ok()).count(), 8 * 3);
        assert_eq!((0..1_000).filter(|key| pacing.allow(key, at(10_000)).is_ok()).count(), 8);
    }

    #[test]
    fn the_table_does_not_grow() {
        let mut pacing = pacing(1_000);
        let before = pacing.memory_bytes();
        assert_eq!(before, 16_000);
        for key in 0..10_000 {
            let _ = pacing.allow(key, at(0));
        }
        assert_eq!(pacing.memory_bytes(), before);
    }

    #[test]
    fn no_length_of_time_overflows() {
        let mut pacing = Pacing::new(Duration::MAX, NonZeroU32::MAX, 0);
        let _ = pacing.allow(1, Timestamp::MAX);
        let _ = pacing.allow(1, Timestamp::MIN);
        let mut free = Pacing::new(Duration::ZERO, NonZeroU32::MIN, 1);
        assert!((0..100).all(|key| free.allow(key % 2, at(0)).is_ok()));
    }

    proptest! {
        #[test]
        fn no_key_gets_more_than_burst_and_rate(tries in prop::collection::vec((0..8_000_i64, 0..4_u8), 1..200)) {
            let mut pacing = pacing(1_000);
            let mut allowed = [0_i64; 4];
            let mut millis = 0;
            for (wait, key) in tries {
                millis += wait;
                let index = usize::from(key);
                match pacing.allow(key, at(millis)) {
                    Ok(()) => allowed[index] += 1,
                    Err(RetryAfter { seconds }) => {
                        prop_assert!((1..=10).contains(&seconds));
                        // It was right to refuse: a burst was used in the last seconds.
                        prop_assert!(allowed[index] >= 3);
                    }
                }
                prop_assert!(allowed[index] <= 3 + millis / 10_000);
            }
        }
    }
}
