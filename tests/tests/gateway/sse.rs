use anyhow::{Context as _, Result, bail, ensure};
use jetsaga_tests::harness::PATIENCE;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::time::timeout;

/// A live stream, as a browser would read it.
pub(crate) struct Events {
    response: Response,
    text: String,
}

/// One event of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) id: u64,
    pub(crate) data: Value,
}

impl Events {
    /// Opens it, after the event `last` if one is named.
    pub(crate) async fn open(request: RequestBuilder, last: Option<u64>) -> Result<Self> {
        let request = match last {
            Some(id) => request.header("Last-Event-ID", id),
            None => request,
        };
        let response = request.header("Accept", "text/event-stream").send().await?;
        ensure!(
            response.status() == 200,
            "{} {}",
            response.status(),
            response.text().await?
        );
        let kind = response.headers().get("content-type").context("no type")?;
        ensure!(kind == "text/event-stream", "{kind:?}");
        Ok(Self {
            response,
            text: String::new(),
        })
    }

    /// The next event; `None` once the stream has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<Told>> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let told = read(block)?;
                self.text = rest.to_owned();
                if told.is_some() {
                    return Ok(told);
                }
            }
            match timeout(PATIENCE, self.response.chunk())
                .await
                .context("nothing is told")??
            {
                Some(chunk) => self.text.push_str(std::str::from_utf8(&chunk)?),
                None if self.text.is_empty() => return Ok(None),
                None => bail!("the stream ended within {:?}", self.text),
            }
        }
    }

    /// All that is told until the end.
    pub(crate) async fn rest(mut self) -> Result<Vec<Told>> {
        let mut all = Vec::new();
        while let Some(told) = self.next().await? {
            all.push(told);
        }
        Ok(all)
    }
}

/// The types of these events.
pub(crate) fn types(told: &[Told]) -> Vec<&str> {
    told.iter()
        .filter_map(|told| told.data["eventType"].as_str())
        .collect()
}

fn read(block: &str) -> Result<Option<Told>> {
    let (mut id, mut data) = (None, None);
    for line in block.lines() {
        match line.split_once(':').context("no colon")? {
            ("", _comment) => {}
            ("id", value) => id = Some(value.trim().parse()?),
            ("data", value) => data = Some(serde_json::from_str(value.trim())?),
            (other, _) => bail!("{other} is not awaited"),
        }
    }
    Ok(match (id, data) {
        (Some(id), Some(data)) => Some(Told { id, data }),
        (None, None) => None,
        odd => bail!("half an event: {odd:?}"),
    })
}
