use alloc::string::String;

/// Bytes of memory, as sysinfo(2) and /proc/meminfo tell them.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryFigures {
    pub total: u64,
    pub free: u64,
    pub shared: u64,
    pub buffers: u64,
}

/// The machine.
pub trait System {
    /// Fills with bytes nobody can predict.
    fn random(&self, into: &mut [u8]);

    /// uname(2) nodename.
    fn nodename(&self) -> String;

    fn memory_figures(&self) -> MemoryFigures;

    /// Load averages in fixed point, 16 bits after the point.
    fn load_averages(&self) -> [u64; 3];

    /// How many threads there are in all.
    fn thread_count(&self) -> usize;

    /// Writes everything back (sync(2)). Nothing to do where nothing lies on a device.
    fn sync(&self);
}
