use serde::de::DeserializeOwned;

/// Why `json` cannot be read as a `T`, for a person: the path of the field at fault below `root`, what stands
/// there, and what it takes. `payload.items[0].quantity: invalid type: string "2", expected u32 at line 1 column 9`.
///
/// It reads `json` a second time, so ask only once reading has failed.
pub fn why_not<T: DeserializeOwned>(root: &str, json: &[u8]) -> String {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let read = serde_path_to_error::deserialize::<_, T>(&mut reader);
    let (path, why) = match read {
        Err(error) => (error.path().to_string(), error.inner().to_string()),
        // It can be read, so something follows it.
        Ok(_) => (
            ".".to_owned(),
            reader.end().err().map_or_else(String::new, |e| e.to_string()),
        ),
    };
    match (root, path.as_str()) {
        ("", ".") => why,
        (root, ".") => format!("{root}: {why}"),
        ("", path) => format!("{path}: {why}"),
        (root, path) if path.starts_with('[') => format!("{root}{path}: {why}"),
        (root, path) => format!("{root}.{path}: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    #[test]
    fn the_field_at_fault_is_named() {
        let why = |json: &str| why_not::<Vec<Vec<u8>>>("payload.items", json.as_bytes());
        assert!(
            why("[[1],[2,-3]]").starts_with("payload.items[1][1]: invalid value"),
            "{}",
            why("[[1],[2,-3]]")
        );
        assert!(why("null").starts_with("payload.items: invalid type: null"));
        assert!(why("[]]").starts_with("payload.items: trailing characters"));
        let no_id = why_not::<Event<()>>("", br#"{"eventId":"5"}"#);
        assert!(no_id.starts_with("eventId: UUID parsing failed"), "{no_id}");
    }
}
