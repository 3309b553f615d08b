use jetsaga::{Moment, Timestamp};

use crate::problem::{Code, Problem};

/// Reads `as_of`: a time such as `2023-10-27T10:30:00Z`, or `seq:17`, the journal's sequence.
///
/// # Errors
/// `invalid-query`, with what would be right.
pub(crate) fn moment(as_of: &str) -> Result<Moment, Problem> {
    let wrong = |why: String| Problem::new(Code::InvalidQuery, format!("as_of: {why}"));
    if let Some(sequence) = as_of.strip_prefix("seq:") {
        let digits = !sequence.is_empty() && sequence.bytes().all(|b| b.is_ascii_digit());
        let sequence = sequence.parse().ok().filter(|_| digits);
        let why =
            || wrong("seq: takes a whole number from 0 to 18446744073709551615, such as seq:17".to_owned());
        return sequence.map(Moment::Sequence).ok_or_else(why);
    }
    let time = as_of.parse::<Timestamp>();
    time.map(Moment::Time)
        .map_err(|error| wrong(format!("{error}; or seq:<number>")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_sequence() {
        let time = "2023-10-27T10:30:00Z".parse().unwrap();
        assert_eq!(moment("seq:17").unwrap(), Moment::Sequence(17));
        assert_eq!(moment("2023-10-27T12:30:00+02:00").unwrap(), Moment::Time(time));
        for odd in [
            "",
            "seq:",
            "seq:-1",
            "seq:+1",
            "seq:1.5",
            "seq:18446744073709551616",
            "17",
            "yesterday",
            "2023-10-27",
        ] {
            assert_eq!(moment(odd).unwrap_err().code(), Code::InvalidQuery, "{odd}");
        }
    }
}
