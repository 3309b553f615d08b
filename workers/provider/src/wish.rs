use axum::http::HeaderMap;

use crate::failures::MAX_DELAY_MS;
use crate::order::Order;
use crate::refusal::Refusal;

/// What a request asks to go wrong with itself. The tokens are `decline`,
/// `error_once`, `lost_answer` and `delay_<milliseconds>`; they come in the header
/// `X-Simulate` (several with commas), as `source` after `tok_`
/// (`tok_lost_answer`), or before a colon at the start of `reference`
/// (`delay_250:ORD-1`).
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Wish {
    /// Decline this charge. Refunds have no such outcome.
    pub(crate) decline: bool,
    /// Answer the first attempt under the key with a 500, before doing anything.
    pub(crate) error_once: bool,
    /// Close the connection in place of the first answer of the outcome.
    pub(crate) lost_answer: bool,
    /// Wait this long before the commit, in milliseconds.
    pub(crate) delay_ms: Option<u64>,
}

impl Wish {
    /// Reads what a request asks for.
    ///
    /// # Errors
    /// `invalid_simulation` for an unknown token in the header, or a delay which
    /// is no number or too long anywhere. Any other `source` or `reference` asks
    /// for nothing.
    pub(crate) fn of(headers: &HeaderMap, order: &Order) -> Result<Self, Refusal> {
        let mut wish = Self::default();
        for value in headers.get_all("x-simulate") {
            for token in String::from_utf8_lossy(value.as_bytes())
                .split(',')
                .map(str::trim)
            {
                if !wish.add(token)? {
                    let expected = "decline, error_once, lost_answer or delay_<milliseconds>";
                    let wrong = format!("X-Simulate has {token:?}: expected {expected}");
                    return Err(Refusal::InvalidSimulation(wrong));
                }
            }
        }
        if let Some(token) = order.source().and_then(|source| source.strip_prefix("tok_")) {
            wish.add(token)?;
        }
        if let Some((token, _)) = order.reference().split_once(':') {
            wish.add(token)?;
        }
        Ok(wish)
    }

    /// Adds one token; `false` if it is none.
    fn add(&mut self, token: &str) -> Result<bool, Refusal> {
        match token {
            "decline" => self.decline = true,
            "error_once" => self.error_once = true,
            "lost_answer" => self.lost_answer = true,
            _ => match token.strip_prefix("delay_") {
                Some(ms) => self.delay_ms = Some(delay(ms)?),
                None => return Ok(false),
            },
        }
        Ok(true)
    }
}

fn delay(ms: &str) -> Result<u64, Refusal> {
    let delay = ms.parse().ok().filter(|ms| *ms <= MAX_DELAY_MS);
    delay.ok_or_else(|| {
        let wrong = format!("a delay is {ms:?}: expected milliseconds from 0 to {MAX_DELAY_MS}");
        Refusal::InvalidSimulation(wrong)
    })
}
