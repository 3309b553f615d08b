//! Dead letters: what could not be handled, with the reason, until somebody redrives or drops it.

use async_nats::{HeaderMap, HeaderName, HeaderValue, header};
use bytes::Bytes;
use saga::{Timestamp, Token};
use serde::Serialize;

use crate::{
    AppendError, Nats,
    broker::{Link, Stored},
    delivery::{ATTEMPT, Delivery, LETTER, SEQUENCE, STREAM, SUBJECT},
    faults::{Point, reach},
    subject::{self, EVENTS, EntitySubject, INBOX, LETTERS},
};

const REASON: HeaderName = HeaderName::from_static("Jetsaga-Reason");
const DETAIL: HeaderName = HeaderName::from_static("Jetsaga-Detail");
const CONSUMER: HeaderName = HeaderName::from_static("Jetsaga-Consumer");

/// Why a message was buried, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is no event.
    Undecodable,
    /// It breaks a rule of the domain.
    Invalid,
    /// Its id belongs to something else already.
    Conflict,
    /// It is about nothing that exists.
    Unknown,
    /// A newer worker was awaited for a day.
    Newer,
    /// A plain handler failed to the end of its attempts.
    Exhausted,
}

/// A buried message.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Letter {
    /// Its sequence among the dead letters: its name for `redrive` and `drop`.
    pub sequence: u64,
    /// Why, in a word.
    pub reason: String,
    /// Why, in a sentence.
    pub detail: String,
    /// Who buried it.
    pub consumer: String,
    /// When.
    pub buried_at: Timestamp,
    /// The stream it came from.
    pub stream: String,
    /// Its sequence there.
    pub stream_sequence: u64,
    /// The subject it was published to.
    pub subject: String,
    /// What was published, as text; bytes that are none are replaced.
    pub body: String,
    /// What was published.
    #[serde(skip)]
    pub bytes: Bytes,
}

/// The dead letters of one system.
#[derive(Clone, Debug)]
pub struct Letters {
    link: Link,
}

impl Letters {
    /// The dead letters behind this connection.
    pub fn new(nats: &Nats) -> Self {
        Self::over(nats.link())
    }

    /// The dead letters that this broker keeps.
    pub const fn over(link: Link) -> Self {
        Self { link }
    }

