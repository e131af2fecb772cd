//! Random numbers for tests that try many inputs.

/// A generator that gives the same numbers in every run (xorshift).
pub struct Numbers(pub u64);

impl Numbers {
    /// From 0 to below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}
