//! What is pinned of the encodings. What the part does is tested with whole nodes.

mod digest;
mod golden;
