//! A disk for tests.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{Files, Owner, with_suffix};

/// A disk in memory that writes down every operation and fails the one it is told to.
#[derive(Clone, Default)]
pub(in crate::runtime) struct Recorder(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    calls: Vec<String>,
    files: BTreeMap<PathBuf, Vec<u8>>,
    fail: Option<(String, i32)>,
}

impl Recorder {
    pub(in crate::runtime) fn with_config(text: &str) -> Self {
        let disk = Self::default();
        disk.0.lock().unwrap().files.insert("/d/s.conf".into(), text.into());
        disk
    }

    /// From now on this call fails with this error.
    pub(in crate::runtime) fn fail_at(&self, call: &str, code: i32) {
        self.0.lock().unwrap().fail = Some((call.to_owned(), code));
    }

    pub(in crate::runtime) fn work_again(&self) {
        self.0.lock().unwrap().fail = None;
    }

    /// Somebody else removes a file.
    pub(in crate::runtime) fn forget(&self, path: &str) {
        self.0.lock().unwrap().files.remove(Path::new(path));
    }

    fn call(&self, call: String) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        let fails = inner.fail.as_ref().filter(|(what, _)| *what == call).map(|(_, code)| *code);
        inner.calls.push(call);
        fails.map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code)))
    }

    pub(in crate::runtime) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    pub(in crate::runtime) fn text(&self, path: &str) -> Option<String> {
        let inner = self.0.lock().unwrap();
        inner.files.get(Path::new(path)).map(|bytes| String::from_utf8(bytes.clone()).unwrap())
    }

    pub(in crate::runtime) fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().files.keys().map(|path| path.display().to_string()).collect()
    }
}

impl Files for Recorder {
    type Temp = PathBuf;

    fn read(&mut self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.call(format!("read {}", path.display()))?;
        Ok(self.0.lock().unwrap().files.get(path).cloned())
    }
    fn owner(&mut self, path: &Path) -> io::Result<Option<Owner>> {
        let known = self.0.lock().unwrap().files.contains_key(path);
        Ok(known.then_some(Owner { mode: 0o644, uid: 0, gid: 0 }))
    }
    fn read_link(&mut self, path: &Path) -> Option<PathBuf> {
        (path == Path::new("/etc/link.conf")).then(|| PathBuf::from("/d/s.conf"))
    }
    fn create_temp(&mut self, target: &Path, _like: Option<Owner>) -> io::Result<(PathBuf, PathBuf)> {
        self.call(format!("create {}", target.display()))?;
        let temp = with_suffix(target, ".tmp");
        self.0.lock().unwrap().files.insert(temp.clone(), Vec::new());
        Ok((temp.clone(), temp))
    }
    fn write(&mut self, file: &mut PathBuf, bytes: &[u8]) -> io::Result<()> {
        self.call(format!("write {}", file.display()))?;
        self.0.lock().unwrap().files.insert(file.clone(), bytes.to_vec());
        Ok(())
    }
    fn sync(&mut self, file: &mut PathBuf) -> io::Result<()> {
        self.call(format!("fsync {}", file.display()))
    }
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(format!("rename {}", to.display()))?;
        let mut inner = self.0.lock().unwrap();
        let bytes = inner.files.remove(from).unwrap();
        inner.files.insert(to.to_path_buf(), bytes);
        Ok(())
    }
    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        self.call(format!("fsync {}", folder.display()))
    }
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.call(format!("remove {}", path.display()))?;
        self.0.lock().unwrap().files.remove(path);
        Ok(())
    }
}