    /// Keeps `delivery` as a letter, once however often it is buried. A redriven message becomes a letter anew, for
    /// the one that it was is about to be removed.
    pub(crate) async fn bury(
        &self,
        consumer: &str,
        delivery: &Delivery,
        reason: Reason,
        detail: &str,
    ) -> Result<(), AppendError> {
        let mut headers = HeaderMap::new();
        headers.insert(REASON, reason.word());
        headers.insert(DETAIL, one_line(detail));
        headers.insert(CONSUMER, one_line(consumer));
        headers.insert(STREAM, one_line(&delivery.stream));
        headers.insert(SUBJECT, one_line(&delivery.subject));
        headers.insert(SEQUENCE, HeaderValue::from(delivery.sequence));
        let subject = subject::letter(consumer, &delivery.stream, delivery.sequence);
        let mut guard = delivery.letter;
        loop {
            headers.insert(
                header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
                HeaderValue::from(guard),
            );
            reach(Point::BeforeLetter).await?;
            let body = delivery.body.clone();
            let answer = self
                .link
                .broker
                .publish(subject.clone(), headers.clone(), body)
                .await;
            reach(Point::AfterLetter).await?;
            match answer {
                Err(AppendError::Stale { last: 0 }) if guard != 0 => guard = 0, // that letter is gone already
                Ok(_) | Err(AppendError::Stale { .. }) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Every letter, oldest first.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn list(&self) -> anyhow::Result<Vec<Letter>> {
        self.after(0, usize::MAX).await
    }

    /// The letters behind this sequence, oldest first, at most `most`.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn after(&self, sequence: u64, most: usize) -> anyhow::Result<Vec<Letter>> {
        let mut letters = Vec::new();
        let mut from = sequence.saturating_add(1);
        while letters.len() < most
            && let Some(found) = self.link.broker.next(LETTERS, "dlq.>", from).await?
        {
            from = found.sequence + 1;
            letters.push(Letter::read(found));
        }
        Ok(letters)
    }

    /// One letter; `None` if there is none with this sequence.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn get(&self, sequence: u64) -> anyhow::Result<Option<Letter>> {
        Ok(self.link.broker.at(LETTERS, sequence).await?.map(Letter::read))
    }

    /// Gives a letter back to whoever buried it: through the inbox if it came from there, else through its
    /// consumer's retries; never by an event subject. Then removes it. Redriving what was handled meanwhile
    /// changes nothing, and what fails again is a letter again.
    ///
    /// # Errors
    /// When the letter is gone or names no way back, or the server does not answer; nothing is removed then.
    pub async fn redrive(&self, letter: &Letter) -> anyhow::Result<()> {
        if self.get(letter.sequence).await?.is_none() {
            anyhow::bail!("there is no letter {} any more", letter.sequence);
        }
        let mut headers = HeaderMap::new();
        let subject = if letter.stream == INBOX {
            letter.subject.clone()
        } else {
            headers.insert(SEQUENCE, HeaderValue::from(letter.stream_sequence));
            headers.insert(STREAM, one_line(&letter.stream));
            headers.insert(SUBJECT, one_line(&letter.subject));
            headers.insert(ATTEMPT, HeaderValue::from(0_u64));
            headers.insert(LETTER, HeaderValue::from(letter.sequence));
            letter.way_back()?
        };
        self.link
            .broker
            .publish(subject, headers, letter.bytes.clone())
            .await?;
        self.drop(letter.sequence).await
    }

    /// Removes a letter for good.
    ///
    /// # Errors
    /// When there is none with this sequence, or the server does not answer.
    pub async fn drop(&self, sequence: u64) -> anyhow::Result<()> {
        Ok(self.link.broker.remove(LETTERS, sequence).await?)
    }
}

impl Letter {
    fn read(stored: Stored) -> Self {
        let text = |name| {
            stored
                .headers
                .get(name)
                .map(HeaderValue::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            sequence: stored.sequence,
            reason: text(REASON),
            detail: text(DETAIL),
            consumer: text(CONSUMER),
            buried_at: stored.time,
            stream: text(STREAM),
            stream_sequence: text(SEQUENCE).parse().unwrap_or(0),
            subject: text(SUBJECT),
            body: String::from_utf8_lossy(&stored.body).into_owned(),
            bytes: stored.body.clone(),
        }
    }

    /// The retry subject of the consumer that buried an event.
    fn way_back(&self) -> anyhow::Result<String> {
        let event = EntitySubject::parse(&self.subject).filter(|_| self.stream == EVENTS);
        let Some((entity, _)) = event else {
            anyhow::bail!(
                "letter {} came from {} on {}, which has no way back; drop it, or publish it anew",
                self.sequence,
                self.subject,
                self.stream
            );
        };
        let prefix = format!("{}-", entity.kind());
        let worker = self.consumer.strip_prefix(&prefix).unwrap_or(&self.consumer);
        let worker = Token::new(worker)?;
        Ok(subject::retry_due(
            entity.kind(),
            worker.as_str(),
            entity.id(),
            self.stream_sequence,
        ))
    }
}

impl Reason {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Undecodable,
        Self::Invalid,
        Self::Conflict,
        Self::Unknown,
        Self::Newer,
        Self::Exhausted,
    ];

    /// The word that stands in the letter and in the metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::Unknown => "unknown",
            Self::Newer => "newer-version",
            Self::Exhausted => "exhausted",
        }
    }
}

/// `text` fit for a header: at most 500 characters, no line breaks or other control characters.
fn one_line(text: &str) -> HeaderValue {
    let clean: String = text
        .chars()
        .take(500)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    clean.parse().unwrap_or_else(|_| HeaderValue::from(0_u64))
}
