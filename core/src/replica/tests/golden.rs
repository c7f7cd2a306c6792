//! The bytes of commands, of sessions and their answers, and of what stands around the
//! pairs in the store.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::Encode as _;
use crate::golden::Table;
use crate::golden::samples::{counted, log_id, module, number, wide};
use crate::kv::tests::golden::{ops, pair_bytes};
use crate::kv::{Op, Outcome};
use crate::replica::layout::{
    ANSWER, HEADER_KEY, Header, Meta, Record, SESSION, SWITCH, SessionRecord, answer_name,
    image_key, session_name,
};
use crate::replica::{Command, Envelope, Generation, LogTime, SessionId};
use crate::types::{Revision, Span};

#[test]
fn golden_bytes() {
    let mut table = Table::of("replica");
    table.row(&SessionId(number(0x01)));
    table.row(&LogTime(number(0x04)));
    table.row(&Envelope::<Op> {
        proposed_at: LogTime(number(0x05)),
        command: Command::Tick,
    });
    table.rows(commands());
    table.row(&header());
    table.row(&Meta {
        generation: Generation(number(0x01)),
        header: header(),
        digest: counted(0x61),
    });
    table.inside_bytes(&session_record(), &session_record().to_bytes());
    table.bytes("header_key", HEADER_KEY);
    let generation = Generation(number(0x71));
    table.bytes("generation.first_key", &generation.first_key());
    table.bytes("generation.end_key", &generation.end_key());
    table.bytes("generation.last_end_key", &Generation(u64::MAX).end_key());
    for (space, name, value) in image() {
        let key = image_key(space, &name);
        let record = Record::decode::<Outcome>(&key.clone().into(), &value);
        table.inside_bytes(&record.unwrap(), &pair_bytes(&key, &value));
    }
    table.bytes("switch_key", &image_key(SWITCH, &[module().number()]));
    table.check();
}

fn commands() -> [Command; 6] {
    let [op, ..] = ops();
    let session = SessionId(number(0x11));
    [
        Command::OpenSession {
            nonce: wide(0x01),
            ttl: Span(number(0x21)),
        },
        Command::CloseSession { session },
        Command::InSession {
            session,
            sequence: number(0x31),
            answered_upto: number(0x41),
            op: op.clone(),
        },
        Command::Once { op },
        Command::Tick,
        Command::Enable { module: module() },
    ]
}

fn header() -> Header {
    Header {
        applied: log_id(0x01),
        log_time: LogTime(number(0x21)),
        revision: Revision(number(0x31)),
        pairs: number(0x41),
        bytes: number(0x51),
    }
}

fn session_record() -> SessionRecord {
    SessionRecord {
        nonce: wide(0x01),
        ttl: Span(number(0x21)),
        expires_at: LogTime(number(0x31)),
        answered_upto: number(0x41),
    }
}

fn image() -> [(u8, Vec<u8>, Bytes); 2] {
    let (session, sequence) = (SessionId(number(0x41)), number(0x51));
    [
        (
            SESSION,
            session_name(session).to_vec(),
            session_record().to_bytes(),
        ),
        (
            ANSWER,
            answer_name(session, sequence).to_vec(),
            Outcome::Ticked.to_bytes(),
        ),
    ]
}
