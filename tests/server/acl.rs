//! Users: what they may do, how they are logged, and what is left of them after a restart.

use std::fs;
use std::path::PathBuf;

use crate::support::resp::{Client, Value};
use crate::support::sentinel::{Program, Sentinel};
use crate::support::wait::{PATIENCE, wait_until};

for_each_program! {
    users_do_what_their_rules_allow,
    denials_are_logged_and_counted,
    a_subscriber_goes_when_its_channel_is_taken_away,
    a_deleted_user_goes_and_the_one_who_deletes_itself_is_answered,
    a_user_that_is_turned_off_stays_but_does_not_come_back,
    a_default_user_with_a_password_stops_newcomers_only,
    users_are_in_the_file_after_the_next_flush,
    an_acl_file_is_loaded_as_a_whole_or_not_at_all,
    an_acl_file_is_saved_and_read_again,
    generated_passwords_have_the_length_asked_for_and_never_repeat,
}

/// Nobody listens there: port 1 of the loopback.
const CONFIG: &str = "bind 127.0.0.1\nloglevel warning\nsentinel monitor m 127.0.0.1 1 2\n";

/// A connection on which `words` are sent one by one.
struct Session(Client);

impl Session {
    fn open(sentinel: &Sentinel) -> Session {
        Session(Client::connect(&sentinel.address()).expect("connect"))
    }

    fn of(sentinel: &Sentinel, user: &str, password: &str) -> Session {
        let mut session = Session::open(sentinel);
        assert_eq!(session.ask(&["AUTH", user, password]), "OK", "{user}");
        session
    }

    fn reply(&mut self, words: &[&str]) -> Value {
        self.0.command(words).expect("a reply")
    }

    fn ask(&mut self, words: &[&str]) -> String {
        self.reply(words).text()
    }

    fn set_user(&mut self, words: &str) {
        let words: Vec<_> = ["ACL", "SETUSER"].into_iter().chain(words.split(' ')).collect();
        assert_eq!(self.ask(&words), "OK", "{words:?}");
    }

    /// Waits until the server has closed it.
    fn is_ended(&mut self) {
        self.0.read().expect_err("the server ends the connection");
    }
}

/// Everybody, without the flag that redis-sentinel 7.0 shows or not as it pleases.
fn list(sentinel: &Sentinel) -> Vec<String> {
    let users = sentinel.ask(&["ACL", "LIST"]).expect("ACL LIST");
    users.items().iter().map(|line| line.text().replace(" sanitize-payload", "")).collect()
}

fn users_do_what_their_rules_allow(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let mut admin = Session::open(&sentinel);
    admin.set_user(
        "app on >pw +sentinel|get-master-addr-by-name +subscribe +psubscribe +publish +ping|hi &+switch-*",
    );
    let mut app = Session::of(&sentinel, "app", "pw");
    let address = app.reply(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "m"]);
    assert_eq!(address.items().iter().map(Value::text).collect::<Vec<_>>(), ["127.0.0.1", "1"]);
    assert_eq!(app.ask(&["PING", "HI"]), "HI");
    let denied = [
        &["PING"][..],
        &["SENTINEL", "MASTERS"],
        &["SENTINEL", "SET", "m", "quorum", "x"],
        &["ACL", "WHOAMI"],
        &["SHUTDOWN", "NONSENSE"],
        &["SUBSCRIBE", "+switch-master", "+sdown"],
        &["PSUBSCRIBE", "*"],
        &["PUBLISH", "__sentinel__:hello", "x"],
    ];
    for words in denied {
        let refused = app.ask(words);
        assert!(refused.starts_with("NOPERM "), "{words:?}: {refused}");
    }
    // More rights hold at once, on the same connection.
    admin.set_user("app +@all -@dangerous +client|list &*");
    assert_eq!(app.ask(&["ACL", "WHOAMI"]), "app");
    assert!(app.ask(&["CLIENT", "LIST"]).contains("user=app"));
    assert!(app.ask(&["CLIENT", "KILL", "ID", "1"]).starts_with("NOPERM "));
    let hello = app.reply(&["PUBLISH", "__sentinel__:hello", "x"]);
    assert_eq!(hello.text(), "1");
    assert_eq!(app.reply(&["SUBSCRIBE", "+sdown"]).items()[0].text(), "subscribe");
}

