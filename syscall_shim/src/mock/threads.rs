use super::{Mock, PID};
use crate::kernel::{
    CloneRequest, FutexWord, MembarrierCommand, SeccompChange, Threads, UserMemory, WakeOp,
};
use alloc::format;
use alloc::string::String;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::{Errno, SysResult};

/// The tid of the next thread.
pub const CHILD: i32 = 43;

impl Threads for Mock {
    fn gettid(&self) -> i32 {
        PID
    }

    fn clone(&self, request: &CloneRequest) -> Result<i32, Errno> {
        self.note(format!("{request:?}"));
        Ok(CHILD)
    }

    fn exit(&self, status: u8) -> SysResult {
        self.note(format!("exit {status}"));
        Ok(0)
    }

    fn exit_group(&self, status: u8) -> SysResult {
        self.note(format!("exit_group {status}"));
        Ok(0)
    }

    fn set_tid_address(&self, _addr: u64) -> i32 {
        PID
    }

    fn set_robust_list(&self, head: u64) {
        self.note(format!("set_robust_list {head:#x}"));
    }

    fn get_robust_list(&self, tid: i32) -> Result<u64, Errno> {
        if tid == PID {
            Ok(0x77)
        } else {
            Err(Errno::ESRCH)
        }
    }

    fn rseq(&self, addr: u64, len: u32, unregister: bool, signature: u32) -> Result<(), Errno> {
        self.note(format!("rseq {addr:#x} {len} {unregister} {signature:#x}"));
        Ok(())
    }

    fn futex_lock_pi(
        &self,
        word: FutexWord,
        try_only: bool,
        _deadline: Option<u64>,
    ) -> Result<(), Errno> {
        self.note(format!("lock_pi {:#x} {try_only}", word.addr));
        Ok(())
    }

    fn futex_unlock_pi(&self, word: FutexWord) -> Result<(), Errno> {
        self.note(format!("unlock_pi {:#x}", word.addr));
        Ok(())
    }

    fn futex_wait(
        &self,
        word: FutexWord,
        expected: u32,
        bitset: u32,
        deadline: Option<u64>,
    ) -> Result<(), Errno> {
        let mut bytes = [0; 4];
        vfs::UserMemory::read(self, word.addr, &mut bytes)?;
        if u32::from_le_bytes(bytes) != expected {
            return Err(Errno::EAGAIN);
        }
        self.note(format!("futex_wait {bitset:#x} {deadline:?}"));
        deadline.map_or(Ok(()), |_| Err(Errno::ETIMEDOUT))
    }

    fn futex_wake(&self, word: FutexWord, count: u32, bitset: u32) -> Result<usize, Errno> {
        self.note(format!("futex_wake {count} {bitset:#x} {}", word.private));
        Ok(1)
    }

    fn futex_requeue(
        &self,
        _from: FutexWord,
        _to: FutexWord,
        wake: u32,
        requeue: u32,
        expected: Option<u32>,
    ) -> Result<(usize, usize), Errno> {
        self.note(format!("futex_requeue {wake} {requeue} {expected:?}"));
        Ok((1, 2))
    }

    fn futex_wake_op(
        &self,
        _word: FutexWord,
        wake: u32,
        _second: FutexWord,
        wake_second: u32,
        op: WakeOp,
    ) -> Result<usize, Errno> {
        self.note(format!("futex_wake_op {wake} {wake_second} {op:?}"));
        Ok(3)
    }

    fn futex_wait_many(
        &self,
        words: &[(FutexWord, u32)],
        deadline: Option<u64>,
    ) -> Result<usize, Errno> {
        self.note(format!("futex_wait_many {} {deadline:?}", words.len()));
        Ok(words.len() - 1)
    }

    fn futex_wait_requeue_pi(
        &self,
        _condition: FutexWord,
        expected: u32,
        deadline: Option<u64>,
        mutex: FutexWord,
    ) -> Result<(), Errno> {
        self.note(format!(
            "futex_wait_requeue_pi {expected} {deadline:?} {:#x}",
            mutex.addr
        ));
        Ok(())
    }

    fn futex_requeue_pi(
        &self,
        _condition: FutexWord,
        mutex: FutexWord,
        limit: u32,
        expected: u32,
    ) -> Result<usize, Errno> {
        self.note(format!(
            "futex_requeue_pi {:#x} {limit} {expected}",
            mutex.addr
        ));
        Ok(2)
    }

    fn sched_yield(&self) {
        self.note("sched_yield");
    }

    fn cpu_count(&self) -> usize {
        2
    }

    fn current_cpu(&self) -> u32 {
        1
    }

    fn sched_getaffinity(&self, tid: i32) -> Result<u64, Errno> {
        if self.thread_exists(tid) {
            Ok(3)
        } else {
            Err(Errno::ESRCH)
        }
    }

    fn sched_setaffinity(&self, _tid: i32, mask: u64) -> Result<(), Errno> {
        self.note(format!("sched_setaffinity {mask:#x}"));
        Ok(())
    }

    fn sched_policy(&self, tid: i32) -> Result<u32, Errno> {
        if self.thread_exists(tid) {
            Ok(self.policy.load(Relaxed))
        } else {
            Err(Errno::ESRCH)
        }
    }

    fn set_sched_policy(&self, tid: i32, policy: u32) -> Result<(), Errno> {
        self.sched_policy(tid)?;
        self.policy.store(policy, Relaxed);
        Ok(())
    }

    fn thread_exists(&self, tid: i32) -> bool {
        tid == 0 || tid == PID
    }

    fn is_own_thread(&self, tid: i32) -> bool {
        self.thread_exists(tid)
    }

    fn thread_name(&self) -> [u8; 16] {
        *b"mock\0\0\0\0\0\0\0\0\0\0\0\0"
    }

    fn set_thread_name(&self, name: [u8; 16]) {
        self.note(format!("name {}", String::from_utf8_lossy(&name)));
    }

    fn membarrier(&self, command: MembarrierCommand) -> Result<(), Errno> {
        self.note(format!("membarrier {command:?}"));
        Ok(())
    }

    fn seccomp(&self, change: SeccompChange) -> SysResult {
        self.note(match change {
            SeccompChange::Strict => String::from("seccomp strict"),
            SeccompChange::Filter { program, flags } => {
                format!("seccomp filter {} {:#x}", program.length(), flags.bits())
            }
        });
        Ok(0)
    }

    fn seccomp_if_there(&self, op: u32, args: u64) -> SysResult {
        crate::sys::seccomp::seccomp(self, op, 0, args)
    }

    fn seccomp_mode(&self) -> u32 {
        0
    }

    fn fs_base(&self) -> u64 {
        0xf5
    }

    fn set_fs_base(&self, addr: u64) -> Result<(), Errno> {
        if self.access_ok(addr, 0) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }

    fn gs_base(&self) -> u64 {
        0
    }

    fn set_gs_base(&self, _addr: u64) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }
}
