//! tokio: the only place with sockets, files, clocks and processes. It performs, it never decides.

pub mod handle;
pub mod server;
