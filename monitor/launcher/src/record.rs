//! What a start came to. Python writes it (`compat/remember.py`), and says there what the fields are.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{AccessFlags, access};

use crate::asked::Asked;
use crate::files::{are_unchanged, exists, lstat, stat};

const MAGIC: &[u8] = b"CPTSTRT2";
const MAGIC_OF_INPUTS: &[u8] = b"CPTINPT1";

/// A command line that is known and still right.
#[derive(Debug)]
pub struct Record {
    program: PathBuf,
    argv: Vec<OsString>,
    /// An image of the cache, whose use is noted.
    image: Option<PathBuf>,
}

impl Record {
    /// `None`: not known, or no more.
    pub fn recall(asked: &Asked) -> Option<Self> {
        Self::read(&std::fs::read(&asked.place).ok()?, asked)
    }

    fn read(text: &[u8], asked: &Asked) -> Option<Self> {
        let mut fields = text.split(|byte| *byte == 0);
        if fields.next()? != MAGIC || fields.next()? != asked.key {
            return None;
        }
        let [device, program, image, inputs, tool, numbers, count] =
            std::array::from_fn(|_| fields.next());
        let count: usize = std::str::from_utf8(count?).ok()?.parse().ok()?;
        let rest: Vec<&[u8]> = fields.collect();
        let (paths, argv) = rest.split_at_checked(count)?;
        access(device?, AccessFlags::R_OK | AccessFlags::W_OK).ok()?;
        if argv.is_empty() || !are_unchanged(paths, numbers?, stat) {
            return None;
        }
        let image = match inputs? {
            b"" => None,
            inputs => {
                let inputs = std::fs::read(OsStr::from_bytes(inputs)).ok()?;
                if !exists(image?) || !is_current(&inputs, tool?) {
                    return None;
                }
                Some(image?.to_vec())
            }
        };
        let mut argv: Vec<OsString> = argv.iter().copied().map(owned).collect();
        if !asked.arguments.is_empty() {
            argv.push("--".into());
            argv.extend_from_slice(&asked.arguments);
        }
        Some(Self {
            program: owned(program?).into(),
            argv,
            image: image.map(|image| owned(&image).into()),
        })
    }

    pub fn start(&self) -> std::io::Result<Infallible> {
        if let Some(image) = &self.image {
            // The longest unused image goes first.
            let now = TimeSpec::UTIME_NOW;
            utimensat(AT_FDCWD, image, &now, &now, UtimensatFlags::FollowSymlink)?;
        }
        crate::become_program(&self.program, &self.argv)
    }
}

/// Whether an image is still what its inputs make, by the list of `compat/inputs.py`.
fn is_current(text: &[u8], tool: &[u8]) -> bool {
    let mut fields = text.split(|byte| *byte == 0);
    if fields.next() != Some(MAGIC_OF_INPUTS) || fields.next() != Some(tool) {
        return false;
    }
    let Some(numbers) = fields.next() else {
        return false;
    };
    are_unchanged(&fields.collect::<Vec<_>>(), numbers, lstat)
}

fn owned(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn asked() -> Asked {
        Asked {
            place: "/nowhere".into(),
            key: b"key".to_vec(),
            arguments: vec!["a".into(), "b".into()],
        }
    }

    /// A record of no file but what is given.
    fn record(image: &Path, inputs: &Path) -> Vec<Vec<u8>> {
        let (image, inputs) = (image.as_os_str().as_bytes(), inputs.as_os_str().as_bytes());
        let missing: &[u8] = b"/no/such/file";
        let fields: [&[u8]; 12] = [
            MAGIC,
            b"key",
            b"/dev/null",
            b"/bin/monitor",
            image,
            inputs,
            b"tool",
            b"0 0",
            b"1",
            missing,
            b"monitor",
            b"--x",
        ];
        fields.map(<[u8]>::to_vec).to_vec()
    }

    fn read(fields: &[Vec<u8>]) -> Option<Record> {
        Record::read(&fields.join(&0), &asked())
    }

    #[test]
    fn a_record_that_is_right_serves() {
        let found = read(&record(Path::new("/x.img"), Path::new(""))).unwrap();
        assert_eq!(found.program, Path::new("/bin/monitor"));
        assert_eq!(found.argv, ["monitor", "--x", "--", "a", "b"]);
        assert_eq!(found.image, None);
    }

    #[test]
    fn whatever_is_wrong_it_does_not_serve() {
        let good = record(Path::new("/x.img"), Path::new(""));
        for (at, value) in [
            (0, "CPTSTRT1"),
            (1, "another key"),
            (2, "/no/such/device"),
            (5, "/no/such/inputs"),
            (7, "1 1"),
            (8, "9"),
            (8, "-1"),
            (9, "/"),
        ] {
            let mut bad = good.clone();
            bad[at] = value.into();
            assert!(read(&bad).is_none(), "{at}: {value}");
        }
        for end in 0..good.len() - 1 {
            assert!(read(&good[..end]).is_none(), "{end} fields");
        }
    }

    #[test]
    fn an_image_serves_while_its_inputs_do() {
        let folder = tempfile::tempdir().unwrap();
        let (image, inputs) = (folder.path().join("x.img"), folder.path().join("x.inputs"));
        let fields = record(&image, &inputs);
        std::fs::write(&inputs, b"CPTINPT1\0tool\x000 0\0/no/such/input").unwrap();
        assert!(read(&fields).is_none(), "there is no image");
        std::fs::write(&image, "").unwrap();
        assert_eq!(read(&fields).unwrap().image.as_deref(), Some(&*image));
        for bad in [
            b"CPTINPT0\0tool\x000 0\0/no/such/input".as_slice(),
            b"CPTINPT1\0other\x000 0\0/no/such/input",
            b"CPTINPT1\0tool\x001 1\0/no/such/input",
            b"CPTINPT1\0tool\x000 0\0/",
            b"CPTINPT1\0tool",
            b"",
        ] {
            std::fs::write(&inputs, bad).unwrap();
            assert!(read(&fields).is_none());
        }
    }
}
