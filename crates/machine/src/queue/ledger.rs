//! The one record of a queue as a whole that changes with nearly every command.

/// Counts, numbers given out, and what limits need: small, for it is written anew each time.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Ledger {
    /// Items that may be had.
    #[prost(uint64, tag = "1")]
    pub ready: u64,
    /// Items that may be had later.
    #[prost(uint64, tag = "2")]
    pub delayed: u64,
    /// Items that somebody works on.
    #[prost(uint64, tag = "3")]
    pub leased: u64,
    /// Items that could be had if their key were not at a limit.
    #[prost(uint64, tag = "4")]
    pub blocked: u64,
    /// Dead letters.
    #[prost(uint64, tag = "5")]
    pub dead: u64,
    /// The last item's number.
    #[prost(uint64, tag = "6")]
    pub last_item: u64,
    /// The last lease's number.
    #[prost(uint64, tag = "7")]
    pub last_lease: u64,
    /// When the queue's timer is set; zero if it is not.
    #[prost(uint64, tag = "8")]
    pub timer_ms: u64,
    /// The theoretical arrival time of the queue's rate.
    #[prost(uint64, tag = "9")]
    pub tat_ns: u64,
    /// Whether nothing is handed out.
    #[prost(bool, tag = "10")]
    pub paused: bool,
    /// Whether somebody has set its settings.
    #[prost(bool, tag = "11")]
    pub defined: bool,
}

impl Ledger {
    /// All items, dead letters too.
    pub fn len(&self) -> u64 {
        self.ready + self.delayed + self.leased + self.blocked + self.dead
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
