//! Links the vDSO, which the kernel carries as bytes.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

const SOURCE: &str = "src/vdso/vdso.s";
const SCRIPT: &str = "src/vdso/vdso.ld";
const OPTIONS: [&str; 8] = [
    "-Wl,-soname=linux-vdso.so.1",
    "-Wl,--hash-style=both",
    "-Wl,-Bsymbolic",
    "-Wl,--eh-frame-hdr",
    "-Wl,--build-id=sha1",
    "-Wl,-z,max-page-size=4096",
    "-Wl,-z,noexecstack",
    "-Wl,--fatal-warnings",
];

fn main() -> ExitCode {
    for input in ["build.rs", SOURCE, SCRIPT] {
        println!("cargo::rerun-if-changed={input}");
    }
    println!("cargo::rerun-if-env-changed=CC");
    match link_vdso() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("cargo::error=the vDSO was not linked: {why}");
            ExitCode::FAILURE
        }
    }
}

fn link_vdso() -> Result<(), String> {
    let cc = env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
    let out = env::var_os("OUT_DIR")
        .map(|dir| PathBuf::from(dir).join("vdso.so"))
        .ok_or("OUT_DIR is not set")?;
    let status = Command::new(&cc)
        .args(["-shared", "-nostdlib", "-s", "-o"])
        .arg(out)
        .arg(SOURCE)
        .args(["-T", SCRIPT])
        .args(OPTIONS)
        .status()
        .map_err(|error| format!("{}: {error}", cc.display()))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{}: {status}", cc.display()))
    }
}
