use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use engine::{
    Station,
    faults::{At, Happening, Script},
    now,
};
use tokio::task::JoinSet;

use super::{
    Answerer, Fault, Memory, Notices, Port, Provider,
    frost::Frost,
    hiring::{Role, Surroundings},
    server::HandOut,
};

/// The workers of the checkout, two of each. Cheap to clone.
#[derive(Clone)]
pub struct Crew(pub(super) Arc<Shared>);

pub(super) struct Shared {
    around: Surroundings,
    replicas: Mutex<Vec<Replica>>,
    /// The highest sequence that each consumer's workers were handed.
    heads: Mutex<BTreeMap<usize, u64>>,
}

/// One process. It is down while it has no stations.
pub(super) struct Replica {
    role: Role,
    pub(super) port: Arc<Port>,
    pub(super) stations: Vec<(usize, Station)>,
    pub(super) work: JoinSet<()>,
    pub(super) frost: Arc<Frost>,
}

impl Crew {
    /// Hires two of each.
    pub(super) fn hire(around: Surroundings) -> anyhow::Result<Self> {
        let replicas = Role::ALL.into_iter().flat_map(|role| [(role, 1), (role, 2)]);
        let replicas = replicas.map(|(role, number)| Replica {
            role,
            port: around.memory.port(&format!("{role:?}-{number}").to_lowercase()),
            stations: Vec::new(),
            work: JoinSet::new(),
            frost: Arc::default(),
        });
        let crew = Self(Arc::new(Shared {
            replicas: Mutex::new(replicas.collect()),
            around,
            heads: Mutex::default(),
        }));
        for place in 0..crew.size() {
            crew.start(place)?;
        }
        Ok(crew)
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.replicas().len()
    }

    /// Hands out whatever there is, for ever.
    pub async fn serve(self) {
        let memory = self.memory().clone();
        loop {
            while let Some(out) = self.next() {
                self.deliver(out);
            }
            memory.changed().await;
        }
    }

    fn next(&self) -> Option<HandOut> {
        let replicas = self.replicas();
        let staffed = |consumer| {
            replicas
                .iter()
                .any(|it| it.stations.iter().any(|(c, _)| *c == consumer))
        };
        self.memory().server().hand_out(now(), staffed)
    }

    /// Sends a message to one of those who work for its consumer, or, by mishap, to two.
    fn deliver(&self, out: HandOut) {
        let memory = self.memory();
        let mut replicas = self.replicas();
        let able: Vec<usize> = (0..replicas.len())
            .filter(|at| {
                replicas[*at]
                    .stations
                    .iter()
                    .any(|(consumer, _)| *consumer == out.consumer)
            })
            .collect();
        let twice = memory.strikes(Fault::Duplicated);
        for _ in 0..if twice { 2 } else { 1 } {
            let Some(place) = memory.throw(|dice| dice.pick(&able).copied()) else {
                return;
            };
            self.send(&mut replicas[place], &out);
        }
    }

    /// A message on its way to a worker, and then worked on. All of it ends with the worker.
    fn send(&self, replica: &mut Replica, out: &HandOut) {
        let found = replica
            .stations
            .iter()
            .find(|(consumer, _)| *consumer == out.consumer);
        let Some((_, station)) = found.cloned() else {
            return;
        };
        let (crew, port) = (self.clone(), replica.port.clone());
        let (consumer, arrival) = (out.consumer, out.arrival.clone());
        let acker = Answerer {
            port: port.clone(),
            consumer,
            sequence: arrival.sequence,
        };
        let work = async move {
            crew.memory().travel().await;
            if port.is_cut_off() {
                return;
            }
            crew.arrives(consumer, arrival.sequence);
            crew.memory().story().note(port.who(), || {
                let name = station.config.durable_name.as_deref().unwrap_or_default();
                format!(
                    "takes {} {} of {name}, delivery {}",
                    arrival.subject, arrival.sequence, arrival.delivered
                )
            });
            station.serve(arrival, Box::new(acker)).await;
        };
        replica.work.spawn(Frost::over(replica.frost.clone(), work));
    }

    fn arrives(&self, consumer: usize, sequence: u64) {
        let mut heads = self.0.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let head = heads.entry(consumer).or_default();
        if sequence < *head {
            self.memory().mishaps().tally.fault(Fault::Overtaken);
        }
        *head = sequence.max(*head);
    }

    /// The messages with which the order workers answered those who asked.
    pub fn told(&self) -> Vec<(String, bytes::Bytes)> {
        self.replicas()
            .iter()
            .flat_map(|replica| replica.port.told())
            .collect()
    }

    /// Starts a worker with nothing in hand.
    pub(super) fn start(&self, place: usize) -> anyhow::Result<()> {
        let found = self.replicas().get(place).map(|it| (it.role, it.port.clone()));
        let Some((role, port)) = found else { return Ok(()) };
        let crew = Arc::downgrade(&self.0); // or a worker would keep itself
        let script = Script::default().with_hook(move |at| {
            let crew = crew.upgrade().map(Self);
            crew.map_or(Happening::Nothing, |crew| crew.reaches(place, at))
        });
        let stations = self.0.around.worker(role, place, port, script)?;
        let mut server = self.memory().server();
        let employed = stations
            .into_iter()
            .map(|station| (server.employ(station.stream, &station.config, now()), station));
        let employed = employed.collect();
        drop(server);
        if let Some(replica) = self.replicas().get_mut(place) {
            replica.stations = employed;
        }
        self.memory().touch();
        Ok(())
    }

    /// What happens to a worker's message at a named point.
    fn reaches(&self, place: usize, at: &At) -> Happening {
        let happening = self.memory().mishaps().at(at, now());
        if happening != Happening::Nothing {
            self.memory().story().note("fault", || {
                format!("{happening:?} at {:?} of {}", at.point, at.subject)
            });
        }
        if happening == Happening::Crash {
            self.crash(place);
        }
        happening
    }

    /// The broker that they use.
    pub(super) fn memory(&self) -> &Memory {
        &self.0.around.memory
    }

    /// The payment provider that they use.
    pub(super) fn provider(&self) -> &Provider {
        &self.0.around.provider
    }

    /// Whom they have told.
    pub(super) fn notices(&self) -> &Notices {
        &self.0.around.notices
    }

    pub(super) fn replicas(&self) -> MutexGuard<'_, Vec<Replica>> {
        self.0.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
