//! Parts of the C library that code inside it leads to, but that come alive only after the program called something else.

use rustc_hash::FxHashMap;

use crate::module::Module;

const LIBRARY: &str = "libc.so.6";

struct Gate {
    /// Functions by the start of their names. They wait only for calls from within the library.
    prefix: &'static str,
    /// Any of these opens the gate.
    openers: &'static [&'static str],
}

const GATES: [Gate; 2] = [
    // The tables of name services are reached as a whole, by the name of the service. DNS serves hosts and networks.
    Gate {
        prefix: "_nss_dns_",
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
    },
    // A thread that ends takes back the RPC services that it offered.
    Gate {
        prefix: "svc_unregister",
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
    },
];

/// The gates of one program, by the numbers of the functions in their module.
#[derive(Default)]
pub struct Gates {
    behind: FxHashMap<(u32, u32), usize>,
    openers: FxHashMap<(u32, u32), usize>,
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
                    if symbol.name.starts_with(gate.prefix) {
                        gates.behind.insert(id, index);
                    }
                    if gate.openers.contains(&&*symbol.name) {
                        gates.openers.insert(id, index);
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

    /// The gate that a function opens, the first time.
    pub fn opens(&mut self, function: (u32, u32)) -> Option<usize> {
        let gate = *self.openers.get(&function)?;
        let open = self.open.get_mut(gate)?;
        (!std::mem::replace(open, true)).then_some(gate)
    }
}
