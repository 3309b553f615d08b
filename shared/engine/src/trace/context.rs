use std::str::FromStr as _;

use opentelemetry::{
    SpanId, TraceId,
    trace::{SpanContext, TraceFlags, TraceState},
};

/// The longest `tracestate` that is passed on, in bytes: what the recommendation asks for at least.
const LONGEST_STATE: usize = 512;

/// Where something is in a trace, as the headers of W3C Trace Context say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The header `traceparent`.
    pub traceparent: String,
    /// The header `tracestate`, if those before had something to say.
    pub tracestate: Option<String>,
}

impl TraceContext {
    /// The name of the header that says where.
    pub const TRACEPARENT: &'static str = "traceparent";
    /// The name of the header that says more.
    pub const TRACESTATE: &'static str = "tracestate";

    pub(super) fn of(context: &SpanContext) -> Self {
        Self {
            traceparent: spell(context),
            tracestate: Some(context.trace_state().header()).filter(|state| !state.is_empty()),
        }
    }

    /// The headers, by name.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let state = self.tracestate.as_deref();
        let state = state.map(|state| (Self::TRACESTATE, state));
        [(Self::TRACEPARENT, &*self.traceparent)].into_iter().chain(state)
    }
}

/// What the two headers say. A malformed `tracestate` is left out; without a `traceparent` there is nothing.
pub(super) fn read(traceparent: Option<&str>, tracestate: Option<&str>) -> Option<SpanContext> {
    let it = parse(traceparent?)?;
    match tracestate.and_then(state) {
        None => Some(it),
        Some(state) => Some(context(it.trace_id(), it.span_id(), it.is_sampled(), state)),
    }
}

fn state(text: &str) -> Option<TraceState> {
    let printable = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    if text.len() > LONGEST_STATE || !text.bytes().all(printable) {
        return None;
    }
    TraceState::from_str(text).ok()
}

pub(super) fn context(trace: TraceId, span: SpanId, kept: bool, state: TraceState) -> SpanContext {
    let flags = TraceFlags::default().with_sampled(kept);
    SpanContext::new(trace, span, flags, true, state)
}

/// By hand: it is done twice for every message, and the formatter takes several times as long.
pub(super) fn spell(context: &SpanContext) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(55);
    let mut hex = |bytes: &[u8], end: char| {
        for byte in bytes {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(DIGITS[usize::from(digit)]));
            }
        }
        text.push(end);
    };
    hex(&[0], '-');
    hex(&context.trace_id().to_bytes(), '-');
    hex(&context.span_id().to_bytes(), '-');
    hex(&[u8::from(context.is_sampled())], ' ');
    text.pop();
    text
}

/// `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`, in small letters, neither id zero.
pub(super) fn parse(text: &str) -> Option<SpanContext> {
    let (bytes, more) = text.as_bytes().split_first_chunk::<55>()?;
    let version = &bytes[..2];
    // A later version begins as this one does, and may go on after another `-`.
    let ends = more.is_empty() || version != b"00" && more.starts_with(b"-");
    let _: [u8; 1] = unhex(version).filter(|version| *version != [0xff])?;
    if !ends || [bytes[2], bytes[35], bytes[52]] != *b"---" {
        return None;
    }
    let trace = TraceId::from_bytes(unhex(&bytes[3..35])?);
    let span = SpanId::from_bytes(unhex(&bytes[36..52])?);
    let [flags] = unhex(&bytes[53..])?;
    let context = context(trace, span, flags & 1 == 1, TraceState::NONE);
    context.is_valid().then_some(context)
}

/// The bytes that small hexadecimal digits stand for; there are twice as many of these.
fn unhex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
