//! Entry point of the `vigia` binary.

use std::io::Write;
use std::process::ExitCode;

use vigia::cli::{self, Invocation};
use vigia::demo;
use vigia::runtime::start;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(Invocation::Sentinel(launch)) => start::run(&launch),
        Ok(Invocation::Version(product)) => match writeln!(std::io::stdout(), "{}", cli::version(product)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Ok(Invocation::Usage(text)) => {
            eprint!("{text}");
            ExitCode::FAILURE
        }
        Ok(Invocation::Demo(options)) => demo::main(&options),
        Err(error) => error.exit(),
    }
}
