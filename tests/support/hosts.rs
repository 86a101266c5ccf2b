//! Names of one's own: the test runs itself again in a mount and a network namespace of its own, with a
//! hosts file and a name server that belong to it alone.
//!
//! Nothing outside changes, and both namespaces end with the processes in them.

use std::fs;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Command;

/// Set in the process that runs inside: the folder with the files.
const INSIDE: &str = "VIGIA_TEST_INSIDE_HOSTS";
/// Where the resolver of the namespace asks for names that the hosts file does not have.
const NAME_SERVER: &str = "127.0.0.53";
/// Mounts the files of `$1` over the system's, and becomes the rest of its arguments.
const ENTER: &str = "ip link set lo up && for file in hosts resolv.conf nsswitch.conf; do \
                     mount --bind \"$1/$file\" \"/etc/$file\" || exit 1; done; shift; exec \"$@\"";

/// The hosts file of the namespace.
pub struct Hosts {
    folder: PathBuf,
    names: Vec<(String, String)>,
    /// Takes questions and answers none.
    deaf: Option<UdpSocket>,
}

impl Hosts {
    /// Names an address, or gives a name another one.
    pub fn set(&mut self, name: &str, ip: &str) {
        self.names.retain(|(known, _)| known != name);
        self.names.push((name.to_owned(), ip.to_owned()));
        self.write();
    }

    /// From now on nobody knows the name: the resolver says so at once.
    pub fn forget(&mut self, name: &str) {
        self.names.retain(|(known, _)| known != name);
        self.write();
    }

    /// From now on lookups of names that are not in the file hang for ten seconds.
    pub fn hang(&mut self) {
        let socket = UdpSocket::bind((NAME_SERVER, 53)).expect("the port of a name server");
        self.deaf = Some(socket);
    }

    /// In place: another file of that name would not be the one that is mounted.
    fn write(&self) {
        let lines = self.names.iter().map(|(name, ip)| format!("{ip} {name}\n"));
        let text = format!("127.0.0.1 localhost\n{}", lines.collect::<String>());
        fs::write(self.folder.join("hosts"), text).expect("the hosts file");
    }
}

/// Runs `scenario` with names of its own by executing `test` (its full name) again; says why when the machine does
/// not allow namespaces.
pub fn with_names(test: &str, scenario: impl FnOnce(&mut Hosts)) {
    if let Some(folder) = std::env::var_os(INSIDE) {
        return scenario(&mut Hosts { folder: folder.into(), names: Vec::new(), deaf: None });
    }
    let folder = tempfile::Builder::new().prefix("vigia-names-").tempdir().expect("temporary folder");
    let resolver = format!("nameserver {NAME_SERVER}\noptions timeout:5 attempts:2\n");
    for (file, text) in [
        ("hosts", "127.0.0.1 localhost\n"),
        ("resolv.conf", &resolver),
        ("nsswitch.conf", "hosts: files dns\n"),
    ] {
        fs::write(folder.path().join(file), text).expect("a file for the namespace");
    }
    let enter = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "sh", "-c", ENTER, "sh"]).arg(folder.path());
        command
    };
    let probe = enter().arg("true").output();
    let works = probe.map_err(|error| error.to_string()).and_then(|output| match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    });
    if let Err(reason) = works {
        eprintln!("SKIPPED {test}: no mount namespaces here ({reason})");
        return;
    }
    let status = enter()
        .arg(std::env::current_exe().expect("path of this test"))
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(INSIDE, folder.path())
        .status()
        .expect("unshare runs");
    assert!(status.success(), "{test} failed in its namespace");
}
