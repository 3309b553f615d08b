use std::{collections::HashMap, fmt, path::Path};

use anyhow::{Context as _, ensure};
use percent_encoding::percent_decode_str;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// Headers that go with everything that is sent by OTLP: the key of whoever takes it. `{:?}` shows their names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OtlpHeaders(HeaderMap);

impl OtlpHeaders {
    /// What `--otlp-headers` takes.
    pub(super) const TAKES: &str = "name=value,name=value, the values percent-encoded, such as api-key=0123";

    /// Reads `name=value,name=value` as the OpenTelemetry specification has it: with spaces around each, and the values
    /// percent-encoded.
    ///
    /// # Errors
    /// Says which header is wrong and how, without its value.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        let parts = text.split([',', '\n']).map(str::trim);
        for (n, part) in parts.filter(|part| !part.is_empty()).enumerate() {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| format!("header {} has no =", n + 1))?;
            let name: HeaderName = name
                .trim()
                .parse()
                .map_err(|_| format!("the name of header {} is none", n + 1))?;
            let value: Vec<u8> = percent_decode_str(value.trim()).collect();
            let value = HeaderValue::from_bytes(&value).ok();
            let mut value = value
                .filter(|value| value.to_str().is_ok())
                .ok_or_else(|| format!("the value of {name} has a character other than visible ASCII"))?;
            value.set_sensitive(true);
            if headers.insert(&name, value).is_some() {
                return Err(format!("{name} is there twice"));
            }
        }
        Ok(Self(headers))
    }

    /// Reads a file that holds the same, or one header a line.
    ///
    /// # Errors
    /// When there is no such file, or it holds something else. Nothing of what it holds is said.
    pub(super) fn in_file(file: &Path) -> anyhow::Result<Self> {
        let named = || format!("JETSAGA_OTLP_HEADERS_FILE {} is of no use", file.display());
        let text = std::fs::read_to_string(file).with_context(named)?;
        let read = Self::read(&text).map_err(|why| anyhow::anyhow!("{why}; it takes {}", Self::TAKES));
        let headers = read.with_context(named)?;
        ensure!(
            !headers.0.is_empty(),
            "{}: it is empty; it takes {}",
            named(),
            Self::TAKES
        );
        Ok(headers)
    }

    /// The headers for the exporter of traces, which decodes percents.
    pub(super) fn pairs(&self) -> HashMap<String, String> {
        let text = |value: &HeaderValue| value.to_str().ok().map(|text| text.replace('%', "%25"));
        let pairs = self
            .0
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), text(value)?)));
        pairs.collect()
    }

    /// The headers.
    pub(super) fn map(&self) -> &HeaderMap {
        &self.0
    }
}

impl fmt::Debug for OtlpHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_the_specification_says() {
        let headers = OtlpHeaders::read(" api-key = a%2Cb=c , X-Scope-OrgID=7,").unwrap();
        assert_eq!(headers.0.len(), 2);
        assert_eq!(headers.0["api-key"], "a,b=c");
        assert_eq!(headers.0["x-scope-orgid"], "7");
        assert_eq!(format!("{headers:?}"), r#"["api-key", "x-scope-orgid"]"#);
        assert_eq!(OtlpHeaders::read("a=5%2525").unwrap().pairs()["a"], "5%2525");
        assert_eq!(OtlpHeaders::read("a=1\nb=2\n").unwrap().0.len(), 2);
        assert_eq!(OtlpHeaders::read("").unwrap(), OtlpHeaders::default());
    }

    #[test]
    fn what_is_no_header_is_named_without_its_value() {
        for (text, why) in [
            ("s3cret", "header 1 has no ="),
            ("a=1,s3cret", "header 2 has no ="),
            ("s3 cret=1", "the name of header 1 is none"),
            ("key=s3%0Acret", "the value of key has a character"),
            ("key=s3%C3%A9", "the value of key has a character"),
            ("key=s3cret,KEY=1", "key is there twice"),
        ] {
            let error = OtlpHeaders::read(text).unwrap_err();
            assert!(error.contains(why) && !error.contains("s3"), "{error}");
        }
    }
}
