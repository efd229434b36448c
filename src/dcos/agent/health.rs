//! What the last attempts came to, for those who ask.

use super::{Outcome, What};

/// The last attempt of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    last: [Option<Result<(), String>>; What::ALL.len()],
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
    /// Keeps what an attempt came to. Says what is new to the log.
    pub(super) fn note(&mut self, what: What, ended: Result<(), (Outcome, String)>) -> Option<Told> {
        let ended = ended.map_err(|(_, why)| why);
        let before = self.last[what as usize].replace(ended.clone());
        match (ended, before) {
            // The operator API is not always there, which is no trouble.
            _ if what == What::Nested => None,
            (Err(why), Some(Err(before))) if why == before => None,
            (Err(why), _) => Some(Told::Failed(why)),
            (Ok(()), Some(Err(_))) => Some(Told::Answered),
            (Ok(()), _) => None,
        }
    }

    /// The last attempt; none before the first has ended.
    #[must_use]
    pub fn last(&self, what: What) -> Option<Result<(), &str>> {
        self.last[what as usize].as_ref().map(|ended| ended.as_ref().map(|&()| ()).map_err(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_told() {
        let mut health = Health::default();
        let failed = |why: &str| Err((Outcome::Status, why.to_owned()));
        assert_eq!(health.note(What::State, Ok(())), None);
        assert_eq!(health.note(What::State, failed("a")), Some(Told::Failed("a".into())));
        assert_eq!(health.note(What::State, failed("a")), None);
        assert_eq!(health.note(What::State, failed("b")), Some(Told::Failed("b".into())));
        assert_eq!(health.last(What::State), Some(Err("b")));
        assert_eq!(health.note(What::State, Ok(())), Some(Told::Answered));
        assert_eq!(health.note(What::Nested, failed("a")), None);
        assert_eq!(health.last(What::System), None);
    }
}
