//! shutdown(2) and close(2).
use super::{Phase, Tcp, TcpSocket};
use crate::Result;
use crate::inet::loopback::TcpState;
use crate::inet::options::Slot;
use linux_abi::Errno;
use vfs::poll;

impl Tcp {
    /// shutdown(2), with the error even where it has an effect.
    pub(super) fn shutdown(&self, read: bool, write: bool) -> Result<()> {
        let mut state = self.state.lock();
        match &mut state.phase {
            Phase::Idle => {
                drop(state);
                self.events.notify(poll::HUP);
                Err(Errno::ENOTCONN)
            }
            Phase::Listening(_) => {
                if read {
                    let listening = state.disconnect();
                    drop(state);
                    self.stop(listening);
                }
                Ok(())
            }
            Phase::Active { link, told, .. } => match link.state() {
                TcpState::SynSent => {
                    let connecting = state.disconnect();
                    state.error = Some(Errno::ECONNRESET);
                    drop(state);
                    self.stop(connecting);
                    Ok(())
                }
                TcpState::Close => Err(Errno::ENOTCONN),
                _ => {
                    *told = true;
                    let link = link.clone();
                    drop(state);
                    link.shutdown(read, write)
                }
            },
        }
    }

    /// A phase ends: its listener or stream goes, and who polls hears of it.
    pub(super) fn stop(&self, phase: Phase) {
        match phase {
            Phase::Idle => return,
            Phase::Listening(listener) => {
                self.network.inet().listeners.lock().remove(&listener);
                listener.close();
            }
            Phase::Active { link, .. } => link.abort(),
        }
        self.events.notify(poll::ALWAYS | poll::RDHUP | poll::HUP);
    }
}

impl Drop for TcpSocket {
    /// close(2). Without `SO_LINGER`, or with a time, what was sent is still delivered: to a peer inside it is already, and the
    /// uplink does it in the background. So nobody waits here.
    fn drop(&mut self) {
        let tcp = &self.tcp;
        tcp.network.inet().registry.lock().remove(self.place);
        let (phase, binding) = {
            let mut state = tcp.state.lock();
            let phase = core::mem::replace(&mut state.phase, Phase::Idle);
            (phase, state.binding.take())
        };
        let (on, seconds) = {
            let options = tcp.options.lock();
            (
                options.is_set(Slot::LingerOn),
                options.get(Slot::LingerSeconds),
            )
        };
        match phase {
            Phase::Active { link, .. } if on && seconds == 0 => link.abort(),
            listening @ Phase::Listening(_) => tcp.stop(listening),
            _ => {}
        }
        // The port is free only now that nobody can find the listener any more.
        drop(binding);
    }
}
