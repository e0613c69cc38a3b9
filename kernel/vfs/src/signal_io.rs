//! Signal-driven I/O, `O_ASYNC`: a process is sent a signal when a file becomes ready.
use crate::file::File;
use crate::types::FileType;
use crate::wait::Wake;
use alloc::sync::Arc;

/// Who is told. Nobody, as a rule.
#[derive(Default)]
pub(crate) struct Owner {
    pid: i32,
    waker: Option<Arc<dyn Wake>>,
    /// `waker` is on the file's list.
    told: bool,
}

impl File {
    /// `F_GETOWN`
    #[must_use]
    pub fn owner(&self) -> i32 {
        self.owner.lock().pid
    }

    /// `F_SETOWN`: process `pid` is told by `waker`; 0 and none for nobody.
    pub fn set_owner(&self, pid: i32, waker: Option<Arc<dyn Wake>>) {
        self.listen(false);
        {
            let mut owner = self.owner.lock();
            (owner.pid, owner.waker) = (pid, waker);
        }
        self.owner_follows();
    }

    /// Has the owner told from now on if `O_ASYNC` is set, and not otherwise.
    pub fn owner_follows(&self) {
        self.listen(self.is_async());
    }

    fn listen(&self, on: bool) {
        // The other kinds send no signals under Linux.
        let list = self.wait_list().filter(|_| {
            matches!(
                self.kind(),
                FileType::Fifo | FileType::Socket | FileType::CharDevice
            )
        });
        let mut owner = self.owner.lock();
        if let (Some(list), Some(waker)) = (list, &owner.waker)
            && owner.told != on
        {
            if on {
                list.add(waker);
            } else {
                list.remove(waker);
            }
            owner.told = on;
        }
    }
}
