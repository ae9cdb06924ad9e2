//! What a proof costs: verifying a bundle, and committing to a row and appending it.
//! `cargo bench -p twinpact-proof`
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a bench")]
#![allow(unreachable_pub, reason = "the world is shared with the tests")]

#[path = "../tests/it/world.rs"]
mod world;

use divan::{Bencher, black_box};
use twinpact_proof::anchor::{Head, entry_leaf, slots_tree};
use twinpact_proof::commit::{Attr, commit};
use twinpact_proof::tree::Tree;
use twinpact_proof::{Bundle, verify};
use world::{EVENTS, World, trust};

fn main() {
    divan::main();
}

#[divan::bench]
fn verify_fact(bencher: Bencher) {
    let (bytes, trust) = (World::new().fact().to_bytes(), trust());
    bencher.bench(|| verify(black_box(&bytes), Some(&trust)).unwrap());
}

#[divan::bench]
fn verify_countersigned_delivery(bencher: Bencher) {
    let (bytes, trust) = (World::new().delivery(true).to_bytes(), trust());
    bencher.bench(|| verify(black_box(&bytes), Some(&trust)).unwrap());
}

#[divan::bench]
fn parse_countersigned_delivery(bencher: Bencher) {
    let bytes = World::new().delivery(true).to_bytes();
    bencher.bench(|| Bundle::parse(black_box(&bytes)).unwrap());
}

/// The tree over the blinded heads of so many ledgers, which each tick makes anew.
#[divan::bench(args = [1_000, 16_384])]
fn slots_of_a_tick(bencher: Bencher, trees: usize) {
    let head = |n: usize| Head { tree: [n as u8; 16], size: 1 + n as u64 % 50, root: [7; 32] };
    let heads: Vec<Option<Head>> = (0..trees).map(|n| Some(head(n))).collect();
    bencher.bench(|| slots_tree(black_box(&[5; 32]), 70_000, heads.iter().copied()));
}

/// Three groups and four values: the commitment, its leaf, and the leaf in the tree.
#[divan::bench]
fn commit_and_append_a_wind_row(bencher: Bencher) {
    let attr = |path, datatype, lexical| Attr { path, datatype, lexical };
    let row = [
        attr("@who", "group", r#"["FactsSet","urn:turbine:R80711",42,"local"]"#),
        attr("@when", "group", "[1795478400000000,1437876000000000,1437876600000000,null,null]"),
        attr("@why", "group", r#"["","wind-turbine@1","operational","",""]"#),
        attr("power", "double", "514.24"),
        attr("pitch", "double", "-0.99"),
        attr("wind", "double", "6.84"),
        attr("temperature", "double", "17.30"),
    ];
    let (mut tree, mut seed) = (Tree::default(), [0u8; 32]);
    bencher.bench_local(|| {
        seed[0] = seed[0].wrapping_add(1);
        let commitment = commit(black_box(&seed), &row).unwrap();
        tree.append(entry_leaf(&EVENTS, tree.size(), &commitment.pc));
    });
}
