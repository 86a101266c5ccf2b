//! The command line of `vigia demo`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

/// What `vigia demo` was asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Kill the master by itself this long after the group is complete, show the failover, and
    /// end. Default: wait for the key.
    pub kill_after: Option<Duration>,
    /// The data server. Default: `redis-server` or `valkey-server` from the PATH.
    pub server: Option<PathBuf>,
    /// The sentinel. Default: this binary.
    pub sentinel: Option<PathBuf>,
    /// Keep the folder with config files and logs. Default: remove it.
    pub keep: bool,
}

/// The subcommand, for the command line of the program.
pub fn command() -> Command {
    Command::new("demo")
        .about("Run a real group on this machine and watch a failover")
        .arg(
            Arg::new("kill-after")
                .long("kill-after")
                .value_name("SECONDS")
                .value_parser(value_parser!(u64).range(0..=3_600))
                .help("Kill the master after so many seconds, show the failover, and exit"),
        )
        .arg(
            Arg::new("server")
                .long("server")
                .value_name("PATH")
                .value_parser(value_parser!(PathBuf))
                .help("The data server to run [default: redis-server or valkey-server in the PATH]"),
        )
        .arg(
            Arg::new("sentinel")
                .long("sentinel")
                .value_name("PATH")
                .value_parser(value_parser!(PathBuf))
                .hide(true)
                .help("The sentinel to run, e.g. redis-sentinel for comparison [default: this program]"),
        )
        .arg(
            Arg::new("keep")
                .long("keep")
                .action(ArgAction::SetTrue)
                .help("Keep the folder with config files and logs"),
        )
}

impl Options {
    /// Reads what [`command`] has parsed.
    #[must_use]
    pub fn from_matches(matches: &ArgMatches) -> Self {
        Self {
            kill_after: matches.get_one::<u64>("kill-after").map(|seconds| Duration::from_secs(*seconds)),
            server: matches.get_one::<PathBuf>("server").cloned(),
            sentinel: matches.get_one::<PathBuf>("sentinel").cloned(),
            keep: matches.get_flag("keep"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_from_the_command_line() {
        let matches = command().try_get_matches_from(["demo", "--kill-after", "5", "--keep"]).unwrap();
        let options = Options::from_matches(&matches);

        assert_eq!(options.kill_after, Some(Duration::from_secs(5)));
        assert!(options.keep && options.server.is_none());
        assert!(command().try_get_matches_from(["demo", "--kill-after", "soon"]).is_err());
    }
}
