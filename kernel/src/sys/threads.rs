//! Threads, futexes, scheduling.

use super::Caller;
use crate::mm::layout::is_user_range;
use crate::mm::{tlb, user};
use crate::task::family::Exit;
use crate::task::thread::{State, new_id};
use crate::task::{self, Thread, futex, rseq, sched, seccomp, wait};
use crate::task::{frame, thread_like};
use crate::{notice, parts, percpu};
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{Ordering, fence};
use linux_abi::{Capability, CloneFlags, Errno, SysResult};
use syscall_shim::Kernel;
use syscall_shim::kernel::{
    CloneRequest, FutexWord, MembarrierCommand, SeccompChange, Threads, WakeOp,
};
use syscall_shim::state::Resource;

/// What makes a new thread of the calling process, and nothing else.
const THREAD: CloneFlags = CloneFlags::CLONE_VM
    .union(CloneFlags::CLONE_SIGHAND)
    .union(CloneFlags::CLONE_THREAD);

impl Caller<'_> {
    /// A thread by number; 0 is the caller.
    fn find_thread(&self, tid: i32) -> Result<Arc<Thread>, Errno> {
        let found = if tid == 0 {
            self.thread().arc()
        } else {
            Thread::find(tid)
        };
        found.ok_or(Errno::ESRCH)
    }

    /// RLIMIT_NPROC, which root need not mind, nor who may exceed limits.
    pub(super) fn check_thread_limit(&self) -> Result<(), Errno> {
        let state = &self.thread().process.state;
        let limit = state.limits.lock().current(Resource::NPROC);
        let free = state.with_identity(|id| id.ruid == 0 || id.can(Capability::SYS_RESOURCE));
        if free || (Thread::count() as u64) < limit {
            Ok(())
        } else {
            Err(Errno::EAGAIN)
        }
    }

    /// A child process, where the image can make any.
    fn clone_process(&self, request: &CloneRequest) -> Result<i32, Errno> {
        let Some(processes) = parts::processes() else {
            notice::once_each(String::from(
                "starting processes was left out of this image; add it with compat wrap --include fork",
            ));
            return Err(Errno::ENOSYS);
        };
        self.check_thread_limit()?;
        let (registers, xmm) = self.with_frame(|frame| (*frame, *frame.xmm()));
        (processes.clone)(request, &registers, &xmm)
    }
}

