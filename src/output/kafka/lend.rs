//! The one place with `unsafe`: payloads are lent to librdkafka instead of copied, and its events wake a task instead of
//! being polled for.
//!
//! rdkafka's safe interface copies each payload (a tenth of all CPU and half of the memory at full rate) and serves
//! events by polling. Both are done here through librdkafka's C interface, on top of rdkafka's own client.
//!
//! # How lending is kept safe
//! A message is a [`Box`] that owns its payload. [`lend`] turns it into the message's opaque pointer and gives librdkafka
//! the address of the payload inside, without the flags that would copy or free it. librdkafka reads the payload until
//! it reports the message's delivery or failure, exactly once for each message that was accepted, also for those that are
//! purged or still queued when the client is destroyed. rdkafka turns the opaque back into the `Box` then and hands it
//! to [`ProducerContext::delivery`](rdkafka::producer::ProducerContext::delivery). Nobody else has it in between, so
//! the payload is neither moved, changed nor freed while librdkafka may read it. Where a message is not accepted the
//! `Box` comes back at once.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings::{self as rd, rd_kafka_vtype_t as vtype};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka::util::IntoOpaque;
use tokio::sync::Notify;

use super::batch::Batch;

/// What a lent message is made of.
///
/// # Safety
/// [`Lent::payload`] gives the same bytes at the same address for as long as the message lives and is not changed, also
/// when the message itself is moved: librdkafka reads them long after the call.
pub(super) unsafe trait Lent: Send + Sync + 'static {
    /// The bytes of its value.
    fn payload(&self) -> &[u8];
}

// SAFETY: the value is on the heap, and nothing changes a batch that has been lent.
unsafe impl Lent for Batch {
    fn payload(&self) -> &[u8] {
        self.value.as_bytes()
    }
}

/// One header of a message.
pub(super) struct Header<'a> {
    pub(super) name: &'static CStr,
    pub(super) value: &'a [u8],
}

/// Gives `message` to the producer, to any partition by its key.
///
/// # Errors
/// The code, and the message itself back.
pub(super) fn lend<M, C>(
    producer: &BaseProducer<C>,
    topic: &CStr,
    key: Option<&[u8]>,
    headers: &[Header<'_>],
    message: Box<M>,
) -> Result<(), (RDKafkaErrorCode, Box<M>)>
where
    M: Lent,
    C: ProducerContext<DeliveryOpaque = Box<M>> + 'static,
{
    let payload = memory(message.payload());
    let opaque = message.into_ptr();
    let mut arguments = vec![
        argument(vtype::RD_KAFKA_VTYPE_TOPIC, rd::rd_kafka_vu_s__bindgen_ty_1 { cstr: topic.as_ptr() }),
        argument(vtype::RD_KAFKA_VTYPE_VALUE, rd::rd_kafka_vu_s__bindgen_ty_1 { mem: payload }),
        argument(vtype::RD_KAFKA_VTYPE_OPAQUE, rd::rd_kafka_vu_s__bindgen_ty_1 { ptr: opaque }),
    ];
    if let Some(key) = key {
        let mem = memory(key);
        arguments.push(argument(vtype::RD_KAFKA_VTYPE_KEY, rd::rd_kafka_vu_s__bindgen_ty_1 { mem }));
    }
    for Header { name, value } in headers {
        let header = rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_2 {
            name: name.as_ptr(),
            val: value.as_ptr().cast(),
            size: value.len().cast_signed(),
        };
        arguments.push(argument(vtype::RD_KAFKA_VTYPE_HEADER, rd::rd_kafka_vu_s__bindgen_ty_1 { header }));
    }
    let client = producer.client().native_ptr();
    // SAFETY: the client lives as long as `producer`. Each argument's union field is the one that its type calls for. Topic,
    // key and headers are copied by the call; the payload lives in the message, see the module's page.
    let error = unsafe { rd::rd_kafka_produceva(client, arguments.as_ptr(), arguments.len()) };
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: a non-null error is ours to read and then to destroy. librdkafka did not accept the message, so the opaque,
    // made of the box above, was given to nobody and becomes that box again.
    unsafe {
        let code = rd::rd_kafka_error_code(error);
        rd::rd_kafka_error_destroy(error);
        Err((code.into(), Box::<M>::from_ptr(opaque)))
    }
}

fn argument(vtype: vtype, u: rd::rd_kafka_vu_s__bindgen_ty_1) -> rd::rd_kafka_vu_t {
    rd::rd_kafka_vu_s { vtype, u }
}

fn memory(bytes: &[u8]) -> rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
    let ptr: *const u8 = bytes.as_ptr();
    // librdkafka takes a pointer to mutable memory and writes to it only where it owns it.
    rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr: ptr.cast_mut().cast(), size: bytes.len() }
}

/// A producer whose events wake somebody.
pub(super) struct Wired<C: ProducerContext + 'static> {
    producer: BaseProducer<C>,
    queue: *mut rd::rd_kafka_queue_t,
    /// What the callback is given: kept alive until the callback is off.
    _wake: Arc<Notify>,
}

// SAFETY: librdkafka's queues may be used from any thread ("Multi-threading" in its introduction), and the pointer is
// used for nothing else.
unsafe impl<C: ProducerContext + 'static> Send for Wired<C> {}
// SAFETY: as above.
unsafe impl<C: ProducerContext + 'static> Sync for Wired<C> {}

