//! What is asked of the cluster beside messages, by helpers in the background: whether it is there, and what is the matter
//! with a topic. Their answers come through a channel; nothing waits for them.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use super::admin;
use super::queue::{Flow, HoldReason};
use super::state::Link;
use super::task::Task;

/// While the cluster is not reached, how often it is asked for, and how long an answer may take.
const PROBE_PAUSE: Duration = Duration::from_secs(1);
const PROBE_TIME_OUT: Duration = Duration::from_secs(5);

/// What helpers in the background tell the task.
#[derive(Debug)]
pub(super) enum Told {
    /// The cluster answered, or did not.
    Probed(Result<(), RDKafkaErrorCode>),
    /// A topic was asked for, or created if it could be: go on with it.
    Asked {
        /// Its index.
        topic: usize,
    },
}

impl Task {
    /// Asks for a topic that does not take messages, or creates it.
    pub(super) fn ask(&mut self, topic: usize, reason: HoldReason) {
        let tell = self.tell.clone();
        let queue = &mut self.queues[topic];
        queue.flow = Flow::Asking(reason);
        if let Some(shape) = self.config.create_topics
            && reason != HoldReason::NotAuthorized
        {
            admin::create(&self.config, queue.name.clone(), shape, topic, tell);
            return;
        }
        let link = self.link.clone();
        tokio::task::spawn_blocking(move || {
            // Whatever the answer is, librdkafka knows it now, and the next message will tell.
            _ = link.map(|link| link.probe(PROBE_TIME_OUT));
            _ = tell.blocking_send(Told::Asked { topic });
        });
    }

    pub(super) fn probe(&mut self) {
        self.next_probe = None;
        let Some(link) = self.link.clone() else { return };
        let tell = self.tell.clone();
        tokio::task::spawn_blocking(move || {
            let result = link.probe(PROBE_TIME_OUT);
            drop(link);
            // The task has ended: nobody wants to know.
            _ = tell.blocking_send(Told::Probed(result));
        });
    }

    pub(super) fn hear(&mut self, told: &Told) {
        match told {
            Told::Probed(Ok(())) => self.set_up(),
            // A probe of a producer that has been replaced says nothing about the new one.
            Told::Probed(Err(_)) => {
                if self.board.link() != Link::Up {
                    self.next_probe = Some(Instant::now() + PROBE_PAUSE);
                }
            }
            Told::Asked { topic } => {
                self.queues[*topic].flow = Flow::Flowing;
                self.look_soon(*topic);
            }
        }
    }
}
