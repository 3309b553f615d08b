//! The demonstration: the documented order, then thousands more while workers are killed, then the books.

mod fleet;
mod orders;
mod report;
mod verdict;

use std::{collections::HashMap, path::PathBuf, time::Duration};

use anyhow::Context as _;
use checkout::Checkout;
use futures_util::StreamExt as _;
use inventory::Shelf;
use jetsaga::{Journal, Nats, Plan, State, Token, subject::EntitySubject};
use tokio::time::{Instant, interval, timeout};

use crate::{
    NatsServer,
    output::{Output, progress},
    seed, show, system,
};
use fleet::Fleet;
use orders::{Order, Rates};
use report::Report;

/// Flags of `demo`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// How many orders are placed: 1 to 1,000,000.
    #[arg(long, default_value = "2000", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    orders: u32,

    /// How many are placed a second: 1 to 10,000.
    #[arg(long, default_value = "100", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,

    /// How many in a hundred have a card that is declined.
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u8).range(0..=100))]
    declined: u8,

    /// How many in a hundred ask for something that is not in stock.
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u8).range(0..=100))]
    out_of_stock: u8,

    /// How many in a hundred go where no carrier delivers.
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u8).range(0..=100))]
    undeliverable: u8,

    /// Which workers are killed with SIGKILL and started again.
    #[arg(long, value_delimiter = ',', default_value = "payment,inventory")]
    kill: Vec<String>,

    /// How often each of them is killed.
    #[arg(long, default_value = "10")]
    kills: u32,

    /// What chance starts from; the same seed makes the same orders and kills. Drawn and printed if not given.
    #[arg(long)]
    seed: Option<u64>,

    /// The documented order, placed first.
    #[arg(long, default_value = "deploy/seed/order.json")]
    first: PathBuf,

    /// A JSON object of products and quantities.
    #[arg(long, default_value = "deploy/seed/stock.json")]
    stock: PathBuf,

    /// Keep what the servers stored, in this folder.
    #[arg(long)]
    store: Option<PathBuf>,
}

/// Orders placed at once right before a kill, so that it meets some under way.
const BURST: usize = 10;

/// The longest that the last orders may take after the last kill: two expiries of a delivery, with room.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the demonstration. Fails unless every order ended once and the books balance.
pub(crate) async fn run(args: Args, out: Output) -> anyhow::Result<()> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("seed {seed}: repeat this run with --seed {seed}");
    let temporary = tempfile::tempdir()?;
    let store = args.store.clone().unwrap_or_else(|| temporary.path().to_owned());
    let server = NatsServer::start(&store.join("nats"), 0).await?;
    let nats = Nats::connect(&server.url(), "demo").await?;
    system::topology(&nats, 1).await?.ensure(&nats).await?;
    let journal = Journal::new(&nats);
    let shelf = Shelf::new(journal.clone());
    let products = seed::from_file(&shelf, &args.stock).await?;
    let mut fleet = Fleet::start(&store, &server.url(), seed).await?;

    if let Err(error) = first_order(&nats, &journal, &args).await {
        fleet.check()?;
        return Err(error);
    }
    let rates = Rates {
        declined: args.declined,
        out_of_stock: args.out_of_stock,
        undeliverable: args.undeliverable,
    };
    let placed = orders::make(args.orders, rates, &products, seed);
    let begun = Instant::now();
    let mut ends = follow(&nats).await?;
    let report = drive(&nats, &args, &placed, &mut fleet, &mut ends, seed).await?;
    let elapsed = begun.elapsed();

    let first: Order = orders::documented(&args.first)?;
    let all: Vec<Order> = std::iter::once(first).chain(placed).collect();
    let verdict = verdict::check(&nats, &fleet.provider_url, &all).await?;
    fleet.stop().await?;
    nats.close().await;
    server.stop().await?;
    let summary = report.summary(seed, elapsed, fleet.kills, verdict);
    out.print(&summary, report::Summary::table)?;
    anyhow::ensure!(
        summary.verdict.holds(),
        "the books do not balance; the seed was {seed}"
    );
    Ok(())
}

/// The documented order, placed literally, and its saga as a tree.
async fn first_order(nats: &Nats, journal: &Journal, args: &Args) -> anyhow::Result<()> {
    let text = std::fs::read(&args.first)
        .with_context(|| format!("the order {} cannot be read", args.first.display()))?;
    orders::publish(nats, text).await?;
    let id = orders::documented(&args.first)?.id;
    let plan = Plan::of::<Checkout>()?;
    let entity = EntitySubject::new(&plan.saga, &id);
    show::until_final(journal, &entity, PATIENCE).await?;
    let history = journal.history::<State>(&entity).await?;
    eprintln!("\n{}\n", show::tree(&plan, &history));
    Ok(())
}

/// Hears every end of a saga as it happens: the journal's subjects are plain NATS subjects.
async fn follow(nats: &Nats) -> anyhow::Result<impl futures_util::Stream<Item = Token> + Unpin> {
    let shipped = nats.client.subscribe("evt.checkout.OrderShipped.*").await?;
    let cancelled = nats.client.subscribe("evt.checkout.OrderCancelled.*").await?;
    nats.client.flush().await?;
    let ends = futures_util::stream::select(shipped, cancelled);
    Ok(Box::pin(ends.filter_map(|message| async move {
        message
            .subject
            .rsplit('.')
            .next()
            .and_then(|id| Token::new(id).ok())
    })))
}

/// Places the orders at the given rate, kills workers while they are under way, and waits for every end.
async fn drive(
    nats: &Nats,
    args: &Args,
    orders: &[Order],
    fleet: &mut Fleet,
    ends: &mut (impl futures_util::Stream<Item = Token> + Unpin),
    seed: u64,
) -> anyhow::Result<Report> {
    let bar = progress(orders.len() as u64, "orders");
    let mut kills = fleet::schedule(&args.kill, args.kills, orders.len(), seed)?
        .into_iter()
        .peekable();
    let mut beat = interval(Duration::from_secs(1) / args.rate);
    let mut waiting: HashMap<Token, Instant> = HashMap::new();
    let mut report = Report::default();
    let mut todo = orders.iter();
    let (mut placing, mut placed) = (true, 0);
    while placing || !waiting.is_empty() {
        tokio::select! {
            _ = beat.tick(), if placing => {
                let kill = kills.next_if(|kill| kill.before <= placed);
                for order in todo.by_ref().take(if kill.is_some() { BURST } else { 1 }) {
                    waiting.insert(order.id.clone(), Instant::now());
                    orders::publish(nats, order.body.clone()).await?;
                    placed += 1;
                }
                if let Some(kill) = kill {
                    fleet.kill(&kill.worker).await?;
                    report.under_way.push(waiting.len());
                }
                placing = placed < orders.len();
            },
            end = timeout(PATIENCE, ends.next()) => match end {
                Ok(Some(id)) => if let Some(begun) = waiting.remove(&id) {
                    report.latencies.push(begun.elapsed());
                    bar.inc(1);
                },
                Ok(None) => anyhow::bail!("the connection ended"),
                Err(_) => break, // the verdict names what is missing
            },
        }
    }
    bar.finish_and_clear();
    Ok(report)
}