fn denials_are_logged_and_counted(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let mut admin = Session::open(&sentinel);
    admin.set_user("app on >pw +publish");
    let mut app = Session::open(&sentinel);
    for _ in 0..3 {
        assert!(app.ask(&["AUTH", "app", "wrong"]).starts_with("WRONGPASS "));
    }
    assert_eq!(app.ask(&["AUTH", "app", "pw"]), "OK");
    assert!(app.ask(&["ROLE"]).starts_with("NOPERM "));
    assert!(app.ask(&["PUBLISH", "ch", "x"]).starts_with("NOPERM "));
    let log = admin.reply(&["ACL", "LOG"]);
    let shown: Vec<_> = log
        .items()
        .iter()
        .map(|entry| {
            let field = |name: &str| entry.field(name).expect("the field");
            assert!(field("client-info").contains("addr=127.0.0.1:"), "{entry:?}");
            format!(
                "{} {} {} {} {}",
                field("count"),
                field("reason"),
                field("context"),
                field("object"),
                field("username")
            )
        })
        .collect();
    assert_eq!(
        shown,
        ["1 channel toplevel ch app", "1 command toplevel role app", "3 auth toplevel AUTH app"]
    );
    if program == Program::Vigia {
        let info = admin.ask(&["INFO", "stats"]);
        for line in ["denied_auth:3\r\n", "denied_cmd:1\r\n", "denied_key:0\r\n", "denied_channel:1\r\n"] {
            assert!(info.contains(&format!("acl_access_{line}")), "{line} {info}");
        }
    }
    assert_eq!(admin.ask(&["ACL", "LOG", "RESET"]), "OK");
    assert_eq!(admin.reply(&["ACL", "LOG"]), Value::Array(vec![]));
}

fn a_subscriber_goes_when_its_channel_is_taken_away(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let mut admin = Session::open(&sentinel);
    admin.set_user("app on >pw +@all &*");
    let subscriber = |words: &[&str]| {
        let mut session = Session::of(&sentinel, "app", "pw");
        assert_eq!(session.reply(words).items()[1].text(), words[1]);
        session
    };
    let mut stays = [subscriber(&["SUBSCRIBE", "+sdown"]), subscriber(&["PSUBSCRIBE", "+s*"])];
    let mut goes = [
        subscriber(&["SUBSCRIBE", "-sdown"]),
        subscriber(&["PSUBSCRIBE", "*"]),
        subscriber(&["PSUBSCRIBE", "+sd*"]),
    ];
    let mut idle = Session::of(&sentinel, "app", "pw");
    admin.set_user("app resetchannels &+s* -ping");
    goes.iter_mut().for_each(Session::is_ended);
    for session in &mut stays {
        // Subscribed clients hear of PING that they may not use it.
        assert!(session.ask(&["PING"]).starts_with("NOPERM "));
    }
    assert_eq!(idle.ask(&["ACL", "WHOAMI"]), "app");
}

fn a_deleted_user_goes_and_the_one_who_deletes_itself_is_answered(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let mut admin = Session::open(&sentinel);
    admin.set_user("app on >pw +@all");
    let mut app = Session::of(&sentinel, "app", "pw");
    let mut other = Session::of(&sentinel, "app", "pw");
    assert_eq!(app.ask(&["ACL", "DELUSER", "app", "nobody"]), "1");
    app.is_ended();
    other.is_ended();
    assert_eq!(admin.ask(&["ACL", "USERS"]), Value::Array(vec![Value::Bulk("default".into())]).text());
    assert_eq!(admin.ask(&["ACL", "DELUSER", "default"]), "ERR The 'default' user cannot be removed");
    admin.set_user("app on >pw +@all");
    let mut again = Session::of(&sentinel, "app", "pw");
    assert_eq!(admin.ask(&["CLIENT", "KILL", "USER", "app"]), "1");
    again.is_ended();
}

fn a_user_that_is_turned_off_stays_but_does_not_come_back(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let mut admin = Session::open(&sentinel);
    admin.set_user("app on >pw +@all");
    let mut app = Session::of(&sentinel, "app", "pw");
    admin.set_user("app off");
    assert_eq!(app.ask(&["ACL", "WHOAMI"]), "app");
    assert!(app.ask(&["AUTH", "app", "pw"]).starts_with("WRONGPASS "));
    assert_eq!(app.ask(&["ACL", "WHOAMI"]), "app");
}

fn a_default_user_with_a_password_stops_newcomers_only(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let mut early = Session::open(&sentinel);
    early.set_user("default >pw");
    assert_eq!(early.ask(&["PING"]), "PONG");
    let mut late = Session::open(&sentinel);
    assert_eq!(late.ask(&["PING"]), "NOAUTH Authentication required.");
    assert_eq!(late.ask(&["AUTH", "pw"]), "OK");
    early.set_user("default off");
    assert_eq!(late.ask(&["PING"]), "PONG");
    let mut locked_out = Session::open(&sentinel);
    assert_eq!(locked_out.ask(&["PING"]), "NOAUTH Authentication required.");
    assert!(locked_out.ask(&["AUTH", "pw"]).starts_with("WRONGPASS "));
    early.set_user("default on nopass");
    assert_eq!(locked_out.ask(&["PING"]), "PONG");
}

