use projection::{Value, micros};
use saga::{Timestamp, Token};

use crate::{Direction, PageRequest, Status, orders::customer_status};

/// Which orders are wanted: those that fit everything that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Only those that stand here.
    pub status: Option<Status>,
    /// Only those of this customer.
    pub customer: Option<Token>,
    /// Only those whose first event was stored at this time or later.
    pub from: Option<Timestamp>,
    /// Only those whose first event was stored before this time.
    pub to: Option<Timestamp>,
}

pub(crate) const ORDER: &str = "order_id, customer_id, status, total, items, pieces, charged, refunded, created_at, \
                                updated_at, ended_at, reason, sequence";

/// The query for one page, with one row more to tell whether there is another page, and its parameters.
///
/// Each filter has an index that holds its rows in the order of the list, so a page costs its rows whatever lies before
/// it. At most one bound is given on each side: with two, a database may begin to read at the wrong one.
pub(crate) fn orders(filter: &OrderFilter, page: &PageRequest) -> (String, Vec<Value>) {
    let mut wanted = Wanted::default();
    match (filter.status, &filter.customer) {
        (Some(status), Some(customer)) => wanted.equal("customer_status", customer_status(customer, status)),
        (Some(status), None) => wanted.equal("status", status.as_str()),
        (None, Some(customer)) => wanted.equal("customer_id", customer),
        (None, None) => {}
    }
    let (mut from, mut to) = (filter.from.map(micros), filter.to.map(micros));
    let (after, word) = match page.order {
        Direction::Newest => ("<", "DESC"),
        Direction::Oldest => (">", "ASC"),
    };
    if let Some(cursor) = &page.cursor {
        let time = cursor.created_at();
        let bound = match page.order {
            Direction::Newest => &mut to,
            Direction::Oldest => &mut from,
        };
        let within = match page.order {
            Direction::Newest => bound.is_none_or(|to| time < to),
            Direction::Oldest => bound.is_none_or(|from| time >= from),
        };
        if within {
            *bound = None;
            let (time, id) = (wanted.place(time), wanted.place(cursor.order_id()));
            wanted
                .terms
                .push(format!("(created_at, order_id) {after} ({time}, {id})"));
        }
    }
    if let Some(from) = from {
        let place = wanted.place(from);
        wanted.terms.push(format!("created_at >= {place}"));
    }
    if let Some(to) = to {
        let place = wanted.place(to);
        wanted.terms.push(format!("created_at < {place}"));
    }
    let limit = wanted.place(i64::from(page.rows()) + 1);
    let which = if wanted.terms.is_empty() {
        String::new()
    } else {
        format!("WHERE {} ", wanted.terms.join(" AND "))
    };
    let sql = format!(
        "SELECT {ORDER} FROM orders {which}ORDER BY created_at {word}, order_id {word} LIMIT {limit}"
    );
    (sql, wanted.values)
}

#[derive(Default)]
struct Wanted {
    terms: Vec<String>,
    values: Vec<Value>,
}

impl Wanted {
    fn equal(&mut self, column: &str, value: impl Into<Value>) {
        let place = self.place(value);
        self.terms.push(format!("{column} = {place}"));
    }

    /// The place of one more parameter.
    fn place(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use projection::{Database, Store};

    use super::*;
    use crate::Cursor;

    /// Every page is read from one index, in its order, from its first row on: nothing is sorted, and only what a list
    /// shows is looked at.
    #[tokio::test]
    async fn every_filter_has_an_index_in_the_order_of_the_list() {
        let dir = tempfile::TempDir::new().unwrap();
        let url = format!("sqlite:{}", dir.path().join("read.db").display());
        let database = Database::open(&url).await.unwrap();
        Store::open(database.clone(), crate::projections()).await.unwrap();
        let time = |text: &str| Some(text.parse().unwrap());
        for number in 0..64_u8 {
            let is = |bit: u8| number & (1 << bit) != 0;
            let filter = OrderFilter {
                status: is(0).then_some(Status::Stuck),
                customer: is(1).then(|| Token::new("CUST-1").unwrap()),
                from: is(2).then(|| time("2026-11-24T00:00:00Z")).flatten(),
                to: is(3).then(|| time("2026-11-25T00:00:00Z")).flatten(),
            };
            let page = PageRequest {
                cursor: is(4).then(|| "0005f3a1b2c3d4e5ORD-1".parse().unwrap()),
                order: if is(5) {
                    Direction::Oldest
                } else {
                    Direction::Newest
                },
                ..PageRequest::default()
            };
            let (sql, values) = orders(&filter, &page);
            let plan = database
                .read(&format!("EXPLAIN QUERY PLAN {sql}"), &values)
                .await
                .unwrap();
            let plan: Vec<String> = plan.into_iter().map(|row| format!("{:?}", row.get(3))).collect();
            let column = ["", "status=?", "customer_id=?", "customer_status=?"][usize::from(number & 3)];
            let index = format!("USING INDEX orders_g1_i{}", number & 3);
            assert_eq!(plan.len(), 1, "{sql}: {plan:?}");
            let plan = plan.concat();
            assert!(plan.contains(&index) && plan.contains(column), "{sql}: {plan}");
            let bounded = is(2) || is(3) || is(4);
            assert!(!bounded || plan.contains("created_at"), "{sql}: {plan}");
        }
    }

    #[test]
    fn a_cursor_takes_the_place_of_the_bound_on_its_side() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let cursor = Cursor::of(time("2026-11-24T10:00:00Z"), &Token::new("ORD-5").unwrap());
        let filter = OrderFilter {
            status: Some(Status::Running),
            from: Some(time("2026-11-24T00:00:00Z")),
            to: Some(time("2026-11-25T00:00:00Z")),
            ..OrderFilter::default()
        };
        let page = PageRequest {
            cursor: Some(cursor),
            ..PageRequest::default()
        };
        let (sql, values) = orders(&filter, &page);
        let expected = "WHERE status = $1 AND (created_at, order_id) < ($2, $3) AND created_at >= $4 \
                        ORDER BY created_at DESC, order_id DESC LIMIT $5";
        assert!(sql.ends_with(expected), "{sql}");
        assert_eq!(values.len(), 5);
    }
}
