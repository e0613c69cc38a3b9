//! virtio console with several ports: standard streams and a line-based control channel.

mod control;
mod device;
mod events;
mod input;
mod lines;
mod output;
mod reports;
mod sink;

#[cfg(test)]
mod tests;

pub use control::{STDERR, STDIO, queues};
pub use device::{Console, Wants};
pub use events::ConsoleEvents;
pub use input::Input;
pub use output::Output;
pub use sink::Sink;
