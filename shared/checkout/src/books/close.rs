use std::collections::BTreeMap;

use saga::Token;

use super::{
    Books, Coming, Counts, Finds, Found, Leftover, Name, Open, Report, Source, Violation, money, path::End,
    requests, reserved, rest,
};

impl Books {
    /// What the books say, now that all was taken.
    pub fn close(&self) -> Report {
        let mut found = self.found.clone();
        let mut open = Vec::new();
        let mut counts = self.counts;
        for (id, order) in &self.orders {
            let name = Name::of_key(&format!("checkout.{id}"));
            let Some(name) = name else { continue };
            let finds = &mut Finds {
                entity: &name,
                out: &mut found,
            };
            if self.has(Source::Ledger) {
                money::check(order, self.scope.settled, finds);
            }
            reserved::agree(order, self.scope, finds);
            if self.has(Source::History) {
                requests::check(order, self.scope.at_rest, finds);
            }
            open.extend(rest::open(id, order, self.scope, self.coming(), finds));
            counts.orders += u64::from(order.path.begun);
            counts.completed += u64::from(order.path.end == Some(End::Completed));
            counts.cancelled += u64::from(order.path.end == Some(End::Cancelled));
            counts.refunded += u64::from(order.refunded.is_some());
        }
        counts.open = open.len() as u64;
        counts.stuck = open.iter().filter(|open| open.stuck).count() as u64;
        self.close_stock(&mut counts, &mut found);
        self.close_bucket(&mut found);
        if self.has(Source::History) {
            self.faults.check(&self.letters, &mut found);
        }
        if self.scope.at_rest {
            self.leftovers
                .iter()
                .for_each(|left| rest::leftover(left, &mut found));
        }
        self.report(found, counts, open)
    }

    fn has(&self, source: Source) -> bool {
        self.sources.contains(&source)
    }

    fn coming(&self) -> Coming {
        let left = |left: &Leftover| left.pending + left.ack_pending > 0;
        Coming {
            idle: self.has(Source::Consumers) && !self.leftovers.iter().any(left),
            scheduled: self.has(Source::Schedules),
        }
    }

    fn close_stock(&self, counts: &mut Counts, found: &mut Vec<Found>) {
        let mut entered: BTreeMap<&Token, i64> = BTreeMap::new();
        for (id, change) in &self.adjustments {
            let entity = format!("adjustment.{id}");
            change.check(
                self.scope,
                &mut Finds {
                    entity: &entity,
                    out: found,
                },
            );
            if let Some((sku, quantity)) = change.brought() {
                *entered.entry(sku).or_default() += quantity;
            }
        }
        for (sku, shelf) in &self.products {
            let entity = format!("stock.{sku}");
            let entered = entered.get(sku).copied().unwrap_or(0);
            shelf.check(
                entered,
                self.scope,
                &mut Finds {
                    entity: &entity,
                    out: found,
                },
            );
        }
        counts.products = self.products.len() as u64;
        counts.adjustments = self.adjustments.len() as u64;
    }

    fn close_bucket(&self, found: &mut Vec<Found>) {
        if !self.has(Source::Bucket) {
            return;
        }
        let scope = self.scope;
        let mut compare = |entity: String, last: u64, compare: &dyn Fn(&mut Finds<'_>)| {
            if last > 0 || self.keys.contains(&entity) {
                compare(&mut Finds {
                    entity: &entity,
                    out: found,
                });
            }
        };
        for (id, order) in &self.orders {
            let (saga, reservation) = (&order.saga, &order.reservation);
            compare(format!("checkout.{id}"), saga.last, &|finds| {
                saga.compare(scope, finds)
            });
            compare(format!("reservation.{id}"), reservation.last, &|finds| {
                reservation.compare(scope, finds);
            });
        }
        for (id, shelf) in &self.products {
            let thread = &shelf.thread;
            compare(format!("stock.{id}"), thread.last, &|finds| {
                thread.compare(scope, finds)
            });
        }
        for (id, change) in &self.adjustments {
            let thread = &change.thread;
            compare(format!("adjustment.{id}"), thread.last, &|finds| {
                thread.compare(scope, finds)
            });
        }
        for (name, thread) in &self.others {
            compare(name.to_string(), thread.last, &|finds| {
                thread.compare(scope, finds)
            });
        }
    }

    fn report(&self, mut found: Vec<Found>, counts: Counts, open: Vec<Open>) -> Report {
        found.sort_by(|a, b| (a.invariant, &a.entity).cmp(&(b.invariant, &b.entity)));
        let violations = found.into_iter().map(|found| Violation {
            story: self.story(&found.entity),
            invariant: found.invariant,
            entity: found.entity,
            sentence: found.sentence,
        });
        let missing = Source::ALL.into_iter().filter(|source| !self.has(*source));
        Report {
            violations: violations.collect(),
            counts,
            open,
            missing: missing.collect(),
        }
    }
}
