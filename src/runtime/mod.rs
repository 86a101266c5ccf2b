//! tokio: the only place with sockets, files, clocks and processes. It performs, it never decides.

pub mod acl;
pub mod driver;
pub mod files;
pub mod handle;
pub mod limits;
pub mod link;
pub mod log;
pub mod resolver;
pub mod save;
pub mod scripts;
pub mod server;
pub mod signals;
pub mod start;
pub mod tls;
