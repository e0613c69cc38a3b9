use super::clock_from_id;
use crate::kernel::{Clock, Kernel};
use crate::user::UserPtr;
use linux_abi::{Errno, SysResult, Timeval};

/// `struct timex` up to its time, in its eight-byte fields; the clock is never adjusted, so the rest is constant.
const FIELDS: usize = 26;
const OFFSET_MODES: usize = 0;
const MAXERROR: usize = 3;
const ESTERROR: usize = 4;
const STATUS: usize = 5;
const PRECISION: usize = 7;
const TOLERANCE: usize = 8;
const TIME_SEC: usize = 9;
const TIME_USEC: usize = 10;
const TICK: usize = 11;

/// `ADJ_OFFSET_SS_READ`: reads although bits are set.
const ADJ_OFFSET_SS_READ: u32 = 0xa001;
/// `STA_UNSYNC`
const UNSYNCHRONIZED: i64 = 0x40;
/// `TIME_ERROR`: what adjtimex(2) answers for a clock that nothing keeps in step.
const TIME_ERROR: usize = 5;

/// adjtimex(2)
pub fn adjtimex<K: Kernel>(k: &K, buf: u64) -> SysResult {
    let fields = UserPtr::<i64>::new(buf);
    let modes = fields.cast::<u32>().read(k)?;
    if modes != 0 && modes != ADJ_OFFSET_SS_READ {
        return Err(Errno::EPERM);
    }
    let now = Timeval::from_ns(super::signed(k.clock_gettime(Clock::Realtime)?));
    let mut value = [0_i64; FIELDS];
    let known = [
        (OFFSET_MODES, i64::from(modes)),
        (MAXERROR, 16_000_000),
        (ESTERROR, 16_000_000),
        (STATUS, UNSYNCHRONIZED),
        (PRECISION, 1),
        (TOLERANCE, 32_768_000),
        (TIME_SEC, now.sec),
        (TIME_USEC, now.usec),
        (TICK, 10_000),
    ];
    for (at, field) in known {
        if let Some(slot) = value.get_mut(at) {
            *slot = field;
        }
    }
    fields.write_slice(k, &value)?;
    Ok(TIME_ERROR)
}

/// clock_adjtime(2)
pub fn clock_adjtime<K: Kernel>(k: &K, clockid: u32, buf: u64) -> SysResult {
    match clock_from_id(clockid)? {
        Clock::Realtime => adjtimex(k, buf),
        _ => Err(Errno::EOPNOTSUPP),
    }
}
