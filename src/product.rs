//! As which program the process presents itself: the name it was started under decides.
//!
//! Source: spec 01, sections 1 and 2; spec 08, sections 4 and 6.

use std::ffi::OsStr;
use std::path::Path;

/// Version of Redis that is reported: the newest one that Redis and Valkey agree on, as clients
/// compare it as `x.y.z`. Source: spec 08, sections 4 and 6.
pub const REDIS_VERSION: &str = "7.2.4";
/// Version of Valkey that is reported: the line that brought the `PRIMARY` names.
pub const VALKEY_VERSION: &str = "8.0.1";
/// Version of this program.
pub const VIGIA_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whose words are used where the two originals differ.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Product {
    /// Under any other name: Redis' words, and everything that either has is listed.
    #[default]
    Vigia,
    /// Started as `redis-sentinel`.
    Redis,
    /// Started as `valkey-sentinel`.
    Valkey,
}

impl Product {
    /// By the first word of the command line: the last part of the path counts, and what is around
    /// the name does not, so that `redis-sentinel-7` is one as well.
    pub fn started_as(program: &OsStr) -> Self {
        let name = Path::new(program).file_name().unwrap_or(program).to_string_lossy();
        if name.contains("valkey-sentinel") || name.contains("valkey-server") {
            Self::Valkey
        } else if name.contains("redis-sentinel") || name.contains("redis-server") {
            Self::Redis
        } else {
            Self::Vigia
        }
    }

    /// Its name in logs and in `--version`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Vigia => "Vigia",
            Self::Redis => "Redis",
            Self::Valkey => "Valkey",
        }
    }

    /// The version that goes with [`Product::title`].
    pub fn version(self) -> &'static str {
        match self {
            Self::Vigia => VIGIA_VERSION,
            Self::Redis => REDIS_VERSION,
            Self::Valkey => VALKEY_VERSION,
        }
    }

    /// What stands in parentheses behind `*** FATAL CONFIG FILE ERROR`.
    pub fn in_banner(self) -> String {
        match self {
            Self::Vigia | Self::Redis => format!("{} {}", self.title(), self.version()),
            Self::Valkey => format!("Version {}", self.version()),
        }
    }

    /// `server` and `version` of `HELLO`. Under its own name Vigía is taken for Redis, as clients
    /// know no third product.
    pub fn in_hello(self) -> (&'static str, &'static str) {
        match self {
            Self::Vigia | Self::Redis => ("redis", REDIS_VERSION),
            Self::Valkey => ("valkey", VALKEY_VERSION),
        }
    }

    /// Whether lists of commands name `SENTINEL PRIMARY` and its like; they are accepted always.
    pub fn lists_primary(self) -> bool {
        match self {
            Self::Vigia | Self::Valkey => true,
            Self::Redis => false,
        }
    }

    /// Whether help, `CLIENT LIST` and the written configuration use Valkey's words.
    pub fn is_valkey(self) -> bool {
        match self {
            Self::Vigia | Self::Redis => false,
            Self::Valkey => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_the_path_decides() {
        for (program, expected) in [
            ("vigia", Product::Vigia),
            ("/opt/redis-sentinel/vigia", Product::Vigia),
            ("/usr/bin/redis-sentinel", Product::Redis),
            ("redis-sentinel-7.2", Product::Redis),
            ("./valkey-sentinel", Product::Valkey),
            ("redis-server", Product::Redis),
            ("valkey-server", Product::Valkey),
            ("", Product::Vigia),
        ] {
            assert_eq!(Product::started_as(OsStr::new(program)), expected, "{program}");
        }
    }
}
