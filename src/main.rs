//! Placeholder until the parts are joined.
fn main() {}
