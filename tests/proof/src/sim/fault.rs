use std::fmt;

/// What goes wrong, or is asked for in bad faith, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A message is handed out to two at once.
    Duplicated,
    /// A message overtakes another of its consumer.
    Overtaken,
    /// An answer for a message does not arrive.
    AckLost,
    /// A publish does not arrive.
    PublishLost,
    /// A publish arrives, but nobody hears of it.
    AnswerLost,
    /// A publish arrives after its writer has stopped waiting.
    PublishLate,
    /// A read is not answered.
    ReadLost,
    /// A replica answers a read with what was.
    StaleRead,
    /// The leader has committed an event, which a follower hands out, but does not show it yet.
    LeaderBehind,
    /// An append meets another that is in flight.
    Collided,
    /// An append rests on a guard that is stale.
    Outrun,
    /// The server does not answer one worker for a while.
    CutOff,
    /// A worker dies.
    Crash,
    /// A worker dies at one of the named points.
    CrashAtPoint,
    /// The answer to what was just done is lost at one of the named points.
    LostAtPoint,
    /// The code panics at one of the named points.
    PanicAtPoint,
    /// A worker stands still for longer than the server waits, and then goes on.
    Zombie,
    /// A consumer forgets what it handed out.
    Forgotten,
    /// The provider says no to a request without a reason; nothing happened.
    EffectFailed,
    /// A request to the provider does not arrive.
    EffectLost,
    /// A request arrives at the provider, but nobody hears of it.
    EffectAnswerLost,
    /// A request arrives at the provider after everybody has stopped waiting.
    EffectLate,
    /// A request to the provider takes longer than the server waits for a sign of life.
    EffectSlow,
    /// The provider is away for a while.
    ProviderDown,
    /// A handler panics.
    HandlerPanics,
    /// A deadline comes shortly after its order.
    ShortDeadline,
    /// Somebody cancels an order.
    Cancellation,
    /// An order is sent twice.
    DuplicateOrder,
    /// Another order is sent under the id of one that exists.
    ConflictingOrder,
    /// Another order is sent under the event id of one that exists.
    TakenEventId,
    /// What is no event, or no order, is sent to the inbox.
    PoisonInInbox,
    /// What is no event, or another's, is in the journal.
    PoisonInJournal,
    /// The card is declined.
    CardDeclined,
    /// There is not enough of a product.
    OutOfStock,
    /// The carrier does not take the parcel.
    ShipmentRefused,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 35] = [
        Self::Duplicated,
        Self::Overtaken,
        Self::AckLost,
        Self::PublishLost,
        Self::AnswerLost,
        Self::PublishLate,
        Self::ReadLost,
        Self::StaleRead,
        Self::LeaderBehind,
        Self::Collided,
        Self::Outrun,
        Self::CutOff,
        Self::Crash,
        Self::CrashAtPoint,
        Self::LostAtPoint,
        Self::PanicAtPoint,
        Self::Zombie,
        Self::Forgotten,
        Self::EffectFailed,
        Self::EffectLost,
        Self::EffectAnswerLost,
        Self::EffectLate,
        Self::EffectSlow,
        Self::ProviderDown,
        Self::HandlerPanics,
        Self::ShortDeadline,
        Self::Cancellation,
        Self::DuplicateOrder,
        Self::ConflictingOrder,
        Self::TakenEventId,
        Self::PoisonInInbox,
        Self::PoisonInJournal,
        Self::CardDeclined,
        Self::OutOfStock,
        Self::ShipmentRefused,
    ];

    /// True for what happens on the best of days, where several work at once.
    pub const fn is_weather(self) -> bool {
        matches!(
            self,
            Self::Overtaken | Self::StaleRead | Self::Collided | Self::Outrun
        )
    }

    /// Those that lie in wait for whatever comes next.
    pub(super) const LURKING: [Self; 17] = [
        Self::Duplicated,
        Self::AckLost,
        Self::PublishLost,
        Self::AnswerLost,
        Self::PublishLate,
        Self::ReadLost,
        Self::LeaderBehind,
        Self::CrashAtPoint,
        Self::CrashAtPoint,
        Self::LostAtPoint,
        Self::PanicAtPoint,
        Self::EffectFailed,
        Self::EffectLost,
        Self::EffectAnswerLost,
        Self::EffectLate,
        Self::EffectSlow,
        Self::HandlerPanics,
    ];

    /// Those that strike when their time has come.
    pub(super) const TIMED: [Self; 5] = [
        Self::Crash,
        Self::Zombie,
        Self::Forgotten,
        Self::CutOff,
        Self::ProviderDown,
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Duplicated => "a message is handed out twice at once",
            Self::Overtaken => "a message overtakes another",
            Self::AckLost => "an acknowledgement is lost",
            Self::PublishLost => "a publish does not arrive",
            Self::AnswerLost => "a publish arrives, its answer is lost",
            Self::PublishLate => "a publish arrives after the timeout",
            Self::ReadLost => "a read is not answered",
            Self::StaleRead => "a replica answers with the past",
            Self::LeaderBehind => "the leader does not show an event yet",
            Self::Collided => "an append meets another in flight",
            Self::Outrun => "a guard is stale",
            Self::CutOff => "a worker is cut off from the server",
            Self::Crash => "a worker dies",
            Self::CrashAtPoint => "a worker dies at a named point",
            Self::LostAtPoint => "an answer is lost at a named point",
            Self::PanicAtPoint => "the code panics at a named point",
            Self::Zombie => "a worker stands still, then goes on",
            Self::Forgotten => "a consumer forgets its deliveries",
            Self::EffectFailed => "the provider fails",
            Self::EffectLost => "a request to the provider is lost",
            Self::EffectAnswerLost => "an answer of the provider is lost",
            Self::EffectLate => "a request arrives after the timeout",
            Self::EffectSlow => "the provider takes its time",
            Self::ProviderDown => "the provider is away for a while",
            Self::HandlerPanics => "a handler panics",
            Self::ShortDeadline => "a deadline comes soon",
            Self::Cancellation => "an order is cancelled",
            Self::DuplicateOrder => "an order comes twice",
            Self::ConflictingOrder => "another order comes under its id",
            Self::TakenEventId => "another order comes under its event id",
            Self::PoisonInInbox => "poison in the inbox",
            Self::PoisonInJournal => "poison in the journal",
            Self::CardDeclined => "a card is declined",
            Self::OutOfStock => "a product is out of stock",
            Self::ShipmentRefused => "a shipment is refused",
        })
    }
}
