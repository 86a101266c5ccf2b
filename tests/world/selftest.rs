//! Tests of the world itself: it must behave as the programs and networks that it stands for.

use vigia::engine::{LinkId, Request, Span};

use super::net::{ConnId, Way};
use super::node::{ReplLink, Role};
use super::reply::Owned;
use super::{Options, Pid, World};

/// A master with two replicas, and a silent client.
fn world() -> (World, Pid) {
    let mut world = World::group(Options { sentinels: 0, stock: 1, ..Options::seed(1) });
    let client = world.stocks()[0];
    world.procs[client.0].life += 1; // its timer is none of ours
    (world, client)
}

fn open(world: &mut World, client: Pid, server: &str) -> ConnId {
    let addr = world.procs[world.pid(server).0].addr.clone();
    let conn = world.connect(client, LinkId(1), &addr);
    world.run_for(Span::ms(5));
    assert!(world.conn(conn).is_some_and(|conn| conn.up && conn.server_open));
    conn
}

const PROMOTION: [Request; 6] = [
    Request::Multi,
    Request::SlaveOfNoOne,
    Request::ConfigRewrite,
    Request::KillNormal,
    Request::KillPubsub,
    Request::Exec,
];

fn promote(world: &mut World, conn: ConnId) -> Vec<Owned> {
    for request in &PROMOTION {
        world.node_request(conn, request);
    }
    world.conn(conn).expect("it lives").replies_under_way()
}

fn queued(count: usize) -> Vec<Owned> {
    std::iter::once(Owned::ok()).chain((0..count).map(|_| Owned::Status("QUEUED".to_owned()))).collect()
}

#[test]
fn a_promotion_kills_every_client_but_its_own_connection() {
    let (mut world, client) = world();
    let (mine, other, hears) =
        (open(&mut world, client, "r1"), open(&mut world, client, "r1"), open(&mut world, client, "r1"));
    world.node_request(hears, &Request::Subscribe);

    let mut expected = queued(4);
    expected.push(Owned::Array(vec![Owned::ok(), Owned::ok(), Owned::Integer(1), Owned::Integer(1)]));
    assert_eq!(promote(&mut world, mine), expected);

    let (r1, open) = (world.pid("r1"), |conn| world.conn(conn).is_some_and(|conn| conn.server_open));
    assert_eq!((open(mine), open(other), open(hears)), (true, false, false));
    assert_eq!((&world.node(r1).role, &world.node(r1).saved_role), (&Role::Master, &Role::Master));
    assert_eq!(world.node(r1).replid2.as_ref().map(|(id, _)| id), Some(&world.node(Pid(0)).replid));
}

#[test]
fn a_refused_command_aborts_the_transaction() {
    let (mut world, client) = world();
    world.node_called("r1").refused.insert("config|rewrite", "NOPERM no");
    let conn = open(&mut world, client, "r1");
    let replies = promote(&mut world, conn);
    let aborted = "EXECABORT Transaction discarded because of previous errors.";
    assert_eq!(replies.last(), Some(&Owned::Error(aborted.to_owned())));
    assert!(matches!(world.node(world.pid("r1")).role, Role::Replica(_)));
}

#[test]
fn a_failed_rewrite_costs_the_role_at_the_next_restart() {
    let (mut world, client) = world();
    let r1 = world.pid("r1");
    world.node_mut(r1).rewrite_fails = true;
    let conn = open(&mut world, client, "r1");
    promote(&mut world, conn);
    assert_eq!(world.node(r1).role, Role::Master);
    world.kill(r1);
    world.start(r1);
    assert!(matches!(world.node(r1).role, Role::Replica(_)));
}

#[test]
fn replicas_follow_the_offset_until_they_are_cut_off() {
    let (mut world, _) = world();
    let (m, r1, r2) = (world.pid("m"), world.pid("r1"), world.pid("r2"));
    world.run_for(Span::secs(5));
    assert_eq!(world.offset(m), world.offset(r1));
    let before = world.offset(r1);
    world.cut(&[m], &[r1]);
    world.run_for(Span::secs(5));
    assert_eq!(world.offset(r1), before);
    assert!(world.offset(r2) > before && world.offset(r2) == world.offset(m));
    assert!(matches!(world.node(r1).link, ReplLink::Up { silent: Some(_), .. }), "nobody told it");
    world.kill(m);
    assert!(matches!(world.node(r2).link, ReplLink::Down { .. }), "its kernel was told");
    assert!(world.info_text(r2).contains("master_link_down_since_seconds:0\r\n"));
}

#[test]
fn the_dead_refuse_the_cut_off_hang_and_tcp_sends_again() {
    let (mut world, client) = world();
    let r1 = world.pid("r1");
    let conn = open(&mut world, client, "r1");
    world.cut(&[client], &[r1]);
    world.transmit(conn, Way::Up, super::net::Msg::Request(Request::Ping));
    let addr = world.procs[r1.0].addr.clone();
    let hanging = world.connect(client, LinkId(2), &addr);
    world.run_for(Span::secs(3));
    assert!(world.conn(hanging).is_some_and(|conn| conn.client_open && !conn.up), "it hangs");
    world.heal();
    world.run_for(Span::secs(5));
    assert!(world.conn(hanging).is_some_and(|conn| conn.up), "the first packet was sent again");
    assert!(world.last_stall_end > vigia::engine::Time(0), "and so was the request");

    world.kill(r1);
    let refused = world.connect(client, LinkId(3), &addr);
    world.run_for(Span::ms(5));
    assert!(world.conn(refused).is_none(), "refused after a round trip");
    assert!(world.conn(conn).is_none(), "and the old connection was reset");
}
