use saga::Direction;

use super::{Finds, Invariant};

/// Where one order has got, told from the types of its events alone.
///
/// It shares nothing with the plan, the fold and the states that the workers go by: whatever they believe, this
/// says which event may follow which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) begun: bool,
    pub(super) payment: Leg,
    pub(super) inventory: Leg,
    pub(super) shipping: Leg,
    pub(super) turned: bool,
    pub(super) end: Option<End>,
    /// Steps and directions that were recorded as stuck; those without an outcome since then are stuck still.
    stuck: Vec<(Step, Direction)>,
}

/// Where one step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Leg {
    #[default]
    Waiting,
    Open,
    Done,
    Refused,
    Undone,
}

/// How an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Completed,
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Payment,
    Inventory,
    Shipping,
}

impl Path {
    /// Takes the next event of the order. What may not happen is found, and then taken all the same.
    pub(super) fn take(&mut self, what: &str, finds: &mut Finds<'_>) {
        if !self.begun && what != "OrderCreated" {
            finds.add(Invariant::I1, format!("{what} comes before any OrderCreated"));
            self.begin();
        }
        if let Some(end) = self.end {
            finds.add(Invariant::I2, format!("{what} follows the end; it was {end:?}"));
        }
        match what {
            "OrderCreated" if self.begun => finds.add(Invariant::I1, "OrderCreated comes twice"),
            "OrderCreated" => self.begin(),
            "PaymentProcessed" => self.done(Step::Payment, what, finds),
            "InventoryReserved" => self.done(Step::Inventory, what, finds),
            "OrderShipped" => self.shipped(finds),
            "PaymentFailed" => self.refused(Step::Payment, what, finds),
            "OutOfStock" => self.refused(Step::Inventory, what, finds),
            "ShippingFailed" => self.refused(Step::Shipping, what, finds),
            "PaymentRefunded" => self.undone(Step::Payment, what, finds),
            "InventoryReleased" => self.undone(Step::Inventory, what, finds),
            "OrderTimedOut" | "OrderCancellationRequested" => self.turn(what, finds),
            "OrderCancelled" => self.cancelled(finds),
            "StepStuck" => {} // see `stuck`
            _ => finds.add(Invariant::I7, format!("{what} is no event of an order")),
        }
    }

    /// Takes what a `StepStuck` says.
    pub(super) fn stuck(&mut self, step: &str, direction: Direction, finds: &mut Finds<'_>) {
        let step = match step {
            "payment" => Step::Payment,
            "inventory" => Step::Inventory,
            "shipping" => Step::Shipping,
            _ => return finds.add(Invariant::I7, format!("there is no step {step} to be stuck")),
        };
        if self.stuck.contains(&(step, direction)) {
            finds.add(
                Invariant::I4,
                format!("{step:?} is recorded as stuck {direction} twice"),
            );
        }
        self.stuck.push((step, direction));
    }

    /// True while a step was recorded as stuck and has had no outcome since.
    pub(super) fn is_stuck(&self) -> bool {
        let still = |(step, direction): &(Step, Direction)| match direction {
            Direction::Forward => self.leg(*step) == Leg::Open,
            Direction::Undo => self.leg(*step) == Leg::Done,
        };
        self.end.is_none() && self.stuck.iter().any(still)
    }

    /// The step that an event of this type is an outcome of, going forward.
    pub(super) fn opened(what: &str) -> Option<Step> {
        match what {
            "PaymentProcessed" | "PaymentFailed" => Some(Step::Payment),
            "InventoryReserved" | "OutOfStock" => Some(Step::Inventory),
            "OrderShipped" | "ShippingFailed" => Some(Step::Shipping),
            _ => None,
        }
    }

    fn begin(&mut self) {
        self.begun = true;
        (self.payment, self.inventory) = (Leg::Open, Leg::Open);
    }

    const fn leg(&self, step: Step) -> Leg {
        match step {
            Step::Payment => self.payment,
            Step::Inventory => self.inventory,
            Step::Shipping => self.shipping,
        }
    }

