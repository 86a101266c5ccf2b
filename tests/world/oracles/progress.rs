//! Wake-ups make progress: after a stimulus no deadline is still due, or a driver would spin.
//! Source: DESIGN, section 2.

use super::{Oracle, Sight};

/// Nothing to remember.
#[derive(Debug, Default)]
pub struct Progress;

impl Oracle for Progress {
    fn rule(&self) -> &'static str {
        "progress"
    }

    fn holds_with_stock(&self) -> bool {
        true
    }

    fn see(&mut self, sight: &Sight) -> Result<(), String> {
        match *sight {
            Sight::Handled { sentinel, now, wake: Some((at, why)), .. } if at <= now => {
                Err(format!("progress: at {now} the deadline {why:?} of {sentinel} for {at} is still due"))
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn a_deadline_that_stays_due_is_caught() {
    use vigia::engine::{Time, Wake};
    let handled =
        |at| Sight::Handled { sentinel: "s1", at: Time(0), now: Time(5), wake: Some((Time(at), Wake::Save)) };
    assert!(Progress.see(&handled(6)).is_ok());
    assert!(Progress.see(&handled(5)).is_err());
}
