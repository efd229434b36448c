//! Rows: partner outputs.

use super::{Key, Kind};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "partner-endpoint",
        Kind::Endpoint,
        "Address at which local processes take records as they arrive. Nobody who reaches it is asked who they are, so \
         keep it local. Port 0 takes any free one; /v1/endpoints has it then.",
    )
    .or("127.0.0.1:8126"),
    Key::new(
        "partner-socket",
        Kind::Path,
        "Unix socket at which partners are served besides. Not set: none. A file that an earlier process left there is \
         replaced.",
    ),
    Key::new(
        "partners-max",
        Kind::Integer { min: 0, max: 1024 },
        "Partners at once. Further ones are refused. With 0 nothing listens at partner-endpoint and partner-socket. \
         Where it is lowered, nobody who is connected has to go.",
    )
    .or("256")
    .live(),
    Key::new(
        "partners",
        Kind::Partners,
        "Partners that the collector connects to, and what each of them gets. In the file each is a table [[partners]], \
         elsewhere an object in a JSON list. It has a name and an address, which is host:port or unix:/path, and \
         whatever else a partner that connects may say: topics, frameworks, tags, from (resume, if it is not said), ack \
         and format. Its place is kept for as long as it stands here. At most 32, which partners-max does not count; \
         over HTTP one by one at /v1/partners/NAME.",
    )
    .live(),
];
