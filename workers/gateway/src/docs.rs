//! The OpenAPI document, made from the routes, and a page that shows it.

use axum::{
    extract::State as Extracted,
    http::header,
    response::{Html, IntoResponse},
};
use utoipa::{
    OpenApi as _,
    openapi::{
        Content, OpenApi, Ref, Response, ResponseBuilder,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    app::{Gateway, api},
    problem::{Code, ProblemBody},
};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Jetsaga",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        description = "Orders that end completed or cancelled, whoever dies at whatever moment. Commands are kept before they are answered; \
            every answer to one names the sequence of its event in the journal.",
    ),
    tags(
        (name = "orders", description = "Place, take back, look at, follow"),
        (name = "customers", description = "Create, change, look at, forget"),
        (name = "products", description = "What is in stock"),
        (name = "operators", description = "Only for tokens of the role `operator`"),
    ),
    components(schemas(ProblemBody, Code))
)]
struct Head;

/// The whole document.
pub(crate) fn document() -> OpenApi {
    let mut document = Head::openapi();
    document.merge(api().into_openapi());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
    let bearer = bearer
        .description(Some("A token that `jetsaga token new` made"))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    document.security = Some(vec![SecurityRequirement::new("token", [""; 0])]);
    if let Some(description) = &mut document.info.description {
        description.push_str(&problems());
    }
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete] {
            operation.iter_mut().for_each(with_problems);
        }
    }
    document
}

/// The table of problems.
fn problems() -> String {
    let mut table = "\n\nWhatever goes wrong is told as `application/problem+json` (RFC 9457) with a `code` that never changes:\n\n\
        | code | status | |\n| --- | --- | --- |\n"
        .to_owned();
    for code in Code::ALL {
        let line = format!(
            "| `{}` | {} | {} |\n",
            code.word(),
            code.status().as_u16(),
            code.title()
        );
        table.push_str(&line);
    }
    table
}

fn with_problems(operation: &mut Operation) {
    let problem = |says: &str| -> Response {
        let content = Content::new(Some(Ref::from_schema_name("ProblemBody")));
        ResponseBuilder::new()
            .description(says)
            .content("application/problem+json", content)
            .build()
    };
    let responses = &mut operation.responses.responses;
    responses.insert("401".to_owned(), problem("No valid token").into());
    responses.insert("default".to_owned(), problem("Any other problem").into());
}

/// `/openapi.json`
pub(crate) async fn openapi(Extracted(app): Extracted<Gateway>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], app.document.clone())
}

/// `/docs`
pub(crate) async fn page() -> impl IntoResponse {
    const ONLY_OURS: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; connect-src 'self'";
    (
        [(header::CONTENT_SECURITY_POLICY, ONLY_OURS)],
        Html(include_str!("docs.html")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

    /// `UPDATE_OPENAPI=1` writes it anew.
    #[test]
    fn the_checked_in_document_is_the_one_that_is_served() {
        let made = document().to_pretty_json().unwrap() + "\n";
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(CHECKED_IN, &made).unwrap();
        }
        let kept = std::fs::read_to_string(CHECKED_IN).unwrap();
        assert!(
            made == kept,
            "docs/openapi.json is not what the code says; UPDATE_OPENAPI=1 cargo test -p jetsaga-gateway writes it anew"
        );
    }
}
