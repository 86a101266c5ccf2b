//! Order of the writes, and what is left when one of them fails.

use super::*;
use crate::engine::settings::Globals;
use crate::engine::{Epoch, RunId, Seq, Snapshot};
use crate::runtime::files::recorder::Recorder;

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
    disk.forget("/d/s.conf.vigia");
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
        disk.fail_at(FULL[step], code);

        let error = saver.save(&state(1)).unwrap_err();

        assert_eq!(error.to_string(), text, "step {step}");
        let config = disk.text("/d/s.conf").unwrap();
        assert_eq!(config, if step == 9 { "old\nepoch 1\n" } else { "old\n" }, "step {step}");
        assert!(!disk.names().iter().any(|name| name.ends_with(".tmp")), "step {step}: {:?}", disk.names());

        // The next save starts from scratch and works.
        disk.work_again();
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

    disk.fail_at(FULL[8], 21);
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
