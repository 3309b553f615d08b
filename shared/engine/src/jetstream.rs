//! The broker of production: JetStream behind a connection.

use std::fmt::Display;

use async_nats::{
    Client, HeaderMap, HeaderValue, Request, StatusCode, header,
    jetstream::{
        self, AckKind, message,
        stream::{LastRawMessageErrorKind::NoMessageFound, Stream},
    },
};
use bytes::Bytes;
use serde::Deserialize;

use crate::{
    AppendError, ReadError,
    broker::{Acker, Asked, Broker, Source, Stored},
};

const WRONG_LAST_SEQUENCE: u64 = 10071;
const APPEND_IN_FLIGHT: u64 = 10164;

/// The requests of the engine, as JetStream takes them.
#[derive(Clone, Debug)]
pub(crate) struct JetStream {
    client: Client,
    context: jetstream::Context,
}

impl JetStream {
    pub(crate) const fn new(client: Client, context: jetstream::Context) -> Self {
        Self { client, context }
    }

    /// The stream, named without asking for it.
    async fn stream(&self, name: &'static str) -> Result<Stream<()>, ReadError> {
        let stream = self.context.get_stream_no_info(name).await;
        stream.map_err(|error| unavailable(&error))
    }

    async fn append(&self, subject: String, headers: HeaderMap, body: Bytes) -> Result<u64, AppendError> {
        let request = Request::new().headers(headers).payload(body);
        let answer = self.client.send_request(subject, request).await;
        let answer = answer.map_err(|error| AppendError::Unknown(error.to_string()))?;
        let answer: Answer = serde_json::from_slice(&answer.payload)
            .map_err(|error| AppendError::Unknown(format!("an answer that is none: {error}")))?;
        match (answer.error, answer.seq) {
            (None, Some(sequence)) => Ok(sequence),
            (None, None) => Err(AppendError::Unknown("an answer without a sequence".to_owned())),
            (Some(error), _) => Err(error.into()),
        }
    }

    /// The last message on `filter`, by the subject form of the direct get, which permissions can scope.
    async fn direct_get(&self, stream: &str, filter: &str) -> Result<Option<Stored>, ReadError> {
        let request = format!("$JS.API.DIRECT.GET.{stream}.{filter}");
        let message = self.client.request(request, Bytes::new()).await;
        let message = message.map_err(|error| unavailable(&error))?;
        if message.status == Some(StatusCode::NOT_FOUND) {
            return Ok(None);
        }
        let headers = message
            .headers
            .ok_or_else(|| unavailable(&"an answer without headers"))?;
        let text = |name| headers.get(name).map(HeaderValue::as_str);
        let sequence = text(header::NATS_SEQUENCE).and_then(|value| value.parse().ok());
        let time = text(header::NATS_TIME_STAMP).and_then(|value| value.parse().ok());
        let (Some(sequence), Some(time)) = (sequence, time) else {
            return Err(unavailable(&format_args!(
                "the server answered {:?} {:?}",
                message.status, message.description
            )));
        };
        let body = message.payload;
        Ok(Some(Stored {
            sequence,
            time,
            headers,
            body,
        }))
    }

    async fn ask_leader(&self, stream: &'static str, filter: &str) -> Result<Option<Stored>, ReadError> {
        let stream = self.stream(stream).await?;
        match stream.get_last_raw_message_by_subject(filter).await {
            Ok(message) => Ok(Some(message.into())),
            Err(error) if error.kind() == NoMessageFound => Ok(None),
            Err(error) => Err(unavailable(&error)),
        }
    }
}

impl Broker for JetStream {
    fn publish(
        &self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
    ) -> Asked<'_, Result<u64, AppendError>> {
        Box::pin(self.append(subject, headers, body))
    }

    fn last<'a>(
        &'a self,
        stream: &'static str,
        filter: &'a str,
        from: Source,
    ) -> Asked<'a, Result<Option<Stored>, ReadError>> {
        match from {
            Source::Anyone => Box::pin(self.direct_get(stream, filter)),
            Source::Leader => Box::pin(self.ask_leader(stream, filter)),
        }
    }

    fn at(&self, stream: &'static str, sequence: u64) -> Asked<'_, Result<Option<Stored>, ReadError>> {
        Box::pin(async move {
            match self.stream(stream).await?.get_raw_message(sequence).await {
                Ok(message) => Ok(Some(message.into())),
                Err(error) if error.kind() == NoMessageFound => Ok(None),
                Err(error) => Err(unavailable(&error)),
            }
        })
    }

    fn next<'a>(
        &'a self,
        stream: &'static str,
        filter: &'a str,
        from: u64,
    ) -> Asked<'a, Result<Option<Stored>, ReadError>> {
        Box::pin(async move {
            let stream = self.stream(stream).await?;
            match stream.get_first_raw_message_by_subject(filter, from).await {
                Ok(message) => Ok(Some(message.into())),
                Err(error) if error.kind() == NoMessageFound => Ok(None),
                Err(error) => Err(unavailable(&error)),
            }
        })
    }

    fn remove(&self, stream: &'static str, sequence: u64) -> Asked<'_, Result<(), ReadError>> {
        Box::pin(async move {
            let removed = self.stream(stream).await?.delete_message(sequence).await;
            removed.map(drop).map_err(|error| unavailable(&error))
        })
    }

    fn tell(&self, subject: String, body: Bytes) -> Asked<'_, Result<(), AppendError>> {
        Box::pin(async move {
            let told = self.client.publish(subject, body).await;
            told.map_err(|error| AppendError::Unknown(error.to_string()))
        })
    }
}

impl Acker for message::Acker {
    fn answer(&self, kind: AckKind) -> Asked<'_, Result<(), String>> {
        Box::pin(async move { self.ack_with(kind).await.map_err(|error| error.to_string()) })
    }
}

impl From<message::StreamMessage> for Stored {
    fn from(message: message::StreamMessage) -> Self {
        Self {
            sequence: message.sequence,
            time: message.time.into(),
            headers: message.headers,
            body: message.payload,
        }
    }
}

/// The server's answer to a publish.
#[derive(Deserialize)]
struct Answer {
    seq: Option<u64>,
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl From<ApiError> for AppendError {
    fn from(error: ApiError) -> Self {
        match error.err_code {
            // "wrong last sequence: 42"
            WRONG_LAST_SEQUENCE => match error.description.rsplit(' ').next().map(str::parse) {
                Some(Ok(last)) => Self::Stale { last },
                _ => Self::InFlight,
            },
            APPEND_IN_FLIGHT => Self::InFlight,
            code => Self::Refused {
                code,
                text: error.description,
            },
        }
    }
}

fn unavailable(error: &dyn Display) -> ReadError {
    ReadError::Unavailable(error.to_string())
}
