use saga::{Plan, PlanError, PlanSpec, StepSpec};

/// Three steps in a row, each of which can be taken back: no pivot, so a turn may find any of them open, and the
/// order of the undos matters.
///
/// # Errors
/// Never: the definition is fixed and right.
pub fn chain() -> Result<Plan, PlanError> {
    let step = |name: &str, after: &str, word: &str| StepSpec {
        name: name.into(),
        after: vec![after.into()],
        done: format!("{word}Booked"),
        refused: format!("{word}Refused"),
        undone: Some(format!("{word}Released")),
    };
    Plan::compile(&PlanSpec {
        saga: "trip".into(),
        version: 1,
        start: "TripOrdered".into(),
        steps: vec![
            step("flight", "TripOrdered", "Flight"),
            step("hotel", "FlightBooked", "Hotel"),
            step("car", "HotelBooked", "Car"),
        ],
        timed_out: "TripTimedOut".into(),
        cancellation_requested: "TripCancellationRequested".into(),
        cancelled: "TripCancelled".into(),
        id_field: "tripId".into(),
    })
}

/// The checkout, as the product defines it.
///
/// # Errors
/// When the definition breaks a rule of plans.
pub fn checkout() -> Result<Plan, PlanError> {
    Plan::of::<checkout::Checkout>()
}
