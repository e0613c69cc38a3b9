use crate::kernel::{Clock, FutexOp, FutexWord, Kernel, WakeOp};
use crate::sys::signals::{not_restarted, resumed};
use crate::sys::time::{end_of_wait, monotonic_deadline};
use crate::user::UserPtr;
use core::cmp::Ordering;
use linux_abi::raw::general as raw;
use linux_abi::{Errno, SysResult, Timespec};

/// The arguments in the forms that the operations read them.
struct Args {
    op: u32,
    word: FutexWord,
    second: FutexWord,
    val: u32,
    /// The fourth argument: a timeout, or a count.
    fourth: u64,
    val3: u32,
}

/// futex(2)
pub fn futex<K: Kernel>(
    k: &K,
    uaddr: u64,
    op: u32,
    val: u32,
    timeout: u64,
    uaddr2: u64,
    val3: u32,
) -> SysResult {
    let private = op & raw::FUTEX_PRIVATE_FLAG != 0;
    let word = |addr| FutexWord { addr, private };
    let args = Args {
        op,
        word: word(uaddr),
        second: word(uaddr2),
        val,
        fourth: timeout,
        val3,
    };
    match op & raw::FUTEX_CMD_MASK as u32 {
        raw::FUTEX_WAIT => wait(k, &args, raw::FUTEX_BITSET_MATCH_ANY),
        raw::FUTEX_WAIT_BITSET => wait(k, &args, val3),
        raw::FUTEX_WAKE => wake(k, &args, raw::FUTEX_BITSET_MATCH_ANY),
        raw::FUTEX_WAKE_BITSET => wake(k, &args, val3),
        raw::FUTEX_REQUEUE => requeue(k, &args, None),
        raw::FUTEX_CMP_REQUEUE => requeue(k, &args, Some(val3)),
        raw::FUTEX_WAKE_OP => wake_op(k, &args),
        raw::FUTEX_LOCK_PI | raw::FUTEX_LOCK_PI2 => lock_pi(k, &args, false),
        raw::FUTEX_TRYLOCK_PI => lock_pi(k, &args, true),
        raw::FUTEX_UNLOCK_PI => {
            check(k, args.word)?;
            k.futex_unlock_pi(args.word).map(|()| 0)
        }
        raw::FUTEX_WAIT_REQUEUE_PI => wait_requeue_pi(k, &args),
        raw::FUTEX_CMP_REQUEUE_PI => requeue_pi(k, &args),
        _ => Err(Errno::ENOSYS),
    }
}

