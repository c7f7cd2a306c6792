//! The bytes of the basic types.

use alloc::boxed::Box;

use crate::codec::Writer;
use crate::golden::Table;
use crate::golden::samples::{blob, counted, log_id, module, number, small, tiny, wide};
use crate::types::{
    Chain, ClusterId, Index, Modules, NodeId, PeerRequestId, ProcessNonce, RequestId, Revision,
    Span, Term, Time,
};

#[test]
fn golden_bytes() {
    let mut table = Table::of("codec");
    table.row(&Time(number(0x01)));
    table.row(&Span(number(0x02)));
    table.row(&Term(number(0x03)));
    table.row(&Index(number(0x04)));
    table.row(&Revision(number(0x05)));
    table.row(&RequestId(number(0x06)));
    table.row(&PeerRequestId {
        process: ProcessNonce(number(0x51)),
        number: number(0x61),
    });
    table.row(&NodeId(wide(0x07)));
    table.row(&ClusterId(wide(0x08)));
    table.row(&Chain(counted(0x09)));
    table.row(&module());
    table.row(&Modules(number(0x11)));
    table.row(&log_id(0x0a));
    table.rows([None, Some(Term(number(0x0b)))]);
    table.named("Box", &Box::new(Term(number(0x0b))));
    written(&mut table);
    table.check();
}

/// What all encodings are made of.
fn written(table: &mut Table) {
    let mut write = |name, put: &dyn Fn(&mut Writer)| {
        let mut writer = Writer::new();
        put(&mut writer);
        table.bytes(name, writer.as_slice());
    };
    write("writer.u8", &|writer| writer.u8(0x0c));
    write("writer.u16", &|writer| writer.u16(tiny(0x0d)));
    write("writer.u32", &|writer| writer.u32(small(0x0e)));
    write("writer.u64", &|writer| writer.u64(number(0x0f)));
    write("writer.u128", &|writer| writer.u128(wide(0x10)));
    write("writer.bool.false", &|writer| writer.bool(false));
    write("writer.bool.true", &|writer| writer.bool(true));
    write("writer.raw", &|writer| writer.raw(&blob("raw")));
    write("writer.blob", &|writer| writer.blob(&blob("blob")));
    write("writer.length", &|writer| writer.length(259));
    write("writer.seq", &|writer| {
        writer.seq(&[Term(number(0x11)), Term(number(0x12))]);
    });
}
