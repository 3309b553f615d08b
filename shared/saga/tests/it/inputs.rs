//! A saga defined by types, and how its steps read what they wait for.

use saga::{Fact, Inputs, Irreversible, Plan, Refusal, Saga, State, Step, evolve};
use serde::{Deserialize, Serialize};

use crate::given::{event, id};

macro_rules! facts {
    ($($name:ident)+) => {$(
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name {
            by: String,
        }
        impl Fact for $name {
            const TYPE: &'static str = stringify!($name);
        }
    )+};
}
facts!(TripOrdered HotelBooked HotelFull HotelReleased TicketSold TicketRefused);

macro_rules! refusals {
    ($($name:ident)+) => {$(
        impl Refusal for $name {
            fn forbidden(_: &State, reason: &str) -> Self {
                Self { by: reason.to_owned() }
            }
            fn reason(&self) -> String {
                self.by.clone()
            }
        }
    )+};
}
refusals!(HotelFull TicketRefused);

pub(crate) struct Hotel;
impl Step for Hotel {
    const NAME: &'static str = "hotel";
    type After = TripOrdered;
    type Done = HotelBooked;
    type Refused = HotelFull;
    type Undone = HotelReleased;
}

pub(crate) struct Ticket;
impl Step for Ticket {
    const NAME: &'static str = "ticket";
    type After = (TripOrdered, HotelBooked);
    type Done = TicketSold;
    type Refused = TicketRefused;
    type Undone = Irreversible;
}

/// A hotel, then a ticket that cannot be given back.
pub(crate) struct Trip;
impl Saga for Trip {
    const NAME: &'static str = "trip";
    const VERSION: u32 = 2;
    type Start = TripOrdered;
    type Steps = (Hotel, Ticket);
    const TIMED_OUT: &'static str = "TripTimedOut";
    const CANCELLATION_REQUESTED: &'static str = "TripCancellationRequested";
    const CANCELLED: &'static str = "TripCancelled";
}

/// The trip after these events.
fn trip(events: &[&str]) -> (Plan, State) {
    let plan = Plan::of::<Trip>().unwrap();
    let mut state: Option<State> = None;
    for (name, n) in events.iter().zip(1..) {
        state = Some(evolve(&plan, state.as_ref(), &event(name, n), &id(), 0).unwrap());
    }
    (plan, state.unwrap())
}

#[test]
fn the_start_is_read_as_its_type() {
    let (plan, state) = trip(&["TripOrdered"]);
    let read = <<Hotel as Step>::After as Inputs>::read(&plan, &state)
        .unwrap()
        .unwrap();
    assert_eq!(
        read,
        TripOrdered {
            by: "TripOrdered".into()
        }
    );
    assert_eq!(<TripOrdered as Inputs>::TYPES, ["TripOrdered"]);
}

#[test]
fn a_tuple_is_read_once_all_of_it_happened() {
    assert_eq!(
        <(TripOrdered, HotelBooked)>::TYPES,
        ["TripOrdered", "HotelBooked"]
    );
    let (plan, state) = trip(&["TripOrdered"]);
    assert_eq!(<(TripOrdered, HotelBooked)>::read(&plan, &state).unwrap(), None);
    assert_eq!(<(HotelBooked,)>::read(&plan, &state).unwrap(), None);
    let (plan, state) = trip(&["TripOrdered", "HotelBooked"]);
    let (ordered, booked) = <(TripOrdered, HotelBooked)>::read(&plan, &state)
        .unwrap()
        .unwrap();
    assert_eq!(
        (ordered.by.as_str(), booked.by.as_str()),
        ("TripOrdered", "HotelBooked")
    );
    let six = <(
        HotelBooked,
        TripOrdered,
        HotelBooked,
        TripOrdered,
        HotelBooked,
        TripOrdered,
    )>::read(&plan, &state);
    assert_eq!(six.unwrap().unwrap().0.by, "HotelBooked", "in the tuple's order");
}

#[test]
fn what_is_undone_can_still_be_read() {
    let (plan, state) = trip(&["TripOrdered", "HotelBooked", "TicketRefused", "HotelReleased"]);
    assert!(<HotelBooked as Inputs>::read(&plan, &state).unwrap().is_some());
}

#[test]
fn only_the_start_and_successes_are_inputs() {
    let (plan, state) = trip(&["TripOrdered", "HotelFull"]);
    assert_eq!(
        <HotelFull as Inputs>::read(&plan, &state).unwrap(),
        None,
        "a refusal"
    );
    assert_eq!(
        <TicketSold as Inputs>::read(&plan, &state).unwrap(),
        None,
        "not yet"
    );
    assert_eq!(plan.payload(&state, "TripCancelled"), None);
    assert_eq!(plan.payload(&state, "SomethingElse"), None);
}

#[test]
fn a_payload_of_another_shape_is_an_error_that_names_the_field() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Newer {
        seats: u32,
    }
    impl Fact for Newer {
        const TYPE: &'static str = "TripOrdered";
    }
    let (plan, state) = trip(&["TripOrdered", "HotelBooked"]);
    let error = <(HotelBooked, Newer)>::read(&plan, &state)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("missing field `seats`"), "{error}");
}
