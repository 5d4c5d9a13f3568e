//! What it costs to find the operation of a request among few and among many. It measures; it asserts nothing.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use authz_core::{
    facts::NormalPath,
    operations::{Line, Operations},
};
use divan::{Bencher, black_box};

const COUNTS: [usize; 3] = [10, 100, 10_000];

fn main() {
    divan::main();
}

/// All texts of one list, each under a resource of its own.
fn list(count: usize) -> Vec<Line> {
    let one = |number| Line::parse(&format!("GET /resource{number}/{{id}}/parts/{{part}} = {{id}}/{{part}}")).unwrap();
    (0..count).map(one).collect()
}

#[divan::bench(args = COUNTS)]
fn load(bencher: Bencher, count: usize) {
    let list = list(count);
    bencher.bench_local(|| Operations::new(list.clone()).is_ok());
}

#[divan::bench(args = COUNTS, sample_size = 2000)]
fn find(bencher: Bencher, count: usize) {
    let operations = Operations::new(list(count)).unwrap();
    let path = NormalPath::parse("/resource7/17/parts/caf%C3%A9").unwrap();
    bencher.bench_local(|| operations.find("GET", black_box(path), None).map(|found| found.operation()));
}

#[divan::bench(args = COUNTS, sample_size = 2000)]
fn find_none(bencher: Bencher, count: usize) {
    let operations = Operations::new(list(count)).unwrap();
    let path = NormalPath::parse("/resource7/17/parts/3/4").unwrap();
    bencher.bench_local(|| operations.find("GET", black_box(path), None).map(|found| found.operation()));
}
