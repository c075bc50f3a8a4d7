//! Python's `random.Random(seed).shuffle`, bit for bit: the published order of the options depends on it.

use rand_mt::Mt;

/// A generator. Each shuffle continues where the one before stopped.
pub(crate) struct Shuffler(Mt);

impl Shuffler {
    /// The generator of `random.Random(seed)`.
    pub(crate) fn new(seed: u64) -> Self {
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        // Python's key has as many 32-bit digits as the seed needs.
        Self(if high == 0 { Mt::new_with_key([low]) } else { Mt::new_with_key([low, high]) })
    }

    /// Reorders `items` as Python's `shuffle` would.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u32 + 1) as usize);
        }
    }

    /// A random number in `0..n`, for `n` of at least 1: numbers of just enough bits are drawn until one is below `n`.
    fn below(&mut self, n: u32) -> u32 {
        loop {
            let draw = self.0.next_u32() >> n.leading_zeros();
            if draw < n {
                return draw;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Shuffler;

    /// python3: r = random.Random(S); x = list(range(12)); r.shuffle(x); r.shuffle(x); print(x)
    #[test]
    fn equals_python() {
        let twice = |seed| {
            let mut items: Vec<u32> = (0..12).collect();
            let mut shuffler = Shuffler::new(seed);
            shuffler.shuffle(&mut items);
            shuffler.shuffle(&mut items);
            items
        };
        assert_eq!(twice(0), SEED_0);
        assert_eq!(twice(42), SEED_42);
        assert_eq!(twice((7 << 32) + 1), SEED_WIDE);
    }

    const SEED_0: [u32; 12] = [2, 1, 5, 7, 3, 6, 0, 9, 11, 10, 8, 4];
    const SEED_42: [u32; 12] = [6, 3, 2, 0, 1, 11, 9, 4, 8, 5, 10, 7];
    const SEED_WIDE: [u32; 12] = [10, 9, 3, 5, 0, 11, 8, 1, 4, 2, 6, 7];
}
