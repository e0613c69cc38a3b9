//! Parts of the C library that code inside it leads to, but that come alive only after the program called something else.

use rustc_hash::FxHashMap;

use crate::module::Module;

const LIBRARY: &str = "libc.so.6";

struct Gate {
    /// Functions; `*` stands for any end of a name. They wait only for calls from within the library.
    behind: &'static [&'static str],
    /// Any of these opens the gate: all functions of the library that lead on and that programs call.
    openers: &'static [&'static str],
    /// The same, but what the library itself makes of them does not count: system() sets no such attributes.
    outside: &'static [&'static str],
}

const GATES: [Gate; 7] = [
    // The tables of name services are reached as a whole, by the name of the service. DNS serves hosts and networks.
    Gate {
        behind: &["_nss_dns_*"],
        openers: &[
            "getaddrinfo",
            "gethostbyaddr",
            "gethostbyaddr_r",
            "gethostbyname",
            "gethostbyname2",
            "gethostbyname2_r",
            "gethostbyname_r",
            "gethostent",
            "gethostent_r",
            "getnameinfo",
            "getnetbyaddr",
            "getnetbyaddr_r",
            "getnetbyname",
            "getnetbyname_r",
            "getnetent",
            "getnetent_r",
            "sethostent",
            "setnetent",
        ],
        outside: &[],
    },
    // A thread that ends takes back the RPC services that it offered.
    Gate {
        behind: &["svc_unregister"],
        openers: &[
            "registerrpc",
            "svc_register",
            "svcfd_create",
            "svcraw_create",
            "svctcp_create",
            "svcudp_bufcreate",
            "svcudp_create",
            "svcunix_create",
            "svcunixfd_create",
            "xprt_register",
        ],
        outside: &[],
    },
    // Mutexes of protocol PTHREAD_PRIO_PROTECT, and attributes of posix_spawn.
    Gate {
        behind: &[
            "sched_get_priority_max",
            "sched_get_priority_min",
            "sched_getparam",
            "sched_getscheduler",
            "sched_setparam",
            "sched_setscheduler",
        ],
        openers: &[
            "pthread_attr_setschedparam",
            "pthread_getschedparam",
            "pthread_mutex_setprioceiling",
            "pthread_mutexattr_setprotocol",
            "pthread_setattr_default_np",
            "pthread_setschedparam",
            "pthread_setschedprio",
        ],
        outside: &["posix_spawnattr_setflags"],
    },
    // The rest are attributes and file actions of posix_spawn, which popen and system do not use.
    Gate {
        behind: &["setsid"],
        openers: &["daemon", "login_tty"],
        outside: &["posix_spawnattr_setflags"],
    },
    Gate {
        behind: &["setpgid"],
        openers: &["setpgrp"],
        outside: &["posix_spawnattr_setflags"],
    },
    Gate {
        behind: &["getpgid"],
        openers: &[
            "__bsd_getpgrp",
            "getpgrp",
            "posix_spawn_file_actions_addtcsetpgrp_np",
        ],
        outside: &[],
    },
    Gate {
        behind: &["chdir", "fchdir"],
        openers: &[
            "daemon",
            "fts64_children",
            "fts64_close",
            "fts64_open",
            "fts64_read",
            "fts_children",
            "fts_close",
            "fts_open",
            "fts_read",
            "ftw",
            "ftw64",
            "nftw",
            "nftw64",
            "posix_spawn_file_actions_addchdir_np",
            "posix_spawn_file_actions_addfchdir_np",
        ],
        outside: &[],
    },
];

/// The gates of one program, by the numbers of the functions in their module.
#[derive(Default)]
pub struct Gates {
    behind: FxHashMap<(u32, u32), usize>,
    openers: FxHashMap<(u32, u32), Vec<usize>>,
    outside: FxHashMap<(u32, u32), Vec<usize>>,
    open: [bool; GATES.len()],
}

impl Gates {
    pub fn new(modules: &[Module]) -> Self {
        let mut gates = Gates::default();
        for (number, module) in modules.iter().enumerate() {
            if module.soname.as_deref() != Some(LIBRARY) {
                continue;
            }
            for symbol in module
                .symbols
                .iter()
                .filter(|s| s.defined && s.is_function())
            {
                let Some(function) = module.function_at(symbol.value) else {
                    continue;
                };
                let id = (number as u32, function as u32);
                for (index, gate) in GATES.iter().enumerate() {
                    if gate.behind.iter().any(|name| fits(name, &symbol.name)) {
                        gates.behind.insert(id, index);
                    }
                    if gate.openers.contains(&&*symbol.name) {
                        gates.openers.entry(id).or_default().push(index);
                    }
                    if gate.outside.contains(&&*symbol.name) {
                        gates.outside.entry(id).or_default().push(index);
                    }
                }
            }
        }
        gates
    }

    /// The closed gate that a function lies behind.
    pub fn closed(&self, function: (u32, u32)) -> Option<usize> {
        self.behind
            .get(&function)
            .copied()
            .filter(|&gate| self.open.get(gate) == Some(&false))
    }

    /// The gates that a function opens, each the first time. `inside` says that the library itself calls it.
    pub fn opens(&mut self, function: (u32, u32), inside: bool) -> Vec<usize> {
        let mut gates = self.openers.remove(&function).unwrap_or_default();
        if !inside {
            gates.extend(self.outside.remove(&function).unwrap_or_default());
        }
        gates.retain(|gate| {
            self.open
                .get_mut(*gate)
                .is_some_and(|open| !std::mem::replace(open, true))
        });
        gates
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == name, |start| name.starts_with(start))
}
