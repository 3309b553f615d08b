use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use checkout::{Checkout, stock::Product};
use inventory::Shelf;
use jetsaga::{
    EffectKey, Journal, Plan, State, Status, Token, saga::Direction, saga::evolve, subject::EntitySubject,
};
use serde::{Deserialize, Serialize};

use super::orders::Order;

/// Whether everything that has to hold does.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    pub(super) completed: usize,
    pub(super) cancelled: usize,
    pub(super) refunded: usize,
    /// Every sentence that does not hold.
    pub(super) violations: Vec<String>,
}

/// Stock on hand, by product.
pub(super) type OnHand = BTreeMap<Token, u64>;

impl Verdict {
    pub(super) const fn holds(&self) -> bool {
        self.violations.is_empty()
    }
}

/// What is on hand of each product.
pub(super) async fn on_hand(shelf: &Shelf, products: &[Token]) -> anyhow::Result<OnHand> {
    let mut stock = OnHand::new();
    for sku in products {
        let product = shelf.product(sku).await?.unwrap_or_default();
        stock.insert(sku.clone(), product.on_hand);
    }
    Ok(stock)
}

/// Checks every order against the journal, the money against the provider's ledger, and the stock.
pub(super) async fn check(
    journal: &Journal,
    shelf: &Shelf,
    provider_url: &str,
    orders: &[Order],
    initial: &OnHand,
) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict::default();
    let ledger = ledger(provider_url).await?;
    let mut shipped = OnHand::new();
    for order in orders {
        let completed = check_order(journal, order, &mut verdict).await?;
        check_money(order, completed, &ledger, &mut verdict);
        for item in order.order.items.iter().filter(|_| completed) {
            *shipped.entry(item.product_id.clone()).or_default() += u64::from(item.quantity);
        }
    }
    check_stock(shelf, initial, &shipped, &mut verdict).await?;
    Ok(verdict)
}

/// One chain, folded again to the same states, and one final event, which is the last. Returns whether the order was
/// completed.
async fn check_order(journal: &Journal, order: &Order, verdict: &mut Verdict) -> anyhow::Result<bool> {
    let plan = Plan::of::<Checkout>()?;
    let id = &order.id;
    let history = journal
        .history::<State>(&EntitySubject::new(&plan.saga, id))
        .await?;
    let mut state: Option<State> = None;
    for recorded in &history {
        match evolve(&plan, state.as_ref(), &recorded.event, id, recorded.guard) {
            Ok(folded) if folded == recorded.state => state = Some(folded),
            Ok(_) => {
                verdict
                    .violations
                    .push(format!("{id}: event {} carries another state", recorded.sequence));
            }
            Err(error) => verdict
                .violations
                .push(format!("{id}: event {}: {error}", recorded.sequence)),
        }
    }
    let status = state.map(|state| state.status);
    match status {
        Some(Status::Completed) => verdict.completed += 1,
        Some(Status::Cancelled) => verdict.cancelled += 1,
        other => verdict
            .violations
            .push(format!("{id} is not finished: {other:?}")),
    }
    let completed = status == Some(Status::Completed);
    if status.is_some() && completed != order.ships {
        verdict
            .violations
            .push(format!("{id} should ship: {}, but it is {status:?}", order.ships));
    }
    Ok(completed)
}

/// Charged once at most, and charged minus refunded is the total of a completed order and nothing of another.
fn check_money(order: &Order, completed: bool, ledger: &[Entry], verdict: &mut Verdict) {
    let of = |kind: &str| {
        let entries = ledger
            .iter()
            .filter(|e| e.kind == kind && e.reference.as_deref() == Some(order.id.as_str()));
        entries.collect::<Vec<_>>()
    };
    let (charges, refunds) = (of("charge"), of("refund"));
    let sum = |entries: &[&Entry]| entries.iter().map(|e| e.amount).sum::<u64>();
    let expected = if completed {
        order.order.total_amount.minor()
    } else {
        0
    };
    if sum(&charges) != expected + sum(&refunds) {
        verdict.violations.push(format!(
            "{}: charged {} and refunded {}, but should hold {expected}",
            order.id,
            sum(&charges),
            sum(&refunds)
        ));
    }
    if charges.len() > 1 || refunds.len() > 1 {
        verdict
            .violations
            .push(format!("{}: an effect happened twice", order.id));
    }
    let key = forward_key(&order.id);
    if charges.iter().any(|e| e.key != key) {
        verdict
            .violations
            .push(format!("{}: charged under another key than {key}", order.id));
    }
    verdict.refunded += refunds.len();
}

fn forward_key(id: &Token) -> String {
    let token = |text| Token::new(text).map(|t: Token| t);
    match (token("checkout"), token("payment")) {
        (Ok(saga), Ok(step)) => EffectKey::new(&saga, id, &step, Direction::Forward)
            .as_str()
            .to_owned(),
        _ => String::new(),
    }
}

/// Nothing is reserved, what was shipped is what the completed orders took, and nothing came or went.
async fn check_stock(
    shelf: &Shelf,
    initial: &OnHand,
    shipped: &OnHand,
    verdict: &mut Verdict,
) -> anyhow::Result<()> {
    for (sku, before) in initial {
        let expected = shipped.get(sku).copied().unwrap_or(0);
        let product = settled(shelf, sku, expected).await?;
        let sum = product.on_hand + product.reserved + product.shipped;
        if product.reserved != 0 || product.shipped != expected || sum != *before {
            verdict.violations.push(format!(
                "{sku}: {before} at first, {expected} to ship, but on hand {}, reserved {}, shipped {}",
                product.on_hand, product.reserved, product.shipped
            ));
        }
    }
    Ok(())
}

/// Shipments are marked by a plain handler after the saga ends: waits until it has caught up, at most 30 s.
async fn settled(shelf: &Shelf, sku: &Token, shipped: u64) -> anyhow::Result<Product> {
    let limit = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let product = shelf.product(sku).await?.unwrap_or_default();
        let caught_up = product.reserved == 0 && product.shipped == shipped;
        if caught_up || tokio::time::Instant::now() > limit {
            return Ok(product);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[derive(Deserialize)]
struct Entry {
    kind: String,
    key: String,
    #[serde(default)]
    amount: u64,
    reference: Option<String>,
}

/// All that the provider ever did, from its ledger.
async fn ledger(provider_url: &str) -> anyhow::Result<Vec<Entry>> {
    let text = reqwest::get(format!("{provider_url}/v1/ledger?after=0"))
        .await?
        .text()
        .await?;
    text.lines()
        .map(|line| serde_json::from_str(line).context("the provider's ledger"))
        .collect()
}
