use super::*;
use alloc::vec::Vec;
use linux_abi::raw::general as raw;
use std::string::String;

/// A discipline with a keyboard and a screen.
struct Terminal {
    tty: LineDiscipline,
    screen: Vec<u8>,
    signals: Vec<TtySignal>,
}

impl Terminal {
    fn new() -> Self {
        Self {
            tty: LineDiscipline::new(),
            screen: Vec::new(),
            signals: Vec::new(),
        }
    }

    fn with(change: impl FnOnce(&mut linux_abi::Termios)) -> Self {
        let mut this = Self::new();
        this.set(change);
        this
    }

    fn set(&mut self, change: impl FnOnce(&mut linux_abi::Termios)) {
        let mut termios = *self.tty.termios();
        change(&mut termios);
        self.tty.set_termios(&termios);
    }

    fn raw(minimum: u8, tenths: u8) -> Self {
        Self::with(|t| {
            t.lflag &= !(raw::ICANON | raw::ECHO | raw::ISIG);
            t.cc[raw::VMIN as usize] = minimum;
            t.cc[raw::VTIME as usize] = tenths;
        })
    }

    fn keys(&mut self, bytes: &[u8]) -> usize {
        let mut effects = Effects::default();
        let count = self.tty.receive(bytes, &mut effects);
        self.screen.append(&mut effects.echo);
        self.signals.append(&mut effects.signals);
        count
    }

    fn read(&mut self, wanted: usize) -> Option<String> {
        let ReadState::Ready(count) = self.tty.read_state(wanted) else {
            return None;
        };
        let mut got = Vec::new();
        self.tty
            .take(count, |piece| {
                got.extend_from_slice(piece);
                Ok::<(), ()>(())
            })
            .unwrap();
        Some(String::from_utf8(got).unwrap())
    }

    fn shows(&mut self, text: &str) {
        assert_eq!(
            String::from_utf8_lossy(&std::mem::take(&mut self.screen)),
            text
        );
    }
}

fn line(text: &str) -> Option<String> {
    Some(text.into())
}

#[test]
fn a_line_is_readable_once_it_is_complete() {
    let mut t = Terminal::new();
    t.keys(b"hel");
    assert_eq!(t.read(100), None);
    assert!(!t.tty.is_readable());
    t.keys(b"lo\rnext");
    assert!(t.tty.is_readable());
    t.shows("hello\r\nnext");
    assert_eq!(t.tty.available(), 6);
    assert_eq!(t.read(100), line("hello\n"));
    assert_eq!(t.read(100), None);
}

#[test]
fn reads_stop_at_the_end_of_a_line_and_may_take_part_of_one() {
    let mut t = Terminal::new();
    t.keys(b"abc\ndef\n");
    assert_eq!(t.read(2), line("ab"));
    assert_eq!(t.read(100), line("c\n"));
    assert_eq!(t.read(100), line("def\n"));
}

#[test]
fn end_of_file_ends_a_line_or_the_file() {
    let mut t = Terminal::new();
    t.keys(b"abc\x04");
    assert_eq!(t.read(3), line("abc"));
    assert_eq!(t.read(3), None, "the mark went with the line");
    t.keys(b"\x04\x04");
    assert!(t.tty.is_readable());
    assert_eq!(t.read(3), line(""));
    assert_eq!(t.read(3), line(""));
    assert_eq!(t.read(3), None);
}

#[test]
fn erasing_follows_on_the_screen() {
    let mut t = Terminal::new();
    t.keys(b"ab\x7f");
    t.shows("ab\x08 \x08");
    t.keys(b"\x01\x7f");
    t.shows("^A\x08 \x08\x08 \x08");
    t.keys(b"\t\x7f");
    t.shows("\t\x08\x08\x08\x08\x08\x08\x08");
    t.keys("é\x7f".as_bytes());
    t.shows("é\x08 \x08");
    t.keys(b"\x7f\x7f\x7f\n");
    t.shows("\x08 \x08\r\n");
    assert_eq!(t.read(9), line("\n"));
}

#[test]
fn a_tab_is_erased_to_where_the_line_began() {
    let mut t = Terminal::new();
    t.tty.process(b"> ", &mut Vec::new());
    t.keys(b"x\t\x7f");
    t.shows("x\t\x08\x08\x08\x08\x08");
}

