//! Stock that is never oversold.
