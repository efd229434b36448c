//! What the last attempts came to, for those who ask.

use std::time::SystemTime;

use super::{Outcome, What};

/// The last attempts of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    attempts: [Attempts; What::ALL.len()],
}

/// The last attempts of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// When it was last answered; none: never.
    pub answered: Option<SystemTime>,
    /// What the last one came to, with the reason in one line; none before the first has ended.
    pub last: Option<Result<(), (Outcome, String)>>,
}

/// What is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It failed, and had not before, or for another reason.
    Failed(String),
    /// It answers, and did not before.
    Answered,
}

impl Health {
    /// Keeps what an attempt that ended at `now` came to. Says what is new to the log.
    pub(super) fn note(
        &mut self,
        what: What,
        ended: Result<(), (Outcome, String)>,
        now: SystemTime,
    ) -> Option<Told> {
        let attempts = &mut self.attempts[what as usize];
        if ended.is_ok() {
            attempts.answered = Some(now);
        }
        let before = attempts.last.replace(ended.clone());
        match (ended, before) {
            // The operator API is not always there, which is no trouble.
            _ if what == What::Nested => None,
            (Err((_, why)), Some(Err((_, before)))) if why == before => None,
            (Err((_, why)), _) => Some(Told::Failed(why)),
            (Ok(()), Some(Err(_))) => Some(Told::Answered),
            (Ok(()), _) => None,
        }
    }

    /// Whether none of what is needed failed the last time.
    pub(super) fn is_well(&self) -> bool {
        What::ALL.into_iter().all(|what| what == What::Nested || self.of(what).failed().is_none())
    }

    /// The attempts of one kind.
    #[must_use]
    pub fn of(&self, what: What) -> &Attempts {
        &self.attempts[what as usize]
    }
}

impl Attempts {
    /// Why the last one failed, if it did.
    #[must_use]
    pub fn failed(&self) -> Option<&str> {
        match &self.last {
            Some(Err((_, why))) => Some(why),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_is_new_is_told_and_the_last_answer_is_remembered() {
        let mut health = Health::default();
        let failed = |why: &str| Err((Outcome::Status, why.to_owned()));
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(health.note(What::State, Ok(()), at(1)), None);
        assert_eq!(health.note(What::State, failed("a"), at(2)), Some(Told::Failed("a".into())));
        assert_eq!(health.note(What::State, failed("a"), at(3)), None);
        assert_eq!(health.note(What::State, failed("b"), at(4)), Some(Told::Failed("b".into())));
        assert_eq!(
            (health.of(What::State).failed(), health.of(What::State).answered),
            (Some("b"), Some(at(1)))
        );
        assert_eq!(health.note(What::State, Ok(()), at(5)), Some(Told::Answered));
        assert_eq!((health.of(What::State).failed(), health.of(What::State).answered), (None, Some(at(5))));
        assert_eq!(health.note(What::Nested, failed("a"), at(6)), None);
        assert_eq!(health.of(What::System), &Attempts::default());
    }
}
