use std::sync::Arc;

use async_nats::HeaderMap;
use bytes::Bytes;

use crate::{
    AppendError, Journal, Metrics, ReadError,
    broker::{Asked, Broker, Link, Source, Stored},
};

/// A broker that is not there: every request says so, and nothing happened.
#[derive(Debug)]
struct Nowhere;

const WHY: &str = "there is no connection";

impl Journal {
    /// A journal behind no connection, for workers that are described and not run: nothing can be read or appended.
    pub fn nowhere() -> Self {
        Self::over(Link {
            broker: Arc::new(Nowhere),
            metrics: Metrics::new(),
            #[cfg(feature = "testing")]
            script: crate::faults::Script::default(),
        })
    }
}

fn unread<'a, T: Send + 'a>() -> Asked<'a, Result<T, ReadError>> {
    Box::pin(async { Err(ReadError::Unavailable(WHY.to_owned())) })
}

fn unsent<'a, T: Send + 'a>() -> Asked<'a, Result<T, AppendError>> {
    Box::pin(async {
        Err(AppendError::Refused {
            code: 0,
            text: WHY.to_owned(),
        })
    })
}

impl Broker for Nowhere {
    fn publish(&self, _: String, _: HeaderMap, _: Bytes) -> Asked<'_, Result<u64, AppendError>> {
        unsent()
    }

    fn last<'a>(
        &'a self,
        _: &'static str,
        _: &'a str,
        _: Source,
    ) -> Asked<'a, Result<Option<Stored>, ReadError>> {
        unread()
    }

    fn at(&self, _: &'static str, _: u64) -> Asked<'_, Result<Option<Stored>, ReadError>> {
        unread()
    }

    fn next<'a>(
        &'a self,
        _: &'static str,
        _: &'a str,
        _: u64,
    ) -> Asked<'a, Result<Option<Stored>, ReadError>> {
        unread()
    }

    fn remove(&self, _: &'static str, _: u64) -> Asked<'_, Result<(), ReadError>> {
        unread()
    }

    fn tell(&self, _: String, _: Bytes) -> Asked<'_, Result<(), AppendError>> {
        unsent()
    }
}
