//! The control socket of a run: one line of JSON asks, one line answers. See `compat/schema/instance-stats.schema.json`.

mod clients;
mod events;
mod report;
mod socket;

pub use events::ControlEvents;
pub use report::{Sources, describe};
pub use socket::Socket;
