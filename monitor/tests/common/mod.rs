//! Guests that are a few lines of C, and the monitor that runs them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

pub const MONITOR: &str = env!("CARGO_BIN_EXE_compat-monitor");

fn build_dir() -> &'static Path {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    DIR.get_or_init(|| TempDir::new().unwrap()).path()
}

/// Compiles `guests/NAME.c`.
pub fn guest(name: &str) -> PathBuf {
    static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = LOCK.lock().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests");
    let image = build_dir().join(format!("{name}.img"));
    if !image.exists() {
        let mut cc = Command::new("cc");
        cc.args([
            "-m32",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-main",
            "-ffreestanding",
            "-fno-pic",
            "-fno-stack-protector",
        ]);
        cc.args([
            "-fno-tree-loop-distribute-patterns",
            "-fcf-protection=none",
            "-mgeneral-regs-only",
            "-nostdlib",
            "-static",
            "-no-pie",
        ]);
        cc.args([
            "-Wl,--build-id=none",
            "-Wl,-z,max-page-size=4096,-z,noexecstack",
            "-Wl,--no-warn-rwx-segments",
        ]);
        cc.arg("-Wl,-melf_i386")
            .arg("-T")
            .arg(source.join("guest.ld"))
            .arg("-o")
            .arg(&image);
        cc.arg(source.join("start.s"))
            .arg(source.join(format!("{name}.c")));
        assert!(cc.status().unwrap().success());
        widen(&image);
    }
    image
}

/// The linker made an ELF32 file; images are ELF64.
fn widen(image: &Path) {
    let out = Command::new("objcopy")
        .args(["-O", "elf64-x86-64"])
        .arg(image)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
