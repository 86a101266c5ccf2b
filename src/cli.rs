//! The command line: `vigia [CONF] [--directive value ...] [-]`, as stock's.
//!
//! Directives are not clap's business: they go to the configuration as they are. clap knows the rest:
//! the help, and the subcommands that exist under the name `vigia` only, and only when no file of that name
//! is there to be the configuration.
//!
//! Source: spec 01, section 2.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Arg, Command};

use crate::demo;
use crate::product::{Product, VIGIA_VERSION};
use crate::runtime::start::Launch;

/// Name of the subcommand that shows a group at work.
const DEMO: &str = "demo";

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Print the version of this product, exit 0.
    Version(Product),
    /// Print this on standard error, exit 1, as stock does.
    Usage(String),
    /// Run a sentinel.
    Sentinel(Launch),
    /// `vigia demo`.
    Demo(demo::Options),
}

/// The line that `--version` prints. Differs: under another name it ends with our own version.
pub fn version(product: Product) -> String {
    let (title, version) = (product.title(), product.version());
    let line = format!("{title} server v={version} sha=00000000:0 malloc=libc bits=64 build=0");
    match product {
        Product::Vigia => line,
        Product::Redis | Product::Valkey => format!("{line} vigia={VIGIA_VERSION}"),
    }
}

/// Reads a command line, the program's name included.
///
/// # Errors
/// clap's report of a wrong use of a subcommand.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let first = args.get(1).map(OsString::as_os_str).unwrap_or_default();
    let product = args.first().map(|program| Product::started_as(program)).unwrap_or_default();
    if first == "-v" || first == "--version" {
        return Ok(Invocation::Version(product));
    }
    if first == "-h" || first == "--help" {
        return Ok(Invocation::Usage(command().render_help().to_string()));
    }
    if is_subcommand(&args, first) {
        let matches = command().try_get_matches_from(args)?;
        if let Some((DEMO, matches)) = matches.subcommand() {
            return Ok(Invocation::Demo(demo::Options::from_matches(matches)));
        }
        return Ok(Invocation::Usage(command().render_help().to_string()));
    }
    Ok(Invocation::Sentinel(Launch { product, ..launch(&args) }))
}

fn command() -> Command {
    Command::new("vigia")
        .about("A drop-in replacement for Redis Sentinel")
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .subcommand(demo::command())
        .override_usage("vigia CONF [--directive value ...] [-]\n       vigia demo [--help]\n       vigia -v | --version\n       vigia -h | --help")
        .after_help("Examples:\n  vigia /etc/sentinel.conf\n  vigia /etc/sentinel.conf --port 26380 --sentinel monitor m 127.0.0.1 6379 2")
        .arg(Arg::new("CONF").help("The configuration file, sentinel.conf; it must be writable"))
        .arg(Arg::new("-").help("As the first or last word: read more directives from standard input"))
}

/// Whether the first word is a subcommand here and now.
fn is_subcommand(args: &[OsString], first: &OsStr) -> bool {
    let name = args.first().map(|name| Path::new(name).file_name().unwrap_or_default());
    name == Some(OsStr::new("vigia")) && first == DEMO && !Path::new(first).exists()
}

/// `-` means standard input as the first word (then there is no file) or as the last one.
fn launch(args: &[OsString]) -> Launch {
    let mut words: &[OsString] = args.get(1..).unwrap_or_default();
    let mut stdin = false;
    let mut config = None;
    if let [first, rest @ ..] = words {
        if first == "-" {
            (stdin, words) = (true, rest);
        } else if !first.to_string_lossy().starts_with('-') {
            config = Some(std::path::absolute(first).unwrap_or_else(|_| PathBuf::from(first)));
            words = rest;
        }
    }
    if let [rest @ .., last] = words
        && last == "-"
    {
        (stdin, words) = (true, rest);
    }
    let options = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let program = args.first().map(PathBuf::from).unwrap_or_default();
    Launch { config, options, stdin, program, words: args.to_vec(), ..Launch::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentinel(words: &[&str]) -> Launch {
        let args = std::iter::once("vigia").chain(words.iter().copied()).map(OsString::from);
        match parse(args).unwrap() {
            Invocation::Sentinel(launch) => launch,
            other @ (Invocation::Version(_) | Invocation::Usage(_) | Invocation::Demo(_)) => {
                panic!("{other:?}")
            }
        }
    }

    #[test]
    fn directives_are_passed_on_as_they_are() {
        let launch = sentinel(&["/etc/s.conf", "--port", "1", "--sentinel", "monitor", "m", "-v", "--help"]);
        assert_eq!(launch.config.as_deref(), Some(Path::new("/etc/s.conf")));
        assert_eq!(launch.options, ["--port", "1", "--sentinel", "monitor", "m", "-v", "--help"]);
        assert!(!launch.stdin);
    }

    #[test]
    fn the_config_file_comes_first_or_not_at_all() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(sentinel(&["s.conf"]).config, Some(here.join("s.conf")));
        assert_eq!(sentinel(&["--port", "1"]).config, None);
        assert_eq!(sentinel(&[]).config, None);
        assert!(sentinel(&["-"]).stdin && sentinel(&["-"]).config.is_none());
        assert!(sentinel(&["s.conf", "--port", "1", "-"]).stdin);
        assert!(sentinel(&["s.conf", "--port", "1", "-"]).options == ["--port", "1"]);
        let middle = sentinel(&["s.conf", "-", "--port"]);
        assert!(!middle.stdin && middle.options == ["-", "--port"]);
    }

    #[test]
    fn demo_is_a_subcommand_under_the_name_vigia_only() {
        let parse = |name: &str| parse([name, "demo", "--keep"].map(OsString::from));
        assert!(matches!(parse("/usr/bin/vigia"), Ok(Invocation::Demo(options)) if options.keep));
        assert!(matches!(parse("redis-sentinel"), Ok(Invocation::Sentinel(_))));
    }

    #[test]
    fn version_and_help_count_as_the_first_word_only() {
        let parse = |word: &str| parse(["vigia".into(), word.into()]).unwrap();
        assert!(
            matches!(parse("-v"), Invocation::Version(_))
                && matches!(parse("--version"), Invocation::Version(_))
        );
        assert!(matches!(parse("-h"), Invocation::Usage(text) if text.contains("vigia CONF")));
        assert!(matches!(parse("--help"), Invocation::Usage(_)));
    }

    #[test]
    fn the_name_of_the_program_decides_what_it_presents_itself_as() {
        for (program, product, start) in [
            ("vigia", Product::Vigia, "Vigia server v="),
            (
                "/usr/bin/redis-sentinel",
                Product::Redis,
                "Redis server v=7.2.4 sha=00000000:0 malloc=libc bits=64 build=0 vigia=",
            ),
            ("./valkey-sentinel", Product::Valkey, "Valkey server v=8.0.1 "),
        ] {
            let parsed = parse([program, "-v"].map(OsString::from)).unwrap();
            assert!(matches!(parsed, Invocation::Version(found) if found == product), "{program}");
            let parsed = parse([program, "s.conf"].map(OsString::from)).unwrap();
            assert!(matches!(parsed, Invocation::Sentinel(launch) if launch.product == product), "{program}");
            assert!(version(product).starts_with(start), "{}", version(product));
        }
    }
}
