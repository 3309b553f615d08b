use std::time::Duration;

use async_nats::{HeaderMap, HeaderValue, jetstream::AckKind};
use engine::{
    AppendError, Topology,
    subject::{EVENTS, INBOX, KV_STATE, TIMERS},
};
use saga::Timestamp;

use super::*;

fn at(millis: u64) -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_millis(millis))
}

fn server() -> Server {
    Server::new(&Topology::new(3), Dice::new(7))
}

fn guarded(guard: u64, filter: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Expected-Last-Subject-Sequence", HeaderValue::from(guard));
    headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", filter);
    headers
}

fn publish(server: &mut Server, subject: &str, headers: HeaderMap, now: u64) -> Result<u64, AppendError> {
    let taken = server.publish(subject.to_owned(), headers, Bytes::new(), at(now));
    taken.map(|(sequence, _)| sequence)
}

#[test]
fn two_that_name_one_guard_meet_in_flight_and_two_that_name_others_do_not() {
    let mut server = server();
    publish(&mut server, "evt.k.A.1", guarded(0, "evt.k.*.1"), 0).unwrap();
    let met = publish(&mut server, "evt.k.B.1", guarded(0, "evt.k.*.1"), 0);
    assert!(matches!(met, Err(AppendError::InFlight)));
    publish(&mut server, "evt.k.B.1", guarded(0, "evt.*.*.1"), 0).unwrap();
    publish(&mut server, "evt.k.C.1", HeaderMap::new(), 0).unwrap();
    server.advance(at(50));
    let stale = publish(&mut server, "evt.k.B.1", guarded(0, "evt.k.*.1"), 50);
    assert!(matches!(stale, Err(AppendError::Stale { last: 3 })));
}

#[test]
fn nobody_sees_an_append_before_it_is_committed_and_a_replica_sees_it_later() {
    let mut server = server();
    publish(&mut server, "evt.k.A.1", HeaderMap::new(), 1_000).unwrap();
    assert!(
        server
            .last(EVENTS, "evt.k.*.1", at(1_000), Duration::ZERO)
            .is_none()
    );
    server.advance(at(1_500));
    let behind = Duration::from_millis(499);
    assert!(
        server
            .last(EVENTS, "evt.k.*.1", at(1_500), Duration::ZERO)
            .is_some()
    );
    assert!(
        server
            .last(EVENTS, "evt.k.*.1", at(1_500), behind + Duration::from_millis(1))
            .is_none()
    );
    let kept = server
        .last(KV_STATE, "$KV.STATE.k.1", at(1_500), Duration::ZERO)
        .unwrap();
    assert_eq!(kept.journal_sequence(), 1);
}

#[test]
fn what_is_not_answered_comes_again_and_what_is_forgotten_comes_as_new() {
    let mut server = server();
    let config = pull::Config {
        durable_name: Some("c".to_owned()),
        ack_wait: Duration::from_secs(10),
        max_ack_pending: 10,
        filter_subjects: vec!["in.k.*".to_owned()],
        ..pull::Config::default()
    };
    let consumer = server.employ(INBOX, &config, at(0));
    publish(&mut server, "in.k.A", HeaderMap::new(), 0).unwrap();
    let take = |server: &mut Server, now: u64| {
        server.advance(at(now));
        let out = server.hand_out(at(now), |_| true);
        out.map(|out| (out.arrival.sequence, out.arrival.delivered))
    };
    assert_eq!(take(&mut server, 10), Some((1, 1)));
    assert_eq!(take(&mut server, 10_009), None);
    assert_eq!(take(&mut server, 10_010), Some((1, 2)));
    assert!(server.forget(consumer, at(10_011)));
    assert_eq!(take(&mut server, 10_012), Some((1, 1)));
    server.answer(consumer, 1, AckKind::Ack, at(10_013));
    assert_eq!(take(&mut server, 30_000), None);
    assert!(server.at(INBOX, 1).is_none());
    assert!(server.is_idle());
}

#[test]
fn a_schedule_fires_after_its_time_and_once() {
    let mut server = server();
    let mut headers = HeaderMap::new();
    headers.insert(
        "Nats-Schedule",
        format!("@at {}", at(5_000)).parse::<HeaderValue>().unwrap(),
    );
    headers.insert("Nats-Schedule-Target", "due.k.1.deadline");
    publish(&mut server, "timer.k.1.deadline", headers, 0).unwrap();
    server.advance(at(5_000));
    assert!(server.next(TIMERS, "due.>", 1).is_none());
    assert_eq!(server.scheduled().count(), 1);
    server.advance(at(6_000));
    let fired = server.next(TIMERS, "due.>", 1).unwrap();
    assert_eq!(fired.headers.len(), 0);
    assert!(server.next(TIMERS, "due.>", fired.sequence + 1).is_none());
    assert!(server.is_idle());
}
