//! Keys of tags that mean something to the collector.

/// Id of the agent that the record comes from; added where it is missing.
pub const AGENT_ID: &[u8] = b"agent_id";
/// Name of the framework of `framework_id`; added where it is known and missing.
pub const FRAMEWORK_NAME: &[u8] = b"framework_name";
/// Name of the application that the container belongs to; added where it is known and missing.
pub const APPLICATION_NAME: &[u8] = b"application_name";
/// Id of the container that the record comes from, as the Mesos module has it.
pub const CONTAINER_ID: &[u8] = b"container_id";
/// Id of the container's framework.
pub const FRAMEWORK_ID: &[u8] = b"framework_id";
/// Id of the container's executor.
pub const EXECUTOR_ID: &[u8] = b"executor_id";
