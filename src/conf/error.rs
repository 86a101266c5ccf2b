//! Why a configuration is refused.

use std::fmt;

/// A configuration that this process will not start with. `Display` is what the operator reads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ConfigError {
    /// A line is wrong; stock prints it on stderr below its `*** FATAL CONFIG FILE ERROR` banner.
    Line {
        /// Counted from 1 in the text of the line: file, standard input and options, or one include.
        line: u32,
        /// The line without the blanks around it.
        text: String,
        /// Stock's reason.
        reason: String,
    },
    /// Something else is wrong; stock logs it as a warning, without a banner. May have several lines.
    Other(String),
}

impl ConfigError {
    /// The reason alone, without the place.
    pub fn reason(&self) -> &str {
        match self {
            Self::Line { reason, .. } | Self::Other(reason) => reason,
        }
    }
}

/// Source: spec 01, section 2, "Fatal start-up errors".
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { line, text, reason } => {
                write!(f, "Reading the configuration file, at line {line}\n>>> '{text}'\n{reason}")
            }
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for ConfigError {}

/// One report of all errors: the first as stock shows it, the others below, in the same form.
///
/// Differs: stock stops at the first, so that a file with three errors takes four starts.
pub fn report(errors: &[ConfigError]) -> String {
    let Some((first, others)) = errors.split_first() else { return String::new() };
    let mut text = first.to_string();
    if let [_, ..] = others {
        text.push_str(&format!("\n\n*** {} MORE IN THIS CONFIGURATION ***", others.len()));
    }
    others.iter().fold(text, |text, error| format!("{text}\n{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_stock_prints_below_its_banner() {
        let error = ConfigError::Line { line: 3, text: "port x".into(), reason: "bad".into() };
        assert_eq!(error.to_string(), "Reading the configuration file, at line 3\n>>> 'port x'\nbad");
        assert_eq!(ConfigError::Other("no".into()).to_string(), "no");
        let other = ConfigError::Line { line: 5, text: "hz x".into(), reason: "bad".into() };
        assert_eq!(report(std::slice::from_ref(&error)), error.to_string());
        assert_eq!(
            report(&[error.clone(), other.clone(), ConfigError::Other("no".into())]),
            format!("{error}\n\n*** 2 MORE IN THIS CONFIGURATION ***\n{other}\nno")
        );
    }
}
