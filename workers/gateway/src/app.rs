use std::{ops::Deref, sync::Arc};

use axum::{Router, http::Uri, middleware, response::IntoResponse, routing};
use checkout::Checkout;
use customer::Customers;
use jetsaga::{Journal, Letters, Nats, Plan, anyhow};
use readmodel::ReadModel;
use tokio::sync::{Semaphore, watch};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    args::Config,
    asker::Asker,
    counters::Counters,
    customers,
    docs::{self, document},
    guard::guard,
    hub::Hub,
    keys::Keys,
    letters, lists, live, orders,
    problem::{Code, Problem},
    products,
    requests::Requests,
};

/// Everything that a request may need. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gateway(Arc<Parts>);

/// What there is of it.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) nats: Nats,
    pub(crate) journal: Journal,
    pub(crate) letters: Letters,
    pub(crate) customers: Customers,
    /// The read model, if there is one.
    pub(crate) model: Option<ReadModel>,
    pub(crate) plan: Plan,
    pub(crate) asker: Asker,
    pub(crate) requests: Requests,
    pub(crate) keys: Keys,
    pub(crate) counters: Counters,
    pub(crate) requests_at_once: Semaphore,
    pub(crate) streams: Arc<Semaphore>,
    /// What happens now.
    pub(crate) hub: Hub,
    /// Becomes true when the streams have to end.
    pub(crate) stop: watch::Receiver<bool>,
    /// The OpenAPI document, as it is served.
    pub(crate) document: String,
}

impl Gateway {
    /// The gateway on this connection.
    ///
    /// # Errors
    /// When the server does not answer, or the file of keys is wrong.
    pub(crate) async fn new(nats: Nats, config: Config, stop: watch::Receiver<bool>) -> anyhow::Result<Self> {
        let keys = match &config.keys {
            Some(path) => Keys::open(path).await?,
            None => Keys::nobody_is_asked(),
        };
        let model = match &config.read_model {
            Some(url) => Some(read_model(url, &nats).await?),
            None => None,
        };
        if let (Some(model), Some(file)) = (&model, &config.read_model_file) {
            tokio::spawn(readmodel::follow_address(file.clone(), model.database().clone()));
        }
        let counters = Counters::new();
        nats.metrics.extend(|registry| counters.register(registry));
        Ok(Self(Arc::new(Parts {
            journal: Journal::new(&nats),
            letters: Letters::new(&nats),
            customers: Customers::new(&nats)?,
            model,
            plan: Plan::of::<Checkout>()?,
            asker: Asker::start(&nats).await?,
            requests: Requests::new(&nats),
            keys,
            counters,
            requests_at_once: Semaphore::new(config.requests),
            streams: Arc::new(Semaphore::new(config.streams)),
            hub: Hub::start(&nats, stop.clone()).await?,
            stop,
            document: document().to_pretty_json()?,
            config,
            nats,
        })))
    }

    /// Every route, with what every request passes.
    pub(crate) fn router(self) -> Router {
        let (router, _) = api().split_for_parts();
        router
            .route("/openapi.json", routing::get(docs::openapi))
            .route("/docs", routing::get(docs::page))
            .fallback(nothing_here)
            .method_not_allowed_fallback(not_so)
            .layer(middleware::from_fn_with_state(self.clone(), guard))
            .with_state(self)
    }
}

/// The read models that a projector keeps from this journal. They are not made here: an empty list would be a wrong answer.
async fn read_model(url: &str, nats: &Nats) -> anyhow::Result<ReadModel> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path
            .split('?')
            .next()
            .unwrap_or_default()
            .trim_start_matches("//");
        anyhow::ensure!(
            std::path::Path::new(path).exists(),
            "DATABASE_URL: there is no database {path}; the projector makes it"
        );
    }
    let model = ReadModel::open(url).await?;
    model.belongs_to(nats).await?;
    Ok(model)
}

/// The routes that are described, with their descriptions.
pub(crate) fn api() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(orders::place, lists::orders))
        .routes(routes!(orders::get))
        .routes(routes!(orders::cancel))
        .routes(routes!(orders::history))
        .routes(routes!(live::order))
        .routes(routes!(live::everything))
        .routes(routes!(customers::create))
        .routes(routes!(customers::get, customers::change, customers::erase))
        .routes(routes!(customers::history))
        .routes(routes!(products::get))
        .routes(routes!(lists::revenue))
        .routes(routes!(letters::list))
        .routes(routes!(letters::get, letters::remove))
        .routes(routes!(letters::redrive))
}

/// Waits until the gateway stops.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await; // a dropped sender stops as well
}

async fn nothing_here(uri: Uri) -> impl IntoResponse {
    let path: String = uri.path().chars().take(100).collect();
    Problem::new(
        Code::UnknownPath,
        format!("there is nothing at {path}; see /docs"),
    )
}

async fn not_so() -> impl IntoResponse {
    Problem::new(
        Code::MethodNotAllowed,
        "the header Allow names the methods of this path",
    )
}

impl Deref for Gateway {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
