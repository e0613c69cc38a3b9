//! What a card does with what is left to it.
use crate::stack::Offload;
use crate::stack::checksum::sum;
use std::vec::Vec;

/// The frames that leave for one that was sent.
pub fn carry_out(frame: &[u8], offload: Offload) -> Vec<Vec<u8>> {
    let Some((start, at)) = offload.checksum else {
        return std::vec![frame.to_vec()];
    };
    let (start, at) = (usize::from(start), usize::from(start + at));
    let Some(cut) = offload.segmentation else {
        let mut frame = frame.to_vec();
        finish(&mut frame, start, at);
        return std::vec![frame];
    };
    let (headers, payload) = frame.split_at(cut.header.into());
    let total = headers.len() - start + payload.len();
    let count = payload.len().div_ceil(cut.size.into());
    let parts = payload.chunks(cut.size.into()).enumerate();
    parts
        .map(|(i, part)| {
            let mut frame = headers.to_vec();
            frame.extend(part);
            let sequence = u32::from_be_bytes(frame[start + 4..start + 8].try_into().unwrap());
            let sequence = sequence.wrapping_add(i as u32 * u32::from(cut.size));
            frame[start + 4..start + 8].copy_from_slice(&sequence.to_be_bytes());
            if i + 1 < count {
                // FIN and PSH belong to the last.
                frame[start + 13] &= !9;
            }
            let length = frame.len() - start;
            let pseudo = u16::from_be_bytes(frame[at..at + 2].try_into().unwrap());
            let pseudo = u32::from(pseudo) + u32::from(!(total as u16)) + length as u32;
            let pseudo = (pseudo & 0xffff) + (pseudo >> 16);
            let pseudo = (pseudo & 0xffff) + (pseudo >> 16);
            frame[at..at + 2].copy_from_slice(&(pseudo as u16).to_be_bytes());
            set_length(&mut frame, cut.v6);
            finish(&mut frame, start, at);
            frame
        })
        .collect()
}

fn set_length(frame: &mut [u8], v6: bool) {
    let ip = &mut frame[14..];
    if v6 {
        let length = ip.len() as u16 - 40;
        ip[4..6].copy_from_slice(&length.to_be_bytes());
    } else {
        let length = ip.len() as u16;
        ip[2..4].copy_from_slice(&length.to_be_bytes());
        crate::stack::checksum::fill_ipv4(ip);
    }
}

fn finish(frame: &mut [u8], start: usize, at: usize) {
    let value = !sum(&frame[start..]);
    frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
}
