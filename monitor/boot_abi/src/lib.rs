//! What a monitor and the kernel agree on. Everything else is PVH and virtio, by their specifications.
//!
//! An image boots by PVH: an ELF note (name `Xen`, type 18) gives the 32-bit entry; EBX points at `hvm_start_info`.
//! The kernel command line carries the keys below; PVH module 0, if present, is a run-time configuration blob
//! (see [`config`]), which overrides the one inside the image.
#![no_std]

pub mod config;
pub mod faults;
pub mod hostnet;
pub mod input;
pub mod netconf;
pub mod trace;
pub mod virtio;

/// Version of this contract, carried by the image in an ELF note (name `compat`, type 1, descriptor: one u32).
pub const ABI_VERSION: u32 = 2;
/// Name of the ELF note that carries [`ABI_VERSION`], without the NUL.
pub const NOTE_NAME: &str = "compat";

// The program's own code can write to the kernel's ports, since both are in ring 3. What the kernel would not write there (another
// width, a value that means nothing) is refused: the CPU gets the general protection fault that an `out` of a program's is on Linux.

/// Port: a 32-bit write ends the machine. Bits 0..8 are the exit status; [`EXIT_PANIC`] says that the kernel failed; above it
/// is [`EXIT_TAG`]. It is where QEMU's `isa-debug-exit,iobase=0xf4,iosize=4` listens, which looks at no tag and loses bits: there the
/// control port's last line counts.
pub const EXIT_PORT: u16 = 0xf4;
/// What is in all of an exit value but its lowest nine bits.
pub const EXIT_TAG: u32 = 0x7c5a_3e00;
/// Set in the exit value when the kernel itself failed; the report went to [`DEBUG_PORT`].
pub const EXIT_PANIC: u32 = 0x100;
/// Port: bytes (also by `rep outsb`) for a person, on stderr: kernel messages, crash reports. QEMU: `isa-debugcon,iobase=0xe9`.
pub const DEBUG_PORT: u16 = 0xe9;

/// Port: a CPU with nothing to do writes here (32 bits) [`IDLE_TAG`] and for how many microseconds it has none, [`IDLE_FOREVER`] for
/// "until something comes". The write returns by then, or earlier: when a device has something for the driver that it would have interrupted
/// for, when an interrupt has been raised since the last such write, or for no reason. Meanwhile the CPU's thread in the monitor serves
/// the socket device, so that neither side has to wake the other. Offered by [`KEY_IDLE_PORT`]; elsewhere the CPU halts.
/// One CPU waits there at a time: when another comes, it returns. A write of [`IDLE_RING`] and a CPU's number has that CPU's write
/// return, or its next one, since an interrupt from another CPU does not reach it there.
pub const IDLE_PORT: u16 = 0xf8;
/// The bits of a value for [`IDLE_PORT`] that are a time or a CPU's number; in the others is a tag.
pub const IDLE_VALUE: u32 = 0xf_ffff;
/// Tag of a value for [`IDLE_PORT`]: the CPU rests.
pub const IDLE_TAG: u32 = 0x1d70_0000;
/// Tag of a value for [`IDLE_PORT`]: a CPU is to go on.
pub const IDLE_RING: u32 = 0x2e80_0000;
/// The time, in a value for [`IDLE_PORT`], that has no end. Others are about a second at most: a longer one is in pieces.
pub const IDLE_FOREVER: u32 = IDLE_VALUE;

/// Port: a 32-bit write starts another CPU. The value is the physical address of 32-bit code (a multiple of 64) plus the CPU's
/// number, from 1 on. The CPU begins there in the state that PVH asks for, with its number in EBX, which is also its APIC id.
/// Offered by [`KEY_CPU_PORT`]; elsewhere the kernel sends start-up interrupts.
pub const CPU_PORT: u16 = 0xfc;
/// The bits of a value for [`CPU_PORT`] that are the CPU's number.
pub const CPU_PORT_NUMBER: u32 = 0x3f;

/// Names of the virtio-console ports (multiport); the ids are whatever the device announces.
pub const PORT_STDIO: &str = "compat.stdio";
pub const PORT_STDERR: &str = "compat.stderr";
/// Lines of text. To the guest: `signal N`, `winsize ROWS COLS`, `eof [BYTES]` (stdin ended, after so many bytes if that
/// is said: the line may overtake them), `hangup stdio` and `hangup stderr` (nobody takes that output any more; it is
/// dropped), `trace off` and `trace` with the text of [`trace::Settings`], `threads`, `stats`. From the guest, as the answer to that:
/// `stats {JSON}` in one line of at most 16 KiB, see `compat/schema/instance-stats.schema.json`; last: `exit STATUS`
/// (0..=255, 128+N if killed by signal N) or `panic`.
pub const PORT_CONTROL: &str = "compat.control";
/// The line that asks for the guest's figures, and the first word of the answer.
pub const LINE_STATS: &str = "stats";
/// The line that asks what each thread does, which the kernel says on the debug port.
pub const LINE_THREADS: &str = "threads";
/// The line that switches tracing on and off.
pub const LINE_TRACE: &str = "trace";

/// Command line: `virtio_mmio.device=SIZE@ADDRESS:IRQ` once a device, as Linux and QEMU microvm have it.
pub const KEY_VIRTIO_MMIO: &str = "virtio_mmio.device";
/// Command line: present (with the value 1) if the devices have the register [`virtio::QUEUE_TABLE`].
pub const KEY_QUEUE_TABLE: &str = "compat.queue_table";
/// Command line: TSC frequency in kHz. Absent: the kernel calibrates.
pub const KEY_TSC_KHZ: &str = "compat.tsc_khz";
/// Command line: `TSC:NANOSECONDS`, a pair read together: TSC value and CLOCK_REALTIME. Absent TSC: 0.
pub const KEY_REALTIME: &str = "compat.realtime";

/// Command line: present (with the value 1) if the monitor takes writes to [`IDLE_PORT`].
pub const KEY_IDLE_PORT: &str = "compat.idle_port";

/// Command line: how many CPUs the machine has, numbered by their APIC ids from 0 up. Absent: one.
pub const KEY_CPUS: &str = "compat.cpus";
/// Command line: present (with the value 1) if the monitor takes writes to [`CPU_PORT`].
pub const KEY_CPU_PORT: &str = "compat.cpu_port";
/// Command line: what [`faults::Plan`] reads. A kernel without fault injection does not start with it.
pub const KEY_FAULTS: &str = "compat.faults";

/// Exit status of `compat run` and of the monitor when compat itself could not do its work (bad image, no KVM, ...).
pub const STATUS_CANNOT_RUN: u8 = 125;
/// Exit status when the kernel or the monitor failed (a bug).
pub const STATUS_INTERNAL: u8 = 70;
