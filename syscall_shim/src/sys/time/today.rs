use super::signed;
use crate::kernel::{Clock, Kernel, UsageOf};
use crate::user::UserPtr;
use linux_abi::{SysResult, Timeval, Timezone, Tms, USER_HZ};

const SECOND: u64 = 1_000_000_000;

/// gettimeofday(2)
pub fn gettimeofday<K: Kernel>(k: &K, tv: UserPtr<Timeval>, tz: UserPtr<Timezone>) -> SysResult {
    if !tv.is_null() {
        let now = k.clock_gettime(Clock::Realtime)?;
        tv.write(k, &Timeval::from_ns(signed(now)))?;
    }
    tz.write_if(k, &Timezone::default())?;
    Ok(0)
}

/// time(2)
pub fn time<K: Kernel>(k: &K, tloc: UserPtr<i64>) -> SysResult {
    let seconds = signed(k.clock_gettime(Clock::RealtimeCoarse)? / SECOND);
    tloc.write_if(k, &seconds)?;
    Ok(seconds as usize)
}

/// times(2)
pub fn times<K: Kernel>(k: &K, buf: UserPtr<Tms>) -> SysResult {
    let ticks = |ns: u64| (ns / (SECOND / USER_HZ)) as i64;
    if !buf.is_null() {
        let (own, children) = (
            k.getrusage(UsageOf::Process),
            k.getrusage(UsageOf::Children),
        );
        let value = Tms {
            utime: ticks(own.user),
            stime: ticks(own.system),
            cutime: ticks(children.user),
            cstime: ticks(children.system),
        };
        buf.write(k, &value)?;
    }
    // Linux starts counting five minutes before boot; any fixed point will do.
    Ok(ticks(k.monotonic()) as usize)
}
