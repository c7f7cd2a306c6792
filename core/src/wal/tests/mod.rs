//! Tests of the write-ahead log.

mod cases;
mod common;
mod damage;
mod disk;
mod fuzz;
mod golden;
mod host;
mod model;
mod props;
