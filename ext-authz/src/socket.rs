//! Listeners: Unix sockets that appear with their permissions or not at all; it accepts nothing.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

/// A socket that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("socket {}: {cause}, check that its directory exists and belongs to this user", .path.display())]
pub struct UnboundSocket {
    path: PathBuf,
    cause: io::Error,
}

/// Listens on `path` with permission bits `mode`.
///
/// The socket is made beside `path` and renamed over it: nobody ever finds it with other permissions, and a process
/// that is ending keeps the connections it has while new ones come here.
///
/// # Errors
/// When the directory can't be made or written, or the path is too long for a socket (107 bytes on Linux).
pub fn bind_unix(path: &Path, mode: u32) -> Result<UnixListener, UnboundSocket> {
    bind(path, mode).map_err(|cause| UnboundSocket { path: path.to_owned(), cause })
}

fn bind(path: &Path, mode: u32) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        fs::create_dir_all(directory)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    let listener = UnixListener::bind(&beside)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(mode))?;
    fs::rename(&beside, path)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_replaces_a_stale_one_and_has_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/x.sock");
        drop(bind_unix(&path, 0o600).unwrap());
        let listener = bind_unix(&path, 0o660).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let (client, server) = tokio::join!(tokio::net::UnixStream::connect(&path), listener.accept());
        assert!(client.is_ok() && server.is_ok());
    }

    #[tokio::test]
    async fn a_path_that_can_not_be_bound_is_named() {
        let long = PathBuf::from(format!("/tmp/{}", "x".repeat(200)));
        let error = bind_unix(&long, 0o600).unwrap_err().to_string();
        assert!(error.contains("/tmp/xxx"), "{error}");
    }
}
