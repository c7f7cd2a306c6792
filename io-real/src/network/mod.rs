//! Connections between nodes.
//!
//! | network | feature | for |
//! |---|---|---|
//! | [`InProcess`] | always | tests: channels inside one process |
//! | `libp2p` | `libp2p` | production: tcp, noise, yamux |

mod in_process;
#[cfg(feature = "libp2p")]
pub mod libp2p;

pub use in_process::{InProcess, InProcessHub};
