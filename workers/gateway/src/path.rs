use axum::{
    RequestPartsExt as _,
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use jetsaga::Token;
use serde::de::DeserializeOwned;

use crate::problem::{Code, Problem};

/// The one identifier in a path.
pub(crate) struct Id(pub(crate) Token);

/// The query parameters, all of them known and none given twice.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let invalid = |why: String| Problem::new(Code::InvalidIdentifier, why);
        let Path(text) = parts
            .extract::<Path<String>>()
            .await
            .map_err(|_| invalid("the identifier in the path is no UTF-8".to_owned()))?;
        Token::new(&text)
            .map(Self)
            .map_err(|error| invalid(error.to_string()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        let Query(params) = query.map_err(|error| Problem::new(Code::InvalidQuery, error.body_text()))?;
        Ok(Self(params))
    }
}
