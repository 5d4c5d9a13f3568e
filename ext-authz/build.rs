//! Generates services and clients of our own protocols over the messages of `authz-wire`, and the client of the SPIFFE Workload API.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../authz-wire/proto");
    let files = protox::compile(["countersign/link.proto", "countersign/control.proto"], ["../authz-wire/proto"])?;
    tonic_prost_build::configure()
        .extern_path(".countersign.link.v1", "::authz_wire::link")
        .extern_path(".countersign.control.v1", "::authz_wire::control")
        .compile_fds(files)?;
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["workload.proto"], ["proto"])?;
    // Bytes are shared with the message they came in, not copied.
    tonic_prost_build::configure().build_server(false).bytes(".").compile_fds(files)?;
    Ok(())
}
