//! Words of the command line to configuration lines.
//!
//! Source: spec 01, section 2.

use super::words::quote;

/// The lines that `--name value ...` stand for; each begins with a line feed but a first word that
/// is no option.
pub(super) fn to_text(options: &[String]) -> String {
    let mut text = String::new();
    // The first word after an option name is its value, whatever it looks like.
    let mut takes_anything = false;
    for word in options {
        match word.strip_prefix("--").filter(|_| !takes_anything) {
            Some(name) => {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(name);
                text.push(' ');
                let is_bare = !name.contains(' ');
                takes_anything = is_bare && name != "save" && name != "sentinel";
            }
            None => {
                text.push_str(&quote(word));
                text.push(' ');
                takes_anything = false;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen on redis-sentinel 7.0.15.
    #[test]
    fn options_become_lines() {
        let table: &[(&[&str], &str)] = &[
            (&["--sentinel", "--foo", "bar"], "sentinel \nfoo \"bar\" "),
            (&["--sentinel", "monitor", "m", "127.0.0.1"], "sentinel \"monitor\" \"m\" \"127.0.0.1\" "),
            (&["--port", "--foo"], "port \"--foo\" "),
            (&["--port", "-1", "--x"], "port \"-1\" \nx "),
            (&["--save", "--foo"], "save \nfoo "),
            (&["foo", "bar"], "\"foo\" \"bar\" "),
            (&["--port 6380", "--hz", "5"], "port 6380 \nhz \"5\" "),
            (&["-", "--port", "-"], "\"-\" \nport \"-\" "),
        ];
        for (words, text) in table {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(to_text(&words), *text);
        }
    }
}
