//! Linked requests, one after the other.
use super::instance::Uring;
use super::ops;
use super::request::{Request, Step, negative};
use super::rings::Cqe;
use crate::kernel::Kernel;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::raw::io_uring::IORING_CQE_F_MORE;
use linux_abi::raw::io_uring::io_uring_op::{
    IORING_OP_LINK_TIMEOUT, IORING_OP_TIMEOUT, IORING_OP_TIMEOUT_REMOVE,
};
use linux_abi::raw::io_uring::io_uring_sqe_flags_bit as bit;
use linux_abi::{Errno, IoUringSqe};

pub(super) type Chain = VecDeque<IoUringSqe>;

pub(super) const LINK: u8 = 1 << bit::IOSQE_IO_LINK_BIT as u8;
pub(super) const HARDLINK: u8 = 1 << bit::IOSQE_IO_HARDLINK_BIT as u8;
pub(super) const DRAIN: u8 = 1 << bit::IOSQE_IO_DRAIN_BIT as u8;
const CQE_SKIP_SUCCESS: u8 = 1 << bit::IOSQE_CQE_SKIP_SUCCESS_BIT as u8;

impl Uring {
    /// Runs what has just been submitted, unless it has to wait for all that came before.
    pub(super) fn start<K: Kernel>(self: &Arc<Self>, k: &K, chain: Chain) {
        {
            let mut state = self.state.lock();
            let drains = chain.iter().any(|sqe| sqe.flags & DRAIN != 0);
            if !state.deferred.is_empty() || (drains && !state.pending.is_empty()) {
                state.deferred.push_back(chain);
                return;
            }
        }
        self.run(k, chain);
    }

    fn run<K: Kernel>(self: &Arc<Self>, k: &K, mut chain: Chain) {
        while let Some(sqe) = chain.pop_front() {
            let linked = sqe.flags & (LINK | HARDLINK) != 0;
            let is_limit =
                |next: &IoUringSqe| next.opcode == IORING_OP_LINK_TIMEOUT as u8 && linked;
            let limit = if chain.front().is_some_and(is_limit) {
                chain.pop_front()
            } else {
                None
            };
            let request = Request::new(self, sqe, limit);
            match ops::attempt(k, self, &request) {
                Step::Done(res, fine) => self.finish(&request, res, fine, &mut chain),
                Step::More(res) => {
                    self.post_more(&request, res);
                    return self.park(k, &request, chain);
                }
                Step::Wait => {
                    self.park(k, &request, chain);
                    // Its file may have become ready before it was watched.
                    return request.set_ready();
                }
            }
        }
    }

    /// Lets a request wait.
    fn park<K: Kernel>(&self, k: &K, request: &Arc<Request>, rest: Chain) {
        *request.rest.lock() = rest;
        self.state.lock().pending.push(request.clone());
        request.watch(&k.host());
    }

    fn post_more(&self, request: &Request, res: i32) {
        let flags = IORING_CQE_F_MORE;
        let user_data = request.sqe.user_data;
        self.post(
            Cqe {
                user_data,
                res,
                flags,
            },
            true,
        );
    }

    /// Posts the completion of a request and, if that severs the links, of those behind it.
    pub(super) fn finish(&self, request: &Request, res: i32, fine: bool, rest: &mut Chain) {
        let late = request.limit.is_some() && res == negative(Errno::ECANCELED);
        self.complete(&request.sqe, res, fine);
        if let Some(limit) = &request.limit {
            let errno = if late { Errno::ETIME } else { Errno::ECANCELED };
            self.complete(limit, negative(errno), false);
        }
        if !fine && request.sqe.flags & HARDLINK == 0 {
            for sqe in rest.drain(..) {
                self.complete(&sqe, negative(Errno::ECANCELED), false);
            }
        }
    }

    fn complete(&self, sqe: &IoUringSqe, res: i32, fine: bool) {
        let is_timeout = [
            IORING_OP_TIMEOUT,
            IORING_OP_LINK_TIMEOUT,
            IORING_OP_TIMEOUT_REMOVE,
        ]
        .iter()
        .any(|op| sqe.opcode == *op as u8);
        if !(fine && sqe.flags & CQE_SKIP_SUCCESS != 0) {
            let user_data = sqe.user_data;
            self.post(
                Cqe {
                    user_data,
                    res,
                    flags: 0,
                },
                !is_timeout,
            );
        }
    }

    /// Goes on with everything that can.
    pub(super) fn go_on<K: Kernel>(self: &Arc<Self>, k: &K) {
        loop {
            self.rings.set_work_waits(false);
            let ready: Vec<Arc<Request>> = {
                let state = self.state.lock();
                let ready = state.pending.iter().filter(|request| request.is_ready());
                ready.cloned().collect()
            };
            for request in &ready {
                while request.is_ready() && request.claim() {
                    if self.try_again(k, request) {
                        break;
                    }
                    request.unclaim();
                }
            }
            if ready.is_empty() && !self.start_deferred(k) {
                return;
            }
        }
    }

    /// Whether it is over now.
    fn try_again<K: Kernel>(self: &Arc<Self>, k: &K, request: &Arc<Request>) -> bool {
        match ops::attempt(k, self, request) {
            Step::Wait => false,
            Step::More(res) => {
                self.post_more(request, res);
                false
            }
            Step::Done(res, fine) => {
                self.end(k, request, res, fine);
                true
            }
        }
    }

    /// Ends a request that waited, and runs what is linked to it.
    pub(super) fn end<K: Kernel>(
        self: &Arc<Self>,
        k: &K,
        request: &Arc<Request>,
        res: i32,
        fine: bool,
    ) {
        if self.unpark(request) {
            request.unwatch();
            let mut rest = core::mem::take(&mut *request.rest.lock());
            self.finish(request, res, fine, &mut rest);
            self.run(k, rest);
        }
    }

    /// Starts what waited for all before it, if these are done.
    fn start_deferred<K: Kernel>(self: &Arc<Self>, k: &K) -> bool {
        let chain = {
            let mut state = self.state.lock();
            if state.pending.is_empty() {
                state.deferred.pop_front()
            } else {
                None
            }
        };
        match chain {
            Some(chain) => {
                self.run(k, chain);
                true
            }
            None => false,
        }
    }
}
