//! Generates services and clients of our own protocols over the messages of `authz-wire`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../authz-wire/proto");
    let files = protox::compile(["countersign/link.proto", "countersign/control.proto"], ["../authz-wire/proto"])?;
    tonic_prost_build::configure()
        .extern_path(".countersign.link.v1", "::authz_wire::link")
        .extern_path(".countersign.control.v1", "::authz_wire::control")
        .compile_fds(files)?;
    Ok(())
}
