//! The host with a toy machine: what is tested is the host, so the machine does
//! only what a test tells it to.

mod iterations;
mod requests;
mod shutdown;
mod toy;
mod watches;
