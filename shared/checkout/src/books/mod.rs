//! The books of a whole run: whether everything that has to hold does, told from what the run left behind.
//!
//! [`Books`] takes the accounts of a run, a line or a value at a time and in any order (the journal in its own), and
//! [`Books::close`] says what does not hold: the invariants I1 to I11, each with the order's story. Pure: no clock,
//! no network, no file. It remembers something of each entity and, of each event, a line for the story.
//!
//! It trusts the code under test as little as it can. Which event may follow which is told by a small automaton of its
//! own, money by the ledger alone, stock by adding up what was moved; only then are the results compared with the
//! states that the events carry, which the code's own fold has to give again.

mod lines;
mod report;
mod source;

mod finds;
mod path;
mod thread;

mod adjustment;
mod journal;
mod money;
mod order;
mod requests;
mod reserved;
mod rest;
mod stock;

mod close;
mod tell;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use saga::{EventId, Plan, PlanError, Status, Token};

pub use lines::{Answered, Entry, Expected, Kept, Leftover, Letter, Message, Request, Scheduled};
pub use report::{Counts, Invariant, Open, Report, Violation};
pub use source::{Scope, Source, Unreadable};

use crate::Checkout;
use adjustment::Change;
use finds::{Finds, Found};
use lines::Name;
use order::Order;
use path::End;
use requests::Faults;
use rest::Coming;
use source::parse;
use stock::Shelf;
use thread::Thread;

/// The accounts of one run.
#[derive(Debug)]
pub struct Books {
    plan: Plan,
    scope: Scope,
    sources: BTreeSet<Source>,
    orders: BTreeMap<Token, Order>,
    products: BTreeMap<Token, Shelf>,
    adjustments: BTreeMap<Token, Change>,
    /// Entities of kinds that the checkout does not know: their chain and the bucket are all that is checked.
    others: BTreeMap<Name, Thread<()>>,
    ids: HashSet<EventId>,
    keys: HashSet<String>,
    faults: Faults,
    letters: Vec<Letter>,
    leftovers: Vec<Leftover>,
    last: u64,
    last_entry: u64,
    counts: Counts,
    found: Vec<Found>,
}

impl Books {
    /// Empty books.
    ///
    /// # Errors
    /// When the checkout is no plan.
    pub fn new(scope: Scope) -> Result<Self, PlanError> {
        Ok(Self {
            plan: Plan::of::<Checkout>()?,
            scope,
            sources: BTreeSet::new(),
            orders: BTreeMap::new(),
            products: BTreeMap::new(),
            adjustments: BTreeMap::new(),
            others: BTreeMap::new(),
            ids: HashSet::new(),
            keys: HashSet::new(),
            faults: Faults::default(),
            letters: Vec::new(),
            leftovers: Vec::new(),
            last: 0,
            last_entry: 0,
            counts: Counts::default(),
            found: Vec::new(),
        })
    }

    /// Says that all of `source` was given, even if there was nothing in it. What is not given is not compared.
    pub fn given(&mut self, source: Source) {
        self.sources.insert(source);
    }

    /// Takes one line of a recording's file; of the consumers, the whole file.
    ///
    /// # Errors
    /// Names the field at fault when the text is no such line. Nothing is taken then.
    pub fn read(&mut self, source: Source, text: &str) -> Result<(), Unreadable> {
        self.given(source);
        match source {
            Source::Journal => self.message(&parse(text)?),
            Source::Bucket => self.kept(&parse(text)?),
            Source::Letters => self.letter(parse(text)?),
            Source::Ledger => self.entry(parse(text)?),
            Source::History => self.request(parse(text)?),
            Source::Consumers => self.leftovers(parse(text)?),
            Source::Schedules => self.scheduled(&parse(text)?),
        }
        Ok(())
    }

    /// Takes what the bucket keeps under one key.
    pub fn kept(&mut self, kept: &Kept) {
        self.counts.keys += 1;
        let Some(name) = Name::of_key(&kept.key) else {
            let sentence = format!("{} is no key of an entity", kept.key);
            return self.find(Invariant::I7, "bucket", sentence);
        };
        if !self.keys.insert(kept.key.clone()) {
            self.find(Invariant::I7, &kept.key, "the bucket keeps it twice".to_owned());
        }
        let id = name.id.clone();
        match name.kind.as_str() {
            "checkout" => self.orders.entry(id).or_default().saga.keep(kept),
            "reservation" => self.orders.entry(id).or_default().reservation.keep(kept),
            "adjustment" => self.adjustments.entry(id).or_default().thread.keep(kept),
            "stock" => self.products.entry(id).or_default().thread.keep(kept),
            _ => self.others.entry(name).or_default().keep(kept),
        }
    }

    /// Takes the next line of the provider's ledger.
    pub fn entry(&mut self, entry: Entry) {
        self.counts.entries += 1;
        let expected = self.last_entry + 1;
        if entry.seq != expected {
            let sentence = format!(
                "line {} follows line {}: something is missing",
                entry.seq,
                expected - 1
            );
            self.find(Invariant::I5, "ledger", sentence);
        }
        self.last_entry = entry.seq;
        money::keys(
            &entry,
            &mut Finds {
                entity: &"ledger",
                out: &mut self.found,
            },
        );
        let owner = money::owner(&entry.key).and_then(|(id, _)| Token::new(id).ok());
        if let Some(id) = owner {
            self.orders.entry(id).or_default().entries.push(entry);
        }
    }

    /// Takes one dead letter.
    pub fn letter(&mut self, letter: Letter) {
        self.counts.letters += 1;
        letter.is_reasoned(&mut Finds {
            entity: &"letters",
            out: &mut self.found,
        });
        if let Some(id) = letter.order() {
            self.orders.entry(id).or_default().letters.push(letter.clone());
        }
        self.letters.push(letter);
    }

    /// Takes one request of a driver.
    pub fn request(&mut self, request: Request) {
        self.counts.requests += 1;
        self.faults.learn(&request);
        if let Some(Ok(id)) = request.order_id.as_deref().map(Token::new) {
            self.orders.entry(id).or_default().requests.push(request);
        }
    }

    /// Takes what every consumer has left to do.
    pub fn leftovers(&mut self, leftovers: Vec<Leftover>) {
        self.leftovers.extend(leftovers);
    }

    /// Takes one message that the server still has to send.
    pub fn scheduled(&mut self, scheduled: &Scheduled) {
        let parts: Vec<&str> = scheduled.subject.split('.').collect();
        let (id, is_retry) = match parts[..] {
            ["timer", "checkout", id, "deadline"] => (id, false),
            ["retry", "checkout", _, id, _] => (id, true),
            _ => return,
        };
        let Ok(id) = Token::new(id) else { return };
        let order = self.orders.entry(id).or_default();
        order.retries += u32::from(is_retry);
        order.timer |= !is_retry;
    }

    /// How the journal says that an order ended; `None` while it has not.
    pub fn end(&self, id: &Token) -> Option<Status> {
        self.orders.get(id)?.path.end.map(|end| match end {
            End::Completed => Status::Completed,
            End::Cancelled => Status::Cancelled,
        })
    }

    fn find(&mut self, invariant: Invariant, entity: &str, sentence: String) {
        self.found.push(Found {
            invariant,
            entity: entity.to_owned(),
            sentence,
        });
    }
}
