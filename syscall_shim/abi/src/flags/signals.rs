//! Flags of sigaction(2) and sigaltstack(2).

bitflags::bitflags! {
    /// sigaction(2) `sa_flags`, as wide as the kernel's.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct SaFlags: u64 {
        const SA_NOCLDSTOP = 1;
        const SA_NOCLDWAIT = 2;
        const SA_SIGINFO = 4;
        /// Set by the kernel in the flags it reports when it does not know others: sigaction(2), "Dynamically probing".
        const SA_UNSUPPORTED = 0x400;
        const SA_EXPOSE_TAGBITS = 0x800;
        const SA_RESTORER = 0x0400_0000;
        const SA_ONSTACK = 0x0800_0000;
        const SA_RESTART = 0x1000_0000;
        const SA_NODEFER = 0x4000_0000;
        const SA_RESETHAND = 0x8000_0000;
    }
}

bitflags::bitflags! {
    /// sigaltstack(2) `ss_flags`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct SsFlags: u32 {
        const SS_ONSTACK = 1;
        const SS_DISABLE = 2;
        const SS_AUTODISARM = 0x8000_0000;
    }
}
