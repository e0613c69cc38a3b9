//! Where the walk begins.

use elf::abi;

use super::{From, Walk};
use crate::link::Definition;
use crate::symbols::Symbol;

/// How the names of functions begin that a host of plug-ins makes up itself: Java, Python, name services, Ruby, Perl,
/// OpenSSL's engines and providers, character sets.
const ENTRIES: [&str; 10] = [
    "JNI_On",
    "Java_",
    "PyInit_",
    "_nss_",
    "Init_",
    "boot_",
    "bind_engine",
    "v_check",
    "OSSL_provider_init",
    "gconv",
];

impl Walk<'_> {
    pub(super) fn start(&mut self) {
        let entries = [Some(0), self.program.interpreter];
        for module in entries.into_iter().flatten() {
            if let Some(entry) = self.program.modules.get(module).map(|m| m.image.entry) {
                self.roots.extend(self.at(module, entry));
                self.code(
                    module,
                    entry,
                    From {
                        id: None,
                        certain: true,
                    },
                );
            }
        }
        for number in 0..self.program.modules.len() {
            self.constructors(number);
        }
        for number in (0..self.program.modules.len()).filter(|&m| !self.program.is_linked(m)) {
            self.entries(number);
        }
    }

    /// What the program may look up in an object that it opens itself: everything, in one that nothing else needs.
    fn entries(&mut self, number: usize) {
        let Some(module) = self.program.modules.get(number) else {
            return;
        };
        let all = self.program.plugins.contains(&number);
        let entry = |s: &Symbol| ENTRIES.iter().any(|prefix| s.name.starts_with(prefix));
        for symbol in module
            .symbols
            .iter()
            .filter(|s| s.defined && !s.local && (all || entry(s)))
        {
            let (value, size, function) = (symbol.value, symbol.size, symbol.is_function());
            let found = Definition {
                module: number,
                value,
                size,
                function,
            };
            self.definition(
                found,
                From {
                    id: None,
                    certain: false,
                },
                true,
            );
        }
    }

    /// What the dynamic linker or the start-up code calls in each file, and all of Go's code: its linker has selected.
    fn constructors(&mut self, number: usize) {
        let Some(module) = self.program.modules.get(number) else {
            return;
        };
        // Whether the program opens a plug-in is its own affair.
        let from = From {
            id: None,
            certain: self.program.is_linked(number),
        };
        for tag in [abi::DT_INIT, abi::DT_FINI] {
            if let Some(at) = module.image.table(tag) {
                self.code(number, at, from);
            }
        }
        let arrays = [
            (abi::DT_PREINIT_ARRAY, abi::DT_PREINIT_ARRAYSZ),
            (abi::DT_INIT_ARRAY, abi::DT_INIT_ARRAYSZ),
            (abi::DT_FINI_ARRAY, abi::DT_FINI_ARRAYSZ),
        ];
        for (table, size) in arrays {
            if let Some(at) = module.image.table(table) {
                let end = at.saturating_add(module.image.tag(size));
                for pointer in module.pointers_in(at, end) {
                    self.pointer(number, *pointer, from);
                }
            }
        }
        if module.go {
            let rest = From {
                id: None,
                certain: false,
            };
            for function in module.functions.iter().filter(|f| f.listed) {
                self.code(number, function.range.start, rest);
            }
        }
    }
}
