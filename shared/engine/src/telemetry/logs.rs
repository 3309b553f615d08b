//! What every log line says of the message in hand: which saga, which entity, which trace.

use std::fmt;

use saga::Token;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use crate::{in_hand, trace};

/// What a line is about.
struct About {
    saga: Option<Token>,
    id: Option<Token>,
    trace: Option<String>,
}

impl About {
    fn now() -> Self {
        let (saga, id) = in_hand::about();
        let trace = trace::id();
        Self { saga, id, trace }
    }

    fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("saga", self.saga.as_ref().map(Token::as_str)),
            ("saga_id", self.id.as_ref().map(Token::as_str)),
            ("trace_id", self.trace.as_deref()),
        ];
        fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// Lines of `format` with the fields `saga`, `saga_id` and `trace_id`, where they are known.
pub(super) struct WithIds<F> {
    pub(super) format: F,
    /// True if a line is a JSON object.
    pub(super) json: bool,
}

impl<S, N, F> FormatEvent<S, N> for WithIds<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.format.format_event(ctx, Writer::new(&mut line), event)?;
        let mut line = line.trim_end();
        if self.json {
            line = line.strip_suffix('}').unwrap_or(line);
        }
        writer.write_str(line)?;
        for (name, value) in About::now().fields() {
            // Letters, digits, dashes and underlines: nothing in them needs an escape.
            match self.json {
                true => write!(writer, ",\"{name}\":\"{value}\"")?,
                false => write!(writer, " {name}={value}")?,
            }
        }
        writer.write_str(if self.json { "}\n" } else { "\n" })
    }
}