impl<C: ProducerContext + 'static> Wired<C> {
    /// From now on `wake` is notified whenever events come into an empty queue.
    pub(super) fn new(producer: BaseProducer<C>, wake: Arc<Notify>) -> Wired<C> {
        // SAFETY: the client lives; the reference to its main queue is given back in `drop`.
        let queue = unsafe { rd::rd_kafka_queue_get_main(producer.client().native_ptr()) };
        let opaque: *const Notify = Arc::as_ptr(&wake);
        // SAFETY: `on_event` only ever reads the `Notify`, which is kept alive until the callback has been taken off.
        unsafe { rd::rd_kafka_queue_cb_event_enable(queue, Some(on_event), opaque.cast_mut().cast()) };
        Wired { producer, queue, _wake: wake }
    }

    /// The producer.
    pub(super) fn producer(&self) -> &BaseProducer<C> {
        &self.producer
    }

    /// Serves the events that are there: deliveries, errors and log lines go to the context.
    pub(super) fn serve(&self) {
        // One call serves one event, which may stand for many messages. A longer time-out would be spun away.
        // SAFETY: the queue is ours until `drop`.
        while unsafe { rd::rd_kafka_queue_length(self.queue) } > 0 {
            self.producer.poll(Duration::ZERO);
        }
    }

    /// Asks a broker for the metadata of the topics in use, and waits for the answer. Connects where there is no connection,
    /// and lets librdkafka forget that a topic did not exist. Where no message has been sent yet that is a question for all
    /// topics of the cluster; without `of_topics` it asks for the cluster's id alone.
    ///
    /// # Errors
    /// Why there was no answer.
    pub(super) fn probe(&self, of_topics: bool, time_out: Duration) -> Result<(), RDKafkaErrorCode> {
        if !of_topics {
            let id = self.producer.client().fetch_cluster_id(time_out);
            return id.map(|_| ()).ok_or(RDKafkaErrorCode::OperationTimedOut);
        }
        let mut metadata: *const rd::rd_kafka_metadata = ptr::null();
        let millis = c_int::try_from(time_out.as_millis()).unwrap_or(c_int::MAX);
        let client = self.producer.client().native_ptr();
        // SAFETY: the client lives; a null topic and 0 ask for the topics in use; the answer is destroyed below.
        let error = unsafe { rd::rd_kafka_metadata(client, 0, ptr::null_mut(), &raw mut metadata, millis) };
        if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(error.into());
        }
        // SAFETY: the call succeeded, so there is an answer, and it is ours.
        unsafe { rd::rd_kafka_metadata_destroy(metadata) };
        Ok(())
    }
}

impl<C: ProducerContext + 'static> Drop for Wired<C> {
    fn drop(&mut self) {
        // SAFETY: the queue is ours. When the first call has returned, the callback is not called any more: librdkafka
        // changes and calls it under the queue's lock.
        unsafe {
            rd::rd_kafka_queue_cb_event_enable(self.queue, None, ptr::null_mut());
            rd::rd_kafka_queue_destroy(self.queue);
        }
    }
}

/// Called on one of librdkafka's threads.
unsafe extern "C" fn on_event(_client: *mut rd::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: the opaque is the `Notify` of a `Wired` that has not been dropped; `Notify` may be used from any thread.
    let wake = unsafe { &*opaque.cast::<Notify>() };
    wake.notify_one();
}

/// A mock cluster that answers questions for metadata as brokers of some age do.
#[cfg(test)]
pub(super) struct OldMock {
    cluster: *mut rd::rd_kafka_mock_cluster_t,
    // Behind it, the client that it lives in.
    _client: BaseProducer,
}

#[cfg(test)]
impl OldMock {
    /// With these topics, of one partition each, and Metadata requests up to this version.
    pub(super) fn new(metadata_version: i16, topics: &[&CStr]) -> OldMock {
        OldMock::with(&[(3, 0, metadata_version)], topics)
    }

    /// With these topics, and of requests, given by their number, these versions; -1 to -1 of one that it does not know.
    pub(super) fn with(versions: &[(i16, i16, i16)], topics: &[&CStr]) -> OldMock {
        let client: BaseProducer = rdkafka::ClientConfig::new().create().expect("the defaults are good");
        // SAFETY: the cluster lives in the client, which is dropped after it; names are copied.
        unsafe {
            let cluster = rd::rd_kafka_mock_cluster_new(client.client().native_ptr(), 1);
            assert!(!cluster.is_null());
            for (request, lowest, highest) in versions {
                rd::rd_kafka_mock_set_apiversion(cluster, *request, *lowest, *highest);
            }
            for topic in topics {
                rd::rd_kafka_mock_topic_create(cluster, topic.as_ptr(), 1, 1);
            }
            OldMock { cluster, _client: client }
        }
    }

    pub(super) fn brokers(&self) -> String {
        // SAFETY: the cluster lives, and its text with it.
        let text = unsafe { CStr::from_ptr(rd::rd_kafka_mock_cluster_bootstraps(self.cluster)) };
        text.to_string_lossy().into_owned()
    }
}

#[cfg(test)]
impl Drop for OldMock {
    fn drop(&mut self) {
        // SAFETY: it was made in `new` and is destroyed once, before its client.
        unsafe { rd::rd_kafka_mock_cluster_destroy(self.cluster) };
    }
}
