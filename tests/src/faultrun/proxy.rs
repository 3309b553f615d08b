use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// What a proxy does with what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Hands everything on.
    Pass,
    /// Breaks every connection, and resets new ones.
    Cut,
    /// Keeps and takes connections, and hands nothing on until the mode changes.
    Hang,
    /// Hands every byte on so much later, in both directions.
    Delay(Duration),
}

/// A TCP proxy on loopback whose mode changes at run time. It ends, with its connections, when it is dropped.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    _serving: JoinSet<()>,
}

/// Chunks on their way in one direction of one connection.
const CHUNKS: usize = 256;
/// The bytes that are read at once.
const CHUNK: usize = 32 * 1024;

impl Proxy {
    /// Starts one on a free port. Each connection goes to the first of `upstreams` that takes it, beginning with the
    /// next one each time.
    ///
    /// # Errors
    /// When there is no port.
    pub(super) async fn start(upstreams: Vec<SocketAddr>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (mode, changes) = watch::channel(Mode::Pass);
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, upstreams, changes));
        Ok(Self {
            address,
            mode,
            _serving: serving,
        })
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the mode from now on, for living connections too.
    pub(super) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn serve(listener: TcpListener, upstreams: Vec<SocketAddr>, mode: watch::Receiver<Mode>) {
    let turn = AtomicUsize::new(0);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                if *mode.borrow() == Mode::Cut {
                    reset(client);
                    continue;
                }
                let first = turn.fetch_add(1, Ordering::Relaxed);
                let mut order = upstreams.clone();
                order.rotate_left(first % upstreams.len().max(1));
                connections.spawn(carry(client, order, mode.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until either end closes it or the mode cuts it.
async fn carry(client: TcpStream, upstreams: Vec<SocketAddr>, mut mode: watch::Receiver<Mode>) {
    let mut found = None;
    for address in upstreams {
        if let Ok(stream) = TcpStream::connect(address).await {
            found = Some(stream);
            break;
        }
    }
    let Some(mut server) = found else {
        return reset(client);
    };
    let mut client = client;
    let (there, back) = (mode.clone(), mode.clone());
    {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            _ = pipe(from_client, to_server, there) => {}
            _ = pipe(from_server, to_client, back) => {}
            _ = mode.wait_for(|mode| *mode == Mode::Cut) => {}
        }
    }
    reset(client);
    reset(server);
}

/// Hands bytes on in one direction, as late as the mode said when they came.
async fn pipe(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let (chunks, mut due) = mpsc::channel::<(Instant, Bytes)>(CHUNKS);
    let mut changes = mode.clone();
    let read = async move {
        loop {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            if from.read_buf(&mut chunk).await? == 0 {
                return Ok::<_, io::Error>(());
            }
            let late = match *mode.borrow() {
                Mode::Delay(late) => late,
                _ => Duration::ZERO,
            };
            if chunks
                .send((Instant::now() + late, chunk.freeze()))
                .await
                .is_err()
            {
                return Ok(());
            }
        }
    };
    let write = async move {
        while let Some((at, chunk)) = due.recv().await {
            sleep_until(at).await;
            // A proxy that is gone hands nothing on any more.
            if changes.wait_for(|mode| *mode != Mode::Hang).await.is_err() {
                return Ok(());
            }
            to.write_all(&chunk).await?;
        }
        Ok::<_, io::Error>(())
    };
    tokio::try_join!(read, write).map(drop)
}

/// Closes a connection with a reset, so that its other end learns of it at once.
fn reset(stream: TcpStream) {
    drop(stream.set_zero_linger()); // where it cannot be set, the connection is closed in the usual way
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpSocket, time::timeout};

    use super::*;

    /// Something that answers every byte with the same, and a proxy before it.
    async fn echo() -> (Proxy, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        let reserved = TcpSocket::new_v4().unwrap(); // it has a port, and does not listen
        reserved.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let dead = reserved.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let _reserved = reserved;
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        (Proxy::start(vec![dead, upstream]).await.unwrap(), serving)
    }

    async fn round(stream: &mut TcpStream) -> io::Result<Duration> {
        let begun = Instant::now();
        stream.write_all(b"x").await?;
        stream.read_exact(&mut [0]).await?;
        Ok(begun.elapsed())
    }

    #[tokio::test]
    async fn it_passes_delays_hangs_and_cuts() {
        let (proxy, _serving) = echo().await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        round(&mut stream).await.unwrap();

        proxy.set(Mode::Delay(Duration::from_millis(50)));
        assert!(round(&mut stream).await.unwrap() >= Duration::from_millis(100));

        proxy.set(Mode::Hang);
        let mut other = TcpStream::connect(proxy.address()).await.unwrap();
        for stream in [&mut stream, &mut other] {
            assert!(timeout(Duration::from_millis(100), round(stream)).await.is_err());
        }
        proxy.set(Mode::Pass);
        stream.read_exact(&mut [0]).await.unwrap();

        proxy.set(Mode::Cut);
        assert!(round(&mut stream).await.is_err());
        let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(round(&mut refused).await.is_err());

        proxy.set(Mode::Pass);
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        round(&mut again).await.unwrap();
    }
}
