use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

use crate::{
    context,
    problem::{Code, Problem},
};

/// One connection, which its client cannot hold up: it is cut when the client takes nothing for a while. What the
/// parser answers by itself, bare, goes out as a problem.
pub(crate) struct Wire {
    stream: TcpStream,
    limit: Duration,
    stuck: Option<Pin<Box<Sleep>>>,
    /// A problem that is being written in place of a bare refusal, and how much of it is out.
    problem: Option<(Vec<u8>, usize)>,
}

impl Wire {
    /// The wire of this stream, cut when nothing is taken for `limit`.
    pub(crate) const fn new(stream: TcpStream, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            stuck: None,
            problem: None,
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, bytes) {
            self.stuck = None;
            return Poll::Ready(written);
        }
        let limit = self.limit;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stuck.as_mut().poll(cx));
        stuck.as_mut().reset(Instant::now() + limit);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// The problem for what the parser answers to a request that it cannot read: a status and nothing else. Answers of
/// ours always have a request id.
fn in_place_of(refusal: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(refusal).ok()?;
    let head = text
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| text.strip_prefix("HTTP/1.0 "))?;
    let code = match head.get(..3)? {
        "400" => Code::MalformedRequest,
        "414" => Code::UriTooLong,
        "431" => Code::HeadersTooLarge,
        _ => return None,
    };
    let bare = text.len() < 200 && text.ends_with("\r\n\r\n") && text.contains("content-length: 0\r\n");
    if !bare || text.contains("x-request-id") {
        return None;
    }
    let id = context::request_id(&axum::http::HeaderMap::new());
    let body = Problem::new(code, "the request could not be read; the connection is closed").body(&id);
    let body = serde_json::to_string(&body).ok()?;
    let head = text
        .replace("content-length: 0\r\n", "")
        .replace("\r\n\r\n", "\r\n");
    let length = body.len();
    Some(
        format!(
            "{head}x-request-id: {id}\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .into_bytes(),
    )
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let (problem, mut out) = match self.problem.take() {
            Some(writing) => writing,
            None => match in_place_of(bytes) {
                Some(problem) => (problem, 0),
                None => return self.write(cx, bytes),
            },
        };
        while let Some(rest) = problem.get(out..).filter(|rest| !rest.is_empty()) {
            match self.write(cx, rest) {
                Poll::Ready(written) => out += written?,
                Poll::Pending => {
                    self.problem = Some((problem, out));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_refusal_becomes_a_problem_and_nothing_else_does() {
        let bare = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: Tue, 24 Nov 2026 07:00:00 GMT\r\n\r\n";
        let told = String::from_utf8(in_place_of(bare.as_bytes()).unwrap()).unwrap();
        assert!(
            told.starts_with("HTTP/1.1 431 ") && told.contains("\r\nconnection: close\r\n"),
            "{told}"
        );
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}", body.len())) && body.contains("headers-too-large"),
            "{told}"
        );
        for other in [
            bare.replace("431", "200"),
            bare.replace("date:", "x-request-id: 1\r\ndate:"),
            bare.replace("content-length: 0", "content-length: 7"),
            format!("{bare}{{}}"),
            format!(" {bare}"),
        ] {
            assert_eq!(in_place_of(other.as_bytes()), None, "{other}");
        }
    }
}
