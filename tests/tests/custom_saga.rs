//! A saga that knows nothing of the checkout, through the one crate that its author would depend on.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use jetsaga::{
    Compensate, Effect, Freshness, Irreversible, Outcome, Payload, Perform, Saga, State, Status, Step, Token,
    Worker,
    anyhow::{self, Result},
    done, refuse,
    subject::EntitySubject,
};
use jetsaga_tests::harness::{System, types, until};

jetsaga::facts! {
    MoveAsked { id: Token, amount: u64 }
    Withdrawn { amount: u64 }
    refusal NotWithdrawn
    PutBack {}
    Deposited {}
    refusal NotDeposited
}

/// Money from one account to another.
struct Move;
impl Saga for Move {
    const NAME: &'static str = "move";
    type Start = MoveAsked;
    type Steps = (Withdraw, Deposit);
    const TIMED_OUT: &'static str = "MoveTimedOut";
    const CANCELLATION_REQUESTED: &'static str = "MoveCancellationRequested";
    const CANCELLED: &'static str = "MoveCancelled";
}

struct Withdraw;
impl Step for Withdraw {
    const NAME: &'static str = "withdraw";
    type After = MoveAsked;
    type Done = Withdrawn;
    type Refused = NotWithdrawn;
    type Undone = PutBack;
}

struct Deposit;
impl Step for Deposit {
    const NAME: &'static str = "deposit";
    type After = (MoveAsked, Withdrawn);
    type Done = Deposited;
    type Refused = NotDeposited;
    type Undone = Irreversible;
}

/// Both accounts, and the keys under which they were touched.
#[derive(Clone, Default)]
struct Bank {
    keys: Arc<Mutex<BTreeSet<String>>>,
}

impl Bank {
    fn touch(&self, effect: &Effect) -> Result<()> {
        let keys = self.keys.lock();
        keys.map_err(|_| anyhow::anyhow!("poisoned"))?
            .insert(effect.key().to_string());
        Ok(())
    }
}

impl Perform<Withdraw> for Bank {
    async fn run(&self, effect: &Effect, asked: MoveAsked) -> Result<Outcome<Withdrawn, NotWithdrawn>> {
        self.touch(effect)?;
        done(Withdrawn { amount: asked.amount })
    }
}

impl Compensate<Withdraw> for Bank {
    async fn undo(&self, effect: &Effect, _: Withdrawn) -> Result<PutBack> {
        self.touch(effect)?;
        Ok(PutBack {})
    }
}

impl Perform<Deposit> for Bank {
    async fn run(
        &self,
        effect: &Effect,
        (_, withdrawn): (MoveAsked, Withdrawn),
    ) -> Result<Outcome<Deposited, NotDeposited>> {
        self.touch(effect)?;
        if withdrawn.amount > 100 {
            return refuse(NotDeposited {
                reason: "the account is full".to_owned(),
            });
        }
        done(Deposited {})
    }
}

fn worker(bank: &Bank) -> Result<Worker> {
    let owned = Worker::new("move").own::<Move>(Duration::from_secs(60), |payload| {
        let asked: MoveAsked = payload.read().map_err(|error| error.to_string())?;
        let spelled = Payload::of(&asked).map_err(|error| error.to_string())?;
        Ok((asked.id, spelled))
    })?;
    Ok(owned
        .step::<Move, Withdraw>(bank.clone())?
        .pivot::<Move, Deposit>(bank.clone())?)
}

/// Asks for a move and returns its history once it has ended.
async fn moved(system: &System, n: u8, amount: u64) -> Result<(Status, Vec<String>)> {
    let id = format!("MOVE-{n}");
    let event = format!(
        r#"{{"eventId":"00000000-0000-4000-8000-0000000000{n:02}","eventType":"MoveAsked",
            "timestamp":"2026-01-31T12:00:00Z","payload":{{"id":"{id}","amount":{amount}}}}}"#
    );
    system.publish("in.move.MoveAsked", event).await?;
    let entity = EntitySubject::new(&Token::new("move")?, &Token::new(&id)?);
    let last = until("the move has ended", async || {
        let last = system.journal.last::<State>(&entity, Freshness::Leader).await?;
        Ok(last.filter(|last| last.state.is_final()))
    });
    let status = last.await?.state.status;
    let history = system.journal.history::<State>(&entity).await?;
    Ok((status, types(&history).into_iter().map(str::to_owned).collect()))
}

#[tokio::test]
async fn a_saga_of_two_steps_completes_or_is_taken_back() {
    let system = System::bare().await.unwrap();
    let bank = Bank::default();
    let nats = system.connect().await.unwrap();
    let running = system.start_worker(worker(&bank).unwrap(), nats).await.unwrap();

    let (status, history) = moved(&system, 1, 50).await.unwrap();
    assert_eq!(status, Status::Completed);
    assert_eq!(history, ["MoveAsked", "Withdrawn", "Deposited"]);
    let (status, history) = moved(&system, 2, 500).await.unwrap();
    assert_eq!(status, Status::Cancelled);
    assert_eq!(
        history,
        [
            "MoveAsked",
            "Withdrawn",
            "NotDeposited",
            "PutBack",
            "MoveCancelled"
        ]
    );

    system.until_idle().await.unwrap();
    running.stop().await.unwrap();
    let keys: Vec<_> = bank.keys.lock().unwrap().iter().cloned().collect();
    let all = [
        "move:MOVE-1:deposit:run",
        "move:MOVE-1:withdraw:run",
        "move:MOVE-2:deposit:run",
        "move:MOVE-2:withdraw:run",
        "move:MOVE-2:withdraw:undo",
    ];
    assert_eq!(keys, all);
    let bucket = system.js.get_key_value("STATE").await.unwrap();
    until("its state is in the bucket", async || {
        Ok(bucket.get("move.MOVE-2").await?)
    })
    .await
    .unwrap();
}
