use std::time::Duration;

use anyhow::Context as _;
use checkout::{books::Letter, stock::Operation};
use engine::{
    Journal, Letters, Metrics, Topology,
    broker::Link,
    faults::{Flaw, Script, virtual_time},
    now,
};
use inventory::Shelf;
use saga::Token;
use tokio::{runtime::Builder, time::sleep};

use super::{
    Crew, Dice, Memory, Mishaps, Notices, Provider, Server, Story, Tally, World,
    hiring::Surroundings,
    memory::instant,
    order::PRODUCTS,
    strikes,
    verdict::{self, Remains},
};

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// What everything follows from.
    pub seed: u64,
    /// The bug that the workers have.
    pub flaw: Option<Flaw>,
    /// Whether the story is kept.
    pub is_told: bool,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Ran {
    /// What does not hold, a sentence for each, with the story of what it is about.
    pub violations: Vec<String>,
    /// What was reached.
    pub tally: Tally,
    /// What happened, a line for each thing, if it was to be kept.
    pub story: Vec<String>,
    /// Equal for equal runs: a number for the journal, the ledger, the letters and the story, if that was kept.
    pub digest: Option<u64>,
}

/// How long a run may take to come to rest once all goes well.
const REST: Duration = Duration::from_hours(1);
/// The latest that anything comes that was sent while things went wrong.
const LATE: Duration = Duration::from_secs(120);
/// How long storms last, after the last order.
const STORM: Duration = Duration::from_secs(60);

/// Plays one seed to its end, and checks the books.
///
/// # Errors
/// When the run itself cannot be set up.
pub fn run(setup: Setup) -> anyhow::Result<Ran> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.context("a runtime")?.block_on(play(setup))
}

async fn play(setup: Setup) -> anyhow::Result<Ran> {
    virtual_time(setup.seed);
    let mut dice = Dice::new(setup.seed);
    let server = Server::new(&Topology::new(3), dice.another());
    let memory = Memory::new(server, Mishaps::none(dice.another()), Story::new(setup.is_told));
    let link = Link {
        broker: memory.port("operator"),
        metrics: Metrics::new(),
        script: Script::default(),
    };
    stock(&link, &mut dice).await?;
    let span = Duration::from_millis(*dice.pick(&[300, 2_000, 2_000, 10_000, 30_000]).unwrap_or(&300));
    *memory.mishaps() = Mishaps::some(dice.another(), now(), span, span + STORM);
    let (short, long) = (dice.millis(1, 3_000), Duration::from_mins(15));
    let crew = Crew::hire(Surroundings {
        provider: Provider::new(memory.clone()),
        notices: Notices::new(memory.clone()),
        memory,
        metrics: link.metrics.clone(),
        flaw: setup.flaw,
        deadlines: [if dice.happens(600) { short } else { long }, long],
    })?;
    tokio::spawn(crew.clone().serve());
    tokio::spawn(strikes::strike(crew.clone()));
    let world = World::new(crew.memory());
    world.clone().live(span).await;
    conclude(&crew, &world, &link).await
}

/// Waits for the end, and tells what came of it.
async fn conclude(crew: &Crew, world: &World, link: &Link) -> anyhow::Result<Ran> {
    let memory = crew.memory();
    let mut violations = Vec::new();
    if comes_to_rest(memory).await {
        violations.extend(redrive(memory, link).await?);
    } else {
        violations.push(format!("not at rest after {REST:?}"));
    }
    let journal = memory.server().journal().collect();
    let ledger = crew.provider().bank().entries().to_vec();
    let remains = Remains {
        memory,
        journal,
        notices: crew.notices(),
        ledger,
        letters: letters(link).await?,
        requests: world.requests(&crew.told()),
    };
    let digest = memory.story().is_told().then(|| verdict::digest(&remains));
    violations.extend(verdict::judge(remains)?);
    let mut tally = std::mem::take(&mut memory.mishaps().tally);
    (tally.seeds, tally.fewest_orders, tally.fewest_faults) = (1, tally.orders, tally.struck());
    Ok(Ran {
        violations,
        tally,
        story: memory.story().lines(),
        digest,
    })
}

/// Puts some of each product on hand.
async fn stock(link: &Link, dice: &mut Dice) -> anyhow::Result<()> {
    let shelf = Shelf::new(Journal::over(link.clone()));
    for product in PRODUCTS {
        let quantity = i64::try_from(dice.between(4, 40))?;
        let (id, product) = (Token::new(&format!("seed-{product}"))?, Token::new(product)?);
        shelf.carry_out(Operation::adjust(id, product, quantity)).await?;
    }
    Ok(())
}

/// Waits until nothing is left to do, and nothing is on its way any more. False if that takes too long.
async fn comes_to_rest(memory: &Memory) -> bool {
    let limit = instant(now()) + REST;
    while tokio::time::Instant::now() < limit {
        sleep(Duration::from_secs(20)).await;
        if memory.server().is_idle() {
            sleep(LATE).await;
            if memory.server().is_idle() {
                return true;
            }
        }
    }
    false
}

/// Gives every dead letter back, at a time when every order is over: nothing may change by that. Returns what did. What
/// was a letter is one again, unless it asks for what has come by itself, as the cancellation of a cancelled order does.
async fn redrive(memory: &Memory, link: &Link) -> anyhow::Result<Option<String>> {
    let letters = Letters::over(link.clone());
    let before = letters.list().await?;
    let events = memory.server().journal().count();
    for letter in &before {
        letters.redrive(letter).await?;
    }
    if !comes_to_rest(memory).await {
        return Ok(Some("not at rest after its letters were redriven".to_owned()));
    }
    let (count, now) = (letters.list().await?.len(), memory.server().journal().count());
    let is_fine = count <= before.len() && now == events;
    Ok((!is_fine).then(|| {
        let before = before.len();
        format!(
            "redriving {before} letters left {count} letters and {} new events",
            now - events
        )
    }))
}

/// Every dead letter.
async fn letters(link: &Link) -> anyhow::Result<Vec<Letter>> {
    let letters = Letters::over(link.clone()).list().await?;
    let as_in_the_books = letters.into_iter().map(|letter| Letter {
        sequence: letter.sequence,
        reason: letter.reason,
        detail: letter.detail,
        consumer: letter.consumer,
        stream: letter.stream,
        stream_sequence: letter.stream_sequence,
        subject: letter.subject,
        body: letter.body,
    });
    Ok(as_in_the_books.collect())
}
