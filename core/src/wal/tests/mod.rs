//! Tests of the write-ahead log.

mod cases;
mod disk;
mod host;
mod model;
mod props;
