use crate::kernel::Kernel;
use crate::state::Capabilities;
use crate::user::{UserPath, UserPtr};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use linux_abi::raw::prctl as raw;
use linux_abi::raw::ptrace::{SECCOMP_SET_MODE_FILTER, SECCOMP_SET_MODE_STRICT};
use linux_abi::{CapSet, Capability, Errno, Signal, SysResult};

/// prctl(2)
pub fn prctl<K: Kernel>(
    k: &K,
    option: i32,
    arg2: u64,
    arg3: u64,
    arg4: u64,
    arg5: u64,
) -> SysResult {
    let state = &k.process().prctl;
    let rest_is_zero = arg3 == 0 && arg4 == 0 && arg5 == 0;
    match u32::try_from(option).map_err(|_| Errno::EINVAL)? {
        raw::PR_SET_NAME => set_name(k, arg2),
        raw::PR_GET_NAME => UserPtr::new(arg2).write(k, &k.thread_name()).map(|()| 0),
        raw::PR_SET_DUMPABLE => set_if(arg2 <= 1, &state.dumpable, arg2),
        raw::PR_GET_DUMPABLE => Ok(state.dumpable.load(Relaxed) as usize),
        raw::PR_SET_PDEATHSIG => set_if(
            arg2 == 0 || Signal::new(arg2).is_ok(),
            &state.death_signal,
            arg2,
        ),
        raw::PR_GET_PDEATHSIG => get_word(k, arg2, &state.death_signal),
        raw::PR_SET_KEEPCAPS if arg2 <= 1 => change_capabilities(k, |own| own.set_keep(arg2 == 1)),
        raw::PR_GET_KEEPCAPS => Ok(usize::from(capabilities(k).keeps())),
        raw::PR_SET_NO_NEW_PRIVS => set_if(arg2 == 1 && rest_is_zero, &state.no_new_privs, 1),
        raw::PR_GET_NO_NEW_PRIVS if arg2 == 0 && rest_is_zero => {
            Ok(state.no_new_privs.load(Relaxed) as usize)
        }
        raw::PR_SET_TIMERSLACK => set_timer_slack(k, arg2),
        raw::PR_GET_TIMERSLACK => Ok(state.timer_slack.load(Relaxed) as usize),
        raw::PR_SET_CHILD_SUBREAPER => set_if(true, &state.subreaper, u64::from(arg2 != 0)),
        raw::PR_GET_CHILD_SUBREAPER => get_word(k, arg2, &state.subreaper),
        raw::PR_SET_THP_DISABLE => set_if(rest_is_zero, &state.thp_disable, u64::from(arg2 != 0)),
        raw::PR_GET_THP_DISABLE if arg2 == 0 && rest_is_zero => {
            Ok(state.thp_disable.load(Relaxed) as usize)
        }
        raw::PR_SET_SECUREBITS => change_capabilities(k, |own| own.set_securebits(arg2)),
        raw::PR_GET_SECUREBITS => Ok(capabilities(k).securebits() as usize),
        raw::PR_CAPBSET_READ => {
            let wanted = Capability::new(arg2).ok_or(Errno::EINVAL)?;
            Ok(usize::from(capabilities(k).bounding.has(wanted)))
        }
        raw::PR_CAPBSET_DROP => {
            let unwanted = Capability::new(arg2).ok_or(Errno::EINVAL)?;
            change_capabilities(k, |own| own.drop_bounding(unwanted))
        }
        raw::PR_CAP_AMBIENT if arg4 == 0 && arg5 == 0 => ambient(k, arg2, arg3),
        raw::PR_SET_VMA => set_vma(k, arg2, arg5),
        // Whoever may trace is moot without ptrace(2); programs only announce it.
        PR_SET_PTRACER => Ok(0),
        raw::PR_GET_TSC => UserPtr::new(arg2).write(k, &raw::PR_TSC_ENABLE).map(|()| 0),
        raw::PR_SET_TSC => {
            if arg2 == u64::from(raw::PR_TSC_ENABLE) {
                Ok(0)
            } else {
                part(k, "prctl: PR_SET_TSC")
            }
        }
        raw::PR_GET_SECCOMP => Ok(k.seccomp_mode() as usize),
        raw::PR_SET_SECCOMP => set_seccomp(k, arg2, arg3),
        raw::PR_SET_MM => part(k, "prctl: PR_SET_MM"),
        raw::PR_MCE_KILL_GET => Ok(raw::PR_MCE_KILL_DEFAULT as usize),
        // "Not affected": the boundary that such attacks would cross is the machine's.
        raw::PR_GET_SPECULATION_CTRL if rest_is_zero => {
            if arg2 <= 2 {
                Ok(0)
            } else {
                Err(Errno::ENODEV)
            }
        }
        raw::PR_GET_TID_ADDRESS => Err(Errno::EINVAL),
        _ => Err(Errno::EINVAL),
    }
}

