//! The root over real images, as mkfs.erofs makes them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod common;
use common::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use vfs::{ErofsError, Errno, FileType, MemFs, PageRef};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vfs-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

fn tree(root: &Path) {
    fs::create_dir_all(root.join("usr/lib/deep/er")).unwrap();
    fs::create_dir_all(root.join("many")).unwrap();
    for size in [0, 1, 100, 4095, 4096, 4097, 8192, 12_289, 100_000] {
        fs::write(root.join(format!("size{size}")), pattern(size)).unwrap();
    }
    for i in 0..700 {
        fs::write(
            root.join(format!("many/entry-with-a-rather-long-name-{i:04}")),
            i.to_string(),
        )
        .unwrap();
    }
    fs::write(root.join("usr/lib/deep/er/file"), "deep").unwrap();
    symlink("lib/deep", root.join("usr/link")).unwrap();
    symlink("/usr/lib", root.join("abs")).unwrap();
    symlink("x".repeat(3000), root.join("long")).unwrap();
    fs::hard_link(root.join("size100"), root.join("hard")).unwrap();
}

fn image(name: &str, options: &[&str]) -> (Scratch, &'static [u8]) {
    let scratch = Scratch::new(name);
    let root = scratch.0.join("root");
    fs::create_dir_all(&root).unwrap();
    tree(&root);
    let file = scratch.0.join("image");
    let status = Command::new("mkfs.erofs")
        .args(["--quiet", "-T1000"])
        .args(options)
        .arg(&file)
        .arg(&root)
        .status()
        .expect("mkfs.erofs");
    assert!(status.success());
    let bytes = leak_aligned(&fs::read(&file).unwrap());
    (scratch, bytes)
}

/// The same tree through the writer that `compat wrap` uses.
fn own_image(name: &str) -> (Scratch, &'static [u8]) {
    const SCRIPT: &str = "
import sys
from compat.erofs import plan_layout, write_image
from compat.tree import Tree
tree = Tree()
tree.add_tree(sys.argv[1], '/')
with open(sys.argv[2], 'wb') as out:
    layout = plan_layout(tree)
    out.truncate(layout.size)
    write_image(layout, out.fileno())
";
    let scratch = Scratch::new(name);
    let root = scratch.0.join("root");
    fs::create_dir_all(&root).unwrap();
    tree(&root);
    let file = scratch.0.join("image");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let status = Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(&root)
        .arg(&file)
        .current_dir(repository)
        .status()
        .expect("python3");
    assert!(status.success());
    let bytes = leak_aligned(&fs::read(&file).unwrap());
    (scratch, bytes)
}

fn mounted(bytes: &'static [u8]) -> Process {
    Process::over(MemFs::over_image(1, host(), 4096, bytes).unwrap())
}

