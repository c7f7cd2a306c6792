//! The bytes of keys, signatures and certificates, and what is signed and hashed.

use super::signer;
use crate::codec::Encode as _;
use crate::crypto::fake::FakeAuthority;
use crate::crypto::{ChainId, Domain, NodeCert, Preimage, Scope, Signer, TransportKey, tagged};
use crate::golden::Table;
use crate::golden::samples::{cluster, counted, digest, key, number, signature, small, wide};

#[test]
fn golden_bytes() {
    let mut table = Table::of("crypto");
    table.row(&digest(0x01));
    table.row(&key(0));
    table.row(&signature(0x02));
    table.row(&TransportKey(counted(0x03)));
    table.row(&NodeCert {
        cluster: cluster(0x01),
        node_key: key(1),
        transport_key: TransportKey(counted(0x21)),
        generation: number(0x51),
        signature: signature(0x07),
    });
    signed(&mut table);
    table.bytes("node_id", &key(0).node_id().to_bytes());
    table.bytes("tagged", &tagged("domain", &[b"one", b"", b"two"]).0);
    table.check();
}

fn signed(table: &mut Table) {
    let scopes = [
        Scope::Cluster(cluster(0x11)),
        Scope::Chain(ChainId(wide(0x12))),
    ];
    for scope in scopes {
        let preimage = Preimage::new(Domain::Vote, scope);
        table.inside_bytes(&scope, preimage.as_bytes());
    }
    for domain in Domain::ALL {
        let preimage = Preimage::new(domain, Scope::Cluster(cluster(0x13)))
            .u8(0x14)
            .u32(small(0x15))
            .u64(number(0x16))
            .bytes(b"bytes")
            .put(&digest(0x17));
        table.inside_bytes(&domain, preimage.as_bytes());
    }
    let issue = |signer: &dyn Signer| {
        let transport_key = TransportKey(counted(0x18));
        NodeCert::issue(signer, cluster(0x19), transport_key, number(0x1a))
    };
    table.also("p256", &issue(&signer(7)));
    table.also("fake", &issue(&FakeAuthority::new(number(1)).signer(7)));
}