/// EINVAL unless aligned, EFAULT outside the program's half.
pub(super) fn check<K: Kernel>(k: &K, word: FutexWord) -> Result<(), Errno> {
    if !word.addr.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    if k.access_ok(word.addr, 4) {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

fn wait<K: Kernel>(k: &K, args: &Args, bitset: u32) -> SysResult {
    let deadline = deadline(k, args)?;
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    check(k, args.word)?;
    match k.futex_wait(args.word, args.val, bitset, deadline) {
        Ok(()) => Ok(0),
        // With a timeout the call cannot simply be repeated.
        Err(errno) if deadline.is_some() && is_relative(args.op) => {
            Err(resumed(k, deadline, errno))
        }
        Err(errno) if deadline.is_some() => Err(not_restarted(errno)),
        Err(errno) => Err(errno),
    }
}

/// Whether the timeout is a duration.
const fn is_relative(op: u32) -> bool {
    op & raw::FUTEX_CMD_MASK as u32 == raw::FUTEX_WAIT
}

/// `FUTEX_WAIT` takes a duration, `FUTEX_WAIT_BITSET` a point in time; of which clock, a flag says.
fn deadline<K: Kernel>(k: &K, args: &Args) -> Result<Option<u64>, Errno> {
    let Some(timeout) = UserPtr::<Timespec>::new(args.fourth).read_if(k)? else {
        return Ok(None);
    };
    let time = timeout.to_ns()?;
    if is_relative(args.op) {
        return Ok(Some(end_of_wait(k, time)));
    }
    let realtime = args.op & raw::FUTEX_CLOCK_REALTIME != 0;
    monotonic_deadline(
        k,
        if realtime {
            Clock::Realtime
        } else {
            Clock::Monotonic
        },
        time,
    )
    .map(Some)
}

/// The timeout is a point in time: of CLOCK_REALTIME, or with `FUTEX_LOCK_PI2` of the clock that the flag names.
fn lock_pi<K: Kernel>(k: &K, args: &Args, try_only: bool) -> SysResult {
    check(k, args.word)?;
    let old_form = args.op & raw::FUTEX_CMD_MASK as u32 == raw::FUTEX_LOCK_PI;
    let realtime = old_form || args.op & raw::FUTEX_CLOCK_REALTIME != 0;
    let clock = if realtime {
        Clock::Realtime
    } else {
        Clock::Monotonic
    };
    let timeout = if try_only {
        None
    } else {
        UserPtr::<Timespec>::new(args.fourth).read_if(k)?
    };
    let deadline = match timeout {
        Some(timeout) => Some(monotonic_deadline(k, clock, timeout.to_ns()?)?),
        None => None,
    };
    k.futex_lock_pi(args.word, try_only, deadline).map(|()| 0)
}

fn wake<K: Kernel>(k: &K, args: &Args, bitset: u32) -> SysResult {
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    check(k, args.word)?;
    // As Linux: asking for none wakes one.
    k.futex_wake(args.word, args.val.max(1), bitset)
}

fn requeue<K: Kernel>(k: &K, args: &Args, expected: Option<u32>) -> SysResult {
    let limit = args.fourth as u32;
    // Both counts are ints that may not be negative.
    if (args.val as i32) < 0 || (limit as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    check(k, args.word)?;
    check(k, args.second)?;
    let (woken, moved) = k.futex_requeue(args.word, args.second, args.val, limit, expected)?;
    Ok(woken + moved)
}

/// The timeout is a point in time, of CLOCK_MONOTONIC unless a flag says CLOCK_REALTIME.
fn wait_requeue_pi<K: Kernel>(k: &K, args: &Args) -> SysResult {
    let deadline = deadline(k, args)?;
    check(k, args.word)?;
    check(k, args.second)?;
    k.futex_wait_requeue_pi(args.word, args.val, deadline, args.second)
        .map(|()| 0)
}

fn requeue_pi<K: Kernel>(k: &K, args: &Args) -> SysResult {
    let limit = args.fourth as u32;
    // Only one can own the mutex, so only one can be woken.
    if args.val != 1 || (limit as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    check(k, args.word)?;
    check(k, args.second)?;
    k.futex_requeue_pi(args.word, args.second, limit, args.val3)
}

fn wake_op<K: Kernel>(k: &K, args: &Args) -> SysResult {
    let op = decode_op(args.val3)?;
    check(k, args.word)?;
    check(k, args.second)?;
    k.futex_wake_op(
        args.word,
        args.val.max(1),
        args.second,
        (args.fourth as u32).max(1),
        op,
    )
}

/// `FUTEX_OP` of futex(2): operation, comparison and two signed 12-bit numbers.
fn decode_op(encoded: u32) -> Result<WakeOp, Errno> {
    const SHIFT_ARGUMENT: u32 = 8;
    let twelve = |bits: u32| (bits << 20) as i32 >> 20;
    let operation = encoded >> 28;
    let argument = twelve(encoded >> 12);
    let op_arg = if operation & SHIFT_ARGUMENT == 0 {
        argument as u32
    } else {
        1_u32.wrapping_shl(argument as u32)
    };
    let op = match operation & !SHIFT_ARGUMENT {
        0 => FutexOp::Set,
        1 => FutexOp::Add,
        2 => FutexOp::Or,
        3 => FutexOp::AndNot,
        4 => FutexOp::Xor,
        _ => return Err(Errno::ENOSYS),
    };
    let (compare, negate) = match (encoded >> 24) & 0xf {
        0 => (Ordering::Equal, false),
        1 => (Ordering::Equal, true),
        2 => (Ordering::Less, false),
        3 => (Ordering::Greater, true),
        4 => (Ordering::Greater, false),
        5 => (Ordering::Less, true),
        _ => return Err(Errno::ENOSYS),
    };
    Ok(WakeOp {
        op,
        op_arg,
        compare,
        negate,
        cmp_arg: twelve(encoded),
    })
}
