//! The report of a bug: what a panic says goes to the log, where it is looked for.
//!
//! Source: spec 01, section 4 (the line that reports begin with).

use std::backtrace::Backtrace;
use std::panic::{self, PanicHookInfo};

/// From now on a panic of any thread is logged at warning, as well as told on standard error.
pub(super) fn log_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        for line in report(info, &Backtrace::force_capture()).lines() {
            tracing::error!("{line}");
        }
        usual(info);
    }));
}

fn report(info: &PanicHookInfo<'_>, trace: &Backtrace) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "=== VIGIA BUG REPORT START: Cut & paste starting from here ===\n\
         Vigia {version} crashed: {info}\n{trace}\n\
         === VIGIA BUG REPORT END. Make sure to include from START to END. ==="
    )
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_report_begins_and_ends_as_tools_expect() {
        let text = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&text);
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() == Some("will-panic") {
                *heard.lock().unwrap() = report(info, &Backtrace::disabled());
            } else {
                usual(info);
            }
        }));
        let thread = std::thread::Builder::new().name("will-panic".into());
        assert!(thread.spawn(|| panic!("a {}", "bug")).unwrap().join().is_err());
        let text = text.lock().unwrap().clone();
        assert!(text.starts_with("=== VIGIA BUG REPORT START"), "{text}");
        assert!(text.contains("a bug") && text.contains("crash.rs"), "{text}");
        assert!(text.ends_with("==="), "{text}");
    }
}
