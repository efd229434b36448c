//! Our fields among a writer's.

use apache_avro::Schema;
use apache_avro::schema::{RecordField, RecordSchema};

use super::skips::Compiler;
use super::{SchemaFault, quote};
use crate::ocf::project::{
    Branch, DatapointField, Items, ListField, MetricField, Number, OneOf, Record, SkipId, Step, TagField,
    Text, Time,
};

impl<'s> Compiler<'s> {
    /// The outer record.
    pub(super) fn top(&mut self, schema: &'s Schema) -> Result<OneOf<Record<ListField>>, SchemaFault> {
        let mismatch = |found| SchemaFault::NotARecord(found);
        self.one_of(schema, mismatch, |compiler, branch| match branch {
            Schema::Record(record) => compiler.list(record),
            other => Err(mismatch(describe(other))),
        })
    }

    fn list(&mut self, record: &'s RecordSchema) -> Result<Record<ListField>, SchemaFault> {
        let may_2016 = has(record, "metrics") && !has(record, "datapoints");
        require(record, "topic", "topic")?;
        if !may_2016 {
            require(record, "datapoints", "datapoints")?;
        }
        self.steps(record, |compiler, field| {
            Ok(Some(match field.name.as_str() {
                "topic" => ListField::Topic(compiler.text("topic", field)?),
                "tags" => ListField::Tags(compiler.items("tags", "array of tags", field, Self::tag)?),
                "datapoints" => ListField::Datapoints(compiler.datapoints(&OF_THE_LIST, field)?),
                "metrics" if may_2016 => {
                    ListField::Metrics(compiler.items("metrics", "array of metrics", field, Self::metric)?)
                }
                _ => return Ok(None),
            }))
        })
    }

    fn tag(&mut self, record: &'s RecordSchema) -> Result<Record<TagField>, SchemaFault> {
        require(record, "key", "tags.key")?;
        require(record, "value", "tags.value")?;
        self.steps(record, |compiler, field| {
            Ok(Some(match field.name.as_str() {
                "key" => TagField::Key(compiler.text("tags.key", field)?),
                "value" => TagField::Value(compiler.text("tags.value", field)?),
                _ => return Ok(None),
            }))
        })
    }

    fn metric(&mut self, record: &'s RecordSchema) -> Result<Record<MetricField>, SchemaFault> {
        require(record, "name", "metrics.name")?;
        require(record, "datapoints", "metrics.datapoints")?;
        let mut named = false;
        self.steps(record, |compiler, field| {
            Ok(Some(match field.name.as_str() {
                "name" => {
                    named = true;
                    MetricField::Name(compiler.text("metrics.name", field)?)
                }
                "datapoints" => {
                    let datapoints = compiler.datapoints(&OF_A_METRIC, field)?;
                    if named {
                        MetricField::Datapoints(datapoints)
                    } else {
                        let skip = compiler.skip(&field.schema)?;
                        MetricField::DatapointsBeforeName { datapoints, skip }
                    }
                }
                _ => return Ok(None),
            }))
        })
    }

    fn datapoints(
        &mut self,
        paths: &'static DatapointPaths,
        field: &'s RecordField,
    ) -> Result<OneOf<Items<DatapointField>>, SchemaFault> {
        self.items(paths.array, "array of datapoints", field, |compiler, record| {
            compiler.datapoint(paths, record)
        })
    }

    fn datapoint(
        &mut self,
        paths: &'static DatapointPaths,
        record: &'s RecordSchema,
    ) -> Result<Record<DatapointField>, SchemaFault> {
        let time_name = if has(record, "time_ms") { "time_ms" } else { "time" };
        if let Some(name) = paths.name {
            require(record, "name", name)?;
        }
        require(record, time_name, paths.time)?;
        require(record, "value", paths.value)?;
        self.steps(record, |compiler, field| {
            Ok(Some(match (field.name.as_str(), paths.name) {
                ("name", Some(path)) => DatapointField::Name(compiler.text(path, field)?),
                ("value", _) => DatapointField::Value(compiler.number(paths.value, field)?),
                (name, _) if name == time_name => DatapointField::Time(compiler.time(paths.time, field)?),
                _ => return Ok(None),
            }))
        })
    }

    fn text(&mut self, path: &'static str, field: &'s RecordField) -> Result<OneOf<Text>, SchemaFault> {
        self.leaf(path, "string", field, |schema| match schema {
            Schema::String | Schema::Bytes => Some(Text),
            _ => None,
        })
    }

    fn time(&mut self, path: &'static str, field: &'s RecordField) -> Result<OneOf<Time>, SchemaFault> {
        self.leaf(path, "long", field, |schema| match schema {
            Schema::Int | Schema::Long => Some(Time),
            _ => None,
        })
    }

    fn number(&mut self, path: &'static str, field: &'s RecordField) -> Result<OneOf<Number>, SchemaFault> {
        self.leaf(path, "double", field, |schema| match schema {
            Schema::Int | Schema::Long => Some(Number::Long),
            Schema::Float => Some(Number::Float),
            Schema::Double => Some(Number::Double),
            _ => None,
        })
    }

