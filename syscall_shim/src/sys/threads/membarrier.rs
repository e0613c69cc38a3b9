use crate::kernel::{Kernel, MembarrierCommand};
use linux_abi::{Errno, SysResult};

const QUERY: i32 = 0;
/// The commands, each a bit of the answer to `MEMBARRIER_CMD_QUERY`.
const COMMANDS: [(i32, MembarrierCommand); 7] = [
    (1 << 0, MembarrierCommand::Global),
    (1 << 1, MembarrierCommand::GlobalExpedited),
    (1 << 2, MembarrierCommand::RegisterGlobalExpedited),
    (1 << 3, MembarrierCommand::PrivateExpedited),
    (1 << 4, MembarrierCommand::RegisterPrivateExpedited),
    (1 << 5, MembarrierCommand::PrivateExpeditedSyncCore),
    (1 << 6, MembarrierCommand::RegisterPrivateExpeditedSyncCore),
];

/// membarrier(2)
pub fn membarrier<K: Kernel>(k: &K, cmd: i32, flags: u32, _cpu: i32) -> SysResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    if cmd == QUERY {
        return Ok(COMMANDS.iter().fold(0, |all, (bit, _)| all | *bit as usize));
    }
    let (_, command) = COMMANDS
        .iter()
        .find(|(bit, _)| *bit == cmd)
        .ok_or(Errno::EINVAL)?;
    k.membarrier(*command).map(|()| 0)
}
