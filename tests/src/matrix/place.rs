use std::fmt;

use engine::faults::{At, Point};
use jetsaga::subject::{EVENTS, INBOX};
use serde_json::Value;

/// Where a message can be on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The consumer.
    pub consumer: String,
    /// What came: an event type, `inbox` and an event type, or `deadline`; and `retry of` it where it was put off.
    pub trigger: String,
    /// The point.
    pub point: Point,
    /// The how-manieth time the message comes by in one delivery.
    pub visit: u32,
    /// True if it was handed out before.
    pub is_again: bool,
}

impl Place {
    /// Where a message is.
    pub fn of(at: &At) -> Self {
        Self {
            consumer: at.consumer.clone(),
            trigger: trigger(at),
            point: at.point,
            visit: at.visit,
            is_again: at.is_again,
        }
    }
}

fn trigger(at: &At) -> String {
    let token = |n| at.subject.split('.').nth(n).unwrap_or_default().to_owned();
    let first = match at.stream.as_str() {
        EVENTS => token(2),
        INBOX => format!("inbox {}", token(2)),
        _ => "deadline".to_owned(),
    };
    if at.headers.get("Jetsaga-Since").is_some() {
        format!("retry of {first}")
    } else {
        first
    }
}

/// The order that a message is about; `None` if it cannot be told.
pub(super) fn order_of(at: &At) -> Option<String> {
    let token = |n| at.subject.split('.').nth(n).map(str::to_owned);
    match at.stream.as_str() {
        EVENTS => token(3),
        INBOX => match serde_json::from_slice::<Value>(&at.body) {
            Ok(event) => event["payload"]["orderId"].as_str().map(str::to_owned),
            Err(_) => String::from_utf8_lossy(&at.body)
                .split_whitespace()
                .last()
                .map(str::to_owned),
        },
        _ => token(2),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let delivery = if self.is_again { "again" } else { "first" };
        write!(
            f,
            "{} hears {} ({delivery}): {:?} #{}",
            self.consumer, self.trigger, self.point, self.visit
        )
    }
}
