use std::time::Duration;

use projection::{Database, DatabaseError, Record, Store};
use saga::Token;
use tokio::time::{Instant, sleep};

use crate::{
    CustomerRow, Day, OrderFilter, OrderRow, Page, PageRequest, ProductRow, RevenueRow,
    page::Cursor,
    projections,
    query::{self, ORDER},
    rows::{Cells, Sum},
};

/// The read side of the checkout, as one asks it. Cheap to clone.
///
/// Each query sees one state of the tables, between two events.
#[derive(Clone)]
pub struct ReadModel {
    store: Store,
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The database does not answer, or cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A row is not what its projection writes.
    #[error("a row of {table} cannot be read: {row}; run `jetsaga projection rebuild` for it")]
    Row {
        /// The table.
        table: &'static str,
        /// The row.
        row: String,
    },
}

/// Why the read side does not show an event yet.
#[derive(Debug, thiserror::Error)]
pub enum NotYet {
    /// It is behind.
    #[error("the read side is at event {at}, and event {wanted} was asked for; ask again later")]
    Behind {
        /// Where it is.
        at: u64,
        /// What was asked for.
        wanted: u64,
    },
    /// It does not answer.
    #[error("the read side cannot be asked: {0}")]
    Unavailable(#[from] QueryError),
}

/// How often it is looked whether the read side has come far enough.
const LOOK: Duration = Duration::from_millis(5);

impl ReadModel {
    /// Opens the read side in `sqlite:PATH` or `postgres://…`. Tables that are missing are made, empty.
    ///
    /// # Errors
    /// When the URL is none, or the database does not answer.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let store = Store::open(Database::open(url).await?, projections()).await?;
        Ok(Self { store })
    }

    /// The database that it is in.
    pub const fn database(&self) -> &Database {
        self.store.database()
    }

    /// Makes sure that it was made from this journal.
    ///
    /// # Errors
    /// When it was made from another one, or knows events that this one does not have; or when one of them fails.
    pub async fn belongs_to(&self, nats: &projection::Nats) -> anyhow::Result<()> {
        self.store.status(nats).await?;
        Ok(())
    }

    /// The read side in a store that is open already.
    pub const fn over(store: Store) -> Self {
        Self { store }
    }

    /// One page of the orders that fit `filter`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn orders(
        &self,
        filter: &OrderFilter,
        page: &PageRequest,
    ) -> Result<Page<OrderRow>, QueryError> {
        let (sql, values) = query::orders(filter, page);
        let records = self.store.database().read(&sql, &values).await?;
        let mut items = rows("orders", records, order)?;
        let wanted = usize::try_from(page.rows()).unwrap_or(usize::MAX);
        let more = items.len() > wanted;
        items.truncate(wanted);
        let last = items.last().filter(|_| more);
        let next = last.map(|last| Cursor::of(last.created_at, &last.order_id));
        Ok(Page { items, next })
    }

    /// An order; `None` if there is none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn order(&self, id: &Token) -> Result<Option<OrderRow>, QueryError> {
        let sql = format!("SELECT {ORDER} FROM orders WHERE order_id = $1");
        self.one("orders", &sql, id, order).await
    }

    /// A customer; `None` for one without events and orders.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer(&self, id: &Token) -> Result<Option<CustomerRow>, QueryError> {
        let sql = "SELECT customer_id, orders, completed, cancelled, ordered, charged, refunded, last_order, \
                   last_order_at, created_at, changed_at, erased_at, sequence FROM customers WHERE customer_id = $1";
        self.one("customers", sql, id, customer).await
    }

    /// A product; `None` if there never was any of it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn product(&self, sku: &Token) -> Result<Option<ProductRow>, QueryError> {
        let sql = "SELECT sku, on_hand, reserved, shipped, updated_at, sequence FROM products WHERE sku = $1";
        self.one("products", sql, sku, product).await
    }

    /// The days from `from` to `to`, both included, oldest first; days on which nothing happened are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn revenue(&self, from: Option<Day>, to: Option<Day>) -> Result<Vec<RevenueRow>, QueryError> {
        let bound = |day: Option<Day>, else_: &str| day.map_or(else_.to_owned(), |day| day.to_string());
        let sql = "SELECT day, charged, refunded, charges, refunds, orders, completed, cancelled FROM revenue \
                   WHERE day >= $1 AND day <= $2 ORDER BY day";
        let values = [bound(from, "").into(), bound(to, "9999-99-99").into()];
        let records = self.store.database().read(sql, &values).await?;
        rows("revenue", records, revenue)
    }

    /// Returns once the read side contains every event up to `sequence`; waits for that at most as long as `limit`.
    ///
    /// # Errors
    /// When it does not within `limit`, or cannot be asked.
    pub async fn reached(&self, sequence: u64, limit: Duration) -> Result<(), NotYet> {
        let limit = Instant::now() + limit;
        loop {
            let at = self.position().await?;
            if at >= sequence {
                return Ok(());
            }
            if Instant::now() >= limit {
                return Err(NotYet::Behind { at, wanted: sequence });
            }
            sleep(LOOK).await;
        }
    }

    /// The last sequence of the journal that every table contains.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn position(&self) -> Result<u64, QueryError> {
        let positions = self.store.positions().await?;
        Ok(positions
            .iter()
            .map(|position| position.sequence)
            .min()
            .unwrap_or(0))
    }

    async fn one<T>(
        &self,
        table: &'static str,
        sql: &str,
        key: &Token,
        read: impl Fn(Cells) -> Option<T>,
    ) -> Result<Option<T>, QueryError> {
        let records = self.store.database().read(sql, &[key.into()]).await?;
        Ok(rows(table, records, read)?.into_iter().next())
    }
}

