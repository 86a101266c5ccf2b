//! Tests of reading: texts as redis-sentinel 7.0.15 prints them.

use proptest::prelude::*;

use super::*;
use crate::engine::{Addr, Epoch, Millis};

#[derive(Clone, Default)]
struct Files(Vec<(&'static str, &'static str)>);

impl Sources for Files {
    fn read(&mut self, pattern: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
        let found = self.0.iter().filter(|(name, _)| *name == pattern);
        let files: Vec<_> =
            found.map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
        if files.is_empty() && !pattern.contains('*') {
            return Err(format!(
                "Fatal error, can't open config file '{pattern}': No such file or directory"
            ));
        }
        Ok(files)
    }

    fn is_executable(&self, path: &str) -> bool {
        path == "/bin/true"
    }

    fn check_user(&self, rules: &[String]) -> Result<(), (String, String)> {
        match rules.iter().find(|rule| *rule == "wrong") {
            Some(rule) => Err((rule.clone(), "Syntax error".into())),
            None => Ok(()),
        }
    }

    fn change_dir(&mut self, path: &str) -> Result<String, String> {
        if path == "/nonexistent" {
            Err("No such file or directory".into())
        } else {
            Ok(format!("/abs/{path}"))
        }
    }
}

/// The first error counts.
fn load_first(input: &LoadInput<'_>, files: &mut Files) -> Result<Loaded, ConfigError> {
    load(input, files).map_err(|mut errors| errors.swap_remove(0))
}

fn load_text(text: &str) -> Result<Loaded, ConfigError> {
    load_first(&LoadInput { text: text.as_bytes(), ..LoadInput::default() }, &mut Files::default())
}

/// Line number and reason of the error.
fn refused(text: &str) -> (u32, String) {
    match load_text(text) {
        Err(ConfigError::Line { line, reason, .. }) => (line, reason),
        other => panic!("{text}: {other:?}"),
    }
}

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn a_whole_file_is_understood() {
    let loaded = load_text(&format!(
        "# \nport 5000\nrequirepass pw\ndir x\nloglevel WARNING\nclient-output-buffer-limit pubsub 1mb 1kb 5\n\
         sentinel auth-pass m \"a b\"\nsentinel known-slave m 127.1 2\n\
         SENTINEL Monitor m 127.0.0.1 1 2\nsentinel known-sentinel m 127.0.0.1 3 {ID}\n\
         sentinel config-epoch m 9\nsentinel leader-epoch m 11\nsentinel myid {ID}\nsentinel\n\
         sentinel rename-command m CONFIG x\nsentinel notification-script m /bin/true\n\
         sentinel primary-reboot-down-after-period m 7\nmodule.x 1 2\nsentinel current-epoch 3\n"
    ))
    .unwrap();
    assert_eq!(loaded.my_id.as_deref(), Some(ID));
    assert_eq!((loaded.state.globals.port, loaded.generic.port), (5000, 5000));
    assert_eq!(loaded.state.globals.requirepass.as_deref(), Some("pw"));
    assert_eq!(loaded.generic.dir.as_deref(), Some("/abs/x"));
    assert_eq!(loaded.generic.loglevel, super::super::LogLevel::Warning);
    assert_eq!(loaded.generic.pubsub_limit.hard, 1 << 20);
    assert_eq!(loaded.generic.requirepass.as_deref(), Some("pw"));
    assert_eq!(loaded.generic.raw["module.x"], [["1", "2"]]);
    assert_eq!(loaded.state.current_epoch, Epoch(9));
    let master = &loaded.state.masters[0];
    assert_eq!(master.settings.auth_pass.as_deref(), Some("a b"));
    assert_eq!(master.replicas, [Addr::new("127.0.0.1", 2)]);
    assert_eq!(master.settings.renames["config"].as_ref(), "x");
    assert_eq!(master.settings.reboot_down_after, Millis(7));
    assert_eq!((master.leader_epoch, master.voters[0].as_ref()), (Epoch(11), ID));
}

