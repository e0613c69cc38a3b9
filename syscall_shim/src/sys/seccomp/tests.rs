use crate::mock::Mock;
use crate::state::Identity;
use linux_abi::raw::ptrace as raw;
use linux_abi::{Errno, SockFprog};
use std::vec::Vec;

/// `struct sock_filter`
type Instruction = (u16, u8, u8, u32);

const ALLOW: Instruction = (0x06, 0, 0, raw::SECCOMP_RET_ALLOW);
const LOAD_WORD: u16 = 0x20;

fn program(k: &Mock, instructions: &[Instruction]) -> u64 {
    let bytes: Vec<u8> = instructions
        .iter()
        .flat_map(|(code, yes, no, value)| {
            let [low, high] = code.to_le_bytes();
            let head = [low, high, *yes, *no];
            head.into_iter().chain(value.to_le_bytes())
        })
        .collect();
    k.value(&SockFprog {
        len: instructions.len() as u16,
        _pad: [0; 3],
        filter: k.bytes(&bytes),
    })
}

fn add(k: &Mock, flags: u64, program: u64) -> linux_abi::SysResult {
    k.call("seccomp", [1, flags, program])
}

#[test]
fn modes_and_what_is_wrong_with_them() {
    let k = Mock::new();
    assert_eq!(k.call("seccomp", [0, 1, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("seccomp", [0, 0, 8]), Err(Errno::EINVAL));
    assert_eq!(k.call("seccomp", [9, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("seccomp", [0, 0, 0]), Ok(0));
    assert_eq!(k.call("prctl", [22, 1, 0]), Ok(0));
    assert_eq!(k.call("prctl", [22, 3, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("prctl", [22, 2, 8]), Err(Errno::EFAULT));
    assert_eq!(*k.calls.lock(), ["seccomp strict"; 2]);
}

#[test]
fn filters_are_checked_before_they_are_taken() {
    let k = Mock::new();
    let try_one = |instructions: &[Instruction]| add(&k, 0, program(&k, instructions));
    assert_eq!(try_one(&[(LOAD_WORD, 0, 0, 60), ALLOW]), Ok(0));
    // The length of the data, and arithmetic.
    assert_eq!(try_one(&[(0x80, 0, 0, 0), (0xa4, 0, 0, 5), ALLOW]), Ok(0));
    assert_eq!(
        *k.calls.lock(),
        ["seccomp filter 2 0x0", "seccomp filter 3 0x0"]
    );
    for unfit in [
        (LOAD_WORD, 0, 0, 64),          // behind the data
        (LOAD_WORD, 0, 0, 2),           // across two words
        (0x28, 0, 0, 0),                // half a word
        (0x40, 0, 0, 0),                // at X
        (0xb1, 0, 0, 0),                // the length of an IP header
        (LOAD_WORD, 0, 0, 0xffff_f000), // a packet's protocol
        (0x94, 0, 0, 3),                // a remainder
        (0xffff, 0, 0, 0),
    ] {
        assert_eq!(try_one(&[unfit, ALLOW]), Err(Errno::EINVAL), "{unfit:?}");
    }
    assert_eq!(try_one(&[(LOAD_WORD, 0, 0, 0)]), Err(Errno::EINVAL));
    assert_eq!(try_one(&[]), Err(Errno::EINVAL));
    assert_eq!(add(&k, 0, 8), Err(Errno::EFAULT));
    let nowhere = k.value(&SockFprog {
        len: 1,
        _pad: [0; 3],
        filter: 8,
    });
    assert_eq!(add(&k, 0, nowhere), Err(Errno::EFAULT));
    let long = k.value(&SockFprog {
        len: 4097,
        _pad: [0; 3],
        filter: 8,
    });
    assert_eq!(add(&k, 0, long), Err(Errno::EINVAL));
}

#[test]
fn flags_of_filters() {
    let k = Mock::new();
    let allow = program(&k, &[ALLOW]);
    assert_eq!(add(&k, 7, allow), Ok(0));
    assert_eq!(add(&k, 64, allow), Err(Errno::EINVAL));
    assert_eq!(add(&k, 8 | 1, allow), Err(Errno::EINVAL));
    assert_eq!(add(&k, 32, allow), Err(Errno::EINVAL));
    assert!(k.complaints.lock().is_empty());
    assert_eq!(add(&k, 8, allow), Err(Errno::EINVAL));
    assert!(k.complaints.lock()[0].contains("NEW_LISTENER"));
}

#[test]
fn only_who_can_gain_nothing_may_filter() {
    let k = Mock::with_identity(Identity::new(1000, 1000));
    let allow = program(&k, &[ALLOW]);
    assert_eq!(add(&k, 0, allow), Err(Errno::EACCES));
    assert_eq!(k.call("prctl", [38, 1, 0, 0, 0]), Ok(0));
    assert_eq!(add(&k, 0, allow), Ok(0));
}

#[test]
fn actions_that_a_filter_may_answer() {
    let k = Mock::new();
    let known = |action: u32| k.call("seccomp", [2, 0, k.value(&action)]);
    for action in super::ACTIONS {
        assert_eq!(known(action), Ok(0));
    }
    assert_eq!(known(raw::SECCOMP_RET_TRACE), Err(Errno::EOPNOTSUPP));
    assert_eq!(known(raw::SECCOMP_RET_USER_NOTIF), Err(Errno::EOPNOTSUPP));
    assert_eq!(k.call("seccomp", [2, 0, 8]), Err(Errno::EFAULT));
    assert_eq!(k.call("seccomp", [2, 1, 8]), Err(Errno::EINVAL));
    assert_eq!(k.call("seccomp", [3, 0, 8]), Err(Errno::EINVAL));
    assert_eq!(k.complaints.lock().len(), 1);
}