/// `PR_SET_PTRACER`, "Yama".
const PR_SET_PTRACER: u32 = 0x5961_6d61;

fn part<K: Kernel>(k: &K, what: &'static str) -> SysResult {
    k.unsupported_part(what);
    Err(Errno::EINVAL)
}

/// `PR_SET_SECCOMP`: the mode counts from 1 as seccomp(2)'s operations do from 0.
fn set_seccomp<K: Kernel>(k: &K, mode: u64, filter: u64) -> SysResult {
    const STRICT: u64 = 1;
    const FILTER: u64 = 2;
    match mode {
        STRICT => k.seccomp_if_there(SECCOMP_SET_MODE_STRICT, 0),
        FILTER => k.seccomp_if_there(SECCOMP_SET_MODE_FILTER, filter),
        _ => Err(Errno::EINVAL),
    }
}

fn set_if(valid: bool, place: &AtomicU32, value: u64) -> SysResult {
    if !valid {
        return Err(Errno::EINVAL);
    }
    place.store(value as u32, Relaxed);
    Ok(0)
}

fn get_word<K: Kernel>(k: &K, addr: u64, place: &AtomicU32) -> SysResult {
    UserPtr::new(addr)
        .write(k, &place.load(Relaxed))
        .map(|()| 0)
}

/// `PR_SET_NAME`: cut at 15 bytes.
fn set_name<K: Kernel>(k: &K, addr: u64) -> SysResult {
    let mut text = [0; 16];
    match k.read_cstr(addr, &mut text) {
        Ok(_) | Err(Errno::ENAMETOOLONG) => {}
        Err(other) => return Err(other),
    }
    let mut name = [0; 16];
    for (slot, byte) in name
        .iter_mut()
        .take(15)
        .zip(text.iter().take_while(|byte| **byte != 0))
    {
        *slot = *byte;
    }
    k.set_thread_name(name);
    Ok(0)
}

fn set_timer_slack<K: Kernel>(k: &K, slack: u64) -> SysResult {
    let slack = if slack == 0 {
        crate::state::DEFAULT_TIMER_SLACK
    } else {
        slack
    };
    k.process().prctl.timer_slack.store(slack, Relaxed);
    Ok(0)
}

fn capabilities<K: Kernel>(k: &K) -> Capabilities {
    k.process().with_identity(|id| id.capabilities)
}

fn change_capabilities<K: Kernel>(
    k: &K,
    change: impl FnOnce(&mut Capabilities) -> Result<(), Errno>,
) -> SysResult {
    k.process()
        .change_identity(|id| change(&mut id.capabilities))
        .map(|()| 0)
}

/// `PR_CAP_AMBIENT`
fn ambient<K: Kernel>(k: &K, operation: u64, number: u64) -> SysResult {
    let operation = u32::try_from(operation).map_err(|_| Errno::EINVAL)?;
    if operation == raw::PR_CAP_AMBIENT_CLEAR_ALL {
        let clear = |own: &mut Capabilities| {
            own.ambient = CapSet::EMPTY;
            Ok(())
        };
        return if number == 0 {
            change_capabilities(k, clear)
        } else {
            Err(Errno::EINVAL)
        };
    }
    let capability = Capability::new(number).ok_or(Errno::EINVAL)?;
    match operation {
        raw::PR_CAP_AMBIENT_IS_SET => Ok(usize::from(capabilities(k).ambient.has(capability))),
        raw::PR_CAP_AMBIENT_RAISE => change_capabilities(k, |own| own.raise_ambient(capability)),
        raw::PR_CAP_AMBIENT_LOWER => change_capabilities(k, |own| {
            own.lower_ambient(capability);
            Ok(())
        }),
        _ => Err(Errno::EINVAL),
    }
}

/// `PR_SET_VMA_ANON_NAME`: the name is checked; /proc does not show it.
fn set_vma<K: Kernel>(k: &K, attribute: u64, name: u64) -> SysResult {
    const NAME_MAX: usize = 80;
    if attribute != u64::from(raw::PR_SET_VMA_ANON_NAME) {
        return Err(Errno::EINVAL);
    }
    if name != 0 {
        match UserPath::new(name).read(k, NAME_MAX) {
            Ok(text) if text.iter().all(|byte| matches!(byte, 0x20..0x7f)) => {}
            Ok(_) | Err(Errno::ENAMETOOLONG) => return Err(Errno::EINVAL),
            Err(other) => return Err(other),
        }
    }
    Ok(0)
}