fn rows<T>(
    table: &'static str,
    records: Vec<Record>,
    read: impl Fn(Cells) -> Option<T>,
) -> Result<Vec<T>, QueryError> {
    let row = |record: Record| {
        let shown = format!("{record:?}");
        read(Cells::of(record)).ok_or(QueryError::Row { table, row: shown })
    };
    records.into_iter().map(row).collect()
}

fn order(mut cells: Cells) -> Option<OrderRow> {
    Some(OrderRow {
        order_id: cells.token()?,
        customer_id: cells.token()?,
        status: cells.text()?.parse().ok()?,
        total: cells.money()?,
        items: cells.count()?,
        pieces: cells.count()?,
        charged: cells.money()?,
        refunded: cells.money()?,
        created_at: cells.time()?,
        updated_at: cells.time()?,
        ended_at: cells.time(),
        reason: cells.text(),
        sequence: cells.count()?,
    })
}

fn customer(mut cells: Cells) -> Option<CustomerRow> {
    Some(CustomerRow {
        customer_id: cells.token()?,
        orders: cells.count()?,
        completed: cells.count()?,
        cancelled: cells.count()?,
        ordered: cells.sum()?,
        spent: Sum(cells.integer()? - cells.integer()?),
        last_order: cells.token(),
        last_order_at: cells.time(),
        created_at: cells.time(),
        changed_at: cells.time(),
        erased: cells.time().is_some(),
        sequence: cells.count()?,
    })
}

fn product(mut cells: Cells) -> Option<ProductRow> {
    Some(ProductRow {
        sku: cells.token()?,
        on_hand: cells.count()?,
        reserved: cells.count()?,
        shipped: cells.count()?,
        updated_at: cells.time()?,
        sequence: cells.count()?,
    })
}

fn revenue(mut cells: Cells) -> Option<RevenueRow> {
    let (day, charged, refunded) = (cells.text()?, cells.integer()?, cells.integer()?);
    Some(RevenueRow {
        day,
        charged: Sum(charged),
        refunded: Sum(refunded),
        net: Sum(charged - refunded),
        charges: cells.count()?,
        refunds: cells.count()?,
        orders: cells.count()?,
        completed: cells.count()?,
        cancelled: cells.count()?,
    })
}