    const fn set(&mut self, step: Step, leg: Leg) {
        match step {
            Step::Payment => self.payment = leg,
            Step::Inventory => self.inventory = leg,
            Step::Shipping => self.shipping = leg,
        }
    }

    fn done(&mut self, step: Step, what: &str, finds: &mut Finds<'_>) {
        match self.leg(step) {
            Leg::Open => {}
            Leg::Waiting => finds.add(Invariant::I8, format!("{what}, but the step never opened")),
            Leg::Done | Leg::Undone => finds.add(Invariant::I4, format!("{what} comes twice")),
            Leg::Refused => finds.add(Invariant::I4, format!("{what}, but the step was refused before")),
        }
        self.set(step, Leg::Done);
        if self.payment == Leg::Done && self.inventory == Leg::Done && !self.turned && step != Step::Shipping
        {
            self.shipping = Leg::Open;
        }
    }

    fn refused(&mut self, step: Step, what: &str, finds: &mut Finds<'_>) {
        match self.leg(step) {
            Leg::Open => {}
            Leg::Waiting => finds.add(Invariant::I8, format!("{what}, but the step never opened")),
            Leg::Refused => finds.add(Invariant::I4, format!("{what} comes twice")),
            Leg::Done | Leg::Undone => {
                finds.add(Invariant::I4, format!("{what}, but the step was done before"));
            }
        }
        self.set(step, Leg::Refused);
        self.turned = true;
    }

    fn undone(&mut self, step: Step, what: &str, finds: &mut Finds<'_>) {
        if !self.turned {
            finds.add(Invariant::I8, format!("{what}, but nothing had turned the order"));
        }
        if matches!(self.shipping, Leg::Open | Leg::Done) {
            finds.add(
                Invariant::I8,
                format!("{what}, but shipping depends on it and was not settled"),
            );
        }
        match self.leg(step) {
            Leg::Done => {}
            Leg::Undone => finds.add(Invariant::I4, format!("{what} comes twice")),
            Leg::Waiting | Leg::Open | Leg::Refused => {
                finds.add(Invariant::I8, format!("{what}, but there was nothing to undo"));
            }
        }
        self.set(step, Leg::Undone);
    }

    fn shipped(&mut self, finds: &mut Finds<'_>) {
        if self.payment != Leg::Done {
            finds.add(Invariant::I9, "OrderShipped, but the order is not paid");
        }
        if self.inventory != Leg::Done {
            finds.add(Invariant::I9, "OrderShipped, but nothing is set aside for it");
        }
        if self.shipping != Leg::Waiting {
            self.done(Step::Shipping, "OrderShipped", finds);
        } else if self.payment == Leg::Done && self.inventory == Leg::Done {
            finds.add(Invariant::I9, "OrderShipped, but the order was being taken back");
        }
        self.shipping = Leg::Done;
        self.end = Some(End::Completed);
    }

    fn turn(&mut self, what: &str, finds: &mut Finds<'_>) {
        if self.turned {
            finds.add(Invariant::I4, format!("{what}, but the order was turned before"));
        }
        if self.shipping == Leg::Open {
            finds.add(
                Invariant::I8,
                format!("{what}, but the parcel may be on its way already"),
            );
        }
        self.turned = true;
    }

    fn cancelled(&mut self, finds: &mut Finds<'_>) {
        if !self.turned {
            finds.add(Invariant::I8, "OrderCancelled, but nothing had turned the order");
        }
        for step in [Step::Payment, Step::Inventory, Step::Shipping] {
            let missing = match self.leg(step) {
                Leg::Open => "not settled",
                Leg::Done => "not undone",
                Leg::Waiting | Leg::Refused | Leg::Undone => continue,
            };
            finds.add(
                Invariant::I8,
                format!("OrderCancelled, but {step:?} is {missing}"),
            );
        }
        self.end = Some(End::Cancelled);
    }
}
