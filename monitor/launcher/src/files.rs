//! Whether files are still what they were: `compat/inputs.py` tells by what, and writes it down.

use std::num::NonZero;
use std::thread;

use nix::sys::stat::FileStat;

/// An interpreter's image has thousands of inputs, and a look takes a microsecond or more: so the CPUs share them.
const MOST_THREADS: usize = 4;
/// As many as are worth a thread.
const SHARE: usize = 500;

type Status = fn(&[u8]) -> nix::Result<FileStat>;

/// `numbers` has inode and time of change of each path, zeros for what is not there, in decimal with spaces between.
pub fn are_unchanged(paths: &[&[u8]], numbers: &[u8], status: Status) -> bool {
    let Some(known) = parse(numbers) else {
        return false;
    };
    if known.len() != paths.len() {
        return false;
    }
    let share = if paths.len() <= SHARE {
        SHARE
    } else {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        paths.len().div_ceil(threads.min(MOST_THREADS)).max(SHARE)
    };
    let same = |(paths, known): (&[&[u8]], &[Identity])| {
        let mut pairs = paths.iter().zip(known);
        pairs.all(|(path, known)| identity(path, status) == *known)
    };
    let mut shares = paths.chunks(share).zip(known.chunks(share));
    let Some(own) = shares.next() else {
        return true;
    };
    thread::scope(|scope| {
        let others: Vec<_> = shares
            .map(|one| thread::Builder::new().spawn_scoped(scope, move || same(one)))
            .collect();
        // A thread that could not be had has found nothing out.
        same(own)
            && others
                .into_iter()
                .all(|thread| thread.is_ok_and(|thread| thread.join().unwrap_or(false)))
    })
}

type Identity = (i128, i128);

fn identity(path: &[u8], status: Status) -> Identity {
    status(path).map_or((0, 0), |found| {
        let changed = i128::from(found.st_ctime) * 1_000_000_000 + i128::from(found.st_ctime_nsec);
        (found.st_ino.into(), changed)
    })
}

fn parse(numbers: &[u8]) -> Option<Vec<Identity>> {
    let mut words = std::str::from_utf8(numbers).ok()?.split_ascii_whitespace();
    let mut known = Vec::new();
    while let Some(inode) = words.next() {
        known.push((inode.parse().ok()?, words.next()?.parse().ok()?));
    }
    Some(known)
}

pub fn stat(path: &[u8]) -> nix::Result<FileStat> {
    nix::sys::stat::stat(path)
}

pub fn lstat(path: &[u8]) -> nix::Result<FileStat> {
    nix::sys::stat::lstat(path)
}

pub fn exists(path: &[u8]) -> bool {
    !path.is_empty() && stat(path).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use super::*;

    fn numbers(path: &Path) -> String {
        let of = std::fs::metadata(path).unwrap();
        let changed = i128::from(of.ctime()) * 1_000_000_000 + i128::from(of.ctime_nsec());
        format!("{} {changed}", of.ino())
    }

    #[test]
    fn a_change_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (file, missing) = (folder.path().join("file"), folder.path().join("missing"));
        std::fs::write(&file, "x").unwrap();
        let paths = [&file, &missing].map(|path| path.as_os_str().as_bytes());
        let unchanged = |numbers: &str| are_unchanged(&paths, numbers.as_bytes(), lstat);
        let right = numbers(&file);
        assert!(unchanged(&format!("{right} 0 0")));
        for bad in [
            "",
            " 0",
            " 0 0 1",
            " 0 0 0 0",
            " 1 1",
            "1 0 0",
            " x y",
            " \u{fe} 0",
        ] {
            assert!(!unchanged(&format!("{right}{bad}")), "{bad}");
        }
        assert!(!unchanged(&format!("1{right} 0 0")));
        std::fs::write(&missing, "").unwrap();
        assert!(!unchanged(&format!("{right} 0 0")));
    }

    #[test]
    fn each_of_many_files_counts() {
        let folder = tempfile::tempdir().unwrap();
        let right = numbers(folder.path());
        let path = folder.path().as_os_str().as_bytes();
        let many = MOST_THREADS * SHARE * 2 + 1;
        let (paths, mut known) = (vec![path; many], vec![right.as_str(); many]);
        assert!(are_unchanged(&paths, known.join(" ").as_bytes(), stat));
        for wrong in [0, SHARE, many / 2, many - 1] {
            known[wrong] = "1 1";
            assert!(
                !are_unchanged(&paths, known.join(" ").as_bytes(), stat),
                "{wrong}"
            );
            known[wrong] = &right;
        }
    }

    #[test]
    fn nothing_is_unchanged() {
        assert!(are_unchanged(&[], b"", stat));
        assert!(!are_unchanged(&[], b"1 1", stat));
    }
}
