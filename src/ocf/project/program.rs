//! What a writer's schema is compiled to: for each of its fields, whether it is ours and how it is written.

/// Index of a [`Skip`] in [`Program::skips`].
pub(in crate::ocf) type SkipId = u32;

/// A compiled schema.
#[derive(Debug)]
pub(in crate::ocf) struct Program {
    pub(in crate::ocf) skips: Vec<Skip>,
    pub(in crate::ocf) top: OneOf<Record<ListField>>,
}

/// How to come behind a value that is not ours. Only these nodes can be recursive, so they refer by index.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::ocf) enum Skip {
    /// So many bytes, whatever they hold: null, boolean, float, double, fixed, and records of nothing else.
    Bytes(u64),
    /// int, long.
    Long,
    /// An enum of so many symbols.
    Enum(u64),
    /// string, bytes.
    Counted,
    Array(SkipId),
    Map(SkipId),
    Union(Box<[SkipId]>),
    /// Two or more fields, each of at least one byte. A record of one such field is that field, so that a byte of
    /// input never costs more than a few steps; only where that field is a record around this one, it is one step more.
    Record(Box<[SkipId]>),
}

impl Skip {
    /// What stands for a record while its fields are being compiled. No node is like it in the end: a record without
    /// bytes is [`Skip::Bytes`].
    pub(in crate::ocf) fn open() -> Skip {
        Skip::Record(Box::default())
    }
}

/// A value of ours as the writer has it: always there, or in some branches of a union.
#[derive(Debug)]
pub(in crate::ocf) enum OneOf<T> {
    Always(T),
    ByBranch(Box<[Branch<T>]>),
}

/// A branch of a writer's union.
#[derive(Debug)]
pub(in crate::ocf) enum Branch<T> {
    Read(T),
    /// Cannot be read as our type: a value on this branch costs its record.
    Skip(SkipId),
}

/// A writer's record that is read as one of ours, field by field in the writer's order.
#[derive(Debug)]
pub(in crate::ocf) struct Record<F> {
    pub(in crate::ocf) steps: Box<[Step<F>]>,
}

/// A field, or several neighbours, of a writer's record. Each takes at least one byte.
#[derive(Debug)]
pub(in crate::ocf) enum Step<F> {
    Read(F),
    Skip(SkipId),
}

/// Fields of the outer record.
#[derive(Debug)]
pub(in crate::ocf) enum ListField {
    Topic(OneOf<Text>),
    Tags(OneOf<Items<TagField>>),
    Datapoints(OneOf<Items<DatapointField>>),
    /// Of the dialect of May 2016.
    Metrics(OneOf<Items<MetricField>>),
}

/// An array of records.
#[derive(Debug)]
pub(in crate::ocf) struct Items<F> {
    pub(in crate::ocf) item: OneOf<Record<F>>,
}

/// Fields of a tag.
#[derive(Debug)]
pub(in crate::ocf) enum TagField {
    Key(OneOf<Text>),
    Value(OneOf<Text>),
}

/// Fields of a datapoint. Within a metric it has no name of its own.
#[derive(Debug)]
pub(in crate::ocf) enum DatapointField {
    Name(OneOf<Text>),
    Time(OneOf<Time>),
    Value(OneOf<Number>),
}

/// Fields of a metric of the dialect of May 2016: a name for several datapoints.
#[derive(Debug)]
pub(in crate::ocf) enum MetricField {
    Name(OneOf<Text>),
    Datapoints(OneOf<Items<DatapointField>>),
    /// The name comes behind them: they are passed over with `skip`, and read when it is known.
    DatapointsBeforeName {
        datapoints: OneOf<Items<DatapointField>>,
        skip: SkipId,
    },
}

/// string or bytes: the same on the wire.
#[derive(Clone, Copy, Debug)]
pub(in crate::ocf) struct Text;

/// int or long: the same on the wire.
#[derive(Clone, Copy, Debug)]
pub(in crate::ocf) struct Time;

/// What becomes a double.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::ocf) enum Number {
    /// int or long.
    Long,
    Float,
    Double,
}

impl Program {
    /// Whether every record that this program reads has the very bytes of ours.
    pub(in crate::ocf) fn is_native(&self) -> bool {
        use OneOf::Always;
        let Always(list) = &self.top else { return false };
        let [
            Step::Read(ListField::Topic(Always(Text))),
            Step::Read(ListField::Tags(Always(tags))),
            Step::Read(ListField::Datapoints(Always(datapoints))),
        ] = &*list.steps
        else {
            return false;
        };
        let (Always(tag), Always(datapoint)) = (&tags.item, &datapoints.item) else { return false };
        let [Step::Read(TagField::Key(Always(Text))), Step::Read(TagField::Value(Always(Text)))] =
            &*tag.steps
        else {
            return false;
        };
        matches!(
            &*datapoint.steps,
            [
                Step::Read(DatapointField::Name(Always(Text))),
                Step::Read(DatapointField::Time(Always(Time))),
                Step::Read(DatapointField::Value(Always(Number::Double))),
            ]
        )
    }
}
