use super::{
    Finds, Invariant, Scope,
    order::{Hold, Order},
    path::{End, Leg},
};

/// What the products moved for an order is what its reservation says, and the reservation is what the saga says.
pub(super) fn agree(order: &Order, scope: Scope, finds: &mut Finds<'_>) {
    if order.reservation.last > scope.settled || order.saga.last > scope.settled {
        return;
    }
    if !order.path.begun && (order.hold != Hold::Undecided || !order.parts.is_empty()) {
        finds.add(
            Invariant::I6,
            "stock is moved for it, but the journal has no such order",
        );
    }
    let (inventory, hold) = (order.path.inventory, order.hold);
    let follows = match (order.path.end, hold) {
        (Some(End::Completed), Hold::Shipped) => true,
        (Some(End::Completed), Hold::Held) => !scope.at_rest,
        (Some(End::Cancelled), Hold::Released) => inventory == Leg::Undone,
        (Some(End::Cancelled), Hold::Refused | Hold::Forbidden) => inventory == Leg::Refused,
        (Some(_), _) => false,
        (None, _) => true,
    };
    if !follows {
        let end = if order.path.end == Some(End::Completed) {
            "completed"
        } else {
            "cancelled"
        };
        finds.add(
            Invariant::I6,
            format!("the order is {end}, but its reservation is {hold:?}"),
        );
    }
    for (sku, part) in &order.parts {
        let wanted = order.items.get(sku).copied().unwrap_or(0);
        let moved = [part.held, part.released, part.shipped];
        let right = match hold {
            Hold::Undecided | Hold::Refused | Hold::Forbidden => !scope.at_rest || part.held == 0,
            Hold::Held if !scope.at_rest => part.held == wanted,
            Hold::Held => moved == [wanted, 0, 0],
            Hold::Released => moved == [wanted, wanted, 0],
            Hold::Shipped => moved == [wanted, 0, wanted],
        };
        if !right {
            finds.add(
                Invariant::I6,
                format!(
                    "it takes {wanted} of {sku} and is {hold:?}, but {} were reserved, {} released, {} shipped",
                    part.held, part.released, part.shipped
                ),
            );
        }
    }
    if matches!(hold, Hold::Held | Hold::Released | Hold::Shipped) {
        for sku in order.items.keys().filter(|sku| !order.parts.contains_key(*sku)) {
            finds.add(
                Invariant::I6,
                format!("it is {hold:?}, but {sku} was never moved for it"),
            );
        }
    }
}
