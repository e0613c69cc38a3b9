//! What the file systems need of the machine below them.
use crate::types::Timestamp;
use crate::wait::Wake;
use alloc::sync::Weak;

/// Implemented by the kernel (and by tests).
pub trait Host: Send + Sync {
    /// `CLOCK_REALTIME`, for file times. Coarse is fine, fast is better.
    fn wall_time(&self) -> Timestamp;

    /// Nanoseconds of a clock: `CLOCK_REALTIME` (0), `CLOCK_MONOTONIC` (1), `CLOCK_BOOTTIME` (7).
    fn clock(&self, clock: u32) -> u64;

    /// Calls `whom.wake(0)` once `clock` has reached `deadline` (nanoseconds). Several may be pending for one waker;
    /// a wake-up that has become pointless is harmless.
    fn wake_at(&self, clock: u32, deadline: u64, whom: Weak<dyn Wake>);

    /// Fills with bytes that nobody can predict.
    fn random(&self, into: &mut [u8]);
}
