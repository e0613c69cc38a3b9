//! The devices of the machine, one folder each, and what they share.

pub mod console;
pub mod hostnet;
pub mod net;
pub mod rng;
pub mod virtio;

use std::sync::Arc;

use crate::error::{Result, host};
use crate::outcome::{Outcome, Verdict};

const STACK: usize = 256 << 10;

/// Starts the thread of a device that has one of its own. `prepare` runs on it, before anything else.
fn spawn(
    name: &str,
    verdict: Arc<Verdict>,
    prepare: impl FnOnce() -> Result<()> + Send + 'static,
    serve: impl FnOnce() -> Result<()> + Send + 'static,
) -> Result<()> {
    let body = move || {
        if let Err(e) = prepare().and_then(|()| serve()) {
            verdict.give(Outcome::Failed(e.to_string()));
        }
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(body)
        .map_err(host("cannot start a thread"))?;
    Ok(())
}
