//! Threads: clone(2), futex(2), scheduling.

mod affinity;
mod clone;
mod futex;
mod futex2;
mod membarrier;
mod policy;
mod register;
mod sched_attr;

pub use affinity::{getcpu, sched_getaffinity, sched_setaffinity, sched_yield};
pub use clone::{clone, clone3};
pub use futex::futex;
pub use futex2::{futex_requeue, futex_wait, futex_waitv, futex_wake};
pub use membarrier::membarrier;
pub use policy::{
    sched_get_priority_max, sched_get_priority_min, sched_getparam, sched_getscheduler,
    sched_rr_get_interval, sched_setparam, sched_setscheduler,
};
pub use register::{get_robust_list, rseq, set_robust_list, set_tid_address};
pub use sched_attr::{sched_getattr, sched_setattr};

#[cfg(test)]
mod tests;
