//! What only the operating system can do: allocator and descriptor settings, memory figures, random numbers, signals; and who
//! takes how much of its memory.

pub(crate) mod notify;
pub mod platform;
pub(crate) mod random;
pub mod room;
pub mod shutdown;
