//! Frames, addresses and silence, on streams in memory.

use std::io;

use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::super::address::PeerAddress;
use super::super::{SILENCE_MAX, frame, link};

#[tokio::test]
async fn a_frame_that_claims_too_much_is_refused_before_it_is_read() {
    let (mut here, mut there) = tokio::io::duplex(64);
    here.write_u32(u32::MAX).await.unwrap();
    let error = frame::read(&mut there, 1024).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_frame_that_ends_early_is_an_error() {
    let (mut here, mut there) = tokio::io::duplex(64);
    here.write_all(&[0, 0, 0, 5, 1, 2]).await.unwrap();
    drop(here);
    let error = frame::read(&mut there, 1024).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn frames_of_every_size_come_back() {
    let (mut here, mut there) = tokio::io::duplex(1 << 16);
    for size in [0, 1, 1023, 1024] {
        frame::write(&mut here, &vec![7; size]).await.unwrap();
        assert_eq!(frame::read(&mut there, 1024).await.unwrap(), vec![7; size]);
    }
}

/// A peer behind a black hole: it takes bytes and says nothing.
#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up() {
    let (here, _there) = tokio::io::duplex(1 << 20);
    let start = Instant::now();
    let error = link::pump_alone(here).await;
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(start.elapsed() >= SILENCE_MAX && start.elapsed() < 2 * SILENCE_MAX);
}

/// A peer that does not even take bytes.
#[tokio::test(start_paused = true)]
async fn a_stuck_peer_is_given_up() {
    let (here, _there) = tokio::io::duplex(1);
    let start = Instant::now();
    let error = link::pump_alone(here).await;
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(start.elapsed() < 2 * SILENCE_MAX);
}

/// A peer that answers keepalives is alive, however long nothing else happens.
#[tokio::test(start_paused = true)]
async fn a_quiet_peer_is_kept() {
    let (here, mut there) = tokio::io::duplex(1 << 10);
    let answering = tokio::spawn(async move {
        for _ in 0..100 {
            assert!(frame::read(&mut there, 1024).await.unwrap().is_empty());
            frame::write(&mut there, b"").await.unwrap();
        }
    });
    let start = Instant::now();
    let error = link::pump_alone(here).await;
    answering.await.unwrap();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "it hung up");
    assert!(start.elapsed() > 10 * SILENCE_MAX);
}

#[test]
fn addresses_read_as_they_are_written() {
    for text in [
        "node-2:7000",
        "10.0.0.1:7000",
        "[::1]:7000",
        "a.b.example:1",
    ] {
        let address: PeerAddress = text.parse().unwrap();
        assert_eq!(address.to_string(), text);
    }
    for text in [
        "",
        "node",
        "node:",
        ":7000",
        "node:70000",
        "::1:7000",
        "[::1:7000",
        "a b:1",
        "/ip4:1",
    ] {
        assert!(text.parse::<PeerAddress>().is_err(), "{text}");
    }
}
