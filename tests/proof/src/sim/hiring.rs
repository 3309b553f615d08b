use std::{sync::Arc, time::Duration};

use engine::{
    Journal, Metrics, Station,
    broker::Link,
    faults::{Flaw, Script},
};

use super::{Memory, Notices, Port, payment, payment::Provider};

/// How long an effect may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Order,
    Inventory,
    Shipping,
    Payment,
    Notifier,
}

/// What every worker of a crew shares.
pub(super) struct Surroundings {
    pub(super) memory: Memory,
    pub(super) provider: Provider,
    pub(super) notices: Notices,
    pub(super) metrics: Metrics,
    /// The bug that all of them have.
    pub(super) flaw: Option<Flaw>,
    /// How long a checkout may stay open, by each of the order workers.
    pub(super) deadlines: [Duration; 2],
}

impl Role {
    pub(super) const ALL: [Self; 5] = [
        Self::Order,
        Self::Inventory,
        Self::Shipping,
        Self::Payment,
        Self::Notifier,
    ];
}

impl Surroundings {
    /// The product's own worker of this role, behind this port: its consumers, each with what serves it.
    pub(super) fn worker(
        &self,
        role: Role,
        number: usize,
        port: Arc<Port>,
        script: Script,
    ) -> anyhow::Result<Vec<Station>> {
        let link = Link {
            broker: port,
            metrics: self.metrics.clone(),
            script: match self.flaw {
                Some(flaw) => script.with_flaw(flaw),
                None => script,
            },
        };
        let worker = match role {
            Role::Order => order::owner(self.deadlines[number % 2])?,
            Role::Inventory => inventory::over(Journal::over(link.clone()))?,
            Role::Shipping => shipping::refusing(vec!["00000".to_owned()])?,
            Role::Payment => payment::worker(self.provider.clone())?,
            Role::Notifier => self.notices.clone().worker()?,
        };
        Ok(worker.stations(&link, LIMIT))
    }
}
