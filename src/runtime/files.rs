//! The file operations behind a save, one method per system call, so that a test can record their
//! order and let any of them fail.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{Gid, Mode, Uid};

#[cfg(test)]
pub(in crate::runtime) mod recorder;

/// Mode of a config file that did not exist before, reduced by the umask. Source: spec 01, section 6.5.
const NEW_FILE_MODE: u32 = 0o644;
/// How many random suffixes are tried before a temporary file counts as impossible.
const TEMP_TRIES: usize = 16;
/// How many symbolic links are followed, as the kernel does.
const MAX_SYMLINKS: usize = 40;

/// Whom a file belongs to and who may use it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Owner {
    /// Permission bits.
    pub mode: u32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What a save does to the disk.
///
/// # Errors
/// Every method passes on the error of its system call.
pub trait Files: Send + 'static {
    /// An open temporary file.
    type Temp;

    /// The whole content; `None` if there is no such file.
    fn read(&mut self, path: &Path) -> io::Result<Option<Vec<u8>>>;
    /// Owner and mode; `None` if there is no such file.
    fn owner(&mut self, path: &Path) -> io::Result<Option<Owner>>;
    /// Where a symbolic link points, or `None` if the path is none.
    fn read_link(&mut self, path: &Path) -> Option<PathBuf>;
    /// A new, empty file beside `target`, named `<target>.XXXXXX`; returns it with its path.
    ///
    /// It takes the mode (and, as far as allowed, the owner) in `like`; without one it gets 0644 reduced
    /// by the umask.
    fn create_temp(&mut self, target: &Path, like: Option<Owner>) -> io::Result<(Self::Temp, PathBuf)>;
    /// Writes everything.
    fn write(&mut self, file: &mut Self::Temp, bytes: &[u8]) -> io::Result<()>;
    /// fsync of a file.
    fn sync(&mut self, file: &mut Self::Temp) -> io::Result<()>;
    /// Puts `from` in the place of `to`.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// fsync of a folder: makes a rename in it durable.
    fn sync_folder(&mut self, folder: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
}

/// The file a path stands for when it is a symbolic link, even one whose target is missing.
///
/// Replacing the link itself would detach the file that the operator keeps elsewhere.
pub fn resolve(files: &mut impl Files, path: &Path) -> PathBuf {
    let mut at = path.to_path_buf();
    for _ in 0..MAX_SYMLINKS {
        let Some(next) = files.read_link(&at) else { return at };
        at = match at.parent() {
            Some(folder) => folder.join(next),
            None => next,
        };
    }
    at
}

/// The folder a file lies in; `.` for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

/// `path` with `suffix` appended to its last component.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// An error in the words of `strerror`, without Rust's `(os error N)`.
pub fn strerror(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// Lowercase letters and digits from the operating system's randomness.
fn random_suffix() -> io::Result<String> {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = [0_u8; 6];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

/// The real disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    type Temp = File;

    fn read(&mut self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        absent_is_none(fs::read(path))
    }

    fn owner(&mut self, path: &Path) -> io::Result<Option<Owner>> {
        let found = absent_is_none(fs::metadata(path))?;
        Ok(found.map(|meta| Owner { mode: meta.mode() & 0o777, uid: meta.uid(), gid: meta.gid() }))
    }

    fn read_link(&mut self, path: &Path) -> Option<PathBuf> {
        fs::read_link(path).ok()
    }

    fn create_temp(&mut self, target: &Path, like: Option<Owner>) -> io::Result<(File, PathBuf)> {
        // Never wider than the old file, not even for a moment: the content holds passwords.
        let mode = like.map_or(NEW_FILE_MODE, |owner| owner.mode & 0o600);
        for _ in 0..TEMP_TRIES {
            let path = with_suffix(target, &format!(".{}", random_suffix()?));
            match OpenOptions::new().write(true).create_new(true).mode(mode).open(&path) {
                Ok(file) => {
                    if let Some(owner) = like {
                        take_over(&file, owner);
                    }
                    return Ok((file, path));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&mut self, file: &mut File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// Gives a new file the owner and mode of the one it will replace, as far as the process may.
///
/// The owner goes first: a change of owner may clear mode bits. A process that may not give files away
/// keeps its own, as stock does; that is no reason to fail a save.
fn take_over(file: &File, owner: Owner) {
    if let Ok(meta) = file.metadata()
        && (meta.uid(), meta.gid()) != (owner.uid, owner.gid)
        && may_give_away()
        && let Err(error) =
            rustix::fs::fchown(file, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))
    {
        tracing::trace!(%error, "the owner of the config file could not be kept");
    }
    if let Err(error) = rustix::fs::fchmod(file, Mode::from_raw_mode(owner.mode)) {
        tracing::trace!(%error, "the mode of the config file could not be kept");
    }
}

/// Whether trying to give a file away is at worst refused. Debian's unit of redis-sentinel has a filter of system
/// calls by which the kernel ends whoever tries; a process cannot ask what a filter holds, so any filter counts.
fn may_give_away() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
        mode.is_none_or(|mode| mode.trim() == "0")
    })
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_temporary_file_lies_beside_its_target_and_takes_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("s.conf");
        fs::write(&target, "x").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        let owner = Disk.owner(&target).unwrap();

        let (_file, temp) = Disk.create_temp(&target, owner).unwrap();

        assert_eq!(temp.parent(), target.parent());
        let name = temp.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("s.conf.") && name.len() == "s.conf.".len() + 6, "{name}");
        assert_eq!(Disk.owner(&temp).unwrap(), owner);
    }

    #[test]
    fn symbolic_links_are_followed_even_to_a_missing_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("real")).unwrap();
        symlink("real/s.conf", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();

        assert_eq!(resolve(&mut Disk, &dir.path().join("b")), dir.path().join("real/s.conf"));
        assert_eq!(resolve(&mut Disk, &dir.path().join("none")), dir.path().join("none"));
    }

    #[test]
    fn a_missing_file_is_none_and_a_folder_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Disk.read(&dir.path().join("none")).unwrap(), None);
        assert!(Disk.read(dir.path()).is_err());
    }

    #[test]
    fn errors_read_like_strerror() {
        assert_eq!(strerror(&io::Error::from_raw_os_error(13)), "Permission denied");
        assert_eq!(strerror(&io::Error::from_raw_os_error(28)), "No space left on device");
        assert_eq!(folder_of(Path::new("s.conf")), Path::new("."));
    }
}
