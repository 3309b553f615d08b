//! A trip: book a room, then a flight, and cancel the room if the flight is full.
use jetsaga::{Compensate, Effect, Irreversible, Outcome, Perform, Saga, Step, Worker};
use jetsaga::{anyhow::Result, clap, done, launch, refuse};

jetsaga::facts! {
    TripRequested { traveller: String, city: String }
    RoomBooked { room: u32 }
    refusal RoomUnavailable
    RoomCancelled {}
    FlightBooked { seat: String }
    refusal FlightFull
}
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

struct Desk; // would call the hotel's system, with `effect.key()` as the idempotency key
impl Perform<Hotel> for Desk {
    async fn run(&self, _: &Effect, trip: TripRequested) -> Result<Outcome<RoomBooked, RoomUnavailable>> {
        let reason = "under water".to_owned();
        match trip.city.as_str() {
            "Atlantis" => refuse(RoomUnavailable { reason }),
            _ => done(RoomBooked { room: 12 }),
        }
    }
}
impl Compensate<Hotel> for Desk {
    async fn undo(&self, _: &Effect, _booked: RoomBooked) -> Result<RoomCancelled> {
        Ok(RoomCancelled {})
    }
}

#[derive(clap::Args)]
struct NoFlags {}
fn main() -> std::process::ExitCode {
    let build = async |_: NoFlags, _| Ok(Worker::new("trip-hotel").step::<Trip, Hotel>(Desk)?);
    launch("trip-hotel", "Books rooms", build)
}
