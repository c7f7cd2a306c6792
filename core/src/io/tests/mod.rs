//! What is pinned of the encodings.

mod golden;
