mod nats;
mod place;
mod site;

pub(crate) use nats::Server;
pub(crate) use place::Place;
pub(crate) use site::{Site, until};

/// Runs each of these tests on both databases.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => { $(mod $name {
        use crate::harness::Place;

        #[tokio::test(flavor = "multi_thread")]
        async fn sqlite() {
            super::$name(Place::sqlite().unwrap()).await.unwrap();
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn postgres() {
            if let Some(place) = Place::postgres().unwrap() {
                super::$name(place).await.unwrap();
            }
        }
    })+ };
}
pub(crate) use on_both;
