//! Dead letters, for operators.
#![expect(unused_qualifications, reason = "utoipa spells out the parameters' types")]

use axum::{Json, extract::State as Extracted, http::StatusCode};
use jetsaga::{AppendError, Letter, ReadError, anyhow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::Gateway,
    keys::Operator,
    path::{Id, Params},
    problem::{Code, Problem},
};

/// Some dead letters, oldest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LettersView {
    /// The letters.
    #[schema(value_type = Vec<LetterView>)]
    items: Vec<Letter>,
    /// `after` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// A message that could not be handled.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it describes `Letter`, which is written")]
pub(crate) struct LetterView {
    /// Its name.
    sequence: u64,
    /// Why, in a word.
    reason: String,
    /// Why, in a sentence.
    detail: String,
    /// Who buried it.
    consumer: String,
    /// When.
    #[schema(format = DateTime)]
    buried_at: String,
    /// The stream it came from.
    stream: String,
    /// Its sequence there.
    stream_sequence: u64,
    /// The subject it was published to.
    subject: String,
    /// What was published, as text.
    body: String,
}

/// Which letters.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Only letters with a greater sequence.
    #[serde(default)]
    after: u64,
    /// At most so many: 1 to 200.
    #[serde(default = "fifty")]
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: usize,
}

/// Dead letters
#[utoipa::path(get, path = "/v1/letters", tag = "operators", params(Page),
    responses((status = 200, description = "The letters, oldest first", body = LettersView)))]
pub(crate) async fn list(
    Extracted(app): Extracted<Gateway>,
    _: Operator,
    Params(page): Params<Page>,
) -> Result<Json<LettersView>, Problem> {
    if !(1..=200).contains(&page.limit) {
        let why = format!("limit is {}; it takes 1 to 200", page.limit);
        return Err(Problem::new(Code::InvalidQuery, why));
    }
    let found = app.letters.after(page.after, page.limit + 1).await;
    let mut items = found.map_err(|error| Problem::unavailable(&error))?;
    let more = items.len() > page.limit;
    items.truncate(page.limit);
    let next = items.last().filter(|_| more).map(|letter| letter.sequence);
    Ok(Json(LettersView { items, next }))
}

/// One dead letter
#[utoipa::path(get, path = "/v1/letters/{seq}", tag = "operators", params(("seq" = u64, Path, description = "Its sequence")),
    responses((status = 200, description = "The letter", body = LetterView)))]
pub(crate) async fn get(
    Extracted(app): Extracted<Gateway>,
    _: Operator,
    id: Id,
) -> Result<Json<Letter>, Problem> {
    app.letter(&id).await.map(Json)
}

/// Give a dead letter back to whoever buried it
///
/// Doing it twice changes nothing the second time; what fails again is a letter again.
#[utoipa::path(post, path = "/v1/letters/{seq}/redrive", tag = "operators", params(("seq" = u64, Path, description = "Its sequence")),
    responses((status = 204, description = "It is on its way, and no letter any more")))]
pub(crate) async fn redrive(
    Extracted(app): Extracted<Gateway>,
    _: Operator,
    id: Id,
) -> Result<StatusCode, Problem> {
    let letter = app.letter(&id).await?;
    app.letters
        .redrive(&letter)
        .await
        .map_err(|error| failed(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a dead letter for good
#[utoipa::path(delete, path = "/v1/letters/{seq}", tag = "operators", params(("seq" = u64, Path, description = "Its sequence")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn remove(
    Extracted(app): Extracted<Gateway>,
    _: Operator,
    id: Id,
) -> Result<StatusCode, Problem> {
    let letter = app.letter(&id).await?;
    app.letters
        .drop(letter.sequence)
        .await
        .map_err(|error| failed(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

impl Gateway {
    async fn letter(&self, Id(id): &Id) -> Result<Letter, Problem> {
        let invalid = || {
            Problem::new(
                Code::InvalidIdentifier,
                format!("{id} is no sequence; it takes a whole number"),
            )
        };
        let digits = id.as_str().bytes().all(|b| b.is_ascii_digit());
        let sequence = id.as_str().parse().ok().filter(|_| digits).ok_or_else(invalid)?;
        let gone = || Problem::new(Code::NotFound, format!("there is no letter {sequence}"));
        if sequence == 0 {
            return Err(gone()); // the first is 1
        }
        let found = self
            .letters
            .get(sequence)
            .await
            .map_err(|error| Problem::unavailable(&error))?;
        found.ok_or_else(gone)
    }
}

/// The server does not answer, or the letter cannot go back.
fn failed(error: &anyhow::Error) -> Problem {
    if error.is::<ReadError>() || error.is::<AppendError>() {
        return Problem::unavailable(error);
    }
    Problem::new(Code::Conflict, error.to_string())
}

const fn fifty() -> usize {
    50
}
