//! Disks that are full, read-only, or have something else in the place of the file.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::support::ports::free_port;
use crate::support::process::Process;
use crate::support::resp::{Client, Value, ask};
use crate::support::sentinel::Program;
use crate::support::wait::{PATIENCE, wait_until};
use crate::witness::Witness;

/// Room for the configuration, its successor, and the file beside it.
const SIZE: &str = "size=256k";

const NOT_SAVED: &str = "ERR Failed to save config file. Check server logs.";
const SHOUT: &str = "WARNING: Sentinel was not able to save the new configuration on disk!!!";

#[test]
fn a_full_disk_stops_votes_and_nothing_else() {
    let ballast = |disk: &Disk| disk.outside("ballast");
    through_a_bad_time(
        "a_full_disk",
        |disk| {
            let mut file = File::create(ballast(disk)).expect("room for the name");
            while file.write_all(&[0; 4_096]).is_ok() {}
            while file.write_all(&[0]).is_ok() {}
        },
        |disk| fs::remove_file(ballast(disk)).expect("the ballast goes"),
    );
}

#[test]
fn a_read_only_folder_stops_votes_and_nothing_else() {
    through_a_bad_time(
        "a_read_only_folder",
        |disk| disk.run(&["mount", "-o", "remount,ro"], &[""]),
        |disk| disk.run(&["mount", "-o", "remount,rw"], &[""]),
    );
}

#[test]
fn a_folder_in_the_place_of_the_file_stops_votes_and_nothing_else() {
    through_a_bad_time(
        "a_folder_in_the_place",
        |disk| {
            fs::rename(disk.outside("sentinel.conf"), disk.outside("away")).expect("the file is moved");
            fs::create_dir(disk.outside("sentinel.conf")).expect("a folder");
        },
        |disk| {
            fs::remove_dir(disk.outside("sentinel.conf")).expect("an empty folder");
            fs::rename(disk.outside("away"), disk.outside("sentinel.conf")).expect("the file is back");
        },
    );
}

/// As in a container whose only volume is the file: a mount point cannot be renamed over.
#[test]
fn a_rename_that_fails_stops_votes_and_nothing_else() {
    through_a_bad_time(
        "a_rename_that_fails",
        |disk| disk.run(&["mount", "--bind"], &["sentinel.conf", "sentinel.conf"]),
        |disk| disk.run(&["umount"], &["sentinel.conf"]),
    );
}

/// Votes before, during and after, with a kill in each time: what was shown stays so.
fn through_a_bad_time(test: &str, spoil: impl Fn(&Disk), repair: impl Fn(&Disk)) {
    let Some(disk) = Disk::mount(test) else { return };
    let mut sentinel = disk.start();
    let mut witness = Witness::new(0);
    let mut client = disk.client();
    for epoch in 1..=3 {
        assert_eq!(witness.vote(&mut client, epoch, 'a').unwrap(), epoch, "the disk works");
    }

    spoil(&disk);
    assert_eq!(witness.set_quorum(&mut client).unwrap(), Value::Error(NOT_SAVED.to_owned()));
    for epoch in 4..=6 {
        let shown = witness.vote(&mut client, epoch, 'b').unwrap();
        assert_eq!(shown, 3, "the last vote that is on disk is all that may be shown");
    }
    let entry = client.command(&["SENTINEL", "MASTER", "m0"]).unwrap();
    assert_eq!(entry.field("ip").as_deref(), Some("127.0.0.1"), "it goes on answering");
    wait_until("the log shouts", PATIENCE, || sentinel.log_text().contains(SHOUT));
    sentinel.kill();

    repair(&disk);
    sentinel = disk.start();
    client = disk.client();
    witness.check(&mut client);
    spoil(&disk);
    assert_eq!(witness.set_quorum(&mut client).unwrap(), Value::Error(NOT_SAVED.to_owned()));
    repair(&disk);
    let mut epoch = witness.last_vote() + 10;
    wait_until("votes are given again without a restart", PATIENCE, || {
        epoch += 1;
        witness.vote(&mut client, epoch, 'c').unwrap() == epoch
    });
    sentinel.kill();
    let _last = disk.start();
    witness.check(&mut disk.client());
}

/// A small file system in a mount namespace that lives as long as this does.
struct Disk {
    folder: tempfile::TempDir,
    holder: Process,
    port: u16,
}

impl Disk {
    /// `None`, with the reason on stderr, where it is not allowed.
    fn mount(test: &str) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("vigia-disk-").tempdir().expect("temporary folder");
        fs::create_dir(folder.path().join("disk")).expect("a place to mount");
        let script = "mount -t tmpfs -o \"$1\" none \"$2\" && echo mounted && exec sleep 3600";
        let disk = folder.path().join("disk");
        let words = ["unshare", "--mount", "sh", "-c", script, "sh", SIZE];
        let mut command: Vec<OsString> = words.iter().map(OsString::from).collect();
        command.push(disk.into());
        let mut holder = Process::spawn("holder", &command, folder.path(), &folder.path().join("holder.log"));
        let mut refused = false;
        wait_until("the disk is mounted", PATIENCE, || {
            refused = holder.exit_status().is_some();
            refused || holder.log_text().contains("mounted")
        });
        if refused {
            eprintln!("SKIPPED {test}: no mount namespaces here ({})", holder.log_text().trim());
            return None;
        }
        let disk = Self { folder, holder, port: free_port() };
        fs::write(disk.outside("sentinel.conf"), format!("port {}\n{}", disk.port, Witness::config(0)))
            .expect("a configuration");
        Some(disk)
    }

    /// A file on the disk, as this process reaches it.
    fn outside(&self, name: &str) -> PathBuf {
        let inside = self.folder.path().join("disk").join(name);
        let inside = inside.strip_prefix("/").expect("an absolute path");
        Path::new(&format!("/proc/{}/root", self.holder.pid())).join(inside)
    }

    fn enter(&self) -> Vec<OsString> {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.holder.pid());
        ["nsenter", &namespace, "--"].iter().map(OsString::from).collect()
    }

    /// Runs a command inside the namespace on files of the disk.
    fn run(&self, words: &[&str], files: &[&str]) {
        let mut command = self.enter();
        command.extend(words.iter().map(OsString::from));
        command.extend(files.iter().map(|file| self.folder.path().join("disk").join(file).into_os_string()));
        let status =
            std::process::Command::new(&command[0]).args(&command[1..]).status().expect("nsenter runs");
        assert!(status.success(), "{command:?}");
    }

    /// A sentinel whose configuration is on the disk; it answers.
    fn start(&self) -> Process {
        let mut command = self.enter();
        command.push(Program::Vigia.path().into());
        command.push(self.folder.path().join("disk/sentinel.conf").into());
        let log = self.folder.path().join("log");
        let mut process = Process::spawn("vigia", &command, self.folder.path(), &log);
        wait_until("the sentinel answers", PATIENCE, || {
            assert!(process.exit_status().is_none(), "it ended:\n{}", process.log_text());
            ask(&self.address(), &["PING"]).is_ok()
        });
        process
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn client(&self) -> Client {
        Client::connect(&self.address()).expect("a connection")
    }
}
