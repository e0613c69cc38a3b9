//! A record as it is put together.

use super::ring;
use crate::mm::layout::{PAGE, is_user_range};
use crate::mm::user;
use crate::{percpu, time};
use alloc::vec::Vec;
use boot_abi::trace::HEADER;

/// No record is longer: it has to fit the smallest ring several times.
pub const LONGEST: usize = 12 << 10;
/// Address, length and zero.
const SNIPPET_HEADER: usize = 16;

pub struct Record(Vec<u8>);

impl Record {
    pub fn new(kind: u8, flags: u8) -> Self {
        let thread = percpu::current();
        let mut bytes = Vec::with_capacity(256);
        bytes.extend([0, 0, 0, 0, kind, flags, 0, 0]);
        bytes.extend(thread.tid.to_le_bytes());
        bytes.extend(thread.process.pid.to_le_bytes());
        bytes.extend(time::realtime().to_le_bytes());
        debug_assert!(bytes.len() == HEADER);
        Self(bytes)
    }

    pub fn words(&mut self, words: &[u64]) {
        words
            .iter()
            .for_each(|word| self.0.extend(word.to_le_bytes()));
    }

    pub fn text(&mut self, text: &str) {
        let room = self.room();
        let bytes = text.as_bytes();
        self.0.extend(bytes.get(..room).unwrap_or(bytes));
    }

    /// Text with room for all of it, and zeros up to a multiple of 8: snippets may follow.
    pub fn padded_text(&mut self, text: &str) {
        self.0.extend(text.as_bytes());
        self.0.resize(self.0.len().next_multiple_of(8), 0);
    }

    fn room(&self) -> usize {
        LONGEST.saturating_sub(self.0.len() + SNIPPET_HEADER + 8)
    }

    /// Adds up to `len` bytes of the program's memory, as far as they are there, and gives what was added.
    pub fn snippet(&mut self, address: u64, len: u64) -> &[u8] {
        let room = self.room();
        let len = usize::try_from(len).unwrap_or(room).min(room);
        if address == 0 || len == 0 {
            return &[];
        }
        let start = self.0.len() + SNIPPET_HEADER;
        self.words(&[address, 0]);
        self.0.resize(start + len, 0);
        let mut done = 0;
        while done < len {
            let at = address.wrapping_add(done as u64);
            let here = ((PAGE - at % PAGE) as usize).min(len - done);
            let Some(into) = self.0.get_mut(start + done..start + done + here) else {
                break;
            };
            if user::read(at, into).is_err() {
                break;
            }
            done += here;
        }
        self.finish_snippet(start, done)
    }

    /// Adds the NUL-terminated string at `address` with its NUL, or the first `limit` bytes of it.
    pub fn string(&mut self, address: u64, limit: u64) {
        const STEP: u64 = 64;
        let start = self.0.len() + SNIPPET_HEADER;
        if address == 0 || !is_user_range(address, 1) {
            return;
        }
        self.words(&[address, 0]);
        let limit = limit.min(self.room() as u64);
        let mut done = 0;
        while done < limit {
            let at = address.wrapping_add(done);
            let here = (STEP - at % STEP).min(limit - done) as usize;
            let mut piece = [0; STEP as usize];
            let Some(piece) = piece.get_mut(..here) else {
                break;
            };
            if user::read(at, piece).is_err() {
                break;
            }
            let end = piece.iter().position(|byte| *byte == 0);
            let taken = end.map_or(here, |end| end + 1);
            self.0.extend(piece.get(..taken).unwrap_or(&[]));
            done += taken as u64;
            if end.is_some() {
                break;
            }
        }
        self.finish_snippet(start, done as usize);
    }

    /// Notes the length of the snippet whose bytes begin at `start`; one of nothing is taken back.
    fn finish_snippet(&mut self, start: usize, len: usize) -> &[u8] {
        if len == 0 {
            self.0.truncate(start - SNIPPET_HEADER);
            return &[];
        }
        self.0.truncate(start + len);
        if let Some(place) = self.0.get_mut(start - 8..start - 4) {
            place.copy_from_slice(&(len as u32).to_le_bytes());
        }
        self.0.resize((start + len).next_multiple_of(8), 0);
        self.0.get(start..start + len).unwrap_or(&[])
    }

    /// Gives it to the monitor.
    pub fn write(mut self) {
        let len = self.0.len().next_multiple_of(8);
        self.0.resize(len, 0);
        if let Some(place) = self.0.get_mut(..4) {
            place.copy_from_slice(&(len as u32).to_le_bytes());
        }
        ring::push(&self.0);
    }
}
