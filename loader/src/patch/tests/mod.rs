//! Patched code does what it did before, shows only its old addresses, and nothing else changes.

mod builder;
mod cases;
mod machine;
mod plans;
mod properties;

use crate::patch::PatchMap;
use builder::Built;
use machine::{Machine, effects, starts, trace};

/// Every function of `built` does in `patched` what it did in the original, from every address that can be seen.
fn assert_same_behaviour(built: &Built, patched: &Machine, map: &PatchMap) {
    let original = Machine::new(&built.code, 0);
    let visible = |pc| map.visible_pc(pc).unwrap_or(pc);
    let resume = |pc| map.resume_pc(pc).unwrap_or(pc);
    for &entry in &built.entries {
        let expected = starts(&original, entry);
        let steps = trace(patched, entry, visible);
        assert_eq!(effects(&steps), expected[&entry], "from {entry:#x}");
        for step in &steps {
            let seen = visible(step.pc);
            let rest = expected
                .get(&seen)
                .unwrap_or_else(|| panic!("{:#x} seen as {seen:#x}", step.pc));
            let resumed = trace(patched, resume(seen), visible);
            assert_eq!(
                &effects(&resumed),
                rest,
                "interrupted at {:#x}, resumed at {seen:#x}",
                step.pc
            );
        }
        for (&pc, rest) in &expected {
            assert_eq!(
                &effects(&trace(patched, resume(pc), visible)),
                rest,
                "context set to {pc:#x}"
            );
        }
    }
}
