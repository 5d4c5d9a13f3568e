//! Generates the server of the SPIFFE Workload API, for the stand-in of an agent.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../ext-authz/proto");
    let files = protox::compile(["workload.proto"], ["../ext-authz/proto"])?;
    tonic_prost_build::configure().build_client(false).compile_fds(files)?;
    Ok(())
}
