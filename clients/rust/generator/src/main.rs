//! Writes the Rust code of the contract. Standard input: a `FileDescriptorSet`, as `buf build -o -` makes it.
//! Argument: the folder to write to.

use std::io::Read;

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out_dir = std::env::args().nth(1).ok_or("usage: callweave-generator OUT_DIR < descriptors")?;
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let descriptors = prost_types::FileDescriptorSet::decode(&bytes[..])?;
    let mut config = prost_build::Config::new();
    // Audio is not copied out of the message it came in.
    config.bytes(["."]);
    tonic_prost_build::configure()
        .out_dir(&out_dir)
        .build_transport(false)
        .server_mod_attribute("callweave.v1", "#[cfg(feature = \"server\")]")
        .compile_fds_with_config(descriptors, config)?;
    // The well-known types come from prost-types: nothing is in this file.
    match std::fs::remove_file(std::path::Path::new(&out_dir).join("google.protobuf.rs")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
