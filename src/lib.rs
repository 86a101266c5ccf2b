//! Vigía: a drop-in replacement for Redis Sentinel. This page tells a newcomer the whole.
//!
//! # Bird's-eye view
//!
//! ```text
//!   data nodes            other sentinels              clients
//!       |  links (runtime::link)  |            sockets | (runtime::server)
//!       v                         v                    v
//!   +--------------------------------------+   +----------------+
//!   | runtime::driver: the one task that   |<--| Command        |   reads that need no
//!   | owns the Engine                      |-->| Answer         |   engine come from the
//!   |   Input -> Engine::handle -> Output  |   +----------------+   published views
//!   +--------------------------------------+            ^           (DashMap by name)
//!       |          |            |                       |
//!       v          v            v                       |
//!     Save      Event        View ---------------------+
//!   (runtime::  (log, pub/sub)
//!    save)
//! ```
//!
//! - [`engine`] decides everything and does nothing: state, a schedule of deadlines, and one method,
//!   [`engine::Engine::handle`]: one [`engine::Input`] in, all [`engine::Output`]s out, in order.
//! - [`wire`] turns RESP bytes into typed commands and replies, and back.
//! - [`conf`] turns the text of `sentinel.conf` into settings and state, and back.
//! - [`acl`] knows users: rules to rights and back, and whether a command may run. The words of `user` lines
//!   are `conf`'s; `runtime::acl` puts the two together, and the thread that saves the configuration asks it
//!   for the lines of the moment.
//! - [`runtime`] owns sockets, files, clocks, names and processes. It performs outputs and reports what
//!   happened; no `if` in it looks at the state of the protocol.
//! - [`product`]: as which program the process presents itself, by the name it was started under. A leaf that
//!   all may use.
//! - [`cli`], [`demo`]: the command line and a local group to play with.
//!
//! Imports flow one way: `engine` <- `wire`, `conf` <- `acl` <- `runtime` <- `cli`, `demo`. `conf` knows
//! neither `wire` nor `acl`, nor they `conf`. `tests/tidy.rs` enforces it.
//!
//! # Life of a failover
//!
//! 1. `engine::beat` sends PING; nothing acceptable comes back. `engine::down` makes the node SDOWN when
//!    it is silent for D, asks the other sentinels, and makes the master ODOWN by quorum.
//! 2. `engine::election` waits for this sentinel's rank, mints an epoch, votes for itself
//!    (`engine::vote`), and asks for votes once that is on disk (`engine::persist`).
//! 3. `engine::failover` reads the replicas, chooses one (`engine::select`), promotes it, and verifies
//!    it by INFO (`engine::observe`).
//! 4. The new configuration is saved, then announced: hellos (`engine::beat`, `engine::gossip`), the
//!    view, `+switch-master`.
//! 5. `engine::reconf` points the other replicas and the old master at the new one.
//!
//! # Invariants
//!
//! | | rule | where it is kept | how it is shown |
//! |---|---|---|---|
//! | S1 | per master, one vote per epoch, across crashes and failed writes | `engine::vote`, `engine::persist` | oracle `one_vote` |
//! | S2 | one leader per master and epoch: a majority of the largest known voter set, and (but for `SENTINEL FAILOVER`) the quorum | `engine::election` | oracle `one_leader` |
//! | S3 | epochs never fall, on disk or on the wire | `engine::vote`, `engine::registry` | oracle `rising_epochs` |
//! | S4 | no automatic failover without SDOWN here, ODOWN by quorum and S2 | `engine::failover::must_stand_down` | oracle `agreement`, stories `agreement` |
//! | S5 | no ineligible promotion | `engine::select` | oracle `eligible`, table test there |
//! | S6 | a node is reconfigured only toward a configuration that is not older | `engine::reconf` | oracle `newer_wins` |
//! | S7 | durable before visible | `engine::persist` | oracle `visible_is_durable`, `tests/server` under strace |
//! | S8 | one configuration per epoch, forced failovers included | `engine::election`, `engine::gossip` | oracle `one_config` |
//! | S9 | a leader's term ends; one failure, one promotion | `engine::failover`, `engine::election` | oracle `one_promotion` |
//! | S10 | RESET and restarts do not shrink majorities; FORGET and RESET … FORCE do | `engine::admin`, `engine::gossip`, `engine::forget` | oracle `voter_set`, stories `operators`, `forget` |
//! | L1-L3 | faults stop: one master, all follow it, no stuck state | everywhere | oracles `converged`, `retired_follow`, `no_stuck_state` |
//! | | wake-ups make progress | `Engine::run_due` | oracle `progress` |
//!
//! The oracles live in `tests/world/oracles`; they watch every step of groups that run on virtual time
//! with seeded faults: `tests/stories`, and `tests/sim` with everything at once.
//!
//! # Beside stock sentinels
//!
//! In a group with stock sentinels S2, S8 and S9 cannot be kept on every path: a stock candidate counts votes of
//! its current epoch while it acts under an older one, a manual failover of stock asks nobody, and a stock leader
//! has no term but failover-timeout. What can be done is done: a Vigía leaves every epoch in which a stock peer
//! votes for itself to that peer, and before it promotes it reads `SENTINEL MASTER` of each stock peer (for three
//! round trips at most) and stands down for one that is past its election, or that needs none. The stories
//! `beside_stock` show each case twice:
//!
//! | | the stock sentinel is in sight of the Vigía that leads | it is not |
//! |---|---|---|
//! | S2 | kept: `s2_the_epoch_of_a_stock_candidate_in_sight_is_left_to_it` | two may lead in one epoch, but the second adopts what the first promoted, if it sees it |
//! | S8 | kept: `s8_manual_failovers_here_and_at_a_stock_sentinel_in_sight_share_no_epoch` | two addresses under one epoch, ended by a fresh epoch for one of them |
//! | S9 | kept, at the price of stock's failover-timeout: `s9_a_stock_leader_in_sight_is_left_at_work_beyond_its_term` | a second node may be promoted; the newer configuration wins |
//!
//! All other properties hold, and in every case the group converges within 25 s of the end of the faults.
//!
//! Acknowledged writes can be lost by asynchronous replication whatever a sentinel does.
//!
//! # Durable before visible
//!
//! Every change of the durable state has a number ([`engine::Seq`]). What would reveal the change (the
//! answer to a vote request, a hello, a vote for oneself, a new configuration and its events, `+OK` to a
//! command) waits inside the engine until [`engine::Input::Persisted`] covers that number; everything
//! else leaves at once. One write is in flight at a time; what changes meanwhile shares the next
//! one. After [`engine::Input::PersistFailed`] (also given after 1 s without an answer) this sentinel goes
//! on monitoring and serving, adopts what its peers have made durable, shows its last durable vote, and
//! neither votes nor leads until a later write succeeds.
//!
//! # Host names
//!
//! Instances keep the address that was configured or announced, be it an IP or a name. `engine::names` holds what
//! names stand for, as far as the resolver told; `engine::resolve` asks for lookups ([`engine::Output::Resolve`],
//! answered by [`engine::Input::Resolved`]), compares addresses by that table, and shows them by name or by IP;
//! `engine::places` finds nodes by any of their addresses and keeps one entry for one process. What
//! speaks of a name that was never looked up (a hello, a question, INFO) waits a moment for the first answer. While a
//! command connection stands, the IP that it goes to stays in force: that is where the process is.
//!
//! # Every timer of the engine
//!
//! [`engine::Wake`] names them; any other wait is a bug.
//!
//! | timer | length | reason |
//! |---|---|---|
//! | `Beat`, `PeerBeat`: PING | P = min(1 s, max(10 ms, D/10)) after the last one, one outstanding; P grows with the number of instances above 5,000 PINGs a second | to notice silence soon; P bounds how late a hang is noticed |
//! | `Beat`: INFO | 10 s; 1 s while a node's role, link or master is not what it should be, or its master is ODOWN or in failover | stock's pace; faster where something is awaited |
//! | `Beat`, `PeerBeat`: hello | 2 s | stock's pace; at once on a new link and after a switch |
//! | `Beat`, `PeerBeat`: hung link | PING unanswered for D/2 (15 s once SDOWN) | half-open TCP: a fresh link may live |
//! | `Beat`: deaf subscription | nothing heard for 6 s on a link older than 15 s | our own hello should be heard every 2 s |
//! | `Connect`, `PeerConnect` | at once after a loss, then min(1 s, D/10) ± 10 % | a restart within D must not be SDOWN; jitter against herds |
//! | `Connect`, `PeerConnect`: hanging attempt | the same, or three round trips; doubled up to 1 s while a round trip is unknown | SYNs that were dropped are sent again early |
//! | `Connect`, `PeerConnect`: hanging TLS handshake | 1 s from its begin, doubled for each attempt that hung, at most 8 s; 120 s while it waits for its turn here | the other side may have a thousand clients to shake hands with, and an attempt given up is paid for again |
//! | `Down`, `PeerDown` | silence of D, without our own stalls; role mismatch D + 20 s; reboot period | the definition of SDOWN |
//! | `Ask` | at once, then 5, 10, 20 ms … 1 s | ODOWN needs the others' view; its answers stay fresh for 5 s |
//! | `Candidacy`: rank | rank × max(20 ms, 3 round trips + 3 saves) after ODOWN | candidates do not collide |
//! | `Candidacy`: after a loss | 100–300 ms, doubling, at most 2 × failover-timeout; 11 s after three losses beside stock peers | a lost election is tried again, but not against somebody who is winning |
//! | `Candidacy`: nothing to win | 1 s | no epoch is minted without links to a majority or without an eligible replica |
//! | `Candidacy`: another's term | min(10 s, failover-timeout) after our vote for it | one failure, one promotion |
//! | `Candidacy`: alone | 4 s after the start, MONITOR or RESET | who knows nobody yet must hear hellos first (S10) |
//! | `Failover`: election | min(10 s, failover-timeout) | stock's election time-out |
//! | `Failover`: forced, no majority | 1 s | S8 |
//! | `Failover`: choice | 20 ms, three round trips to stock peers, at most 500 ms | fresh INFO and the entries of stock peers, where they come |
//! | `Failover`: promotion | look every 5 ms, until the term of min(10 s, failover-timeout) ends | verified as soon as it is true; S9 |
//! | `Reconf` | look every 50 ms for 2 s, then every 500 ms; 10 s per replica; failover-timeout in all | replicas are repointed in the background |
//! | `Names` | 10 s after the last lookup of a name, 10 ms more for each name | a name may move while nobody reconnects |
//! | `Names`: patience | 500 ms for a hello, a question or INFO with a new name, and for `+monitor`; 5 s for `MONITOR` | nothing can be said about an unknown name; a resolver may hang |
//! | `Connect`, `PeerConnect`: names | min(500 ms, D/10) for a fresh answer, then the last good one; 1 s after a failed one | a process may have moved; a resolver may hang |
//! | `Save` | 1 s | a failed write is tried again |
//! | `Tilt` | 30 s | how long TILT is shown |
//! | `Pulse` | a tenth of `tilt-trigger`, 200 ms | a stall is measured even where nothing else is due |
//! | `Scripts` | 60 s of one run; 30 s, 60 s, 2 min … before the next | stock's rules for notification and client-reconfiguration scripts |
//!
//! The lengths of `engine::tuning` are those without `SENTINEL DEBUG`, which changes them.
//!
//! Corrections of nodes that are astray have no timer of their own: they are judged at each INFO (every
//! second for such a node) and each hello. A wake-up that comes late by more than 10 ms is a stall of our
//! own: the time from the deadline on does not count as silence of others (`engine::stall`). After one of more
//! than 2 s nothing is judged for 2 s (at most D), since what is known may be out of date; `engine::tilt` has
//! that, and stock's faces of it. The clock is monotonic and counts while the machine sleeps.
//!
//! # Where to add …
//!
//! - **a command**: its row in `wire::command`'s table and its typed form there; if the state answers it, a
//!   variant of [`engine::Command`] and its arm in `engine::admin`; if not, `runtime::server`.
//! - **an event**: one line in the `kinds!` table of [`engine::event`]; emit it where it happens. Log,
//!   pub/sub and subscribers follow by themselves; `tests/stories/catalogue.rs` wants a story in which it comes.
//! - **a directive**: its row in `conf`'s table; a per-master one also in
//!   [`engine::settings::MasterSettings`] and in `conf`'s rewriting.
//! - **a deadline**: a variant of [`engine::Wake`], its arm in `Engine::run_due`, and a row above.
//!
//! # Where this differs from the design notes it began with
//!
//! Links use [`wire`] over tokio instead of the `redis` crate's connections: the end of a stream must be
//! seen at once, a failed AUTH must not fail the connection, and a link must be small. `redis` remains the
//! client of the demo and of the tests. The engine itself holds back what must wait for durability,
//! so the runtime may execute every output as it comes.
//!
//! Who wins the vote for a reasserted configuration (S8) promotes its node if that was made a replica meanwhile:
//! sentinels that did not see each other may have done so, and then nobody would be a master.
//!
//! TLS is OpenSSL's, not rustls': rustls takes no X.509 v1 certificates, which Redis' own recipe makes, and knows
//! neither OpenSSL's names of ciphers nor encrypted keys, DH parameters, TLSv1.0 or a folder of CAs. The original
//! uses OpenSSL, so with it every `tls-*` directive means here what it means there. The price is a C library on
//! the machine that builds and the one that runs. Whether certificates name hosts is asked by
//! `vigia.tls-check-hostnames`: stock starts with a directive that has a dot in its name, so the way back stays open.
//! For the same reason an `include` of masters, which a rewrite copies into the file, becomes `vigia.include`.
//!
//! `daemonize yes` starts the program a second time instead of forking (`runtime::start::daemon`): a fork is unsafe
//! once there are threads, and the first process can so wait until the second one serves.

pub mod acl;
pub mod cli;
pub mod conf;
pub mod demo;
pub mod engine;
pub mod product;
pub mod runtime;
pub mod wire;
