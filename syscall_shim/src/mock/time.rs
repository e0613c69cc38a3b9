use super::Mock;
use crate::kernel::{Clock, Interval, ItimerKind, Time, TimerNotify};
use alloc::format;
use linux_abi::Errno;
use vfs::Host;

impl Time for Mock {
    fn monotonic(&self) -> u64 {
        self.host.now()
    }

    fn clock_gettime(&self, clock: Clock) -> Result<u64, Errno> {
        Ok(match clock {
            Clock::Realtime | Clock::RealtimeCoarse | Clock::RealtimeAlarm | Clock::Tai => {
                self.host.clock(0)
            }
            Clock::ProcessCpu(0) | Clock::ThreadCpu(0) => 5_000,
            Clock::ProcessCpu(_) | Clock::ThreadCpu(_) => return Err(Errno::EINVAL),
            _ => self.host.now(),
        })
    }

    fn clock_getres(&self, _clock: Clock) -> Result<u64, Errno> {
        Ok(1)
    }

    fn setitimer(&self, kind: ItimerKind, new: Option<Interval>) -> Result<Interval, Errno> {
        self.note(format!("setitimer {kind:?} {new:?}"));
        Ok(Interval {
            value: 2_600_000_000,
            interval: 1,
        })
    }

    fn timer_create(&self, clock: Clock, notify: TimerNotify) -> Result<i32, Errno> {
        self.note(format!("timer_create {clock:?} {notify:?}"));
        Ok(7)
    }

    fn timer_settime(&self, timer: i32, absolute: bool, new: Interval) -> Result<Interval, Errno> {
        self.note(format!("timer_settime {timer} {absolute} {new:?}"));
        Ok(Interval::default())
    }

    fn timer_gettime(&self, _timer: i32) -> Result<Interval, Errno> {
        Ok(Interval {
            value: 1_500_000_000,
            interval: 0,
        })
    }

    fn timer_getoverrun(&self, _timer: i32) -> Result<u32, Errno> {
        Ok(3)
    }

    fn timer_delete(&self, timer: i32) -> Result<(), Errno> {
        self.note(format!("timer_delete {timer}"));
        Ok(())
    }
}
