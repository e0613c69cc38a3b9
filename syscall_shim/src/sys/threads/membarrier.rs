use crate::kernel::{Kernel, MembarrierCommand};
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::{Errno, SysResult};

const QUERY: i32 = 0;
const GET_REGISTRATIONS: i32 = 1 << 9;

/// A command that does something.
struct Row {
    bit: i32,
    command: MembarrierCommand,
    /// It is a registration.
    registers: bool,
    /// The registration without which it is EPERM.
    needs: i32,
}

const fn barrier(bit: i32, command: MembarrierCommand, needs: i32) -> Row {
    Row {
        bit,
        command,
        registers: false,
        needs,
    }
}

const fn registration(bit: i32, command: MembarrierCommand) -> Row {
    Row {
        bit,
        command,
        registers: true,
        needs: 0,
    }
}

/// The commands, each a bit of the answer to `MEMBARRIER_CMD_QUERY`.
const COMMANDS: [Row; 7] = [
    barrier(1 << 0, MembarrierCommand::Global, 0),
    barrier(1 << 1, MembarrierCommand::GlobalExpedited, 0),
    registration(1 << 2, MembarrierCommand::RegisterGlobalExpedited),
    barrier(1 << 3, MembarrierCommand::PrivateExpedited, 1 << 4),
    registration(1 << 4, MembarrierCommand::RegisterPrivateExpedited),
    barrier(1 << 5, MembarrierCommand::PrivateExpeditedSyncCore, 1 << 6),
    registration(1 << 6, MembarrierCommand::RegisterPrivateExpeditedSyncCore),
];

/// As Linux tells it: who registered for the stronger private barrier counts as registered for the other, without which
/// that one is still EPERM.
const fn told(registered: i32) -> i32 {
    if registered & (1 << 6) != 0 {
        registered | 1 << 4
    } else {
        registered
    }
}

/// membarrier(2)
pub fn membarrier<K: Kernel>(k: &K, cmd: i32, flags: u32, _cpu: i32) -> SysResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let registered = &k.process().membarrier;
    match cmd {
        QUERY => {
            let all = COMMANDS
                .iter()
                .fold(GET_REGISTRATIONS, |all, row| all | row.bit);
            return Ok(all as usize);
        }
        GET_REGISTRATIONS => return Ok(told(registered.load(Relaxed) as i32) as usize),
        _ => {}
    }
    let row = COMMANDS.iter().find(|row| row.bit == cmd);
    let row = row.ok_or(Errno::EINVAL)?;
    if row.needs & !(registered.load(Relaxed) as i32) != 0 {
        return Err(Errno::EPERM);
    }
    k.membarrier(row.command)?;
    if row.registers {
        registered.fetch_or(row.bit as u32, Relaxed);
    }
    Ok(0)
}
