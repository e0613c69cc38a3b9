use crate::kernel::{Clock, Kernel};
use crate::user::UserPtr;
use linux_abi::{SysResult, Sysinfo};

/// sysinfo(2)
pub fn sysinfo<K: Kernel>(k: &K, info: UserPtr<Sysinfo>) -> SysResult {
    const SECOND: u64 = 1_000_000_000;
    let memory = k.memory_figures();
    let value = Sysinfo {
        // Linux rounds up.
        uptime: k.clock_gettime(Clock::Boottime)?.div_ceil(SECOND) as i64,
        loads: k.load_averages(),
        totalram: memory.total,
        freeram: memory.free,
        sharedram: memory.shared,
        bufferram: memory.buffers,
        procs: u16::try_from(k.thread_count()).unwrap_or(u16::MAX),
        mem_unit: 1,
        ..Sysinfo::default()
    };
    info.write(k, &value)?;
    Ok(0)
}