#[test]
fn wrong_sentinel_lines_are_refused_in_stocks_words() {
    let unrecognized = "Unrecognized sentinel configuration statement.";
    let no_master = "No such master with specified name.";
    let table = [
        ("foo", unrecognized),
        ("foo nomaster x", unrecognized),
        ("loglevel debug", unrecognized),
        ("config-epoch m", unrecognized),
        ("announce-ip a b", unrecognized),
        ("rename-command m A B C", unrecognized),
        ("down-after-milliseconds nomaster 0", no_master),
        ("notification-script nomaster /x", no_master),
        ("known-replica nomaster localhost 1", no_master),
        ("down-after-milliseconds m 0", "negative or zero time parameter."),
        ("failover-timeout m x", "negative or zero time parameter."),
        ("master-reboot-down-after-period m -1", "negative time parameter."),
        ("notification-script m /x", "Notification script seems non existing or non executable."),
        (
            "client-reconfig-script m /x",
            "Client reconfiguration script seems non existing or non executable.",
        ),
        ("monitor m 127.0.0.1 1 1", "Duplicate master name."),
        ("monitor m x 70000 0", "Quorum must be 1 or greater."),
        ("monitor x localhost 70000 1", "Invalid port number."),
        ("monitor x localhost 1 1", "Can't resolve instance hostname."),
        ("known-replica m 127.1 99999", "Invalid port number."),
        ("known-sentinel m localhost 1 abc", "Can't resolve instance hostname."),
        ("myid abc", "Malformed Sentinel id in myid option."),
        ("resolve-hostnames maybe", "Please specify yes or no for the resolve-hostnames option."),
        ("announce-hostnames maybe", "Please specify yes or no for the announce-hostnames option."),
        ("deny-scripts-reconfig x", "Please specify yes or no for the deny-scripts-reconfig options."),
    ];
    for (line, reason) in table {
        let text = format!("sentinel monitor m 127.0.0.1 1 1\nsentinel {line}\n");
        assert_eq!(refused(&text), (2, reason.to_owned()), "{line}");
    }
    for line in ["known-sentinel nomaster 127.1 1", "monitor q 127.1 x 1", "known-sentinel m 127.1 1 \"\""] {
        load_text(&format!("sentinel monitor m 127.0.0.1 1 1\nsentinel {line}\n")).unwrap();
    }
    let twice = |line: &str| refused(&format!("sentinel monitor m 127.0.0.1 1 1\n{line}\n{line}\n")).1;
    assert_eq!(twice("sentinel known-replica m 127.1 5"), "Duplicate hostname and port for replica.");
    assert_eq!(twice("sentinel known-sentinel m 127.1 5 a"), "Duplicate runid for sentinel.");
    let renamed = "Same command renamed multiple times with rename-command.";
    assert_eq!(twice("sentinel rename-command m a b"), renamed);
}

#[test]
fn wrong_generic_lines_are_refused_in_stocks_words() {
    let bad = "Bad directive or wrong number of arguments";
    let table = [
        ("foo \"abc\"d", "Unbalanced quotes in configuration line"),
        ("\"\" x", bad),
        ("nonsense 1", bad),
        ("include", bad),
        ("include a b", bad),
        ("loadmodule", bad),
        ("user", bad),
        ("rename-command A", bad),
        ("lua-replicate-commands yes no", bad),
        ("rename-command get x", "No such command in rename-command"),
        ("rename-command info sentinel", "Target command name already exists"),
        ("foo.bar", "Module config specified without value"),
        ("dir /nonexistent", "No such file or directory"),
        ("user bob on wrong x", "Error in user declaration 'wrong': Syntax error"),
        ("tls-auth-clients maybe", "argument(s) must be one of the following: no, yes, optional"),
        ("vigia.tls-check-hostname yes", bad),
        ("vigia.tls-check-hostnames maybe", "argument must be 'yes' or 'no'"),
        ("acl-pubsub-default x", "argument(s) must be one of the following: allchannels, resetchannels"),
        ("acllog-max-len -1", "argument must be between 0 and 9223372036854775807 inclusive"),
        ("requirepass \"a\\nb\"", "control characters are not allowed in values"),
    ];
    for (line, reason) in table {
        assert_eq!(refused(&format!("\n{line}")), (2, reason.to_owned()), "{line}");
    }
    let accepted = "lua-replicate-commands yes\ntls-port 0\naclfile \"\"\nslaveof no one\nsave 60 1\n\
                    list-max-ziplist-entries x\nrename-command PING PONGG\nloadmodule /x y\ndaemonize yes";
    let loaded = load_text(accepted).unwrap();
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    assert!(loaded.generic.raw.is_empty(), "{:?}", loaded.generic.raw);
    let user = "user a on nopass ~* &* +@all";
    let reason = "Error in user declaration 'a': Duplicate user found. A user can only be defined once in config files";
    assert_eq!(refused(&format!("{user}\n{user}")), (2, reason.to_owned()));
}

