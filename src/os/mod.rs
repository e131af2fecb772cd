//! What only the operating system can do: allocator and descriptor settings, memory figures, signals.

pub mod platform;
pub mod shutdown;
