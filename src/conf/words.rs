//! Lines to words and back, quoted like a shell.