/// Stock reads what Vigía wrote, and the other way round.
fn users_are_in_the_file_after_the_next_flush(program: Program) {
    let mut sentinel = Sentinel::start(program, &format!("{CONFIG}user old on >pw +ping\n"));
    let mut admin = Session::open(&sentinel);
    admin.set_user("app on >pw ~k* %R~r* &+switch-* +@all -@dangerous +sentinel|masters (+ping ~x &y)");
    admin.set_user("old off resetpass");
    admin.set_user("default -role");
    assert!(!sentinel.config().contains("user app"), "SETUSER writes nothing");
    assert_eq!(admin.ask(&["SENTINEL", "FLUSHCONFIG"]), "OK");
    let lines = |text: &str| -> Vec<String> {
        let mut lines: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("user "))
            .map(|line| line.replace(" sanitize-payload", ""))
            .collect();
        lines.sort();
        lines
    };
    let before = list(&sentinel);
    assert_eq!(lines(&sentinel.config()), before);
    assert_eq!(before.len(), 3);
    admin.set_user("late on");
    sentinel.kill();
    sentinel.restart();
    assert_eq!(list(&sentinel), before, "what no flush came after is gone");
    let mut app = Session::of(&sentinel, "app", "pw");
    assert_eq!(app.reply(&["SENTINEL", "MASTERS"]).items().len(), 1);
    assert!(app.ask(&["ROLE"]).starts_with("NOPERM "));
    let other = if program == Program::Vigia { Program::Stock } else { Program::Vigia };
    sentinel.replace_by(other);
    let mut app = Session::of(&sentinel, "app", "pw");
    assert_eq!(app.reply(&["SENTINEL", "MASTERS"]).items().len(), 1);
    assert!(app.ask(&["ROLE"]).starts_with("NOPERM "));
    let mut old = Session::open(&sentinel);
    assert!(old.ask(&["AUTH", "old", "pw"]).starts_with("WRONGPASS "));
    assert!(old.ask(&["ROLE"]).starts_with("NOPERM "), "the default user lost it");
}

/// A sentinel with an ACL file of this text; a folder that goes with it.
fn with_acl_file(program: Program, text: &str) -> (Sentinel, tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("users.acl");
    fs::write(&path, text).expect("ACL file");
    let sentinel = Sentinel::start(program, &format!("{CONFIG}aclfile {}\n", path.display()));
    (sentinel, folder, path)
}

fn an_acl_file_is_loaded_as_a_whole_or_not_at_all(program: Program) {
    let text = "user app on >pw +@all &*\nuser gone on >pw +@all &*\n";
    let (sentinel, _folder, path) = with_acl_file(program, text);
    let mut admin = Session::open(&sentinel);
    let mut gone = Session::of(&sentinel, "gone", "pw");
    let before = list(&sentinel);
    fs::write(&path, "user app off\nuser x on +nosuch foo\nnonsense\nuser app on\n").expect("ACL file");
    let file = path.display();
    assert_eq!(
        admin.ask(&["ACL", "LOAD"]),
        format!(
            "ERR {file}:2: Error in applying operation '+nosuch': Unknown command or category name in ACL. {file}:2: Syntax \
             error. {file}:3 should start with user keyword followed by the username. WARNING: Duplicate user 'app' found on \
             line 4. WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
        )
    );
    assert_eq!(list(&sentinel), before);
    assert_eq!(gone.ask(&["PING"]), "PONG");

    fs::write(&path, "user app on >pw +@all &*\nuser new on nopass +ping\n").expect("ACL file");
    assert_eq!(admin.ask(&["ACL", "LOAD"]), "OK");
    gone.is_ended();
    assert_eq!(admin.ask(&["ACL", "WHOAMI"]), "default");
    let mut new = Session::of(&sentinel, "new", "anything");
    assert_eq!(new.ask(&["PING"]), "PONG");
    fs::remove_file(&path).expect("remove");
    let missing = format!("ERR Error loading ACLs, opening file '{file}': No such file or directory");
    assert_eq!(admin.ask(&["ACL", "LOAD"]), missing);
}

