use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// What makes a process stand still: nothing that it does goes on until then, whatever happens around it.
#[derive(Debug, Default)]
pub(super) struct Frost(Mutex<Option<Instant>>);

impl Frost {
    /// From now on nothing goes on, for so long.
    pub(super) fn freeze(&self, pause: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + pause);
    }

    /// Does `work`, as far as this lets it.
    pub(super) async fn over(this: Arc<Self>, work: impl Future<Output = ()>) {
        let mut work = pin!(work);
        loop {
            if let Some(until) = this.until() {
                sleep_until(until).await;
                continue;
            }
            let step = poll_fn(|context| match this.until() {
                Some(_) => Poll::Ready(false),
                None => work.as_mut().poll(context).map(|()| true),
            });
            if step.await {
                return;
            }
        }
    }

    fn until(&self) -> Option<Instant> {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| *until > Instant::now())
    }
}