#[test]
fn only_directives_must_be_utf8() {
    let load_bytes =
        |text: &[u8]| load_first(&LoadInput { text, ..LoadInput::default() }, &mut Files::default());
    load_bytes(b"# caf\xe9\nport 1\n").unwrap();
    let error = load_bytes(b"requirepass caf\xe9").unwrap_err();
    assert_eq!(error.reason(), "words of directives must be UTF-8");
}

#[test]
fn generic_errors_come_first_and_lines_of_options_count_on() {
    let text = "sentinel foo\nsentinel monitor m 127.0.0.1 1 0\nsentinel myid x\nport x\n";
    let all = load(&LoadInput { text: text.as_bytes(), ..LoadInput::default() }, &mut Files::default())
        .unwrap_err();
    let lines: Vec<u32> = all
        .iter()
        .map(|error| match error {
            ConfigError::Line { line, .. } => *line,
            ConfigError::Other(_) => 0,
        })
        .collect();
    assert_eq!(lines, [4, 3, 2, 1]);

    let options: Vec<String> =
        ["--sentinel", "monitor", "m", "127.0.0.1", "6379", "0"].map(str::to_owned).into();
    let input = LoadInput { text: b"port 1\n", stdin: None, options: &options };
    assert_eq!(
        load_first(&input, &mut Files::default()).unwrap_err().to_string(),
        "Reading the configuration file, at line 3\n\
         >>> 'sentinel \"monitor\" \"m\" \"127.0.0.1\" \"6379\" \"0\"'\nQuorum must be 1 or greater."
    );
    let options = ["--port".to_owned(), "7".to_owned()];
    let input = LoadInput { text: b"port 5", stdin: Some(b"port 6\ntimeout 3"), options: &options };
    let generic = load(&input, &mut Files::default()).unwrap().generic;
    assert_eq!((generic.port, generic.timeout), (7, 3));
}

#[test]
fn includes_are_read_in_place_and_end() {
    let mut files = Files(vec![
        ("a.conf", "port 7\nsentinel monitor m 127.0.0.1 1 1\nsentinel known-replica m 127.0.0.1 2"),
        ("loop.conf", "\ninclude loop.conf\n"),
        ("port.conf", "port 7"),
        ("renames.conf", "rename-command info i\nsentinel monitor m 127.0.0.1 1 1"),
    ]);
    let mut load_text =
        |text: &str| load_first(&LoadInput { text: text.as_bytes(), ..LoadInput::default() }, &mut files);
    assert_eq!(load_text("include a.conf\ninclude none/*").unwrap().generic.port, 7);
    let missing = "Fatal error, can't open config file 'x': No such file or directory";
    assert_eq!(load_text("include x").unwrap_err(), ConfigError::Other(missing.into()));
    assert!(load_text("include loop.conf").unwrap_err().reason().contains("nested"));

    // With what is copied from them, stock must not read them again.
    let mut copied = |text: &str| load_text(text).unwrap().generic.copied_includes;
    assert_eq!(copied("include a.conf"), ["a.conf"]);
    assert_eq!(copied("vigia.include a.conf"), ["a.conf"]);
    assert_eq!(copied("include none/*\ninclude port.conf\ninclude renames.conf"), [""; 0]);

    // What a rewrite appended to the file itself wins over the included copy.
    let copy = "include a.conf\nsentinel monitor m 127.0.0.1 9 2\nsentinel known-replica m 127.0.0.1 2\n";
    let loaded = load_text(copy).unwrap();
    assert_eq!(loaded.state.masters[0].addr.port, 9);
    assert_eq!(loaded.warnings.len(), 1);
}

