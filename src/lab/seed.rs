//! Seeds of single runs from the one that was given, whatever thread they run on.

/// Mixes numbers into a seed (the finaliser of `SplitMix64`, Steele and others 2014).
pub(super) fn mixed(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9E37_79B9_7F4A_7C15, |state, part| {
        let mut z = state
            .wrapping_add(*part)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

/// A text as a number (FNV-1a): stable over versions of Rust, unlike the standard library's hashes.
pub(super) fn of_text(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_get_different_seeds_and_texts_their_published_hash() {
        let seeds: std::collections::BTreeSet<u64> = (0..100)
            .flat_map(|run| [mixed(&[1, run]), mixed(&[2, run])])
            .collect();
        assert_eq!(seeds.len(), 200);
        // From the table of the algorithm's authors.
        assert_eq!(of_text("foobar"), 0x8594_4171_F739_67E8);
    }
}
