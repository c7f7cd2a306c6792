use alloc::collections::BTreeSet;

use crate::crypto::{ChainId, Domain, Preimage, Scope};
use crate::types::ClusterId;

#[test]
fn the_layout_is_pinned() {
    let preimage = Preimage::new(Domain::NodeCert, Scope::Cluster(ClusterId(7)))
        .u8(1)
        .u32(2)
        .u64(3)
        .bytes(b"ab");
    let mut expected = alloc::vec![0, 0, 0, 19];
    expected.extend_from_slice(b"decube/node-cert/v1");
    expected.push(0);
    expected.extend_from_slice(&7u128.to_be_bytes());
    expected.push(1);
    expected.extend_from_slice(&2u32.to_be_bytes());
    expected.extend_from_slice(&3u64.to_be_bytes());
    expected.extend_from_slice(&[0, 0, 0, 2, b'a', b'b']);
    assert_eq!(preimage.as_bytes(), expected);
    assert_eq!(preimage.digest(), crate::crypto::sha256(&expected));
}

#[test]
fn no_two_purposes_or_scopes_share_a_prefix() {
    let tags: BTreeSet<_> = Domain::ALL.iter().map(|domain| domain.tag()).collect();
    assert_eq!(tags.len(), Domain::ALL.len());
    assert!(
        tags.iter()
            .all(|tag| tag.starts_with("decube/") && tag.is_ascii())
    );
    let mut seen = BTreeSet::new();
    for domain in Domain::ALL {
        for id in [0, 1, u128::MAX] {
            for scope in [Scope::Cluster(ClusterId(id)), Scope::Chain(ChainId(id))] {
                assert!(seen.insert(Preimage::new(domain, scope).as_bytes().to_vec()));
            }
        }
    }
    let longest = seen.iter().map(alloc::vec::Vec::len).max().unwrap();
    assert!(longest <= 64, "a prefix stays small: {longest}");
}

#[test]
fn byte_strings_can_not_wander() {
    let scope = Scope::Chain(ChainId::from_name("main"));
    let begin = || Preimage::new(Domain::LogHead, scope);
    let honest = begin().bytes(b"ab").bytes(b"c");
    assert_ne!(honest.digest(), begin().bytes(b"a").bytes(b"bc").digest());
    assert_ne!(honest.digest(), begin().bytes(b"abc").bytes(b"").digest());
    assert_ne!(
        honest.digest(),
        begin().bytes(b"ab").bytes(b"c").bytes(b"").digest()
    );
}
