//! Chance from outside: whoever evaluates draws it, so that it can be replayed.

/// A source of random numbers.
pub trait Chance {
    /// Any number, all with the same chance.
    fn next(&mut self) -> u64;

    /// A number in `[0, 1)`.
    fn fraction(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let numerator = (self.next() >> 11) as f64;
        numerator / 9_007_199_254_740_992.0
    }

    /// A UUID of version 4.
    fn uuid(&mut self) -> String {
        let high = (self.next() & 0xFFFF_FFFF_FFFF_0FFF) | 0x4000;
        let low = (self.next() & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xFFFF,
            high & 0xFFFF,
            low >> 48,
            low & 0xFFFF_FFFF_FFFF
        )
    }
}

/// The first number that `java.util.Random` draws from a seed, in `[0, 1)`: what AWS gives for a seeded `$random`.
pub(crate) fn java_fraction(seed: i64) -> f64 {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    let mut state = (seed.cast_unsigned() ^ MULTIPLIER) & MASK;
    let mut next = |bits: u32| {
        state = (state.wrapping_mul(MULTIPLIER).wrapping_add(0xB)) & MASK;
        state >> (48 - bits)
    };
    let (high, low) = (next(26), next(27));
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let numerator = ((high << 27) + low) as f64;
    numerator / 9_007_199_254_740_992.0
}

/// Chance for tests: the same numbers every time.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Drawn(pub(crate) u64);

#[cfg(test)]
impl Chance for Drawn {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        self.0 ^ (self.0 >> 33)
    }
}
