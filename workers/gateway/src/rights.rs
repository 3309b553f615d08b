use checkout::{Checkout, stock::Product};
use customer::CustomerEvent;
use jetsaga::{
    Aggregate as _, Entity as _, Fact as _, Facts as _, Right, Saga, Worker,
    subject::{EVENTS, REQUESTS},
};

/// The gateway before it serves: what it is called, and what it may do. It writes to the inbox as anybody could, appends
/// customers and keeps their keys, and gives dead letters back; it appends no event of an order.
pub fn declared() -> Worker {
    let saga = Checkout::NAME;
    let taken = [<Checkout as Saga>::Start::TYPE, Checkout::CANCELLATION_REQUESTED];
    let written = taken.map(|event_type| Right::Publish(format!("in.{saga}.{event_type}")));
    let customers = CustomerEvent::TYPES
        .iter()
        .map(|event_type| (*event_type).to_owned());
    let customer = customer::Customer::KIND.to_owned();
    Worker::new("gateway").needs(written).needs([
        Right::Append(customer.clone(), customers.collect()),
        Right::Keys(customer),
        Right::Read(saga.to_owned()),
        Right::Read(Product::KIND.to_owned()),
        Right::Follow(EVENTS),
        Right::Publish("req.*".to_owned()),
        Right::Look(REQUESTS),
        Right::Redrive,
    ])
}
