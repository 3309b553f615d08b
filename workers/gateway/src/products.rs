use axum::{extract::State as Extracted, http::HeaderMap, response::Response};
use checkout::stock::Product;
use jetsaga::{Entity as _, Freshness, Timestamp, Token, subject::EntitySubject};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::Gateway,
    keys::Caller,
    orders::tagged,
    path::Id,
    problem::{Code, Problem},
};

/// One product's stock.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProductView {
    /// Which product.
    #[schema(value_type = String, example = "PROD-A1")]
    sku: Token,
    /// Units that the next order may take.
    on_hand: u64,
    /// Units set aside for orders.
    reserved: u64,
    /// Units that have left.
    shipped: u64,
    /// The sequence in the journal of the event that this is the state after.
    sequence: u64,
    /// When that event was stored.
    #[schema(value_type = String, format = DateTime)]
    stored_at: Timestamp,
}

/// One product's stock
///
/// Read from the journal's leader. The `ETag` is its sequence.
#[utoipa::path(get, path = "/v1/products/{sku}", tag = "products",
    params(("sku" = String, Path, description = "The product")),
    responses((status = 200, description = "Its stock", body = ProductView), (status = 304, description = "Not changed since `If-None-Match`")))]
pub(crate) async fn get(
    Extracted(app): Extracted<Gateway>,
    _: Caller,
    Id(sku): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let kind = Token::new(Product::KIND).map_err(|error| Problem::internal(&error))?;
    let entity = EntitySubject::new(&kind, &sku);
    let found = app.journal.last::<Product>(&entity, Freshness::Leader).await;
    let found = found.map_err(|error| Problem::unavailable(&error))?;
    let found = found.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no product {sku}")))?;
    let Product {
        on_hand,
        reserved,
        shipped,
        ..
    } = found.state;
    let view = ProductView {
        sku,
        on_hand,
        reserved,
        shipped,
        sequence: found.sequence,
        stored_at: found.stored_at,
    };
    tagged(found.sequence, &headers, view)
}
