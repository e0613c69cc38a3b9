//! Functions that are looked up by name.

use super::{From, Id, Walk};
use crate::module::Module;
use crate::pointers::To;
use crate::sweep::Kind;

const MAX_NAME: u64 = 128;
/// What looks a function up by its name. The C library and the dynamic linker have means of their own.
const LOOKUPS: [&str; 2] = ["dlsym", "dlvsym"];
const OWN_LOOKUP: [&str; 2] = ["libc.so.6", "ld-linux-x86-64.so.2"];

impl Walk<'_> {
    /// A string that is the name of an exported function may be looked up.
    pub(super) fn name(&mut self, number: usize, module: &Module, at: u64, from: From) {
        let Some(name) = module
            .image
            .string(at, MAX_NAME)
            .and_then(|s| std::str::from_utf8(s).ok())
        else {
            return;
        };
        if name.is_empty() || self.program.named(name).is_empty() {
            return;
        }
        if self.by_name.get(number) == Some(&true) {
            self.look_up(number, name, from.id);
        } else if let Some(names) = self.names.get_mut(number) {
            names.push((name.to_owned(), from.id));
        }
    }

    pub(super) fn note_lookup(&mut self, number: usize, name: &str) {
        if !LOOKUPS.contains(&name) || self.by_name.get(number) != Some(&false) {
            return;
        }
        if let Some(flag) = self.by_name.get_mut(number) {
            *flag = true;
        }
        let waiting = self
            .names
            .get_mut(number)
            .map(std::mem::take)
            .unwrap_or_default();
        for (name, from) in waiting {
            self.look_up(number, &name, from);
        }
    }

    /// What carries the name becomes reachable. With which arguments it is called is known no better than before, unless the
    /// function that mentions the name looks it up itself.
    fn look_up(&mut self, number: usize, name: &str, from: Option<Id>) {
        let taken = from.is_some_and(|id| self.looks_up(id));
        let own = self.program.modules.get(number).is_some_and(has_own_lookup);
        for definition in self.program.named(name) {
            // The C library and the dynamic linker look up what others define.
            if !(own && definition.module == number) {
                self.definition(
                    definition,
                    From {
                        id: from,
                        certain: false,
                    },
                    taken,
                );
            }
        }
    }

    fn looks_up(&self, id: Id) -> bool {
        let Some((module, function)) = self.function(id) else {
            return false;
        };
        let name = |slot: u64| match module.pointers_in(slot, slot + 8).first()?.to {
            To::Symbol(index, _) => Some(self.program.symbol_name(id.module as usize, index)),
            _ => None,
        };
        module.refs_of(function).iter().any(|found| {
            let slot = match found.kind {
                Kind::SlotCall | Kind::SlotJump => Some(found.target),
                Kind::Call | Kind::Jump => module.stubs.get(&found.target).copied(),
                _ => None,
            };
            slot.and_then(|slot| name(u64::from(slot)))
                .is_some_and(|name| LOOKUPS.contains(&name))
        })
    }
}

pub fn has_own_lookup(module: &Module) -> bool {
    module
        .soname
        .as_deref()
        .is_some_and(|name| OWN_LOOKUP.contains(&name))
}
