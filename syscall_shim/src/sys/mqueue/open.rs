use super::queue_of;
use crate::kernel::Kernel;
use crate::state::Resource;
use crate::user::UserPtr;
use crate::{Fd, Path};
use linux_abi::raw::general::O_NONBLOCK;
use linux_abi::{Errno, MqAttr, PATH_MAX, SysResult};
use vfs::{MqOpen, MqSize};

/// mq_open(2): the descriptor is closed by execve(2), always.
pub fn mq_open<K: Kernel>(
    k: &K,
    name: Path,
    oflag: u32,
    mode: u32,
    attr: UserPtr<MqAttr>,
) -> SysResult {
    let size = attr.read_if(k)?.map(|attr| MqSize {
        max_messages: attr.maxmsg,
        message_size: attr.msgsize,
    });
    let name = name.read(k, PATH_MAX)?;
    let cred = k.process().file_credentials();
    let wanted = MqOpen {
        name: &name,
        flags: oflag,
        mode: mode & !k.fs().umask(),
        size,
        bytes: k.process().limits.lock().current(Resource::MSGQUEUE),
    };
    let file = vfs::mq_open(&cred, &wanted)?;
    k.files().insert(file, true).map(|fd| fd as usize)
}

/// mq_unlink(2)
pub fn mq_unlink<K: Kernel>(k: &K, name: Path) -> SysResult {
    let name = name.read(k, PATH_MAX)?;
    vfs::mq_unlink(&k.process().file_credentials(), &name).map(|()| 0)
}

/// mq_getattr(3) and mq_setattr(3): of a new setting only `O_NONBLOCK` counts.
pub fn mq_getsetattr<K: Kernel>(
    k: &K,
    mqdes: Fd,
    new: UserPtr<MqAttr>,
    old: UserPtr<MqAttr>,
) -> SysResult {
    let new = new.read_if(k)?;
    let nonblock = i64::from(O_NONBLOCK);
    if new.is_some_and(|new| new.flags & !nonblock != 0) {
        return Err(Errno::EINVAL);
    }
    let file = k.files().get(mqdes)?;
    let queue = queue_of(&file)?;
    let before = MqAttr {
        flags: i64::from(file.flags()) & nonblock,
        maxmsg: queue.size().max_messages,
        msgsize: queue.size().message_size,
        curmsgs: queue.count() as i64,
        ..MqAttr::default()
    };
    if let Some(new) = new {
        file.set_nonblocking(new.flags & nonblock != 0);
    }
    old.write_if(k, &before)?;
    Ok(0)
}
