//! Kafka's default partitioner, so that the shard of a key equals its Kafka partition, in every build and process.
//!
//! The hash is murmur2 as `org.apache.kafka.common.utils.Utils.murmur2` computes it (32 bits, little-endian words).

const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;

/// The partition of a key among so many; 0 when there is none at all.
pub fn partition_of(key: &[u8], partitions: usize) -> usize {
    // Kafka's `toPositive`: the sign bit is cleared.
    let positive = murmur2(key) & 0x7fff_ffff;
    usize::try_from(positive).map_or(0, |positive| positive % partitions.max(1))
}

fn murmur2(data: &[u8]) -> u32 {
    // Kafka counts in 32 bits as well; no key is that long.
    #[expect(clippy::cast_possible_truncation, reason = "the hash takes the length modulo 2^32")]
    let mut hash = SEED ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        k ^= k >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ k.wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail: u32, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of `testMurmur2` in Apache Kafka's `UtilsTest`.
    #[test]
    fn murmur2_gives_the_values_that_kafka_publishes() {
        for (data, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
            ("", 275_646_681),
        ] {
            assert_eq!(murmur2(data.as_bytes()).cast_signed(), hash, "{data}");
        }
    }

    /// The positive values are published with the test cases of Kafka's clients.
    #[test]
    fn a_key_has_the_partition_of_kafkas_default_partitioner() {
        for (data, positive) in [("21", 1_173_551_340), ("foobar", 1_357_151_166), ("abc", 479_470_107)] {
            for partitions in [1, 2, 3, 10, 12, 100] {
                assert_eq!(partition_of(data.as_bytes(), partitions), positive % partitions, "{data}");
            }
        }
        assert_eq!(partition_of(b"foobar", 10), 6);
        assert_eq!(partition_of(b"foobar", 0), 0);
    }
}
