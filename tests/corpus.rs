//! Every input that the fuzzer ever found worth keeping, again: no panic, no memory out of proportion, no answer that
//! depends on how the bytes arrived.
//!
//! `./compat/run fuzz` looks for new ones; what it finds is added to `tests/fuzz/corpus`.

#[path = "corpus/targets.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use peak_alloc::PeakAlloc;
use targets::Target;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Memory that one input may cost at its peak: this, and so much for each of its bytes. A configuration builds the
/// table of all directives and both the old and the new text; one line of two letters is a list of its own.
const MEMORY_PER_INPUT: usize = 1 << 20;
const MEMORY_PER_BYTE: usize = 4_096;

/// A parser whose work grows with the square of the input needs hours for the large inputs below.
const PATIENCE: Duration = Duration::from_secs(120);

/// One test, so that nobody else allocates meanwhile.
#[test]
fn every_kept_input_is_read_within_bounds() {
    let mut kept = Vec::new();
    for (name, target) in targets::ALL {
        let files = corpus(name);
        assert!(files.len() >= 10, "{name}: {} inputs are kept", files.len());
        kept.extend(files.into_iter().map(|file| (fs::read(&file).expect("an input"), file, target)));
    }
    for (data, file, target) in &kept {
        eprintln!("{}", file.display());
        bounded(*target, data);
    }
    let glutton = |_: &[u8]| drop(std::hint::black_box(vec![1_u8; 2 * MEMORY_PER_INPUT]));
    assert!(std::panic::catch_unwind(|| bounded(glutton, b"x")).is_err(), "the bound can be exceeded");
    for (name, target, data) in large() {
        eprintln!("large: {name}, {} bytes", data.len());
        in_time(name, move || bounded(target, &data));
    }
    println!("{} kept inputs", kept.len());
}

fn bounded(target: Target, data: &[u8]) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    target(data);
    let grew = MEMORY.peak_usage().saturating_sub(before);
    let allowed = MEMORY_PER_INPUT + MEMORY_PER_BYTE * data.len();
    assert!(grew <= allowed, "{grew} bytes of memory for {} bytes of input", data.len());
}

/// Kept inputs of a target, in a fixed order.
fn corpus(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn in_time(name: &str, work: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    match wait.recv_timeout(PATIENCE) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{name}: not read in {PATIENCE:?}"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => worker.join().expect("no panic"),
    }
}

/// A name, who reads it, and what it is.
type Large = (&'static str, Target, Vec<u8>);

/// Inputs that are large in one way each: quadratic work shows.
fn large() -> Vec<Large> {
    let many = |line: &dyn Fn(usize) -> String, count: usize| -> Vec<u8> {
        (0..count).flat_map(|at| line(at).into_bytes()).collect()
    };
    let cut = |bytes: Vec<u8>| [vec![1], bytes].concat();
    let masters = |at: usize| {
        format!(
            "sentinel monitor m{at} 10.0.{}.{} 6379 2\nsentinel known-replica m{at} 10.1.0.1 {}\n",
            at / 250,
            at % 250,
            1 + at
        )
    };
    let replicas = |at: usize| format!("sentinel known-replica m 10.2.{}.{} 6379\n", at / 250, at % 250);
    let sentinels = |at: usize| format!("sentinel known-sentinel m 10.3.0.1 {} {:040x}\n", 1 + at, at);
    let one = b"sentinel monitor m 10.0.0.1 6379 2\n".to_vec();
    let slaves =
        |at: usize| format!("slave{at}:ip=10.0.0.1,port={},state=online,offset=1,lag=0\r\n", at % 65_535);
    vec![
        (
            "a request of many words",
            targets::request,
            cut([b"*200000\r\n".to_vec(), many(&|_| "$1\r\na\r\n".to_owned(), 200_000)].concat()),
        ),
        (
            "one word, byte by byte",
            targets::request,
            cut([b"*1\r\n$4000000\r\n".to_vec(), vec![b'x'; 4_000_000]].concat()),
        ),
        ("a header without an end", targets::request, cut([b"*".to_vec(), vec![b'1'; 60_000]].concat())),
        ("a line without an end", targets::request, cut(vec![b'x'; 70_000])),
        ("deep nesting", targets::reply, cut(b"*1\r\n".repeat(200_000))),
        (
            "a reply of many elements",
            targets::reply,
            cut([b"*200000\r\n".to_vec(), b":1\r\n".repeat(200_000)].concat()),
        ),
        (
            "replicas in INFO",
            targets::info_text,
            [b"# Replication\r\nrole:master\r\n".to_vec(), many(&slaves, 200_000)].concat(),
        ),
        ("hello of commas", targets::hello_payload, b",".repeat(1_000_000)),
        ("masters in the configuration", targets::conf_file, many(&masters, 10_000)),
        (
            "replicas in the configuration",
            targets::conf_file,
            [one.clone(), many(&replicas, 10_000)].concat(),
        ),
        ("sentinels in the configuration", targets::conf_file, [one, many(&sentinels, 900)].concat()),
        (
            "one long line of words",
            targets::conf_file,
            b"bind ".iter().copied().chain(b"a ".repeat(500_000)).collect(),
        ),
        ("stars", targets::glob_pattern, [b"*a".repeat(2_000), vec![0], b"a".repeat(4_000)].concat()),
        ("classes", targets::glob_pattern, [b"*[a".repeat(2_000), vec![0], b"a".repeat(4_000)].concat()),
    ]
}