impl Threads for Caller<'_> {
    fn gettid(&self) -> i32 {
        self.thread().tid
    }

    fn clone(&self, request: &CloneRequest) -> Result<i32, Errno> {
        let flags = request.flags;
        if flags.contains(CloneFlags::CLONE_SETTLS) && !is_user_range(request.tls, 0) {
            return Err(Errno::EPERM);
        }
        if !flags.contains(THREAD) {
            return self.clone_process(request);
        }
        let shared = CloneFlags::CLONE_FS | CloneFlags::CLONE_FILES;
        if !flags.contains(shared) {
            self.unsupported_part("clone: a thread with its own descriptors or working directory");
            return Err(Errno::ENOSYS);
        }
        self.check_thread_limit()?;
        let (registers, xmm) = self.with_frame(|frame| (*frame, *frame.xmm()));
        let own = self.thread();
        let thread = thread_like(own, new_id(), &own.process, request, &registers, &xmm)?;
        let tid = thread.tid;
        // As Linux: a thread whose number cannot be stored runs all the same.
        for (flag, place) in [
            (CloneFlags::CLONE_PARENT_SETTID, request.parent_tid),
            (CloneFlags::CLONE_CHILD_SETTID, request.child_tid),
        ] {
            if flags.contains(flag) {
                let _ = user::write(place, &tid.to_le_bytes());
            }
        }
        thread.set_state(State::Runnable);
        sched::keep(thread.clone());
        sched::enqueue(thread);
        Ok(tid)
    }

    fn exit(&self, status: u8) -> SysResult {
        wait::exit_thread(Exit::status(status))
    }

    fn exit_group(&self, status: u8) -> SysResult {
        wait::end_process(Exit::status(status))
    }

    fn set_tid_address(&self, addr: u64) -> i32 {
        let thread = self.thread();
        thread.clear_child_tid.store(addr, Ordering::Relaxed);
        thread.tid
    }

    fn set_robust_list(&self, head: u64) {
        self.thread().robust_list.store(head, Ordering::Relaxed);
    }

    fn get_robust_list(&self, tid: i32) -> Result<u64, Errno> {
        Ok(self.find_thread(tid)?.robust_list.load(Ordering::Relaxed))
    }

    fn rseq(&self, addr: u64, len: u32, unregister: bool, signature: u32) -> Result<(), Errno> {
        if unregister {
            rseq::unregister(self.thread(), addr, len, signature)
        } else {
            rseq::register(self.thread(), addr, len, signature)
        }
    }

    fn futex_wait(
        &self,
        word: FutexWord,
        expected: u32,
        bitset: u32,
        deadline: Option<u64>,
    ) -> Result<(), Errno> {
        futex::wait(word, expected, bitset, deadline)
    }

    fn futex_wake(&self, word: FutexWord, count: u32, bitset: u32) -> Result<usize, Errno> {
        futex::wake(word, count as usize, bitset)
    }

    fn futex_requeue(
        &self,
        from: FutexWord,
        to: FutexWord,
        wake: u32,
        requeue: u32,
        expected: Option<u32>,
    ) -> Result<(usize, usize), Errno> {
        futex::requeue(from, to, wake as usize, requeue as usize, expected)
    }

    fn futex_wake_op(
        &self,
        word: FutexWord,
        wake: u32,
        second: FutexWord,
        wake_second: u32,
        op: WakeOp,
    ) -> Result<usize, Errno> {
        futex::wake_op(word, wake as usize, second, wake_second as usize, op)
    }

    fn futex_lock_pi(
        &self,
        word: FutexWord,
        try_only: bool,
        deadline: Option<u64>,
    ) -> Result<(), Errno> {
        futex::lock_pi(word, try_only, deadline)
    }

    fn futex_unlock_pi(&self, word: FutexWord) -> Result<(), Errno> {
        futex::unlock_pi(word)
    }

    fn futex_wait_many(
        &self,
        words: &[(FutexWord, u32)],
        deadline: Option<u64>,
    ) -> Result<usize, Errno> {
        futex::wait_many(words, deadline)
    }

    fn futex_wait_requeue_pi(
        &self,
        condition: FutexWord,
        expected: u32,
        deadline: Option<u64>,
        mutex: FutexWord,
    ) -> Result<(), Errno> {
        futex::wait_requeue_pi(condition, expected, deadline, mutex)
    }

    fn futex_requeue_pi(
        &self,
        condition: FutexWord,
        mutex: FutexWord,
        limit: u32,
        expected: u32,
    ) -> Result<usize, Errno> {
        futex::requeue_pi(condition, mutex, limit as usize, expected)
    }

    fn sched_yield(&self) {
        sched::yield_now();
    }

    fn cpu_count(&self) -> usize {
        sched::cpu_count() as usize
    }

    fn current_cpu(&self) -> u32 {
        percpu::this().cpu
    }

    fn sched_getaffinity(&self, tid: i32) -> Result<u64, Errno> {
        Ok(self.find_thread(tid)?.affinity.load(Ordering::Relaxed) & sched::online())
    }

    fn sched_setaffinity(&self, tid: i32, mask: u64) -> Result<(), Errno> {
        let thread = self.find_thread(tid)?;
        thread.affinity.store(mask, Ordering::SeqCst);
        sched::affinity_changed(&thread);
        Ok(())
    }

    fn sched_policy(&self, tid: i32) -> Result<u32, Errno> {
        Ok(self.find_thread(tid)?.policy.load(Ordering::Relaxed))
    }

    fn set_sched_policy(&self, tid: i32, policy: u32) -> Result<(), Errno> {
        self.find_thread(tid)?
            .policy
            .store(policy, Ordering::Relaxed);
        Ok(())
    }

    fn thread_exists(&self, tid: i32) -> bool {
        self.find_thread(tid).is_ok()
    }

    fn is_own_thread(&self, tid: i32) -> bool {
        self.find_thread(tid)
            .is_ok_and(|thread| Arc::ptr_eq(&thread.process, &self.thread().process))
    }

    fn thread_name(&self) -> [u8; 16] {
        *self.thread().name.lock()
    }

    fn set_thread_name(&self, name: [u8; 16]) {
        *self.thread().name.lock() = name;
    }

    fn membarrier(&self, _command: MembarrierCommand) -> Result<(), Errno> {
        // A switch orders everything; threads that run on other processors are interrupted. Registration has nothing to
        // prepare, so it is not asked for either.
        fence(Ordering::SeqCst);
        tlb::synchronize(task::current_space().root());
        Ok(())
    }

    fn seccomp(&self, change: SeccompChange) -> SysResult {
        seccomp::change(change)
    }

    fn seccomp_if_there(&self, op: u32, args: u64) -> SysResult {
        seccomp::change_if_there(self, op, args)
    }

    fn seccomp_mode(&self) -> u32 {
        seccomp::figures(self.thread()).0
    }

    fn fs_base(&self) -> u64 {
        frame::read_fs_base()
    }

    fn set_fs_base(&self, addr: u64) -> Result<(), Errno> {
        if !is_user_range(addr, 0) {
            return Err(Errno::EPERM);
        }
        frame::write_fs_base(addr);
        Ok(())
    }

    fn gs_base(&self) -> u64 {
        // What a program finds that has never set it.
        0
    }

    fn set_gs_base(&self, addr: u64) -> Result<(), Errno> {
        if addr == 0 {
            return Ok(());
        }
        self.unsupported_part("arch_prctl: ARCH_SET_GS (the kernel needs the GS register)");
        Err(Errno::EPERM)
    }
}
