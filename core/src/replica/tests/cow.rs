//! The map underneath, against the standard one.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use super::super::cow::CowMap;

fn bytes(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

fn assert_same(map: &CowMap, model: &BTreeMap<Bytes, Bytes>) {
    assert_eq!(map.len(), model.len());
    assert!(map.iter().eq(model.iter()));
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u32, u32),
    Remove(u32),
    Freeze,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0u32..2_000, any::<u32>()).prop_map(|(key, value)| Step::Insert(key, value)),
        15 => (0u32..2_000).prop_map(Step::Remove),
        1 => Just(Step::Freeze),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn it_is_a_map_and_its_clones_do_not_change(
        fill in 0u32..2_000,
        steps in proptest::collection::vec(any_step(), 0..1_500),
    ) {
        let mut map = CowMap::default();
        let mut model = BTreeMap::new();
        for key in 0..fill {
            prop_assert_eq!(map.insert(bytes(key), bytes(0)), None);
            model.insert(bytes(key), bytes(0));
        }
        let mut frozen = Vec::new();
        for step in steps {
            match step {
                Step::Insert(key, value) => {
                    let old = map.insert(bytes(key), bytes(value));
                    prop_assert_eq!(old, model.insert(bytes(key), bytes(value)));
                }
                Step::Remove(key) => {
                    prop_assert_eq!(map.remove(&bytes(key)), model.remove(&bytes(key)));
                    prop_assert_eq!(map.get_pair(&bytes(key)), None);
                }
                Step::Freeze => frozen.push((map.clone(), model.clone())),
            }
        }
        assert_same(&map, &model);
        for (map, model) in &frozen {
            assert_same(map, model);
        }
        for from in (0..2_000).step_by(61) {
            let (from, to) = (bytes(from), bytes(from + 90));
            let expected = model.range(from.clone()..to.clone());
            prop_assert!(map.range_from(&from).take_while(|(key, _)| **key < to).eq(expected));
            prop_assert_eq!(map.get_pair(&from), model.get_key_value(&from));
        }
    }
}

#[test]
fn emptying_it_from_either_end_leaves_nothing() {
    for backwards in [false, true] {
        let mut map = CowMap::default();
        for key in 0..1_000 {
            map.insert(bytes(key), bytes(key));
        }
        for step in 0..1_000 {
            let key = if backwards { 999 - step } else { step };
            assert_eq!(map.remove(&bytes(key)), Some(bytes(key)));
        }
        assert_eq!(map.len(), 0);
        assert!(map.iter().next().is_none());
        assert_eq!(map.insert(bytes(1), bytes(2)), None);
        assert_eq!(map.iter().count(), 1);
    }
}