fn an_acl_file_is_saved_and_read_again(program: Program) {
    let (mut sentinel, folder, path) = with_acl_file(program, "user app on >pw\n");
    let mut admin = Session::open(&sentinel);
    admin.set_user("app +sentinel|masters (~x +role)");
    admin.set_user("two on nopass &a");
    let before = list(&sentinel);
    assert_eq!(admin.ask(&["ACL", "SAVE"]), "OK");
    let saved = fs::read_to_string(&path).expect("ACL file").replace(" sanitize-payload", "");
    assert_eq!(saved, before.join("\n") + "\n");
    assert_eq!(admin.ask(&["SENTINEL", "FLUSHCONFIG"]), "OK");
    assert!(!sentinel.config().contains("\nuser "), "users belong into one file: {}", sentinel.config());
    sentinel.restart();
    assert_eq!(list(&sentinel), before);
    // A folder in its place: nothing is lost, and nothing is left behind.
    fs::remove_file(&path).expect("remove");
    fs::create_dir(&path).expect("folder");
    let mut admin = Session::open(&sentinel);
    assert_eq!(
        admin.ask(&["ACL", "SAVE"]),
        "ERR There was an error trying to save the ACLs. Please check the server logs for more information"
    );
    assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 1);
    let log = "Renaming ACL file for ACL SAVE: Is a directory";
    wait_until("the log tells why", PATIENCE, || sentinel.process().log_text().contains(log));
}

fn generated_passwords_have_the_length_asked_for_and_never_repeat(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let mut admin = Session::open(&sentinel);
    for (bits, digits) in [("1", 1), ("4", 1), ("5", 2), ("256", 64), ("4096", 1024)] {
        let password = admin.ask(&["ACL", "GENPASS", bits]);
        assert!(password.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')), "{password}");
        assert_eq!(password.len(), digits, "{bits} bits");
    }
    let (one, two) = (admin.ask(&["ACL", "GENPASS"]), admin.ask(&["ACL", "GENPASS"]));
    assert!(one.len() == 64 && two.len() == 64 && one != two, "{one} {two}");
}

/// Users that redis-sentinel itself could not read again, or not as they were.
const ODD: [&[&str]; 5] = [
    &["a\"b", "on", ">pw", "~a\"b", "&'x", "+ping"],
    &["", "on", ">pw", "+role"],
    &["ü", "on", "~ü*", ">pw", "+ping|\"x"],
    &["r", "%RW~*", "~a", "on", ">pw"],
    &["s", "on", ">pw", "(\"~a\\\"b\" ~c) +ping)", "(+publish", "&d)", "(\"&e)\")"],
];

/// After changes at Vigía the original starts from the file, whatever was in them.
#[test]
fn stock_starts_from_the_file_with_odd_users() {
    let mut sentinel = Sentinel::start(Program::Vigia, CONFIG);
    let mut admin = Session::open(&sentinel);
    for words in ODD {
        let words: Vec<_> = ["ACL", "SETUSER"].iter().chain(words).copied().collect();
        assert_eq!(admin.ask(&words), "OK", "{words:?}");
    }
    for (name, rules, text) in [
        ("x\ny", &[][..], "ERR Usernames can't contain spaces or null characters"),
        ("x", &["~a\u{1}"], "ERR Error in ACL SETUSER modifier '~a\u{1}': Syntax error"),
        ("x", &["on", "+ping|a b"], "ERR Error in ACL SETUSER modifier '+ping|a b': Syntax error"),
    ] {
        let words: Vec<_> = ["ACL", "SETUSER", name].iter().chain(rules).copied().collect();
        assert_eq!(admin.ask(&words), text);
    }
    assert_eq!(admin.ask(&["SENTINEL", "SET", "m", "quorum", "1"]), "OK");
    stock_sees_the_same(&mut sentinel, &mut admin);
}

#[test]
fn stock_starts_from_the_acl_file_with_odd_users() {
    let (mut sentinel, _folder, _path) = with_acl_file(Program::Vigia, "");
    let mut admin = Session::open(&sentinel);
    for words in ODD {
        let words: Vec<_> = ["ACL", "SETUSER"].iter().chain(words).copied().collect();
        assert_eq!(admin.ask(&words), "OK", "{words:?}");
    }
    assert_eq!(admin.ask(&["ACL", "SAVE"]), "OK");
    stock_sees_the_same(&mut sentinel, &mut admin);
}

/// Goes on as the original, and compares all users field by field, but for what 7.0 shows in another way.
fn stock_sees_the_same(sentinel: &mut Sentinel, admin: &mut Session) {
    let names: Vec<String> = admin.reply(&["ACL", "USERS"]).items().iter().map(Value::text).collect();
    let all = |admin: &mut Session| -> Vec<String> {
        let shown = names.iter().map(|name| format!("{:?}", admin.reply(&["ACL", "GETUSER", name])));
        shown.map(|text| text.replace(", Bulk(\"sanitize-payload\")", "").replace("%RW~*", "~*")).collect()
    };
    let before = all(admin);
    sentinel.replace_by(Program::Stock);
    let mut at_stock = Session::open(sentinel);
    assert_eq!(at_stock.reply(&["ACL", "USERS"]).items().len(), names.len());
    assert_eq!(all(&mut at_stock), before);
    for name in names.iter().filter(|name| *name != "default") {
        Session::of(sentinel, name, "pw");
    }
}
