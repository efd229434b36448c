//! The walk over one record of a foreign writer.

use super::skip::skip;
use super::{
    Branch, DatapointField, Items, ListField, MetricField, NoRecord, Number, OneOf, Record, RecordFault,
    Scratch, Skip, SkipId, Step, TagField, Text, Time,
};
use crate::ocf::cursor::Cursor;
use crate::ocf::limits::Limits;
use crate::ocf::varint;

/// What was kept of a record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) tags: u32,
    pub(super) datapoints: u32,
}

/// Collects what is ours of a record. After the first [`RecordFault`] it goes on to the record's end and keeps nothing.
pub(super) struct Walk<'p, 'a, 's> {
    skips: &'p [Skip],
    cursor: Cursor<'a>,
    limits: &'p Limits,
    topic: &'a [u8],
    scratch: &'s mut Scratch,
    counts: Counts,
    fault: Option<RecordFault>,
}

impl<'p, 'a, 's> Walk<'p, 'a, 's> {
    pub(super) fn new(
        skips: &'p [Skip],
        input: &'a [u8],
        limits: &'p Limits,
        scratch: &'s mut Scratch,
    ) -> Walk<'p, 'a, 's> {
        let cursor = Cursor::new(input, 0);
        Walk { skips, cursor, limits, topic: &[], scratch, counts: Counts::default(), fault: None }
    }

    /// Bytes walked over, and topic and counts of the record.
    pub(super) fn finish(self) -> (usize, Result<(&'a [u8], Counts), RecordFault>) {
        let consumed = self.cursor.at();
        let fault = self.fault.or((consumed > self.limits.record_bytes).then_some(RecordFault::TooLarge));
        (consumed, fault.map_or(Ok((self.topic, self.counts)), Err))
    }

    pub(super) fn list(&mut self, list: &'p OneOf<Record<ListField>>) -> Result<(), NoRecord> {
        let Some(record) = self.choose(list)? else { return Ok(()) };
        for step in &record.steps {
            match step {
                Step::Skip(id) => self.skip(*id)?,
                Step::Read(ListField::Topic(topic)) => self.topic = self.text(topic)?,
                Step::Read(ListField::Tags(tags)) => self.items(tags, Self::tag)?,
                Step::Read(ListField::Datapoints(datapoints)) => self.datapoints(datapoints, &[])?,
                Step::Read(ListField::Metrics(metrics)) => self.items(metrics, Self::metric)?,
            }
        }
        Ok(())
    }

    fn tag(&mut self, record: &'p Record<TagField>) -> Result<(), NoRecord> {
        let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
        for step in &record.steps {
            match step {
                Step::Skip(id) => self.skip(*id)?,
                Step::Read(TagField::Key(text)) => key = self.text(text)?,
                Step::Read(TagField::Value(text)) => value = self.text(text)?,
            }
        }
        if self.counts.tags >= self.limits.record_tags {
            self.fail(RecordFault::TooManyTags);
        }
        if self.has_room(key.len() + value.len()) {
            self.counts.tags += 1;
            varint::write_bytes(key, &mut self.scratch.tags);
            varint::write_bytes(value, &mut self.scratch.tags);
        }
        Ok(())
    }

    fn metric(&mut self, record: &'p Record<MetricField>) -> Result<(), NoRecord> {
        let mut name: &[u8] = &[];
        let mut before_name = None;
        for step in &record.steps {
            match step {
                Step::Skip(id) => self.skip(*id)?,
                Step::Read(MetricField::Name(text)) => name = self.text(text)?,
                Step::Read(MetricField::Datapoints(datapoints)) => self.datapoints(datapoints, name)?,
                Step::Read(MetricField::DatapointsBeforeName { datapoints, skip }) => {
                    before_name = Some((self.cursor.at(), datapoints));
                    self.skip(*skip)?;
                }
            }
        }
        if let Some((begin, datapoints)) = before_name {
            let end = self.cursor.at();
            self.cursor.go(begin);
            self.datapoints(datapoints, name)?;
            self.cursor.go(end);
        }
        Ok(())
    }

    /// Datapoints, with the name of the metric around them where they have none.
    fn datapoints(
        &mut self,
        datapoints: &'p OneOf<Items<DatapointField>>,
        name: &'a [u8],
    ) -> Result<(), NoRecord> {
        self.items(datapoints, |walk, record| walk.datapoint(record, name))
    }

    fn datapoint(&mut self, record: &'p Record<DatapointField>, name: &'a [u8]) -> Result<(), NoRecord> {
        let (mut name, mut time, mut value) = (name, 0, 0.0);
        for step in &record.steps {
            match step {
                Step::Skip(id) => self.skip(*id)?,
                Step::Read(DatapointField::Name(text)) => name = self.text(text)?,
                Step::Read(DatapointField::Time(of)) => time = self.time(of)?,
                Step::Read(DatapointField::Value(number)) => value = self.number(number)?,
            }
        }
        if self.counts.datapoints >= self.limits.record_datapoints {
            self.fail(RecordFault::TooManyDatapoints);
        }
        if self.has_room(name.len() + size_of::<f64>()) {
            self.counts.datapoints += 1;
            let out = &mut self.scratch.datapoints;
            varint::write_bytes(name, out);
            varint::write_long(time, out);
            out.extend_from_slice(&f64::to_le_bytes(value));
        }
        Ok(())
    }

    fn text(&mut self, text: &'p OneOf<Text>) -> Result<&'a [u8], NoRecord> {
        match self.choose(text)? {
            Some(Text) => self.cursor.counted(),
            None => Ok(&[]),
        }
    }

    fn time(&mut self, time: &'p OneOf<Time>) -> Result<i64, NoRecord> {
        match self.choose(time)? {
            Some(Time) => self.cursor.long(),
            None => Ok(0),
        }
    }

    fn number(&mut self, number: &'p OneOf<Number>) -> Result<f64, NoRecord> {
        Ok(match self.choose(number)? {
            Some(Number::Long) => {
                #[expect(clippy::cast_precision_loss, reason = "Avro's promotion of a long to a double")]
                let value = self.cursor.long()? as f64;
                value
            }
            Some(Number::Float) => f64::from(f32::from_le_bytes(self.cursor.array()?)),
            Some(Number::Double) => self.cursor.double()?,
            None => 0.0,
        })
    }

    /// The items of an array. Each takes at least a byte, so that a count is held against the bytes that are left.
    fn items<F>(
        &mut self,
        array: &'p OneOf<Items<F>>,
        read: impl Fn(&mut Self, &'p Record<F>) -> Result<(), NoRecord>,
    ) -> Result<(), NoRecord> {
        let Some(array) = self.choose(array)? else { return Ok(()) };
        loop {
            let count = self.cursor.long()?;
            if count == 0 {
                return Ok(());
            }
            let size = if count < 0 { Some(self.cursor.length()?) } else { None };
            let begin = self.cursor.at();
            if count.unsigned_abs() > self.cursor.left() as u64 {
                return Err(NoRecord);
            }
            for _ in 0..count.unsigned_abs() {
                if let Some(record) = self.choose(&array.item)? {
                    read(self, record)?;
                }
            }
            if size.is_some_and(|size| size != (self.cursor.at() - begin) as u64) {
                return Err(NoRecord);
            }
        }
    }

    /// What stands here, or nothing where a union is on a branch that is not of our type; that one is passed over.
    fn choose<T>(&mut self, one_of: &'p OneOf<T>) -> Result<Option<&'p T>, NoRecord> {
        match one_of {
            OneOf::Always(read) => Ok(Some(read)),
            OneOf::ByBranch(branches) => match &branches[self.cursor.index(branches.len())?] {
                Branch::Read(read) => Ok(Some(read)),
                Branch::Skip(id) => {
                    self.skip(*id)?;
                    self.fail(RecordFault::Unresolvable);
                    Ok(None)
                }
            },
        }
    }

    fn skip(&mut self, id: SkipId) -> Result<(), NoRecord> {
        skip(self.skips, id, &mut self.cursor)
    }

    /// Whether an item of about so many bytes is kept: there is no fault yet, and the record does not grow too large.
    fn has_room(&mut self, bytes: usize) -> bool {
        let full = self.scratch.tags.len() + self.scratch.datapoints.len() + bytes > self.limits.record_bytes;
        if full {
            self.fail(RecordFault::TooLarge);
        }
        self.fault.is_none()
    }

    fn fail(&mut self, fault: RecordFault) {
        self.fault.get_or_insert(fault);
    }
}
