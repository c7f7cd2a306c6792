//! What is pinned of the encodings, and that its asserts and its digest notice what they
//! name. What the part does is tested with whole nodes.

mod asserts;
mod digest;
mod golden;
