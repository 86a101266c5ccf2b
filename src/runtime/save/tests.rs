//! Order of the writes, and what is left when one of them fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::*;
use crate::engine::settings::Globals;
use crate::engine::{Epoch, RunId, Seq, Snapshot};
use crate::runtime::files::Owner;

/// A disk in memory that writes down every operation and fails the one it is told to.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    calls: Vec<String>,
    files: BTreeMap<PathBuf, Vec<u8>>,
    fail: Option<(String, i32)>,
}

impl Recorder {
    fn with_config(text: &str) -> Self {
        let disk = Self::default();
        disk.0.lock().unwrap().files.insert("/d/s.conf".into(), text.into());
        disk
    }

    fn call(&self, call: String) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        let fails = inner.fail.as_ref().filter(|(what, _)| *what == call).map(|(_, code)| *code);
        inner.calls.push(call);
        fails.map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code)))
    }

    fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    fn text(&self, path: &str) -> Option<String> {
        let inner = self.0.lock().unwrap();
        inner.files.get(Path::new(path)).map(|bytes| String::from_utf8(bytes.clone()).unwrap())
    }

    fn names(&self) -> Vec<String> {
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

/// Appends the epoch to the config; the other file changes only with every tenth epoch.
struct Plain;

impl Render for Plain {
    fn config(&mut self, old: Option<&[u8]>, state: &State) -> Vec<u8> {
        let old = String::from_utf8_lossy(old.unwrap_or_default());
        format!("{old}epoch {}\n", state.current_epoch).into_bytes()
    }
    fn sidecar(&mut self, state: &State) -> Vec<u8> {
        format!("ten {}\n", state.current_epoch.0 / 10).into_bytes()
    }
}

fn state(epoch: u64) -> State {
    let globals = Globals::new(RunId::from("a"));
    State { globals, current_epoch: Epoch(epoch), masters: Vec::new() }
}

fn saver(disk: &Recorder) -> Saver<Recorder, Plain> {
    Saver::new(disk.clone(), Plain, "/d/s.conf".into())
}

const FULL: [&str; 10] = [
    "read /d/s.conf",
    "create /d/s.conf.vigia",
    "write /d/s.conf.vigia.tmp",
    "fsync /d/s.conf.vigia.tmp",
    "create /d/s.conf",
    "write /d/s.conf.tmp",
    "fsync /d/s.conf.tmp",
    "rename /d/s.conf.vigia",
    "rename /d/s.conf",
    "fsync /d",
];

#[test]
fn every_file_is_synced_before_it_is_renamed_and_the_folder_last() {
    let disk = Recorder::with_config("# mine\n");
    let mut saver = saver(&disk);

    saver.save(&state(1)).unwrap();
    assert_eq!(disk.take_calls(), FULL);
    assert_eq!(disk.text("/d/s.conf").unwrap(), "# mine\nepoch 1\n");
    assert_eq!(disk.names(), ["/d/s.conf", "/d/s.conf.vigia"]);

    // Unchanged, the file beside the config is left alone.
    saver.save(&state(2)).unwrap();
    let config_only = [FULL[0], FULL[4], FULL[5], FULL[6], FULL[8], FULL[9]];
    assert_eq!(disk.take_calls(), config_only);

    saver.save(&state(10)).unwrap();
    assert_eq!(disk.take_calls(), FULL);

    // Deleted by hand, it comes back.
    disk.0.lock().unwrap().files.remove(Path::new("/d/s.conf.vigia"));
    saver.save(&state(11)).unwrap();
    assert_eq!(disk.take_calls(), FULL);
}

#[test]
fn a_failing_step_is_reported_and_leaves_no_temporary_file_and_no_half_config() {
    let cases = [
        (0, 21, "Could not read config file (Is a directory)"),
        (1, 13, "Could not create tmp config file (Permission denied)"),
        (2, 28, "Could not write tmp config file (No space left on device)"),
        (3, 5, "Could not sync tmp config file to disk (Input/output error)"),
        (4, 13, "Could not create tmp config file (Permission denied)"),
        (5, 28, "Could not write tmp config file (No space left on device)"),
        (6, 28, "Could not sync tmp config file to disk (No space left on device)"),
        (7, 21, "Could not rename tmp config file (Is a directory)"),
        (8, 21, "Could not rename tmp config file (Is a directory)"),
        (9, 5, "Could not sync config file dir (Input/output error)"),
    ];
    for (step, code, text) in cases {
        let disk = Recorder::with_config("old\n");
        let mut saver = saver(&disk);
        disk.0.lock().unwrap().fail = Some((FULL[step].to_owned(), code));

        let error = saver.save(&state(1)).unwrap_err();

        assert_eq!(error.to_string(), text, "step {step}");
        let config = disk.text("/d/s.conf").unwrap();
        assert_eq!(config, if step == 9 { "old\nepoch 1\n" } else { "old\n" }, "step {step}");
        assert!(!disk.names().iter().any(|name| name.ends_with(".tmp")), "step {step}: {:?}", disk.names());

        // The next save starts from scratch and works.
        disk.0.lock().unwrap().fail = None;
        disk.take_calls();
        saver.save(&state(2)).unwrap();
        assert_eq!(disk.take_calls(), FULL, "step {step}");
    }
}

#[test]
fn a_symbolic_link_stays_and_its_target_is_replaced() {
    let disk = Recorder::with_config("old\n");
    Saver::new(disk.clone(), Plain, "/etc/link.conf".into()).save(&state(1)).unwrap();
    assert_eq!(disk.take_calls(), FULL);
}

#[tokio::test]
async fn the_thread_answers_each_snapshot_with_its_number() {
    let disk = Recorder::with_config("");
    let (done, mut saved) = mpsc(2);
    let mut writer = spawn(saver(&disk), done).unwrap();

    assert!(writer.start(Snapshot { seq: Seq(7), state: state(1) }));
    assert_eq!(saved.recv().await, Some(Saved { seq: Seq(7), ok: true }));

    disk.0.lock().unwrap().fail = Some((FULL[8].to_owned(), 21));
    assert!(writer.start(Snapshot { seq: Seq(8), state: state(2) }));
    assert_eq!(saved.recv().await, Some(Saved { seq: Seq(8), ok: false }));

    writer.finish(std::time::Duration::from_secs(10));
    assert_eq!(saved.recv().await, None, "the thread has ended");
}

fn mpsc(size: usize) -> (tokio::sync::mpsc::Sender<Saved>, tokio::sync::mpsc::Receiver<Saved>) {
    tokio::sync::mpsc::channel(size)
}

#[test]
fn on_a_real_disk_the_mode_of_the_config_is_kept_and_a_link_stays_a_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use crate::runtime::files::Disk;

    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("real.conf"), dir.path().join("s.conf"));
    std::fs::write(&target, "secret\n").unwrap();
    std::fs::set_permissions(&target, PermissionsExt::from_mode(0o600)).unwrap();
    symlink("real.conf", &link).unwrap();

    Saver::new(Disk, Plain, link.clone()).save(&state(1)).unwrap();

    assert_eq!(std::fs::read_to_string(&target).unwrap(), "secret\nepoch 1\n");
    assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_link(&link).unwrap(), Path::new("real.conf"));
    let mut names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["real.conf", "real.conf.vigia", "s.conf"]);
}
