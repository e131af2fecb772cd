//! What only the operating system can do: allocator and descriptor settings, memory figures, random numbers, signals.

pub(crate) mod notify;
pub mod platform;
pub(crate) mod random;
pub mod shutdown;
