//! The embedded engine on a disk that loses power: of the writes since the last
//! sync each survives or not, or is torn, and the suite's prefix rule must hold.

use std::io;
use std::sync::{Arc, Mutex};

use decube_core::store::conformance::{self, Harness};
use redb::StorageBackend;

use crate::store::EmbeddedStore;

/// What a device writes atomically.
const SECTOR_BYTES: usize = 512;

/// A disk: what is on the platter, what is only in its cache, and what a reader
/// sees.
#[derive(Debug, Default)]
struct Disk {
    durable: Vec<u8>,
    visible: Vec<u8>,
    unsynced: Vec<Write>,
}

#[derive(Debug)]
enum Write {
    Bytes { offset: usize, data: Vec<u8> },
    Length(usize),
}

#[derive(Debug, Clone, Default)]
struct Backend(Arc<Mutex<Disk>>);

impl Disk {
    /// The power goes: of each unsynced write each sector is kept or lost.
    fn lose_power(&mut self, random: &mut u64) {
        for write in std::mem::take(&mut self.unsynced) {
            match write {
                Write::Length(length) => {
                    if coin(random) {
                        self.durable.resize(length, 0);
                    }
                }
                Write::Bytes { offset, data } => {
                    for (index, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                        if coin(random) {
                            put(&mut self.durable, offset + index * SECTOR_BYTES, sector);
                        }
                    }
                }
            }
        }
        self.visible = self.durable.clone();
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

/// xorshift64* (Vigna 2016).
fn coin(random: &mut u64) -> bool {
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 63 == 1
}

impl StorageBackend for Backend {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().unwrap().visible.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let disk = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let Some(data) = disk.visible.get(start..start + out.len()) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        out.copy_from_slice(data);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let length = usize::try_from(len).unwrap();
        let mut disk = self.0.lock().unwrap();
        disk.visible.resize(length, 0);
        disk.unsynced.push(Write::Length(length));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut disk = self.0.lock().unwrap();
        disk.durable = disk.visible.clone();
        disk.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let offset = usize::try_from(offset).unwrap();
        let mut disk = self.0.lock().unwrap();
        put(&mut disk.visible, offset, data);
        let data = data.to_vec();
        disk.unsynced.push(Write::Bytes { offset, data });
        Ok(())
    }
}

struct PowerLoss {
    disk: Backend,
    random: u64,
}

impl Harness for PowerLoss {
    type Store = EmbeddedStore;

    fn fresh(&mut self) -> EmbeddedStore {
        self.disk = Backend::default();
        EmbeddedStore::open_backend(self.disk.clone()).unwrap()
    }

    fn reopen(&mut self, store: EmbeddedStore) -> EmbeddedStore {
        drop(store);
        EmbeddedStore::open_backend(self.disk.clone()).unwrap()
    }

    fn crash(&mut self, store: EmbeddedStore) -> Option<EmbeddedStore> {
        // The platter is copied before the engine can close in order.
        let mut disk = std::mem::take(&mut *self.disk.0.lock().unwrap());
        *self.disk.0.lock().unwrap() = Disk {
            visible: disk.visible.clone(),
            ..Disk::default()
        };
        drop(store);
        disk.lose_power(&mut self.random);
        self.disk = Backend(Arc::new(Mutex::new(disk)));
        Some(EmbeddedStore::open_backend(self.disk.clone()).unwrap())
    }
}

#[test]
fn embedded_store_survives_power_loss() {
    for seed in 1..8 {
        let mut harness = PowerLoss {
            disk: Backend::default(),
            random: seed,
        };
        conformance::crash_keeps_a_prefix(&mut harness, seed);
    }
}
