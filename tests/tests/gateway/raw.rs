use anyhow::{Context as _, Result};
use jetsaga_tests::harness::PATIENCE;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::front::Answer;

/// Sends these bytes to a gateway, and no more if `ends`, and reads until it closes the connection.
pub(crate) async fn exchange(url: &str, bytes: &[u8], ends: bool) -> Result<Answer> {
    let address = url.strip_prefix("http://").context("no address")?;
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(bytes).await?;
    if ends {
        stream.shutdown().await?;
    }
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .context("no end of the answer")??;
    parse(&answer).with_context(|| format!("{:?}", String::from_utf8_lossy(&answer)))
}

/// A request as bytes, on a connection of its own.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &[u8])], body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("{method} {target} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend(
            name.bytes()
                .chain(*b": ")
                .chain(value.iter().copied())
                .chain(*b"\r\n"),
        );
    }
    let framed = headers
        .iter()
        .any(|(name, _)| *name == "content-length" || *name == "transfer-encoding");
    if !body.is_empty() && !framed {
        bytes.extend(format!("content-length: {}\r\n", body.len()).bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

fn parse(bytes: &[u8]) -> Result<Answer> {
    let text = std::str::from_utf8(bytes)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no head")?;
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .context("no status")?;
    let mut headers = reqwest::header::HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").context("no header")?;
        headers.append(name.parse::<reqwest::header::HeaderName>()?, value.parse()?);
    }
    Ok(Answer {
        status: status.parse()?,
        headers,
        text: body.to_owned(),
    })
}
