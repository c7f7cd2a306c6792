//! The sum of hashes against schoolbook addition.

use sha2::{Digest as _, Sha256};

use super::super::digest::PairSum;

/// `left + right` modulo 2^256, byte by byte from the end.
fn add(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    let mut sum = [0; 32];
    let mut carry = 0u16;
    for place in (0..32).rev() {
        let column = u16::from(left[place]) + u16::from(right[place]) + carry;
        sum[place] = u8::try_from(column % 256).unwrap();
        carry = column / 256;
    }
    sum
}

#[test]
fn it_is_the_sum_of_the_hashes_of_the_pairs() {
    let mut sum = PairSum::default();
    let mut expected = [0; 32];
    for number in 0u16..300 {
        let key = [b"key", number.to_be_bytes().as_slice()].concat();
        let value = [7; 40];
        sum.add(&key, &value);
        let bytes = [&5u64.to_be_bytes(), key.as_slice(), &value].concat();
        expected = add(expected, Sha256::digest(&bytes).into());
        assert_eq!(sum.to_bytes(), expected);
    }
    let before = sum;
    sum.remove(b"key", b"value");
    assert_ne!(sum, before);
    sum.add(b"key", b"value");
    assert_eq!(sum, before, "below zero and back");
}
