//! A run as it should be: four orders that end in four ways, and a bad one.

use checkout::stock::Operation;
use saga::{EventId, Timestamp};
use serde_json::json;

use crate::run::{Run, no, token};

impl Run {
    /// SHIP is completed, CARD is declined, ROOM is out of stock after it was paid, FAR cannot be delivered; and a bad
    /// order is a letter.
    pub(crate) fn clean() -> Self {
        let mut run = Self::default();
        run.consumers =
            json!([{"stream": "EVENTS", "consumer": "checkout-payment", "pending": 0, "ackPending": 0}]);
        run.carry_out(Operation::adjust(token("seed-A"), token("A"), 10));
        run.carry_out(Operation::adjust(token("seed-B"), token("B"), 10));
        run.ship("SHIP");
        run.decline("CARD");
        run.sell_out("ROOM");
        run.refuse_delivery("FAR");
        run.bury("BAD");
        run
    }

    fn ship(&mut self, id: &str) {
        let created = self.place(id, "A", 2);
        self.pay(id, created);
        let reserved = self.reserve(id, created);
        self.tell(
            id,
            "OrderShipped",
            reserved,
            &json!({"orderId": id, "trackingId": "T1"}),
            None,
        );
        self.carry_out(Operation::ship(token(id)));
    }

    fn decline(&mut self, id: &str) {
        let created = self.place(id, "A", 1);
        self.reserve(id, created);
        self.line("decline", id, "run");
        let failed = self.refuse(id, "PaymentFailed", created);
        let released = self.release(id, failed);
        self.tell(id, "OrderCancelled", released, &no(id), Some("no"));
    }

    fn sell_out(&mut self, id: &str) {
        let created = self.place(id, "B", 99);
        self.pay(id, created);
        self.carry_out(Operation::reserve(token(id), self.items(id)));
        let sold_out = self.refuse(id, "OutOfStock", created);
        let refunded = self.refund(id, sold_out);
        self.tell(id, "OrderCancelled", refunded, &no(id), Some("no"));
    }

    fn refuse_delivery(&mut self, id: &str) {
        let created = self.place(id, "B", 3);
        self.reserve(id, created);
        let paid = self.pay(id, created);
        let failed = self.refuse(id, "ShippingFailed", paid);
        self.refund(id, failed);
        let released = self.release(id, failed);
        self.tell(id, "OrderCancelled", released, &no(id), Some("no"));
    }

    fn bury(&mut self, id: &str) {
        let event = EventId::derived("test", id, "OrderCreated");
        let body = json!({"eventId": event, "eventType": "OrderCreated", "timestamp": Timestamp::EPOCH,
            "payload": {"orderId": id}});
        self.letters.push(
            json!({"sequence": 1, "reason": "invalid", "detail": "missing field `items`",
            "consumer": "checkout-owner", "stream": "INBOX", "streamSequence": 5,
            "subject": "in.checkout.OrderCreated", "body": body.to_string()}),
        );
        self.ask(id, "OrderCreated", event, "bad", "refused", None);
    }
}