#[test]
fn words_and_lines_are_erased() {
    let mut t = Terminal::new();
    t.keys(b"foo bar_1 \x17");
    t.shows(&(String::from("foo bar_1 ") + &"\x08 \x08".repeat(6)));
    t.keys(b"\n");
    assert_eq!(t.read(99), line("foo \n"));
    t.screen.clear();
    t.keys(b"abc\x15d\n");
    t.shows(&(String::from("abc") + &"\x08 \x08".repeat(3) + "d\r\n"));
    assert_eq!(t.read(99), line("d\n"));
    let mut t = Terminal::with(|t| t.lflag &= !raw::ECHOKE);
    t.keys(b"abc\x15");
    t.shows("abc^U\r\n");
}

#[test]
fn the_next_character_can_be_literal() {
    let mut t = Terminal::new();
    t.keys(b"\x16\x03\x16\x04\n");
    t.shows("^\x08^C^\x08^D\r\n");
    assert_eq!(t.read(9), line("\x03\x04\n"));
    assert!(t.signals.is_empty());
}

#[test]
fn the_line_is_shown_again() {
    let mut t = Terminal::new();
    t.keys(b"ab\x12");
    t.shows("ab^R\r\nab");
}

#[test]
fn signals_flush_what_was_typed() {
    let mut t = Terminal::new();
    t.keys(b"abc\ndef\x03");
    assert_eq!(t.signals, [TtySignal::Interrupt]);
    t.shows("^C");
    assert_eq!(t.read(9), None);
    t.keys(b"\x1c\x1a");
    assert_eq!(
        t.signals,
        [TtySignal::Interrupt, TtySignal::Quit, TtySignal::Suspend]
    );
    t.set(|t| t.lflag |= raw::NOFLSH);
    t.keys(b"abc\n\x03");
    assert_eq!(t.read(9), line("abc\n"));
}

#[test]
fn without_isig_control_characters_are_data() {
    let mut t = Terminal::raw(1, 0);
    t.keys(b"\x03\x1a\x04\x7f");
    assert_eq!(t.read(9), line("\x03\x1a\x04\x7f"));
    assert!(t.signals.is_empty());
}

#[test]
fn carriage_returns_and_newlines_are_mapped_on_input() {
    let mut t = Terminal::raw(1, 0);
    t.set(|t| t.iflag = raw::ICRNL);
    t.keys(b"\r");
    t.set(|t| t.iflag = raw::INLCR);
    t.keys(b"\n");
    t.set(|t| t.iflag = raw::IGNCR | raw::ICRNL);
    t.keys(b"\rx");
    assert_eq!(t.read(9), line("\n\rx"));
}

#[test]
fn raw_reads_obey_vmin_and_vtime() {
    let mut t = Terminal::raw(3, 0);
    t.keys(b"ab");
    assert_eq!(t.tty.read_state(9), ReadState::Wait);
    assert!(!t.tty.is_readable());
    assert_eq!(t.tty.read_state(2), ReadState::Ready(2));
    t.keys(b"c");
    assert_eq!(t.tty.read_state(9), ReadState::Ready(3));

    let mut t = Terminal::raw(0, 0);
    assert_eq!(t.tty.read_state(9), ReadState::Ready(0));
    t.keys(b"x");
    assert_eq!(t.tty.read_state(9), ReadState::Ready(1));

    let mut t = Terminal::raw(0, 5);
    assert_eq!(
        t.tty.read_state(9),
        ReadState::Timed {
            tenths: 5,
            after_input: false
        }
    );
    t.keys(b"x");
    assert_eq!(t.tty.read_state(9), ReadState::Ready(1));

    let mut t = Terminal::raw(2, 5);
    assert_eq!(t.tty.read_state(9), ReadState::Wait);
    t.keys(b"x");
    assert_eq!(
        t.tty.read_state(9),
        ReadState::Timed {
            tenths: 5,
            after_input: true
        }
    );
}

#[test]
fn changing_the_mode_keeps_what_was_typed() {
    let mut t = Terminal::new();
    t.keys(b"abc\nde");
    t.set(|t| t.lflag &= !raw::ICANON);
    assert_eq!(t.read(99), line("abc\nde"));
    t.keys(b"xy");
    t.set(|t| t.lflag |= raw::ICANON);
    assert_eq!(t.read(99), line("xy"));
    assert_eq!(t.read(99), None);
}

