//! A TCP relay that a test can cut or freeze, as networks do; it reads nothing of what passes.

use std::net::SocketAddr;

use tokio::io;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A way to a server that may break.
pub struct Wire {
    address: SocketAddr,
    passes: watch::Sender<Passes>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Passes {
    All,
    /// Connections stay open and new ones are taken, but no byte gets through.
    Frozen,
    /// Connections end, and new ones as soon as they come.
    Nothing,
}

impl Wire {
    /// A way to `server`, open.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (passes, watched) = watch::channel(Passes::All);
        Self { address, passes, task: tokio::spawn(accept(listener, server, watched)) }
    }

    /// What clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, and every new one.
    pub fn cut(&self) {
        self.passes.send_replace(Passes::Nothing);
    }

    /// Lets no byte through and ends nothing: how a dead network looks.
    pub fn freeze(&self) {
        self.passes.send_replace(Passes::Frozen);
    }

    /// Lets everything through again.
    pub fn mend(&self) {
        self.passes.send_replace(Passes::All);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, passes: watch::Receiver<Passes>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(relay(client, server, passes.clone()));
    }
}

async fn relay(client: TcpStream, server: SocketAddr, mut passes: watch::Receiver<Passes>) {
    let until_cut = {
        let mut passes = passes.clone();
        async move { passes.wait_for(|passes| *passes == Passes::Nothing).await.map(drop) }
    };
    let relayed = async {
        // Whoever comes while nothing passes is kept waiting.
        let _ = passes.wait_for(|passes| *passes != Passes::Frozen).await;
        let server = TcpStream::connect(server).await?;
        let (client, server) = (client.into_split(), server.into_split());
        let way = passes;
        tokio::try_join!(pass(client.0, server.1, way.clone()), pass(server.0, client.1, way)).map(drop)
    };
    tokio::select! {
        _ = until_cut => {}
        _ = relayed => {}
    }
}

async fn pass(
    from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut passes: watch::Receiver<Passes>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        from.readable().await?;
        let _ = passes.wait_for(|passes| *passes != Passes::Frozen).await;
        match from.try_read(&mut buffer) {
            // The other half follows: neither protocol here lives on with one half closed.
            Ok(0) => return Err(io::ErrorKind::ConnectionAborted.into()),
            Ok(read) => io::AsyncWriteExt::write_all(&mut to, &buffer[..read]).await?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
