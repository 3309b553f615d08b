use std::ffi::OsStr;

use clap::{Arg, Command, builder::TypedValueParser, error::ErrorKind};

/// Reads a flag that may hold a password. What is wrong with it is said; nothing of it is shown.
#[derive(Clone, Copy, Debug)]
pub struct Hidden<T> {
    variable: &'static str,
    takes: &'static str,
    read: fn(&str) -> Result<T, String>,
}

impl<T> Hidden<T> {
    /// The parser of the flag that `variable` stands for too. `read` says what is wrong without the text, and `takes` what
    /// would be right.
    pub const fn new(
        variable: &'static str,
        takes: &'static str,
        read: fn(&str) -> Result<T, String>,
    ) -> Self {
        Self {
            variable,
            takes,
            read,
        }
    }

    fn parse(&self, text: &OsStr) -> Result<T, String> {
        let text = text.to_str().ok_or("it is not UTF-8");
        text.map_err(str::to_owned)
            .and_then(self.read)
            .map_err(|why| format!("{}: {why}; it takes {}", self.variable, self.takes))
    }
}

impl Hidden<String> {
    /// The parser of a URL of the web. `takes` is such as `a URL such as http://127.0.0.1:4318`.
    pub const fn url(variable: &'static str, takes: &'static str) -> Self {
        Self::new(variable, takes, |text| web(text).map(|_| text.to_owned()))
    }

    /// The same, of a URL that paths are added to: it is read without the slashes at its end.
    pub const fn base_url(variable: &'static str, takes: &'static str) -> Self {
        Self::new(variable, takes, |text| {
            web(text).map(|_| text.trim_end_matches('/').to_owned())
        })
    }
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Hidden<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, text: &OsStr) -> Result<T, clap::Error> {
        self.parse(text)
            .map_err(|message| clap::Error::raw(ErrorKind::ValueValidation, message + "\n").with_cmd(command))
    }
}

/// The URL, if it is one of the web and holds no password: it is shown in logs.
pub(crate) fn open_url(text: &str) -> Result<String, String> {
    let url = web(text)?;
    if url.username().is_empty() && url.password().is_none() {
        Ok(text.to_owned())
    } else {
        Err("it names a user or a password".to_owned())
    }
}

/// The URL, if it is one of the web.
fn web(text: &str) -> Result<reqwest::Url, String> {
    let url = reqwest::Url::parse(text).map_err(|why| why.to_string())?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err("it begins with neither http:// nor https://".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Cli {
        #[arg(long, default_value = "http://x", value_parser = Hidden::url("WHERE", "a URL such as http://127.0.0.1:1"))]
        place: String,
        #[arg(long, default_value = "http://x", value_parser = Hidden::base_url("BASE", "a URL such as http://127.0.0.1:1"))]
        base: String,
    }

    #[test]
    fn what_is_wrong_is_said_and_the_text_is_not() {
        for (text, why) in [
            ("", "relative URL without a base"),
            ("u:s3cret@host", "neither http:// nor https://"),
            ("ftp://u:s3cret@host", "neither http:// nor https://"),
            ("http://u:s3cret@host:port", "invalid port number"),
            ("http://", "empty host"),
            ("//u:s3cret@host", "relative URL without a base"),
        ] {
            let error = Cli::try_parse_from(["x", "--place", text]).unwrap_err();
            let error = error.to_string();
            assert!(!error.contains("s3cret"), "{error}");
            for part in ["WHERE: ", why, "; it takes a URL such as http://127.0.0.1:1\n"] {
                assert!(error.contains(part), "{text}: {error}");
            }
        }
    }

    #[test]
    fn a_url_is_kept_as_it_is_but_for_the_slashes_at_the_end_of_a_base() {
        let url = "https://u:s3cret@host:1/path//";
        let cli = Cli::try_parse_from(["x", "--place", url, "--base", url]).unwrap();
        assert_eq!(cli.place, url);
        assert_eq!(cli.base, "https://u:s3cret@host:1/path");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStrExt as _;
        let text = OsStr::from_bytes(b"http://s3cret\xff");
        let error = Cli::try_parse_from([OsStr::new("x"), OsStr::new("--place"), text]).unwrap_err();
        assert!(error.to_string().contains("WHERE: it is not UTF-8"), "{error}");
    }
}