/// A line that depends on a wrong one is checked for itself; only what is wrong with it is told.
#[test]
fn a_wrong_monitor_line_does_not_make_the_lines_of_its_master_wrong() {
    let text = "sentinel monitor m nohost.invalid 1 1\nsentinel auth-pass m x\nsentinel down-after-milliseconds m 0\n\
                sentinel auth-pass other x\nsentinel monitor n 127.0.0.1 1 1\nsentinel monitor n 127.0.0.1 1 0\n";
    let errors = load(&LoadInput { text: text.as_bytes(), ..LoadInput::default() }, &mut Files::default())
        .unwrap_err();
    let reasons: Vec<&str> = errors.iter().map(ConfigError::reason).collect();
    assert_eq!(
        reasons,
        [
            "Can't resolve instance hostname.",
            "Quorum must be 1 or greater.",
            "negative or zero time parameter.",
            "No such master with specified name."
        ]
    );
    let many = "nonsense\n".repeat(MAX_ERRORS * 2);
    let errors = load(&LoadInput { text: many.as_bytes(), ..LoadInput::default() }, &mut Files::default())
        .unwrap_err();
    assert_eq!(errors.len(), MAX_ERRORS);
}

#[test]
fn large_times_do_not_wrap_around() {
    let loaded = load_text(
        "sentinel monitor m 127.0.0.1 1 1\nsentinel down-after-milliseconds m 3000000000\n\
         sentinel parallel-syncs m -3\nsentinel announce-port 70000\nsentinel announce-ip \"\"",
    )
    .unwrap();
    assert_eq!(loaded.state.masters[0].settings.down_after, Millis(3_000_000_000));
    assert_eq!(loaded.state.masters[0].settings.parallel_syncs, 0);
    assert_eq!(loaded.state.globals.announce_port, None);
    assert_eq!(loaded.state.globals.announce_ip, None);
    assert_eq!(loaded.warnings.len(), 1);
}

#[test]
fn the_words_of_users_are_kept_in_the_order_of_the_file() {
    let generic = load_text("user b on \"~a'\"\nrequirepass pw\nUSER a\naclfile /x\n").unwrap().generic;
    let words: Vec<_> = generic.users.iter().map(|user| (&*user.name, user.rules.join(" "))).collect();
    assert_eq!(words, [("b", "on ~a'".to_owned()), ("a", String::new())]);
    assert_eq!(generic.raw["aclfile"], [["/x"]]);
}

#[test]
fn the_copy_of_an_included_user_wins_over_the_included_line() {
    let included = Files(vec![("users.conf", "user a on\nuser b on\n")]);
    for text in ["include users.conf\nuser a off\n", "user a off\ninclude users.conf\n"] {
        let mut files = included.clone();
        let input = LoadInput { text: text.as_bytes(), ..LoadInput::default() };
        let loaded = load(&input, &mut files).unwrap();
        let mut words: Vec<_> = loaded
            .generic
            .users
            .iter()
            .map(|user| format!("{} {}", user.name, user.rules.join(" ")))
            .collect();
        words.sort();
        assert_eq!(words, ["a off", "b on"], "{text}");
        assert_eq!(loaded.warnings, ["user a: the included line is ignored"]);
    }
}

fn lines() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("sentinel".to_owned()),
        Just("monitor".to_owned()),
        Just("m".to_owned()),
        Just("127.0.0.1".to_owned()),
        Just("include".to_owned()),
        Just("user".to_owned()),
        Just("client-output-buffer-limit".to_owned()),
        proptest::sample::select(directives::TABLE).prop_map(|row| row.name.to_owned()),
        "[ -~]{0,6}",
    ];
    proptest::collection::vec(proptest::collection::vec(word, 0..6), 0..8)
        .prop_map(|lines| lines.iter().map(|line| line.join(" ")).collect::<Vec<_>>().join("\n"))
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in lines()) {
        for text in [&bytes[..], text.as_bytes()] {
            let input = LoadInput { text, stdin: Some(&bytes), options: &[] };
            let loaded = load(&input, &mut Files::default());
            prop_assert!(loaded.err().is_none_or(|errors| (1..=MAX_ERRORS).contains(&errors.len())));
        }
    }
}
