//! The system calls as data, and the way from a number to a handler. Both are made from `syscalls.toml`.
use crate::decode::{Buffer, Fd, FromReg, InOut, Out, OutBuffer, Path, Regs};
use crate::kernel::Kernel;
use crate::pointers::{Count, Data, Flow, Pointer};
use crate::user::UserPtr;
use linux_abi::*;

/// How well a call is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Full,
    Partial,
    /// A fixed answer.
    Stub,
    /// Deliberately not offered.
    Refused,
    /// ENOSYS.
    Missing,
}

/// What the kernel needs to know of a call. Every image holds the table, so it is kept small.
#[derive(Debug)]
pub struct Call {
    pub nr: u16,
    /// Where `NAMES` has its name.
    name_at: u16,
    name_len: u8,
    pub level: Level,
}

impl Call {
    #[must_use]
    pub fn name(&self) -> &'static str {
        let start = usize::from(self.name_at);
        NAMES
            .get(start..start + usize::from(self.name_len))
            .unwrap_or("")
    }
}

/// What a refused call answers, and why.
#[derive(Debug)]
pub struct Refusal {
    pub nr: u16,
    pub errno: Errno,
    pub note: &'static str,
}

/// What documentation, reports and tests want besides. Nothing in an image refers to it, so the linker leaves it out.
#[derive(Debug)]
pub struct Details {
    /// The unit of the shim and kernel that the call belongs to.
    pub component: &'static str,
    /// Names and types.
    pub args: &'static [(&'static str, &'static str)],
    /// What is missing.
    pub note: &'static str,
    /// The file that tests it.
    pub test: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/syscalls.rs"));

/// The row of a number.
#[must_use]
pub fn lookup(nr: usize) -> Option<&'static Call> {
    let at = TABLE
        .binary_search_by_key(&nr, |call| usize::from(call.nr))
        .ok()?;
    TABLE.get(at)
}

/// Runs the call `nr` with the arguments of `regs`. The kernel has a table that the link makes in this one's place.
#[cfg(test)]
pub fn dispatch<K: Kernel>(k: &K, nr: usize, regs: &Regs) -> SysResult {
    macro_rules! dispatch {
        ($(($nr:literal, $symbol:literal, $handler:path))*) => {
            match nr {
                $($nr => $handler(k, regs),)*
                _ => no_handler(k, nr),
            }
        };
    }
    for_each_handler!(dispatch)
}

/// The answer to a number without a handler.
#[cold]
#[inline(never)]
pub fn no_handler<K: Kernel>(k: &K, nr: usize) -> SysResult {
    let call = lookup(nr);
    let refusal = REFUSALS
        .iter()
        .find(|refusal| usize::from(refusal.nr) == nr);
    if let (Some(call), Some(refusal)) = (call, refusal) {
        k.refused(call, refusal);
        return Err(refusal.errno);
    }
    k.unsupported(nr, call);
    Err(Errno::ENOSYS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::Mock;
    use std::string::ToString;
    use std::{fs, path::Path as FsPath};

    #[test]
    fn every_number_of_the_headers_has_a_row() {
        let known = TABLE
            .iter()
            .map(|call| call.nr)
            .collect::<std::vec::Vec<_>>();
        let expected: std::vec::Vec<u16> = (0..=335).chain(424..=469).collect();
        assert_eq!(known, expected);
    }

    #[test]
    fn the_table_is_small_and_holds_whole_names() {
        assert_eq!(size_of::<Call>(), 6);
        assert_eq!(lookup(0).map(Call::name), Some("read"));
        assert!(TABLE.iter().all(|call| !call.name().is_empty()));
        assert_eq!(
            TABLE.iter().map(|call| call.name().len()).sum::<usize>(),
            NAMES.len()
        );
    }

    #[test]
    fn a_missing_call_says_so() {
        let k = Mock::new();
        assert_eq!(k.call("process_mrelease", [0; 2]), Err(Errno::ENOSYS));
        assert_eq!(k.complaints.lock()[0], "process_mrelease (448)");
    }

    #[test]
    fn an_unknown_number_is_enosys() {
        let k = Mock::new();
        assert_eq!(
            crate::dispatch(&k, 5000, &Regs::default()),
            Err(Errno::ENOSYS)
        );
        assert_eq!(
            crate::dispatch(&k, usize::MAX, &Regs::default()),
            Err(Errno::ENOSYS)
        );
        assert_eq!(k.complaints.lock()[0], "unknown (5000)");
    }

    #[test]
    fn a_refused_call_answers_its_errno_and_says_why() {
        let k = Mock::new();
        assert_eq!(k.call("reboot", [0; 4]), Err(Errno::EPERM));
        assert!(k.complaints.lock()[0].starts_with("reboot: "));
    }

    #[test]
    fn every_test_that_a_row_names_is_there_and_mentions_the_call() {
        let root = FsPath::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for (call, details) in TABLE
            .iter()
            .zip(&DETAILS)
            .filter(|(_, details)| !details.test.is_empty())
        {
            let path = root.join(details.test);
            let text = fs::read_to_string(&path)
                .unwrap_or_else(|_| panic!("{}: no {}", call.name(), path.display()));
            let stem = call
                .name()
                .trim_start_matches("rt_")
                .trim_start_matches("new")
                .trim_end_matches("64");
            let stem = stem
                .trim_end_matches(|c: char| c.is_ascii_digit())
                .to_string();
            assert!(
                text.contains(&stem),
                "{} does not mention {}",
                details.test,
                call.name()
            );
        }
    }
}
