//! `ACL LOAD` and `ACL SAVE`. Both wait for the disk: call them where that delays nobody.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{Acl, Changed, lock};
use crate::acl::file::{UsersByName, parse, render};
use crate::runtime::files::{Files, folder_of, resolve, strerror};

/// An ACL file is smaller than this: a path to something endless must not eat all memory.
const MAX_BYTES: usize = 64 << 20;

/// Why the users could not be saved. `Display` is the line for the log.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {}", strerror(cause))]
pub struct SaveError {
    step: &'static str,
    cause: io::Error,
}

impl Acl {
    /// `aclfile`.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Reads the ACL file and replaces all users by those in it.
    ///
    /// # Errors
    /// All that is wrong with the file, in stock's words; nothing was changed.
    pub fn load(&self, path: &Path) -> Result<Changed, String> {
        read(path, self.new).map(|users| self.replace(users))
    }

    /// Writes all users to the ACL file: a temporary file beside it, fsync, rename, fsync of the folder.
    ///
    /// # Errors
    /// The step that failed; the file is as it was, or complete.
    pub fn save(&self, files: &mut impl Files, path: &Path) -> Result<(), SaveError> {
        let _one_at_a_time = lock(&self.saving);
        let target = resolve(files, path);
        let users = self.all();
        let text = render(users.iter().map(|(name, user)| (&**name, &**user)));
        let owner = files.owner(&target).map_err(at("Opening ACL file for ACL SAVE"))?;
        let (mut file, temp) =
            files.create_temp(&target, owner).map_err(at("Opening temp ACL file for ACL SAVE"))?;
        let written = files
            .write(&mut file, text.as_bytes())
            .map_err(at("Writing ACL file for ACL SAVE"))
            .and_then(|()| files.sync(&mut file).map_err(at("Syncing ACL file for ACL SAVE")))
            .and_then(|()| files.rename(&temp, &target).map_err(at("Renaming ACL file for ACL SAVE")));
        if written.is_err()
            && let Err(error) = files.remove(&temp)
        {
            tracing::debug!("Could not remove {} ({})", temp.display(), strerror(&error));
        }
        written?;
        files.sync_folder(folder_of(&target)).map_err(at("Syncing the folder of the ACL file for ACL SAVE"))
    }
}

/// Reads an ACL file.
pub(super) fn read(path: &Path, new: crate::acl::NewUsers) -> Result<UsersByName, String> {
    let shown = path.display().to_string();
    let failed = |reason: &str| format!("Error loading ACLs, opening file '{shown}': {reason}");
    let text = read_bytes(path).map_err(|error| failed(&strerror(&error)))?;
    if text.len() >= MAX_BYTES {
        return Err(failed("File too large"));
    }
    let users = parse(&text, &shown, new)?;
    users.values().for_each(super::warn_of_first_args);
    Ok(users)
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    let mut text = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut text)?;
    Ok(text)
}

fn at(step: &'static str) -> impl FnOnce(io::Error) -> SaveError {
    move |cause| SaveError { step, cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::files::recorder::Recorder;

    const STEPS: [&str; 5] =
        ["create /d/s.conf", "write /d/s.conf.tmp", "fsync /d/s.conf.tmp", "rename /d/s.conf", "fsync /d"];

    fn saved(disk: &mut Recorder) -> Result<(), SaveError> {
        Acl::default().save(disk, Path::new("/d/s.conf"))
    }

    #[test]
    fn a_save_is_durable_when_it_returns() {
        let mut disk = Recorder::with_config("old");
        saved(&mut disk).unwrap();
        assert_eq!(disk.take_calls(), STEPS);
        assert_eq!(disk.text("/d/s.conf").unwrap(), "user default on nopass sanitize-payload ~* &* +@all\n");
        // The file behind a link, not the link, is replaced.
        Acl::default().save(&mut disk, Path::new("/etc/link.conf")).unwrap();
        assert_eq!(disk.take_calls(), STEPS);
    }

    #[test]
    fn a_file_without_an_end_is_refused() {
        let error = read(Path::new("/dev/zero"), crate::acl::NewUsers::default()).unwrap_err();
        assert_eq!(error, "Error loading ACLs, opening file '/dev/zero': File too large");
    }

    #[test]
    fn a_failing_step_leaves_the_old_file_and_nothing_else() {
        for (step, text) in [
            (0, "Opening temp ACL file for ACL SAVE: No space left on device"),
            (1, "Writing ACL file for ACL SAVE: No space left on device"),
            (2, "Syncing ACL file for ACL SAVE: No space left on device"),
            (3, "Renaming ACL file for ACL SAVE: No space left on device"),
        ] {
            let mut disk = Recorder::with_config("old");
            disk.fail_at(STEPS[step], 28);
            assert_eq!(saved(&mut disk).unwrap_err().to_string(), text);
            assert_eq!(
                (disk.names(), disk.text("/d/s.conf").unwrap()),
                (vec!["/d/s.conf".to_owned()], "old".to_owned())
            );
        }
        let mut disk = Recorder::with_config("old");
        disk.fail_at(STEPS[4], 5);
        assert!(saved(&mut disk).unwrap_err().to_string().contains("folder"));
    }
}
