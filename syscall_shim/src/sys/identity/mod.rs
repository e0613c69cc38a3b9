//! Who the process is and what it may use.

mod capabilities;
mod groups;
mod ids;
mod limits;
mod personality;
mod pids;
mod priority;
mod usage;

pub use capabilities::{capget, capset};
pub use groups::{getgroups, setgroups};
pub use ids::{
    getegid, geteuid, getgid, getresgid, getresuid, getuid, setfsgid, setfsuid, setgid, setregid,
    setresgid, setresuid, setreuid, setuid,
};
pub use limits::{getrlimit, prlimit64, setrlimit};
pub use personality::personality;
pub use pids::{getpgid, getpgrp, getpid, getppid, getsid, gettid, setpgid, setsid};
pub use priority::{getpriority, ioprio_get, ioprio_set, setpriority};
pub use usage::getrusage;
pub(crate) use usage::rusage;

#[cfg(test)]
mod tests;
