//! Every broken file of the corpus is refused with the error that its index names, every good one is accepted, and no
//! mutation of a good one makes the parser panic.

// The lints' exemption for tests does not reach the helpers of an integration test.
#![allow(clippy::unwrap_used, clippy::panic)]

use loader::elf::{LoadError, Program};
use loader::script::{FileKind, classify};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

struct Case {
    name: String,
    verdict: String,
    message: String,
    bytes: Vec<u8>,
}

fn make_corpus(directory: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/elf_corpus/make_corpus.py");
    let python = env::var_os("PYTHON").unwrap_or("python3".into());
    let status = Command::new(python)
        .arg(script)
        .arg(directory)
        .status()
        .unwrap();
    assert!(status.success());
}

fn corpus(directory: &Path) -> Vec<Case> {
    make_corpus(directory);
    let index = fs::read_to_string(directory.join("index.tsv")).unwrap();
    let case = |line: &str| {
        let [name, verdict, message, _about] =
            line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let bytes = fs::read(directory.join(name)).unwrap();
        Case {
            name: name.into(),
            verdict: verdict.into(),
            message: message.into(),
            bytes,
        }
    };
    index.lines().map(case).collect()
}

fn parse(bytes: &[u8]) -> Result<Program, String> {
    Program::parse(bytes).map_err(|error| match error {
        LoadError::Elf(error) => error.to_string(),
        other => panic!("{other:?}"),
    })
}

#[test]
fn verdicts() {
    let directory = tempfile::tempdir().unwrap();
    let cases = corpus(directory.path());
    let mut messages = BTreeSet::new();
    for case in &cases {
        let result = parse(&case.bytes);
        let wanted = if case.verdict == "bad" {
            Err(&case.message)
        } else {
            Ok(())
        };
        match (result, wanted) {
            (Ok(_), Ok(())) => {}
            (Err(found), Err(message)) => {
                assert!(
                    found.contains(message),
                    "{}: {found:?} lacks {message:?}",
                    case.name
                );
                messages.insert(found);
            }
            (Ok(_), Err(_)) => panic!("{} was accepted", case.name),
            (Err(found), Ok(())) => panic!("{} was refused: {found}", case.name),
        }
    }
    assert!(cases.iter().filter(|case| case.verdict == "bad").count() >= 45);
    // The defects are different ones: nearly every file has a message of its own.
    assert!(messages.len() >= 70, "{}", messages.len());
}

#[test]
fn classification_agrees_with_the_parser() {
    let directory = tempfile::tempdir().unwrap();
    for case in corpus(directory.path()) {
        let elf = classify(&case.bytes) == FileKind::Elf;
        assert_eq!(elf, case.message != "not an ELF file", "{}", case.name);
    }
}

/// The files that claim to be right are: Linux runs them.
#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn linux_runs_the_good_ones() {
    let directory = tempfile::tempdir().unwrap();
    let cases = corpus(directory.path());
    for case in cases.iter().filter(|case| case.verdict == "runs") {
        let status = Command::new(directory.path().join(&case.name))
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(42), "{}", case.name);
    }
}

/// A generator that is the same every time (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Where mutations matter: the header and the program headers.
const HEADERS: usize = 64 + 3 * 56;

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    const EXTREMES: [u64; 8] = [
        0,
        1,
        u64::MAX,
        u64::MAX - 0xfff,
        1 << 63,
        0x7fff_ffff_f000,
        0x6600_0000_0000,
        0x1000,
    ];
    let at = random.below(HEADERS.min(bytes.len()));
    match random.below(6) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        2 => {
            let word = EXTREMES[random.below(EXTREMES.len())].to_le_bytes();
            let at = at & !7;
            bytes
                .iter_mut()
                .skip(at)
                .zip(word)
                .for_each(|(to, from)| *to = from);
        }
        3 => {
            let small = (random.below(0x1000) as u64).to_le_bytes();
            bytes
                .iter_mut()
                .skip(at & !7)
                .zip(small)
                .for_each(|(to, from)| *to = from);
        }
        4 => bytes.truncate(random.below(bytes.len() + 1).max(1)),
        _ => {
            let from = random.below(HEADERS.min(bytes.len()));
            let piece: Vec<u8> = bytes.iter().skip(from).take(16).copied().collect();
            bytes
                .iter_mut()
                .skip(at)
                .zip(piece)
                .for_each(|(to, from)| *to = from);
        }
    }
}

/// What every plan promises to the kernel.
fn check_plan(program: &Program) {
    assert!(!program.segments.is_empty());
    assert!(program.align.is_power_of_two() && program.align >= loader::PAGE_SIZE);
    assert!(program.span.start < program.span.end && program.span.end <= loader::USER_END);
    for pair in program.segments.windows(2) {
        assert!(pair[0].end() <= pair[1].vaddr);
    }
    for segment in &program.segments {
        let pages = segment.pages();
        assert!(program.span.start <= pages.start && pages.end <= program.span.end);
        let file = segment
            .file_part()
            .map(|part| part.vaddr..part.vaddr + part.len);
        let anon = segment
            .anon_part()
            .map(|part| part.vaddr..part.vaddr + part.len);
        let covered = [&file, &anon]
            .into_iter()
            .flatten()
            .map(|range| range.end - range.start)
            .sum::<u64>();
        assert_eq!(covered, pages.end - pages.start);
        if let (Some(tail), Some(file)) = (segment.zero_tail(), &file) {
            assert!(
                file.contains(&tail.vaddr)
                    && tail.vaddr + tail.len == file.end
                    && tail.len < loader::PAGE_SIZE
            );
        }
    }
}

#[test]
fn mutations_never_panic() {
    let directory = tempfile::tempdir().unwrap();
    let seeds: Vec<Case> = corpus(directory.path())
        .into_iter()
        .filter(|case| case.verdict != "bad")
        .collect();
    let mut random = Random(1);
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut bytes = seeds[random.below(seeds.len())].bytes.clone();
        for _ in 0..1 + random.below(4) {
            mutate(&mut bytes, &mut random);
        }
        match parse(&bytes) {
            Ok(program) => {
                check_plan(&program);
                accepted += 1;
            }
            Err(message) => assert!(!message.is_empty()),
        }
    }
    // Both outcomes are exercised.
    assert!((1_000..19_000).contains(&accepted), "{accepted}");
}
