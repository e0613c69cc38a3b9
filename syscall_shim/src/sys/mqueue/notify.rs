use super::queue_of;
use crate::Fd;
use crate::kernel::{Kernel, KillTarget};
use crate::user::UserPtr;
use linux_abi::raw::general as raw;
use linux_abi::{Errno, SI_MESGQ, Sigevent, Siginfo, Signal, SysResult};
use net::Socket;
use vfs::{MqNotify, MqNotifyHow};

/// The last byte of the cookie says what happened.
const NOTIFY_WOKENUP: u8 = 1;
const NOTIFY_REMOVED: u8 = 2;

/// mq_notify(2): the caller is to be told when a message comes to the empty queue, once; or not any more.
pub fn mq_notify<K: Kernel>(k: &K, mqdes: Fd, sevp: UserPtr<Sigevent>) -> SysResult {
    let how = match sevp.read_if(k)? {
        Some(event) => Some(how(k, &event)?),
        None => None,
    };
    let file = k.files().get(mqdes)?;
    let queue = queue_of(&file)?;
    let process = k.getpid();
    match how {
        Some(how) => queue.set_notify(MqNotify { process, how })?,
        None => {
            if let Some(removed) = queue.remove_notify(process) {
                send_cookie(&removed.how, NOTIFY_REMOVED);
            }
        }
    }
    Ok(0)
}

fn how<K: Kernel>(k: &K, event: &Sigevent) -> Result<MqNotifyHow, Errno> {
    match u32::try_from(event.notify) {
        Ok(raw::SIGEV_NONE) => Ok(MqNotifyHow::Nothing),
        Ok(raw::SIGEV_SIGNAL) => match u32::try_from(event.signo) {
            Ok(signal) if signal <= u32::from(Signal::MAX) => {
                Ok(MqNotifyHow::Signal(signal, event.value))
            }
            _ => Err(Errno::EINVAL),
        },
        // The C library reads from a netlink socket, and starts the thread.
        Ok(raw::SIGEV_THREAD) => {
            let mut cookie = [0; 32];
            UserPtr::new(event.value).read_slice(k, &mut cookie)?;
            let socket = k.files().get(event.signo)?;
            if socket.ops_as::<Socket>().is_none() {
                return Err(Errno::ENOTSOCK);
            }
            Ok(MqNotifyHow::Thread(socket, cookie))
        }
        _ => Err(Errno::EINVAL),
    }
}

fn send_cookie(how: &MqNotifyHow, what: u8) {
    let MqNotifyHow::Thread(file, cookie) = how else {
        return;
    };
    let mut cookie = *cookie;
    if let Some(last) = cookie.last_mut() {
        *last = what;
    }
    if let Some(socket) = file.ops_as::<Socket>() {
        // As on Linux, a socket with a full queue misses it.
        let _ = socket.ops().deliver(&cookie);
    }
}

/// Tells of a message.
pub(super) fn tell<K: Kernel>(k: &K, notify: &MqNotify) {
    send_cookie(&notify.how, NOTIFY_WOKENUP);
    let MqNotifyHow::Signal(signal, value) = notify.how else {
        return;
    };
    if let Ok(signal) = Signal::new(u64::from(signal)) {
        let uid = k.process().with_identity(|identity| identity.ruid);
        let info = Siginfo::queue(signal, SI_MESGQ, k.getpid(), uid, value);
        // Nothing can be done about a full queue of signals, nor does Linux.
        let _ = k.kill(KillTarget::Process(notify.process), Some(&info));
    }
}
