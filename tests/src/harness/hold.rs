use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use super::PATIENCE;

/// A TCP proxy on loopback that hands everything on until a client sends a certain text: that piece, and what the client
/// sends after it, comes to nobody before it is let go. It ends, with its connections, when it is dropped.
pub struct Hold {
    address: SocketAddr,
    held: watch::Receiver<bool>,
    go: watch::Sender<bool>,
    _serving: JoinSet<Result<()>>,
}

impl Hold {
    /// Starts one before the nats-server at `url`.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn at(url: &str, text: &'static str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let upstream = url.rsplit('/').next().context("a URL without a host")?.to_owned();
        let (hold, held) = watch::channel(false);
        let (go, gone) = watch::channel(false);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await?;
                let mut server = TcpStream::connect(&upstream).await?;
                let ((from_client, to_client), (mut from_server, to_server)) =
                    (client.split(), server.split());
                let mut to_client = to_client;
                tokio::select! {
                    _ = until_sent(text, from_client, to_server, &hold, gone.clone()) => {}
                    _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
                }
            }
        });
        Ok(Self {
            address,
            held,
            go,
            _serving: serving,
        })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Hands on what was held, and everything after it.
    pub fn let_go(&self) {
        self.go.send_replace(true);
    }

    /// Waits until the text was sent.
    ///
    /// # Errors
    /// When it is not.
    pub async fn until_held(&self) -> Result<()> {
        let mut held = self.held.clone();
        let waited = timeout(PATIENCE, held.wait_for(|held| *held)).await;
        waited.context("nobody sends it")??;
        Ok(())
    }
}

async fn until_sent(
    text: &str,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    hold: &watch::Sender<bool>,
    mut gone: watch::Receiver<bool>,
) -> Result<()> {
    let (mut sent, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let read = from.read(&mut piece).await?;
        let new = piece.get(..read).unwrap_or_default();
        if new.is_empty() {
            return Ok(());
        }
        sent.extend_from_slice(new);
        if sent.windows(text.len()).any(|window| window == text.as_bytes()) {
            hold.send_replace(true);
            gone.wait_for(|gone| *gone).await?;
        }
        to.write_all(new).await?;
        sent.drain(..sent.len().saturating_sub(text.len()));
    }
}
