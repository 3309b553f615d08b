use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use checkout::books::{Books, Entry, Letter, Message, Request, Scope, Source};
use engine::subject::EVENTS;
use saga::Event;
use serde_json::value::RawValue;

use super::{Fault, Memory, Notices, Server, order::FORGED};

/// What a run left behind, besides what its server keeps.
pub(super) struct Remains<'a> {
    pub(super) memory: &'a Memory,
    pub(super) journal: Vec<Message>,
    pub(super) notices: &'a Notices,
    pub(super) ledger: Vec<Entry>,
    pub(super) letters: Vec<Letter>,
    pub(super) requests: Vec<Request>,
}

/// Everything of a run that does not hold, a sentence for each, and the story of what it is about.
pub(super) fn judge(remains: Remains<'_>) -> anyhow::Result<Vec<String>> {
    let Remains {
        memory,
        journal,
        notices,
        ledger,
        letters,
        requests,
    } = remains;
    let mut books = Books::new(Scope::REST)?;
    Source::ALL.into_iter().for_each(|source| books.given(source));
    let mut wrong = Vec::new();
    let server = memory.server();
    for message in journal.iter().filter(|message| !is_forged(&message.subject)) {
        books.message(message);
        wrong.extend(unheard(message, notices));
    }
    for kept in server.bucket().iter().filter(|kept| !is_forged(&kept.key)) {
        books.kept(kept);
    }
    ledger.iter().cloned().for_each(|entry| books.entry(entry));
    requests.into_iter().for_each(|request| books.request(request));
    wrong.extend(post(&mut books, &server, &journal, &letters));
    books.leftovers(server.leftovers());
    server
        .scheduled()
        .for_each(|scheduled| books.scheduled(&scheduled));
    drop(server);
    let report = books.close();
    wrong.extend(report.violations.iter().map(ToString::to_string));
    let stuck = report.open.iter().filter(|open| open.stuck);
    wrong.extend(stuck.map(|open| format!("checkout.{}: it is stuck for ever", open.id)));
    count(memory, &journal, &ledger, report.counts.orders);
    Ok(wrong)
}

/// Gives the letters to the books, but for those of forged events. What is wrong with these.
fn post(books: &mut Books, server: &Server, journal: &[Message], letters: &[Letter]) -> Vec<String> {
    let mut wrong = Vec::new();
    let forged = |letter: &&Letter| letter.stream == EVENTS && is_forged(&letter.subject);
    let buried: Vec<&Letter> = letters.iter().filter(forged).collect();
    for message in journal.iter().filter(|message| is_forged(&message.subject)) {
        wrong.extend(unburied(
            message,
            &server.hearers(EVENTS, &message.subject),
            &buried,
        ));
    }
    for letter in letters.iter().filter(|letter| !forged(letter)) {
        books.letter(letter.clone());
    }
    wrong
}

fn is_forged(subject: &str) -> bool {
    subject
        .rsplit('.')
        .next()
        .is_some_and(|id| id.starts_with(FORGED))
}

/// An end, or a beginning, that nobody was told of.
fn unheard(message: &Message, notices: &Notices) -> Option<String> {
    let event_type = message.subject.split('.').nth(2)?;
    if !["OrderCreated", "OrderShipped", "OrderCancelled"].contains(&event_type) {
        return None;
    }
    let event: Event<Box<RawValue>> = serde_json::from_str(message.body.get()).ok()?;
    let times = notices.times(event.event_id);
    (times == 0).then(|| format!("nobody was told of {}", message.subject))
}

/// A forged event becomes one letter of each consumer that hears it.
fn unburied(message: &Message, hearers: &[String], letters: &[&Letter]) -> Option<String> {
    let mut counts: BTreeMap<&str, u32> = hearers.iter().map(|name| (name.as_str(), 0)).collect();
    for letter in letters
        .iter()
        .filter(|letter| letter.stream_sequence == message.sequence)
    {
        *counts.entry(letter.consumer.as_str()).or_default() += 1;
    }
    let are_wrong = counts.values().any(|count| *count != 1);
    are_wrong.then(|| format!("{} was buried {counts:?} times", message.subject))
}

/// Counts what can only be told afterwards.
fn count(memory: &Memory, journal: &[Message], ledger: &[Entry], sagas: u64) {
    let tally = &mut memory.mishaps().tally;
    tally.sagas += sagas;
    for message in journal.iter().filter(|message| !is_forged(&message.subject)) {
        let event_type = message.subject.split('.').nth(2).unwrap_or_default();
        tally.event(event_type);
        let body = message.body.get();
        match event_type {
            "OrderTimedOut" => tally.fault(Fault::ShortDeadline),
            "OutOfStock" if body.contains("is out of stock") => tally.fault(Fault::OutOfStock),
            "ShippingFailed" if body.contains("no carrier delivers") => tally.fault(Fault::ShipmentRefused),
            _ => {}
        }
    }
    for _ in ledger.iter().filter(|entry| entry.kind == "decline") {
        tally.fault(Fault::CardDeclined);
    }
}

/// A number for what a run left behind: equal for equal runs.
pub(super) fn digest(remains: &Remains<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for message in &remains.journal {
        let time = message.time.to_string();
        (
            message.sequence,
            &message.subject,
            message.guard,
            time,
            message.body.get(),
        )
            .hash(&mut hasher);
    }
    for entry in &remains.ledger {
        (entry.seq, &entry.kind, &entry.key, entry.amount).hash(&mut hasher);
    }
    for letter in &remains.letters {
        (letter.sequence, &letter.reason, &letter.consumer, &letter.body).hash(&mut hasher);
    }
    remains.memory.story().lines().hash(&mut hasher);
    hasher.finish()
}
