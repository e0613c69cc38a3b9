use crate::kernel::{Kernel, Usage, UsageOf};
use crate::sys::time::signed;
use crate::user::UserPtr;
use linux_abi::{Errno, Rusage, SysResult, Timeval};

/// The structure that programs see.
pub(crate) fn rusage(usage: &Usage) -> Rusage {
    Rusage {
        utime: Timeval::from_ns(signed(usage.user)),
        stime: Timeval::from_ns(signed(usage.system)),
        maxrss: signed(usage.max_rss_kib),
        minflt: signed(usage.minor_faults),
        majflt: signed(usage.major_faults),
        nvcsw: signed(usage.voluntary_switches),
        nivcsw: signed(usage.involuntary_switches),
        ..Rusage::default()
    }
}

/// getrusage(2)
pub fn getrusage<K: Kernel>(k: &K, who: i32, usage: UserPtr<Rusage>) -> SysResult {
    let of = match who {
        0 => UsageOf::Process,
        -1 => UsageOf::Children,
        1 => UsageOf::Thread,
        _ => return Err(Errno::EINVAL),
    };
    usage.write(k, &rusage(&k.getrusage(of)))?;
    Ok(0)
}
