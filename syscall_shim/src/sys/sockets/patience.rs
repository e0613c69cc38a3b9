use super::lookup::socket_of;
use crate::kernel::Kernel;
use linux_abi::{Errno, MsgFlags};
use net::{Socket, SocketOps};
use vfs::{File, WaitList};

/// How long a call waits: not at all (`O_NONBLOCK`, `MSG_DONTWAIT`), until its timeout (`SO_RCVTIMEO`, `SO_SNDTIMEO`),
/// or for ever.
pub(crate) struct Patience {
    blocks: bool,
    timeout: Option<u64>,
    /// Set by the first wait: all waits of one call end together.
    deadline: Option<u64>,
}

impl Patience {
    /// For a call that receives: recv(2) and its kin, accept(2).
    #[inline]
    pub(super) fn receiving(file: &File, socket: &Socket, flags: MsgFlags) -> Self {
        // Urgent data and errors are there or not.
        let never = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_OOB | MsgFlags::MSG_ERRQUEUE;
        Self {
            blocks: !flags.intersects(never) && !file.is_nonblocking(),
            timeout: socket.timeout(true),
            deadline: None,
        }
    }

    /// For a call that sends, and for connect(2).
    #[inline]
    pub(super) fn sending(file: &File, socket: &Socket, flags: MsgFlags) -> Self {
        Self {
            blocks: !flags.contains(MsgFlags::MSG_DONTWAIT) && !file.is_nonblocking(),
            timeout: socket.timeout(false),
            deadline: None,
        }
    }

    /// For a blocking read(2) of any file; those of sockets have a timeout.
    pub(crate) fn reading(file: &File) -> Self {
        Self {
            blocks: true,
            timeout: socket_of(file).ok().and_then(|socket| socket.timeout(true)),
            deadline: None,
        }
    }

    pub(super) fn blocks(&self) -> bool {
        self.blocks
    }

    /// Does `attempt`; as long as it answers EAGAIN and there is patience left, waits and does it again.
    #[inline]
    pub(super) fn run<K: Kernel, R>(
        &mut self,
        k: &K,
        list: &WaitList,
        mut attempt: impl FnMut() -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        match attempt() {
            Err(Errno::EAGAIN) if self.blocks => self.wait(k, list, &mut attempt),
            answer => answer,
        }
    }

    /// The same for connect(2) and what sends, whose EAGAIN need not be about room: then there is nothing to wait for.
    #[inline]
    pub(super) fn run_sender<K: Kernel, R>(
        &mut self,
        k: &K,
        ops: &dyn SocketOps,
        mut attempt: impl FnMut() -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        match attempt() {
            Err(Errno::EAGAIN) if self.blocks && ops.awaits_room() => {
                self.wait(k, ops.wait_list(), &mut attempt)
            }
            answer => answer,
        }
    }

    /// Waits until `attempt` answers something else than EAGAIN, which is the answer when the time is over.
    #[cold]
    #[inline(never)]
    pub(crate) fn wait<K: Kernel, R>(
        &mut self,
        k: &K,
        list: &WaitList,
        attempt: &mut dyn FnMut() -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        if let (Some(timeout), None) = (self.timeout, self.deadline) {
            self.deadline = Some(k.monotonic().saturating_add(timeout));
        }
        let mut answer = Err(Errno::EAGAIN);
        // The attempt is the condition: so whatever it is that the operation needs, no wake-up for it is missed.
        let ready = &mut || {
            answer = attempt();
            !matches!(answer, Err(Errno::EAGAIN))
        };
        k.wait(&[list], self.deadline, ready)
            .map_err(|errno| self.interruption(errno))?;
        answer
    }

    /// signal(7): calls with a timeout are not restarted.
    fn interruption(&self, errno: Errno) -> Errno {
        match errno {
            Errno::ERESTARTSYS if self.timeout.is_some() => Errno::EINTR,
            errno => errno,
        }
    }
}
