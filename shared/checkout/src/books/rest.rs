use saga::State;

use super::{
    Finds, Found, Invariant, Leftover, Open, Scope,
    order::Order,
    path::{Leg, Path},
};

/// What is known of what is still to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coming {
    /// Every consumer was read, and none has anything to do.
    pub(super) idle: bool,
    /// What the server still has to send was read.
    pub(super) scheduled: bool,
}

/// What a consumer has left to do when everything should be done.
pub(super) fn leftover(left: &Leftover, out: &mut Vec<Found>) {
    let Leftover {
        stream,
        consumer,
        pending,
        ack_pending,
    } = left;
    if pending + ack_pending > 0 {
        let entity = format!("consumer {consumer} on {stream}");
        let sentence = format!("{pending} messages are pending, {ack_pending} are not acknowledged");
        out.push(Found {
            invariant: Invariant::I10,
            entity,
            sentence,
        });
    }
}

/// An order that is not final: whether something will carry it on. `None` for one that is, or that never began.
pub(super) fn open(
    id: &saga::Token,
    order: &Order,
    scope: Scope,
    coming: Coming,
    finds: &mut Finds<'_>,
) -> Option<Open> {
    let path = &order.path;
    if scope.at_rest && order.retries > 0 && !path.is_stuck() {
        finds.add(
            Invariant::I10,
            format!("{} retries are still scheduled for it", order.retries),
        );
    }
    if !path.begun || path.end.is_some() {
        return None;
    }
    let known = coming.idle && coming.scheduled && order.saga.last <= scope.settled;
    let open = Open {
        id: id.clone(),
        sequence: order.saga.last,
        stuck: path.is_stuck(),
        stranded: known && order.retries == 0,
        without_timer: order
            .deadline
            .filter(|_| known && !order.timer && waits_for_deadline(path)),
    };
    if scope.at_rest && !open.stuck {
        let status = order
            .saga
            .state
            .as_ref()
            .map_or("unknown".to_owned(), |s: &State| s.status.to_string());
        finds.add(
            Invariant::I2,
            format!("it is not finished: {status} since event {}", open.sequence),
        );
    }
    if open.stranded {
        finds.add(
            Invariant::I10,
            format!(
                "it waits since event {}, but nothing is pending that would carry it on",
                open.sequence
            ),
        );
    }
    if let Some(deadline) = open.without_timer {
        finds.add(
            Invariant::I10,
            format!("no timer stands for its deadline {deadline}"),
        );
    }
    Some(open)
}

/// True while a deadline would turn the order.
fn waits_for_deadline(path: &Path) -> bool {
    !path.turned && path.shipping == Leg::Waiting
}
