//! Which tags a record gets, decided when it arrives.

/// What is known without asking anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Value of `agent_id` (`agent-id`).
    pub agent_id: Option<String>,
    /// Value of `framework_name` (`framework-name`).
    pub framework_name: Option<String>,
    /// Value of `application_name` (`application-name`).
    pub application_name: Option<String>,
}
