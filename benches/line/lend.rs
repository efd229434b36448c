//! Buffers lent to librdkafka: it sends from our memory and gives each buffer back with its delivery report.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;

use rdkafka::bindings as rd;
use tokio::sync::Notify;

/// Bytes of a buffer, and of a message when it is full.
pub(crate) const BUFFER_BYTES: usize = 512 * 1024;

/// A buffer.
pub(crate) type Buffer = Box<[u8; BUFFER_BYTES]>;

/// Buffers with librdkafka at most: 63.5 MiB, below `queue.buffering.max.kbytes`, so that its queue is never full.
const LENT_MAX: usize = 127;

/// `RD_KAFKA_PARTITION_UA`: librdkafka chooses.
const ANY_PARTITION: i32 = -1;

/// A producer of one topic, used by one thread.
pub(crate) struct Lender {
    handle: *mut rd::rd_kafka_t,
    topic: *mut rd::rd_kafka_topic_t,
    /// Buffers that came back. Boxed: librdkafka holds its address.
    back: Box<RefCell<Vec<Buffer>>>,
    lent: usize,
    /// Rung by librdkafka's threads when there is something to serve. Held here because librdkafka holds its address.
    bell: Arc<Notify>,
}

impl Lender {
    /// A producer with the collector's defaults where they cost anything: all acks, idempotence.
    pub(crate) fn new(brokers: &str, compression: &str, topic: &str) -> Result<Lender, String> {
        let back = Box::new(RefCell::new(Vec::new()));
        let bell = Arc::new(Notify::new());
        // SAFETY: the calls follow librdkafka's order: a configuration is filled and then handed over to `new`;
        // the two addresses stay valid because `Lender` owns what they point to and never gives the handle away.
        unsafe {
            let conf = rd::rd_kafka_conf_new();
            for (name, value) in [
                ("bootstrap.servers", brokers),
                ("compression.codec", compression),
                ("queue.buffering.max.kbytes", "65536"),
                ("linger.ms", "5"),
                ("acks", "all"),
                ("enable.idempotence", "true"),
            ] {
                set(conf, name, value)?;
            }
            rd::rd_kafka_conf_set_opaque(conf, ptr::from_ref(&*back).cast_mut().cast());
            rd::rd_kafka_conf_set_dr_msg_cb(conf, Some(delivered));
            let mut text = [0; 256];
            let handle = rd::rd_kafka_new(
                rd::rd_kafka_type_t::RD_KAFKA_PRODUCER,
                conf,
                text.as_mut_ptr().cast::<c_char>(),
                text.len(),
            );
            if handle.is_null() {
                return Err(message(&text));
            }
            // Nobody waits in a poll for reports, and no thread is woken for each: librdkafka rings once when its
            // queue of reports is no longer empty, and the thread that reads sockets serves them between two reads.
            // Flat out it is awake anyway.
            let queue = rd::rd_kafka_queue_get_main(handle);
            rd::rd_kafka_queue_cb_event_enable(queue, Some(ring), Arc::as_ptr(&bell).cast_mut().cast());
            rd::rd_kafka_queue_destroy(queue);
            let name = CString::new(topic).map_err(|error| error.to_string())?;
            let topic = rd::rd_kafka_topic_new(handle, name.as_ptr(), ptr::null_mut());
            if topic.is_null() {
                return Err(format!("librdkafka refuses the topic {name:?}"));
            }
            Ok(Lender { handle, topic, back, lent: 0, bell })
        }
    }

    /// Rings when [`Lender::serve`] has something to do.
    pub(crate) fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }

    /// A buffer to fill, unless all are with librdkafka.
    pub(crate) fn buffer(&self) -> Option<Buffer> {
        if self.lent == LENT_MAX {
            return None;
        }
        let used = self.back.borrow_mut().pop();
        Some(used.unwrap_or_else(|| {
            vec![0; BUFFER_BYTES].into_boxed_slice().try_into().expect("it has just this many bytes")
        }))
    }

    /// Sends the first `filled` bytes.
    pub(crate) fn lend(&mut self, buffer: Buffer, filled: usize) {
        let address = Box::into_raw(buffer).cast::<c_void>();
        // SAFETY: the buffer has been leaked to librdkafka, which gives its address back to `delivered` exactly
        // once; without the flags for copying and freeing it does nothing else with it.
        let refused = unsafe {
            rd::rd_kafka_produce(
                self.topic,
                ANY_PARTITION,
                0,
                address,
                filled.min(BUFFER_BYTES),
                ptr::null(),
                0,
                address,
            )
        };
        assert_eq!(refused, 0, "librdkafka refuses a message though it has room");
        self.lent += 1;
    }

    /// Takes in what librdkafka has reported.
    pub(crate) fn serve(&mut self) {
        let before = self.back.borrow().len();
        // SAFETY: the handle is valid as long as `self`.
        unsafe { rd::rd_kafka_poll(self.handle, 0) };
        self.lent -= self.back.borrow().len() - before;
    }
}

/// Delivery callback, called from within [`Lender::serve`] only.
///
/// # Safety
/// `opaque` is the `back` of a live `Lender`, and the message's own opaque a leaked [`Buffer`].
unsafe extern "C" fn delivered(
    _: *mut rd::rd_kafka_t,
    message: *const rd::rd_kafka_message_t,
    opaque: *mut c_void,
) {
    // SAFETY: as this function asks.
    let (message, back) = unsafe { (&*message, &*opaque.cast::<RefCell<Vec<Buffer>>>()) };
    if message.err != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        eprintln!("pump: a message was not delivered: {:?}", message.err);
    }
    // SAFETY: as this function asks; librdkafka is done with it.
    back.borrow_mut().push(unsafe { Buffer::from_raw(message._private.cast()) });
}

/// Called by librdkafka's threads when the queue of reports is no longer empty.
///
/// # Safety
/// `bell` is the bell of a live `Lender`.
unsafe extern "C" fn ring(_: *mut rd::rd_kafka_t, bell: *mut c_void) {
    // SAFETY: as this function asks; `Notify` may be rung from any thread.
    unsafe { &*bell.cast::<Notify>() }.notify_one();
}

/// # Safety
/// `conf` is a configuration that was not handed over yet.
unsafe fn set(conf: *mut rd::rd_kafka_conf_t, name: &str, value: &str) -> Result<(), String> {
    let mut text = [0; 256];
    let (name, value) = (CString::new(name), CString::new(value));
    let (name, value) = (name.map_err(|e| e.to_string())?, value.map_err(|e| e.to_string())?);
    // SAFETY: both strings end in NUL and outlive the call; the text has the length that is told.
    let outcome = unsafe {
        rd::rd_kafka_conf_set(
            conf,
            name.as_ptr(),
            value.as_ptr(),
            text.as_mut_ptr().cast::<c_char>(),
            text.len(),
        )
    };
    if outcome == rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK { Ok(()) } else { Err(message(&text)) }
}

fn message(text: &[u8]) -> String {
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    String::from_utf8_lossy(&text[..end]).into_owned()
}
