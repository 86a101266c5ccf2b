//! Entry point of the `vigia` binary.

fn main() {}
