//! Tells executable formats apart by their first bytes, and reads the `#!` line as Linux's `binfmt_script` does.

/// How many bytes of the file Linux looks at (`BINPRM_BUF_SIZE`); give [`classify`] as many.
pub const HEAD_SIZE: usize = 256;

/// What the first bytes of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind<'a> {
    /// Has the ELF magic; [`Program::parse`](crate::elf::Program::parse) has the last word.
    Elf,
    /// Is to be run by another program.
    Script(Script<'a>),
    /// Nothing that `execve` can run: `ENOEXEC`.
    Unknown,
}

/// The first line of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script<'a> {
    /// Path of the interpreter; empty when the line has none before a NUL byte (Linux answers `EACCES`).
    pub interp: &'a [u8],
    /// The rest of the line is one argument, blanks inside included.
    pub arg: Option<&'a [u8]>,
}

/// Classifies a file by its first [`HEAD_SIZE`] bytes (fewer when the file is shorter).
pub fn classify(head: &[u8]) -> FileKind<'_> {
    if head.starts_with(&elf::abi::ELFMAGIC) {
        return FileKind::Elf;
    }
    let head = head.get(..HEAD_SIZE).unwrap_or(head);
    match head.strip_prefix(b"#!").and_then(parse_line) {
        Some(script) => FileKind::Script(script),
        None => FileKind::Unknown,
    }
}

/// The last byte of Linux's buffer, counted from behind the `#!`; it becomes a NUL.
const LAST: usize = HEAD_SIZE - 3;

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn parse_line(line: &[u8]) -> Option<Script<'_>> {
    let end = line
        .iter()
        .position(|byte| matches!(byte, b'\n' | 0))
        .unwrap_or(line.len());
    let text = line.get(..end)?;
    if line.get(end) == Some(&b'\n') {
        return split(trim_end(text));
    }
    if end < LAST {
        // A short file, or a NUL: blanks at the end are not trimmed and become an empty argument, as under Linux.
        return split(text).or(Some(Script {
            interp: b"",
            arg: None,
        }));
    }
    // The buffer is full. An interpreter that nothing ends before the buffer does may be cut off: refused.
    let start = text.iter().position(|byte| !is_blank(byte))?;
    let ended = end == LAST || text.get(start..)?.iter().any(is_blank);
    if ended {
        split(trim_end(text.get(..LAST)?))
    } else {
        None
    }
}

fn trim_end(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .rposition(|byte| !is_blank(byte))
        .map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}

/// `None` when there is nothing but blanks.
fn split(text: &[u8]) -> Option<Script<'_>> {
    let start = text.iter().position(|byte| !is_blank(byte))?;
    let rest = text.get(start..)?;
    let Some(blank) = rest.iter().position(is_blank) else {
        return Some(Script {
            interp: rest,
            arg: None,
        });
    };
    let (interp, tail) = rest.split_at_checked(blank)?;
    let skip = tail
        .iter()
        .position(|byte| !is_blank(byte))
        .unwrap_or(tail.len());
    Some(Script {
        interp,
        arg: tail.get(skip..),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn script<'a>(interp: &'a [u8], arg: Option<&'a [u8]>) -> FileKind<'a> {
        FileKind::Script(Script { interp, arg })
    }

    #[test]
    fn elf_and_unknown() {
        assert_eq!(classify(b"\x7fELF"), FileKind::Elf);
        assert_eq!(classify(b"\x7fEL"), FileKind::Unknown);
        assert_eq!(classify(b""), FileKind::Unknown);
        assert_eq!(classify(b"#"), FileKind::Unknown);
    }

    #[test]
    fn lines() {
        assert_eq!(classify(b"#!/bin/sh\necho"), script(b"/bin/sh", None));
        assert_eq!(
            classify(b"#! /bin/sh -e \necho"),
            script(b"/bin/sh", Some(b"-e"))
        );
        assert_eq!(
            classify(b"#!\t/bin/sh\t -e  x\n"),
            script(b"/bin/sh", Some(b"-e  x"))
        );
        assert_eq!(classify(b"#!/bin/sh"), script(b"/bin/sh", None));
        assert_eq!(classify(b"#!/bin/sh "), script(b"/bin/sh", Some(b"")));
        assert_eq!(classify(b"#!/bin/sh\0x\n"), script(b"/bin/sh", None));
        assert_eq!(classify(b"#!\n"), FileKind::Unknown);
        assert_eq!(classify(b"#! \t \n/bin/sh"), FileKind::Unknown);
        assert_eq!(classify(b"#!"), script(b"", None));
    }

    #[test]
    fn full_buffer() {
        let with_len = |len: usize, tail: &[u8]| -> Vec<u8> {
            let mut head = b"#!/".to_vec();
            head.resize(len - tail.len(), b'a');
            head.extend_from_slice(tail);
            head
        };
        let interp_len = |head: &[u8]| match classify(head) {
            FileKind::Script(script) => Some((script.interp.len(), script.arg.map(<[u8]>::len))),
            _ => None,
        };
        assert_eq!(interp_len(&with_len(254, b"")), Some((252, None)));
        assert_eq!(interp_len(&with_len(255, b"")), Some((253, None)));
        assert_eq!(interp_len(&with_len(256, b"")), None);
        assert_eq!(interp_len(&with_len(400, b"")), None);
        assert_eq!(interp_len(&with_len(256, b"\n")), Some((253, None)));
        assert_eq!(interp_len(&with_len(256, b" ")), Some((253, None)));
        assert_eq!(interp_len(&with_len(256, b" bb")), Some((251, Some(1))));
        assert_eq!(interp_len(&with_len(255, b"  ")), Some((251, None)));
    }
}
