//! Groups in which nobody speaks anything but TLS.

use crate::master_lost::expect_switch;
use crate::support::group::{Group, Shape};
use crate::support::redis_server::NodeOptions;
use crate::support::sentinel::Program;
use crate::support::tls::Secrets;

scenarios! {
    all: [a_killed_master_is_replaced_and_comes_back_over_tls_alone],
    vigia: [],
}

fn a_killed_master_is_replaced_and_comes_back_over_tls_alone(mix: &[Program]) {
    let tls = Secrets::new();
    let nodes = NodeOptions { tls: Some(tls), ..NodeOptions::default() };
    let mut group = Group::start(&Shape { nodes, ..Shape::of(mix) });
    let old = group.nodes[0].address();

    group.nodes[0].kill();
    let new = expect_switch(&mut group, &old);
    assert_eq!(group.converge().address, new);

    group.nodes[0].restart();
    assert_eq!(group.converge().address, new);
}
