//! Memory policies: there is one node, and as in a kernel without NUMA these calls are not there. Libraries ask at their
//! start and take the answer for "do not bother".
use crate::kernel::Kernel;
use linux_abi::{Errno, SysResult};

macro_rules! absent {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $kind:ty),*);)*) => {
        $(
            $(#[$doc])*
            pub fn $name<K: Kernel>(_k: &K, $($argument: $kind),*) -> SysResult {
                Err(Errno::ENOSYS)
            }
        )*
    };
}

absent! {
    /// mbind(2)
    mbind(_addr: u64, _len: u64, _mode: i32, _nodemask: u64, _maxnode: u64, _flags: u32);
    /// set_mempolicy(2)
    set_mempolicy(_mode: i32, _nodemask: u64, _maxnode: u64);
    /// get_mempolicy(2)
    get_mempolicy(_mode: u64, _nodemask: u64, _maxnode: u64, _addr: u64, _flags: u64);
    /// migrate_pages(2)
    migrate_pages(_pid: i32, _maxnode: u64, _old: u64, _new: u64);
    /// move_pages(2)
    move_pages(_pid: i32, _count: u64, _pages: u64, _nodes: u64, _status: u64, _flags: i32);
    /// set_mempolicy_home_node(2)
    set_mempolicy_home_node(_start: u64, _len: u64, _node: u64, _flags: u64);
}
