/// True if `subject` is one that `filter` asks for.
pub(super) fn matches(filter: &str, subject: &str) -> bool {
    let (mut wanted, mut found) = (filter.split('.'), subject.split('.'));
    loop {
        match (wanted.next(), found.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => return false,
        }
    }
}

/// `subject` as a stream that sources it calls it; `None` if `source` does not match. `{{wildcard(n)}}` in
/// `destination` stands for what the n-th asterisk of `source` matched.
pub(super) fn transformed(source: &str, destination: &str, subject: &str) -> Option<String> {
    if !matches(source, subject) {
        return None;
    }
    let parts = source.split('.').zip(subject.split('.'));
    let wild = parts.filter(|(asked, _)| *asked == "*").map(|(_, found)| found);
    let mut name = destination.to_owned();
    for (n, found) in wild.enumerate() {
        name = name.replace(&format!("{{{{wildcard({})}}}}", n + 1), found);
    }
    Some(name)
}

/// The filter by which an entity's events are asked for, if that is what `subject` could be: `evt.<kind>.*.<id>`.
pub(super) fn entity(subject: &str) -> Option<String> {
    let mut parts = subject.split('.');
    match (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) {
        (Some(a), Some(b), Some(_), Some(d), None) => Some(format!("{a}.{b}.*.{d}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_token_by_token() {
        for (filter, subject, fits) in [
            ("evt.*.*.*", "evt.checkout.OrderCreated.A", true),
            ("evt.checkout.*.A", "evt.checkout.OrderCreated.A", true),
            ("evt.checkout.*.A", "evt.checkout.OrderCreated.B", false),
            ("dlq.>", "dlq.a.b.c", true),
            ("dlq.>", "dlq", false),
            ("in.*.*", "in.a", false),
            ("a.b", "a.b", true),
        ] {
            assert_eq!(matches(filter, subject), fits, "{filter} {subject}");
        }
    }

    #[test]
    fn a_sourced_message_has_a_subject_of_its_own() {
        let to = "$KV.STATE.{{wildcard(1)}}.{{wildcard(3)}}";
        let name = transformed("evt.*.*.*", to, "evt.checkout.OrderCreated.A");
        assert_eq!(name.as_deref(), Some("$KV.STATE.checkout.A"));
        assert_eq!(transformed("evt.*.*.*", to, "in.a.b"), None);
    }
}
