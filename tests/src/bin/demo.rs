//! `make demo`; everything it does is in `countersign_tests::demo`.

use std::process::ExitCode;

fn main() -> ExitCode {
    countersign_tests::demo::main()
}
