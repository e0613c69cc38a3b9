use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::{SysResult, Utsname, uts_field};

/// The Linux version whose behaviour the shim follows. C libraries and runtimes compare it.
pub const RELEASE: &str = "6.1.0-compat";
/// uname(2) version.
pub const VERSION: &str = concat!("#1 SMP compat ", env!("CARGO_PKG_VERSION"));

/// uname(2)
pub fn uname<K: Kernel>(k: &K, buf: UserPtr<Utsname>) -> SysResult {
    let names = Utsname {
        sysname: uts_field("Linux"),
        nodename: uts_field(&k.nodename()),
        release: uts_field(RELEASE),
        version: uts_field(VERSION),
        machine: uts_field("x86_64"),
        domainname: uts_field("(none)"),
    };
    buf.write(k, &names)?;
    Ok(0)
}