/// Compares everything below `native` with what we show.
fn compare(process: &Process, native: &Path, path: &str) {
    for entry in fs::read_dir(native).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let here = format!("{path}/{name}");
        let place = process
            .at()
            .resolve(here.as_bytes(), vfs::LookupFlags::empty())
            .unwrap();
        let (ours, theirs) = (
            place.inode.metadata(),
            entry.path().symlink_metadata().unwrap(),
        );
        assert_eq!(ours.mode, theirs.mode(), "{here}");
        assert_eq!(ours.nlink, theirs.nlink() as u32, "{here}");
        match place.inode.kind() {
            FileType::Directory => {
                let mut names: Vec<String> = fs::read_dir(entry.path())
                    .unwrap()
                    .map(|e| e.unwrap().file_name().into_string().unwrap())
                    .collect();
                names.extend([".".into(), "..".into()]);
                names.sort();
                assert_eq!(process.names(&here), names);
                compare(process, &entry.path(), &here);
            }
            FileType::Regular => {
                assert_eq!(ours.size, theirs.len());
                assert_eq!(
                    process.read_file(&here).unwrap(),
                    fs::read(entry.path()).unwrap(),
                    "{here}"
                );
            }
            FileType::Symlink => {
                let target = fs::read_link(entry.path()).unwrap();
                assert_eq!(
                    place.inode.readlink().unwrap(),
                    target.to_str().unwrap().as_bytes()
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn shows_what_the_image_holds() {
    for (name, options) in [
        ("plain", &["-Enoinline_data"][..]),
        ("inline", &[]),
        ("compact", &["-Eforce-inode-compact"]),
        ("extended", &["-Eforce-inode-extended"]),
    ] {
        let (scratch, bytes) = image(name, options);
        compare(&mounted(bytes), &scratch.0.join("root"), "");
    }
}

#[test]
fn shows_what_our_own_writer_wrote() {
    let (scratch, bytes) = own_image("own");
    compare(&mounted(bytes), &scratch.0.join("root"), "");
}

#[test]
fn follows_links_of_the_image() {
    let (_scratch, bytes) = image("links", &[]);
    let process = mounted(bytes);
    assert_eq!(process.read_file("/usr/link/er/file").unwrap(), b"deep");
    assert_eq!(
        process.read_file("/abs/deep/er/../er/file").unwrap(),
        b"deep"
    );
    assert_eq!(
        process.find("/abs/deep").unwrap().path(&process.root).bytes,
        b"/usr/lib/deep"
    );
}

#[test]
fn copies_up_page_by_page() {
    let (_scratch, bytes) = image("copyup", &[]);
    let process = mounted(bytes);
    let file = process.open("/size12289", O_RDWR).unwrap();
    let mut expected = pattern(12_289);
    file.write_at(5000, &mut vfs::SliceSource::new(b"changed"))
        .unwrap();
    expected[5000..5007].copy_from_slice(b"changed");
    assert_eq!(process.read_file("/size12289").unwrap(), expected);
    assert!(matches!(
        file.inode().map_page(0, false),
        Ok(PageRef::Image(_))
    ));
    assert!(matches!(
        file.inode().map_page(1, false),
        Ok(PageRef::Memory(_))
    ));
    assert!(
        matches!(file.inode().map_page(3, false), Ok(PageRef::Memory(_))),
        "the inline tail has no page of its own"
    );
    assert_eq!(file.inode().map_page(4, false).err(), Some(Errno::ENXIO));
    file.truncate(6000).unwrap();
    file.truncate(12_289).unwrap();
    expected[6000..].fill(0);
    assert_eq!(process.read_file("/size12289").unwrap(), expected);
    assert!(matches!(
        file.inode().map_page(2, true),
        Ok(PageRef::Memory(_))
    ));
}

#[test]
fn removes_and_replaces_what_the_image_holds() {
    let (_scratch, bytes) = image("edit", &[]);
    let process = mounted(bytes);
    process.at().unlink(b"/size1").unwrap();
    assert_eq!(err(process.find("/size1")), Errno::ENOENT);
    assert!(!process.names("/").contains(&"size1".to_string()));
    process.write_file("/size1", b"new");
    assert_eq!(process.read_file("/size1").unwrap(), b"new");
    assert_eq!(err(process.at().rmdir(b"/usr/lib")), Errno::ENOTEMPTY);
    process
        .at()
        .rename(b"/usr/lib/deep", &process.at(), b"/moved", 0)
        .unwrap();
    assert_eq!(process.read_file("/moved/er/file").unwrap(), b"deep");
    process.at().rmdir(b"/usr/lib").unwrap();
    assert_eq!(err(process.find("/abs")), Errno::ENOENT);
}

#[test]
fn hard_links_share_changes_even_after_one_is_gone() {
    let (_scratch, bytes) = image("hard", &[]);
    let process = mounted(bytes);
    process.write_file("/size100", b"both");
    process.at().unlink(b"/size100").unwrap();
    assert_eq!(process.read_file("/hard").unwrap(), b"both");
    assert_eq!(process.find("/hard").unwrap().inode.metadata().nlink, 1);
}

#[test]
fn refuses_what_it_cannot_read() {
    let (_scratch, bytes) = image("bad", &[]);
    let mount = |bytes: &[u8]| MemFs::over_image(1, host(), 16, leak_aligned(bytes)).err();
    assert_eq!(mount(&bytes[..1000]), Some(ErofsError::Truncated));
    assert_eq!(
        mount(&bytes[..bytes.len() - 4096]),
        Some(ErofsError::Truncated)
    );
    let mut broken = bytes.to_vec();
    broken[1024] ^= 1;
    assert_eq!(mount(&broken), Some(ErofsError::Magic));
    let mut broken = bytes.to_vec();
    broken[1024 + 12] = 9;
    assert_eq!(mount(&broken), Some(ErofsError::BlockSize(9)));
    let mut broken = bytes.to_vec();
    broken[1024 + 80] = 2;
    assert_eq!(mount(&broken), Some(ErofsError::Feature(2)));
}

fn explore(process: &Process, path: &str, depth: usize, left: &mut usize) {
    let Ok(dir) = process.open(path, O_DIRECTORY) else {
        return;
    };
    let mut names = Vec::new();
    let _ = dir.read_dir(&mut |entry| {
        names.push(entry.name.to_vec());
        true
    });
    for name in names {
        if name == b"." || name == b".." || *left == 0 {
            continue;
        }
        *left -= 1;
        let here = format!("{path}/{}", String::from_utf8_lossy(&name));
        let _ = process.read_file(&here);
        if let Ok(file) = process.open(&here, O_RDWR) {
            let _ = write(&file, b"x");
            let _ = file.inode().map_page(0, false);
        }
        if depth < 40 {
            explore(process, &here, depth + 1, left);
        }
    }
}

/// Flips bytes of the metadata and walks everything: whatever comes out, nothing may panic or loop.
#[test]
fn survives_damaged_images() {
    let (_scratch, bytes) = image("damage", &[]);
    let mut seed = 12345_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize
    };
    let mut buffer = leak_aligned(bytes).to_vec();
    let mut outcomes = BTreeMap::new();
    for _ in 0..60 {
        buffer.copy_from_slice(bytes);
        for _ in 0..random() % 40 + 1 {
            let at = random() % buffer.len();
            buffer[at] = random() as u8;
        }
        // Half of the damage goes where inodes and the root directory are.
        for _ in 0..random() % 10 {
            let at = 1024 + random() % 8192;
            buffer[at] = random() as u8;
        }
        match MemFs::over_image(1, host(), 4096, leak_aligned(&buffer)) {
            Ok(root) => {
                explore(&Process::over(root), "", 0, &mut 3000);
                *outcomes.entry("mounted").or_insert(0) += 1;
            }
            Err(_) => *outcomes.entry("refused").or_insert(0) += 1,
        }
    }
    assert!(
        outcomes.get("mounted").copied().unwrap_or(0) > 5,
        "{outcomes:?}"
    );
}
