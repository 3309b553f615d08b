//! A saga of your own: a trip that books a room and a flight, and cancels the room when the flight is full.
use jetsaga::{Compensate, Effect, Fact, Irreversible, Outcome, Perform, Refusal, Saga, State, Step, Worker};
use jetsaga::{anyhow::Result, done, launch, refuse, serde};

macro_rules! facts { ($($name:ident { $($field:ident: $type:ty),* })+) => { $(
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    #[serde(crate = "jetsaga::serde")]
    struct $name { $($field: $type),* }
    impl Fact for $name { const TYPE: &'static str = stringify!($name); }
)+ } }
facts! {
    TripRequested { traveller: String, city: String }
    RoomBooked { room: u32 }  RoomUnavailable { reason: String }  RoomCancelled {}
    FlightBooked { seat: String }  FlightFull { reason: String }
}
macro_rules! refusals { ($($name:ident)+) => { $(impl Refusal for $name {
    fn forbidden(_: &State, reason: &str) -> Self { Self { reason: reason.into() } }
    fn reason(&self) -> String { self.reason.clone() }
})+ } }
refusals! { RoomUnavailable FlightFull }

struct Trip;
impl Saga for Trip {
    const NAME: &'static str = "trip";
    type Start = TripRequested;
    type Steps = (Hotel, Flight);
    const TIMED_OUT: &'static str = "TripTimedOut";
    const CANCELLATION_REQUESTED: &'static str = "TripCancellationRequested";
    const CANCELLED: &'static str = "TripCancelled";
}
struct Hotel;
impl Step for Hotel {
    const NAME: &'static str = "hotel";
    type After = TripRequested;
    type Done = RoomBooked;
    type Refused = RoomUnavailable;
    type Undone = RoomCancelled;
}
struct Flight; // it cannot be taken back, so it waits for everything else
impl Step for Flight {
    const NAME: &'static str = "flight";
    type After = (TripRequested, RoomBooked);
    type Done = FlightBooked;
    type Refused = FlightFull;
    type Undone = Irreversible;
}

struct Desk; // calls your hotel system with `effect.key()` as the idempotency key
impl Perform<Hotel> for Desk {
    async fn run(&self, _: &Effect, trip: TripRequested) -> Result<Outcome<RoomBooked, RoomUnavailable>> {
        if trip.city == "Atlantis" { return refuse(RoomUnavailable { reason: "under water".into() }) }
        done(RoomBooked { room: 12 })
    }
}
impl Compensate<Hotel> for Desk {
    async fn undo(&self, _: &Effect, _: RoomBooked) -> Result<RoomCancelled> { Ok(RoomCancelled {}) }
}

fn main() -> std::process::ExitCode {
    launch("trip-hotel", "Books rooms", |_: NoFlags, _| async { Ok(Worker::new("trip-hotel").step::<Trip, Hotel>(Desk)?) })
}
#[derive(jetsaga::clap::Args)]
struct NoFlags {}