#[test]
fn echo_can_be_off_but_for_newlines() {
    let mut t = Terminal::with(|t| t.lflag = t.lflag & !raw::ECHO | raw::ECHONL);
    t.keys(b"secret\x7f\x03x\n");
    t.shows("\r\n");
    assert_eq!(t.read(99), line("x\n"));
}

#[test]
fn flow_control_stops_and_starts_output() {
    let mut t = Terminal::new();
    t.keys(b"\x13");
    assert!(t.tty.is_stopped());
    t.keys(b"\x11");
    assert!(!t.tty.is_stopped());
    t.set(|t| t.iflag |= raw::IXANY);
    t.keys(b"\x13x");
    assert!(!t.tty.is_stopped());
    t.set(|t| t.iflag &= !raw::IXON);
    t.keys(b"\x13\n");
    assert!(!t.tty.is_stopped());
    assert_eq!(t.read(9), line("x\x13\n"));
}

#[test]
fn output_is_processed() {
    let mut t = Terminal::new();
    let mut out = Vec::new();
    t.tty.process(b"a\nb\tc\n", &mut out);
    assert_eq!(out, b"a\r\nb\tc\r\n");
    out.clear();
    t.set(|t| t.oflag |= raw::XTABS);
    t.tty.process(b"ab\tc\n", &mut out);
    assert_eq!(out, b"ab      c\r\n");
    out.clear();
    t.set(|t| t.oflag = raw::OPOST | raw::OCRNL | raw::ONOCR | raw::OLCUC);
    t.tty.process(b"\rab\r", &mut out);
    assert_eq!(out, b"AB\n");
    out.clear();
    t.set(|t| t.oflag = raw::ONLCR);
    t.tty.process(b"a\n", &mut out);
    assert_eq!(out, b"a\n");
}

#[test]
fn output_never_grows_beyond_what_was_promised() {
    let mut t = Terminal::new();
    for oflag in [
        0,
        raw::OPOST | raw::ONLCR,
        raw::OPOST | raw::ONLCR | raw::XTABS,
    ] {
        t.set(|t| t.oflag = oflag);
        for byte in [b'\n', b'\t', b'x'] {
            let mut out = Vec::new();
            let count = t.tty.writable(64);
            t.tty.process(&std::vec![byte; count], &mut out);
            assert!(out.len() <= 64);
        }
    }
}

#[test]
fn a_line_that_is_too_long_loses_its_tail_but_can_end() {
    let mut t = Terminal::new();
    assert_eq!(t.keys(&[b'x'; 9000]), 9000);
    t.keys(b"\n");
    let got = t.read(9999).unwrap();
    assert_eq!(got.len(), 4096);
    assert!(got.ends_with("x\n"));
}

#[test]
fn lines_ahead_and_raw_input_push_back() {
    let mut t = Terminal::new();
    let typed: Vec<u8> = b"0123456\n".repeat(1000);
    let taken = t.keys(&typed);
    assert!(taken < 4200, "{taken}");
    let mut read = 0;
    while let Some(text) = t.read(100) {
        read += text.len();
    }
    assert!(read <= taken && read + 8 > taken, "{read} {taken}");
    let mut t = Terminal::raw(1, 0);
    assert_eq!(t.keys(&typed), 4095);
    assert_eq!(t.tty.room(), 0);
    assert_eq!(t.read(95).map(|s| s.len()), Some(95));
    assert_eq!(t.tty.room(), 95);
}

#[test]
fn flushing_input_forgets_lines() {
    let mut t = Terminal::new();
    t.keys(b"abc\nde");
    t.tty.flush_input();
    assert_eq!(t.read(9), None);
    t.keys(b"f\n");
    assert_eq!(t.read(9), line("f\n"));
}

#[test]
fn a_fault_while_reading_loses_nothing() {
    let mut t = Terminal::new();
    t.keys(b"abc\n");
    assert_eq!(t.tty.take(4, |_| Err("fault")), Err("fault"));
    assert_eq!(t.read(9), line("abc\n"));
}
