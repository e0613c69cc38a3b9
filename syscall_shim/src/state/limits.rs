use linux_abi::raw::general as raw;
use linux_abi::{Errno, RLIM_INFINITY, RLIM_NLIMITS, Rlimit64};

/// A resource of getrlimit(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource(usize);

impl Resource {
    pub const CPU: Resource = Resource(raw::RLIMIT_CPU as usize);
    pub const FSIZE: Resource = Resource(raw::RLIMIT_FSIZE as usize);
    pub const DATA: Resource = Resource(raw::RLIMIT_DATA as usize);
    pub const STACK: Resource = Resource(raw::RLIMIT_STACK as usize);
    pub const CORE: Resource = Resource(raw::RLIMIT_CORE as usize);
    pub const NPROC: Resource = Resource(raw::RLIMIT_NPROC as usize);
    pub const NOFILE: Resource = Resource(raw::RLIMIT_NOFILE as usize);
    pub const MEMLOCK: Resource = Resource(raw::RLIMIT_MEMLOCK as usize);
    pub const AS: Resource = Resource(raw::RLIMIT_AS as usize);
    pub const SIGPENDING: Resource = Resource(raw::RLIMIT_SIGPENDING as usize);
    pub const MSGQUEUE: Resource = Resource(raw::RLIMIT_MSGQUEUE as usize);
    pub const NICE: Resource = Resource(raw::RLIMIT_NICE as usize);
    pub const RTPRIO: Resource = Resource(raw::RLIMIT_RTPRIO as usize);

    /// EINVAL for a number that is none.
    pub const fn new(number: u32) -> Result<Resource, Errno> {
        if (number as usize) < RLIM_NLIMITS {
            Ok(Resource(number as usize))
        } else {
            Err(Errno::EINVAL)
        }
    }
}

/// The limits of a process.
#[derive(Clone, Debug)]
pub struct Limits([Rlimit64; RLIM_NLIMITS]);

impl Limits {
    /// What a process gets under Linux where nobody has changed anything; `threads` bounds `RLIMIT_NPROC` and
    /// `RLIMIT_SIGPENDING`, which Linux derives from the memory size.
    #[must_use]
    pub fn new(threads: u64) -> Self {
        let mut limits = Self(
            [Rlimit64 {
                cur: RLIM_INFINITY,
                max: RLIM_INFINITY,
            }; RLIM_NLIMITS],
        );
        limits.set(
            Resource::STACK,
            Rlimit64 {
                cur: 8 << 20,
                max: RLIM_INFINITY,
            },
        );
        limits.set(
            Resource::CORE,
            Rlimit64 {
                cur: 0,
                max: RLIM_INFINITY,
            },
        );
        limits.set(
            Resource::NOFILE,
            Rlimit64 {
                cur: 1024,
                max: 1 << 20,
            },
        );
        limits.set(
            Resource::MSGQUEUE,
            Rlimit64 {
                cur: 819_200,
                max: 819_200,
            },
        );
        for resource in [Resource::NPROC, Resource::SIGPENDING] {
            limits.set(
                resource,
                Rlimit64 {
                    cur: threads,
                    max: threads,
                },
            );
        }
        for resource in [Resource::NICE, Resource::RTPRIO] {
            limits.set(resource, Rlimit64 { cur: 0, max: 0 });
        }
        limits
    }

    #[must_use]
    pub fn get(&self, resource: Resource) -> Rlimit64 {
        self.0.get(resource.0).copied().unwrap_or_default()
    }

    pub fn set(&mut self, resource: Resource, limit: Rlimit64) {
        if let Some(slot) = self.0.get_mut(resource.0) {
            *slot = limit;
        }
    }

    /// The soft limit.
    #[must_use]
    pub fn current(&self, resource: Resource) -> u64 {
        self.get(resource).cur
    }
}
