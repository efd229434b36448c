//! Types as what is passed over. Named types are compiled once, where they are defined, and referred to by index.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{Name, RecordSchema};

use super::{SCHEMA_NODES_MAX, SchemaFault, quote};
use crate::ocf::project::{Skip, SkipId};

/// Nodes and fields of a program. A record that several branches refer to is compiled for each of them.
const NODES_MAX: usize = 2 * SCHEMA_NODES_MAX;

/// Nodes that need no company.
const NOTHING: SkipId = 0;
const LONG: SkipId = 1;
const COUNTED: SkipId = 2;

pub(super) struct Compiler<'s> {
    skips: Vec<Skip>,
    named: HashMap<&'s Name, Named<'s>>,
    n_nodes: usize,
}

struct Named<'s> {
    skip: SkipId,
    schema: &'s Schema,
}

/// How far the search for types without end has come with a node.
#[derive(Clone, Copy)]
enum Seen {
    Never,
    OnTheWay,
    Ends,
}

impl<'s> Compiler<'s> {
    pub(super) fn new() -> Compiler<'s> {
        let skips = vec![Skip::Bytes(0), Skip::Long, Skip::Counted];
        Compiler { skips, named: HashMap::new(), n_nodes: 0 }
    }

    /// The nodes, and how many steps the whole program has.
    pub(super) fn finish(self) -> (Vec<Skip>, usize) {
        (self.skips, self.n_nodes)
    }

    /// How to come behind a value of this type.
    pub(super) fn skip(&mut self, schema: &'s Schema) -> Result<SkipId, SchemaFault> {
        self.count()?;
        match schema {
            Schema::Null => Ok(NOTHING),
            Schema::Boolean => Ok(self.push(Skip::Bytes(1))),
            Schema::Int | Schema::Long => Ok(LONG),
            Schema::Float => Ok(self.push(Skip::Bytes(4))),
            Schema::Double => Ok(self.push(Skip::Bytes(8))),
            Schema::Bytes | Schema::String => Ok(COUNTED),
            Schema::Array(array) => {
                let item = self.skip(&array.items)?;
                Ok(self.push(Skip::Array(item)))
            }
            Schema::Map(map) => {
                let value = self.skip(&map.types)?;
                Ok(self.push(Skip::Map(value)))
            }
            Schema::Union(union) => {
                let branches = union.variants().iter().map(|branch| self.skip(branch));
                let branches = branches.collect::<Result<_, _>>()?;
                Ok(self.push(Skip::Union(branches)))
            }
            Schema::Enum(symbols) => {
                self.named(&symbols.name, schema, |_| Ok(Skip::Enum(symbols.symbols.len() as u64)))
            }
            Schema::Fixed(fixed) => self.named(&fixed.name, schema, |_| Ok(Skip::Bytes(fixed.size as u64))),
            Schema::Record(record) => self.named(&record.name, schema, |compiler| compiler.record(record)),
            Schema::Ref { name } => self.reference(name),
            // Logical types are cut out of the text.
            _ => Err(SchemaFault::NotAvro("unknown type".to_owned())),
        }
    }

    /// Refuses a type whose values cannot end, because each holds another one in a record, however many records are
    /// between. What stands in an array, map or union need not be there.
    pub(super) fn refuse_endless(&self) -> Result<(), SchemaFault> {
        let mut seen = vec![Seen::Never; self.skips.len()];
        let endless = (0..self.skips.len()).find_map(|id| self.endless(id as SkipId, &mut seen));
        let Some(id) = endless else { return Ok(()) };
        let name = self.named.iter().find(|(_, named)| named.skip == id).map(|(name, _)| name.fullname(None));
        Err(SchemaFault::Endless(quote(&name.unwrap_or_default())))
    }

    /// A record that is reached from itself by way of `id`.
    fn endless(&self, id: SkipId, seen: &mut [Seen]) -> Option<SkipId> {
        let Skip::Record(fields) = &self.skips[id as usize] else { return None };
        match seen[id as usize] {
            Seen::Never => {}
            Seen::OnTheWay => return Some(id),
            Seen::Ends => return None,
        }
        seen[id as usize] = Seen::OnTheWay;
        let endless = fields.iter().find_map(|field| self.endless(*field, seen));
        seen[id as usize] = Seen::Ends;
        endless
    }

    /// The type itself, where `schema` is the name of one.
    pub(super) fn follow(&self, schema: &'s Schema) -> &'s Schema {
        match schema {
            Schema::Ref { name } => self.named.get(name).map_or(schema, |named| named.schema),
            _ => schema,
        }
    }

    /// Appends the way over a field to the fields before it: nothing where it has no bytes, and one step for
    /// neighbours of fixed size. `last` is the node of the step before, if that passes over something too.
    /// Returns the node of a further step.
    pub(super) fn append(&mut self, last: Option<SkipId>, field: SkipId) -> Option<SkipId> {
        let bytes = match self.skips[field as usize] {
            Skip::Bytes(0) => return None,
            Skip::Bytes(bytes) => bytes,
            // Also a type that is still open: it refers to itself, which takes an array, map or union, so it has bytes.
            _ => return Some(field),
        };
        if let Some(last) = last
            && let Skip::Bytes(before) = &mut self.skips[last as usize]
        {
            *before = before.saturating_add(bytes);
            return None;
        }
        // A node of its own, since it may grow.
        Some(self.push(Skip::Bytes(bytes)))
    }

    /// Counts a step of the program.
    pub(super) fn count(&mut self) -> Result<(), SchemaFault> {
        self.n_nodes += 1;
        if self.n_nodes > NODES_MAX { Err(SchemaFault::TooLarge) } else { Ok(()) }
    }

    fn record(&mut self, record: &'s RecordSchema) -> Result<Skip, SchemaFault> {
        let mut steps: Vec<SkipId> = Vec::new();
        for field in &record.fields {
            let field = self.skip(&field.schema)?;
            let last = steps.last().copied();
            steps.extend(self.append(last, field));
        }
        Ok(match steps.as_slice() {
            [] => Skip::Bytes(0),
            [one] if !self.is_open(*one) => self.skips[*one as usize].clone(),
            _ => Skip::Record(steps.into()),
        })
    }

    fn named(
        &mut self,
        name: &'s Name,
        schema: &'s Schema,
        compile: impl FnOnce(&mut Self) -> Result<Skip, SchemaFault>,
    ) -> Result<SkipId, SchemaFault> {
        if let Some(named) = self.named.get(name) {
            if std::ptr::eq(named.schema, schema) {
                return Ok(named.skip);
            }
            let name = quote(&name.fullname(None));
            return Err(SchemaFault::NotAvro(format!("type \"{name}\" is defined twice")));
        }
        let skip = self.push(Skip::open());
        self.named.insert(name, Named { skip, schema });
        self.skips[skip as usize] = compile(self)?;
        Ok(skip)
    }

    /// Whether a type is still being compiled: it may be referred to, and nothing is known of it.
    fn is_open(&self, id: SkipId) -> bool {
        self.skips[id as usize] == Skip::open()
    }

    fn reference(&mut self, name: &Name) -> Result<SkipId, SchemaFault> {
        let Some(named) = self.named.get(name) else {
            let name = quote(&name.fullname(None));
            return Err(SchemaFault::NotAvro(format!("type \"{name}\" is not defined")));
        };
        Ok(named.skip)
    }

    fn push(&mut self, skip: Skip) -> SkipId {
        let id = self.skips.len() as SkipId;
        self.skips.push(skip);
        id
    }
}