    fn leaf<T>(
        &mut self,
        path: &'static str,
        wanted: &'static str,
        field: &'s RecordField,
        read: impl Fn(&Schema) -> Option<T>,
    ) -> Result<OneOf<T>, SchemaFault> {
        let mismatch = |found| SchemaFault::FieldType { field: path, found, wanted };
        self.one_of(&field.schema, mismatch, |_, branch| {
            read(branch).ok_or_else(|| mismatch(describe(branch)))
        })
    }

    /// An array of records of ours.
    fn items<F>(
        &mut self,
        path: &'static str,
        wanted: &'static str,
        field: &'s RecordField,
        read: impl Fn(&mut Self, &'s RecordSchema) -> Result<Record<F>, SchemaFault>,
    ) -> Result<OneOf<Items<F>>, SchemaFault> {
        let mismatch = |found| SchemaFault::FieldType { field: path, found, wanted };
        let mismatched_items = |found| mismatch(format!("array of {found}"));
        self.one_of(&field.schema, mismatch, |compiler, branch| {
            let Schema::Array(array) = branch else { return Err(mismatch(describe(branch))) };
            let item = compiler.one_of(&array.items, mismatched_items, |compiler, branch| match branch {
                Schema::Record(record) => read(compiler, record),
                other => Err(mismatched_items(describe(other))),
            })?;
            Ok(Items { item })
        })
    }

    /// What `read` makes of a type, or of each branch of a union. A union is refused when none of its branches will do.
    fn one_of<T>(
        &mut self,
        schema: &'s Schema,
        mismatch: impl Fn(String) -> SchemaFault,
        read: impl Fn(&mut Self, &'s Schema) -> Result<T, SchemaFault>,
    ) -> Result<OneOf<T>, SchemaFault> {
        let Schema::Union(union) = schema else { return read(self, self.follow(schema)).map(OneOf::Always) };
        let mut branches = Vec::with_capacity(union.variants().len());
        let mut readable = false;
        let mut nearest = None;
        for branch in union.variants() {
            match read(self, self.follow(branch)) {
                Ok(value) => {
                    readable = true;
                    branches.push(Branch::Read(value));
                }
                Err(fault) if fault.is_mismatch() => {
                    // Of several records, the last says what it lacks.
                    if matches!(self.follow(branch), Schema::Record(_) | Schema::Array(_)) {
                        nearest = Some(fault);
                    }
                    branches.push(Branch::Skip(self.skip(branch)?));
                }
                Err(fault) => return Err(fault),
            }
        }
        if readable {
            return Ok(OneOf::ByBranch(branches.into()));
        }
        Err(nearest.unwrap_or_else(|| mismatch(describe(schema))))
    }

    /// The fields of a record in the writer's order. `read` returns nothing for one that is not ours.
    fn steps<F>(
        &mut self,
        record: &'s RecordSchema,
        mut read: impl FnMut(&mut Self, &'s RecordField) -> Result<Option<F>, SchemaFault>,
    ) -> Result<Record<F>, SchemaFault> {
        let mut steps = Vec::new();
        let mut last: Option<SkipId> = None;
        for field in &record.fields {
            self.count()?;
            if let Some(ours) = read(self, field)? {
                steps.push(Step::Read(ours));
                last = None;
                continue;
            }
            let skip = self.skip(&field.schema)?;
            if let Some(skip) = self.append(last, skip) {
                steps.push(Step::Skip(skip));
                last = Some(skip);
            }
        }
        Ok(Record { steps: steps.into() })
    }
}

/// What faults call the fields of a datapoint.
struct DatapointPaths {
    array: &'static str,
    name: Option<&'static str>,
    time: &'static str,
    value: &'static str,
}

const OF_THE_LIST: DatapointPaths = DatapointPaths {
    array: "datapoints",
    name: Some("datapoints.name"),
    time: "datapoints.time_ms",
    value: "datapoints.value",
};

const OF_A_METRIC: DatapointPaths = DatapointPaths {
    array: "metrics.datapoints",
    name: None,
    time: "metrics.datapoints.time",
    value: "metrics.datapoints.value",
};

fn has(record: &RecordSchema, name: &str) -> bool {
    record.fields.iter().any(|field| field.name == name)
}

fn require(record: &RecordSchema, name: &str, path: &'static str) -> Result<(), SchemaFault> {
    if has(record, name) { Ok(()) } else { Err(SchemaFault::MissingField(path)) }
}

fn describe(schema: &Schema) -> String {
    match schema {
        Schema::Null => "null".to_owned(),
        Schema::Boolean => "boolean".to_owned(),
        Schema::Int => "int".to_owned(),
        Schema::Long => "long".to_owned(),
        Schema::Float => "float".to_owned(),
        Schema::Double => "double".to_owned(),
        Schema::Bytes => "bytes".to_owned(),
        Schema::String => "string".to_owned(),
        Schema::Array(_) => "array".to_owned(),
        Schema::Map(_) => "map".to_owned(),
        Schema::Union(_) => "union".to_owned(),
        Schema::Record(record) => format!("record \"{}\"", quote(record.name.name())),
        Schema::Enum(symbols) => format!("enum \"{}\"", quote(symbols.name.name())),
        Schema::Fixed(fixed) => format!("fixed \"{}\"", quote(fixed.name.name())),
        Schema::Ref { name } => format!("type \"{}\"", quote(name.name())),
        _ => "logical type".to_owned(),
    }
}
