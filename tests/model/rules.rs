//! The rules, as pure functions: what a sentinel may do with a vote, an epoch, a configuration.
//!
//! Source: DESIGN section 3 "Votes", S1 to S3, S7, S8, S10.

use super::group::{Bounds, FRESH, S1, S2, S3, S7, S8, S9};

/// A process of the group, 1, 2 or 3; 0 is nobody.
pub type Id = u8;

/// What a sentinel keeps on disk about one master (`engine::MasterState`, `engine::State`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Durable {
    /// `current-epoch`.
    pub current: u8,
    /// `leader-epoch`.
    pub vote_epoch: u8,
    /// Whom that vote went to.
    pub vote: Id,
    /// `config-epoch`.
    pub config_epoch: u8,
    /// The master's address: 0 is the first one, n the replica that sentinel n promotes.
    pub config: u8,
    /// Size of the voter set, this sentinel included.
    pub voters: u8,
}

/// One rule broken on purpose.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mutant {
    /// A vote is answered before it is on disk.
    AnswerBeforeSave,
    /// A vote is answered although its write failed (stock).
    AnswerAfterFailedSave,
    /// A vote is given again in the epoch of the last one.
    VoteTwice,
    /// The vote for oneself is asked for before it is on disk.
    CampaignBeforeSave,
    /// A vote for an epoch that has a configuration already.
    VoteForUsedEpoch,
    /// Votes of any epoch count (stock counts by its current epoch).
    CountOtherEpochs,
    /// A forced failover asks nobody (stock).
    ForcedAlone,
    /// RESET makes a majority of those who are left (stock).
    ResetShrinks,
    /// A new configuration is told before it is on disk.
    AnnounceBeforeSave,
    /// An older configuration is adopted.
    AdoptOlder,
    /// A restarted sentinel begins with the epoch of its configuration.
    ForgetEpoch,
    /// A leader promotes although it has voted higher since.
    LeadAfterVote,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::AnswerBeforeSave,
        Self::AnswerAfterFailedSave,
        Self::VoteTwice,
        Self::CampaignBeforeSave,
        Self::VoteForUsedEpoch,
        Self::CountOtherEpochs,
        Self::ForcedAlone,
        Self::ResetShrinks,
        Self::AnnounceBeforeSave,
        Self::AdoptOlder,
        Self::ForgetEpoch,
        Self::LeadAfterVote,
    ];

    /// Bounds within which it shows, the smallest: epochs, crashes, failed writes.
    pub fn bounds(self) -> Bounds {
        let (epochs, crashes, failures) = match self {
            Self::AnswerBeforeSave
            | Self::CampaignBeforeSave
            | Self::AnnounceBeforeSave
            | Self::VoteTwice
            | Self::VoteForUsedEpoch
            | Self::ForcedAlone
            | Self::ResetShrinks => (1, 0, 0),
            Self::ForgetEpoch => (1, 1, 0),
            Self::AnswerAfterFailedSave => (1, 1, 1),
            Self::CountOtherEpochs | Self::AdoptOlder | Self::LeadAfterVote => (2, 0, 0),
        };
        Bounds { epochs, crashes, failures }
    }

    /// The properties that it breaks.
    pub fn promises(self) -> &'static [&'static str] {
        match self {
            Self::AnswerBeforeSave | Self::CampaignBeforeSave | Self::AnnounceBeforeSave => &[S7],
            Self::AnswerAfterFailedSave | Self::VoteTwice => &[S1],
            Self::CountOtherEpochs | Self::ForcedAlone | Self::ResetShrinks => &[S2, S8],
            Self::VoteForUsedEpoch => &[FRESH],
            Self::AdoptOlder | Self::ForgetEpoch => &[S3],
            Self::LeadAfterVote => &[S9],
        }
    }
}

/// The rules in force: all of them, or all but one.
#[derive(Clone, Copy, Debug)]
pub struct Rules(pub Option<Mutant>);

impl Rules {
    /// Whether a rule is broken.
    pub fn broken(self, mutant: Mutant) -> bool {
        self.0 == Some(mutant)
    }

    /// A vote request: the state after it, current epoch raised, vote given if it may be.
    ///
    /// In the code: `engine::vote`, `Engine::vote`.
    pub fn vote(self, mut mine: Durable, verified: Option<u8>, epoch: u8, candidate: Id) -> Durable {
        mine.current = mine.current.max(epoch);
        let config_epoch = verified.unwrap_or(mine.config_epoch);
        let voted =
            if self.broken(Mutant::VoteTwice) { mine.vote_epoch > epoch } else { mine.vote_epoch >= epoch };
        let used = config_epoch >= epoch && !self.broken(Mutant::VoteForUsedEpoch);
        if !voted && !used {
            mine.vote_epoch = epoch;
            mine.vote = candidate;
        }
        mine
    }

    /// The lowest epoch of a new election: above every one that is known.
    ///
    /// In the code: `engine::election`, `fresh_epoch`.
    pub fn fresh_epoch(self, mine: Durable) -> u8 {
        mine.current.max(mine.vote_epoch).max(mine.config_epoch) + 1
    }

    /// Votes needed to lead. In the code: `engine::election`, `needed`.
    pub fn needed(self, mine: Durable) -> u8 {
        mine.voters / 2 + 1
    }

    /// Whether the answer of a voter is a vote for `me` in `epoch`. In the code: `engine::election`, `on_vote`.
    pub fn grants(self, me: Id, epoch: u8, vote: Id, vote_epoch: u8) -> bool {
        vote == me && (vote_epoch == epoch || self.broken(Mutant::CountOtherEpochs))
    }

    /// Whether a leader of `epoch` must not promote any more. In the code: `engine::failover`, `must_stand_down`.
    pub fn must_stand_down(self, me: Id, epoch: u8, mine: Durable) -> bool {
        let voted = mine.vote_epoch != epoch || mine.vote != me;
        let forced = self.broken(Mutant::ForcedAlone);
        (voted && !self.broken(Mutant::LeadAfterVote) && !forced) || mine.config_epoch >= epoch
    }

    /// Whether a hello's configuration is adopted. In the code: `engine::gossip`, `consider_config`.
    pub fn adopts(self, mine: Durable, verified: Option<u8>, config_epoch: u8, config: u8) -> bool {
        let ours = verified.unwrap_or(mine.config_epoch);
        if self.broken(Mutant::AdoptOlder) {
            return config != mine.config;
        }
        config_epoch > ours
    }

    /// What a sentinel knows after a restart. In the code: `Engine::new`.
    pub fn after_crash(self, disk: Durable) -> Durable {
        if self.broken(Mutant::ForgetEpoch) {
            return Durable { current: disk.config_epoch, ..disk };
        }
        Durable { current: disk.current.max(disk.config_epoch).max(disk.vote_epoch), ..disk }
    }

    /// `RESET`: the sentinels are forgotten, the voter set is not (S10). In the code: `engine::admin`.
    pub fn reset(self, mine: Durable) -> Durable {
        if self.broken(Mutant::ResetShrinks) { Durable { voters: 1, ..mine } } else { mine }
    }
}
