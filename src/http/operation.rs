//! What a route does, beside who does it: its methods, and of each what it takes and all that it may answer.
//!
//! The table in `routes` is made of these, the router of the table, and the document of `openapi` too, so that there is
//! nothing to keep alike.

use std::sync::Arc;

use axum::handler::Handler;
use axum::http::StatusCode;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::answers::JSON;
use super::code::Code;
use super::guard::Access;
use super::routes::Shared;

/// A path and what can be done there.
pub(super) struct Route {
    pub(super) path: &'static str,
    /// Who may read it.
    pub(super) access: Access,
    pub(super) operations: Vec<Operation>,
}

/// One method of a route.
pub(super) struct Operation {
    /// `GET`.
    pub(super) method: &'static str,
    /// What it is for, in one line.
    pub(super) about: &'static str,
    pub(super) parameters: Vec<Parameter>,
    /// What a body has to be; none where no body is looked at.
    pub(super) body: Option<Body>,
    /// What it answers where all is well, or as well as it can be.
    pub(super) answers: Vec<Answer>,
    /// What it answers instead, besides all that the guard may refuse.
    pub(super) codes: Vec<Code>,
    /// Whether answers have an `ETag`.
    pub(super) is_tagged: bool,
    pub(super) handler: MethodRouter<Arc<Shared>>,
}

/// Makes the schema of a type, with those that it refers to.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Something that is given with a request.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) place: Place,
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// JSON Schema of its value.
    pub(super) schema: serde_json::Value,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

/// A parameter in the query.
pub(super) fn query(name: &'static str, about: &'static str, schema: serde_json::Value) -> Parameter {
    Parameter { place: Place::Query, name, about, schema }
}

/// What the body of a request has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// A change of the configuration, which says itself what it may be.
    ConfigChange,
    /// The fields of a partner, of which the same is true.
    Partner,
}

impl Body {
    /// Every one.
    pub(super) const ALL: [Body; 2] = [Body::ConfigChange, Body::Partner];

    /// Name of its schema.
    pub(super) fn name(self) -> &'static str {
        match self {
            Body::ConfigChange => "ConfigChange",
            Body::Partner => "PartnerFields",
        }
    }
}

/// An answer that is no error.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) about: &'static str,
    /// One of these.
    pub(super) contents: Vec<Content>,
}

/// A form of an answer.
#[derive(Clone, Copy)]
pub(super) struct Content {
    /// Its media type, as it stands in `Content-Type`.
    pub(super) kind: &'static str,
    /// What it is made of; none: of texts or bytes.
    pub(super) schema: Option<SchemaOf>,
}

impl Content {
    pub(super) const fn text(kind: &'static str) -> Content {
        Content { kind, schema: None }
    }

    pub(super) const fn of<T: JsonSchema>(kind: &'static str) -> Content {
        Content { kind, schema: Some(SchemaGenerator::subschema_for::<T>) }
    }
}

pub(super) fn route(path: &'static str, access: Access) -> Route {
    Route { path, access, operations: Vec::new() }
}

impl Route {
    /// The same with one more method.
    pub(super) fn with(mut self, operation: Operation) -> Route {
        self.operations.push(operation);
        self
    }

    /// Whether a link can lead there.
    pub(super) fn is_linked(&self) -> bool {
        !self.path.contains('{') && self.operations.iter().any(|operation| operation.method == "GET")
    }

    /// What it is for, in one line.
    pub(super) fn about(&self) -> String {
        let each = self.operations.iter().map(|operation| match operation.method {
            "GET" => operation.about.to_owned(),
            method => format!("{method}: {}", operation.about),
        });
        each.collect::<Vec<_>>().join("; ")
    }

    /// Who answers.
    pub(super) fn handler(self) -> MethodRouter<Arc<Shared>> {
        self.operations.into_iter().fold(MethodRouter::new(), |all, one| all.merge(one.handler))
    }
}

pub(super) fn get<H, T>(handler: H, about: &'static str) -> Operation
where
    H: Handler<T, Arc<Shared>>,
    T: 'static,
{
    operation("GET", on(MethodFilter::GET, handler), about)
}

pub(super) fn post<H, T>(handler: H, about: &'static str) -> Operation
where
    H: Handler<T, Arc<Shared>>,
    T: 'static,
{
    operation("POST", on(MethodFilter::POST, handler), about)
}

pub(super) fn put<H, T>(handler: H, about: &'static str) -> Operation
where
    H: Handler<T, Arc<Shared>>,
    T: 'static,
{
    operation("PUT", on(MethodFilter::PUT, handler), about)
}

pub(super) fn patch<H, T>(handler: H, about: &'static str) -> Operation
where
    H: Handler<T, Arc<Shared>>,
    T: 'static,
{
    operation("PATCH", on(MethodFilter::PATCH, handler), about)
}

pub(super) fn delete<H, T>(handler: H, about: &'static str) -> Operation
where
    H: Handler<T, Arc<Shared>>,
    T: 'static,
{
    operation("DELETE", on(MethodFilter::DELETE, handler), about)
}

fn operation(method: &'static str, handler: MethodRouter<Arc<Shared>>, about: &'static str) -> Operation {
    Operation {
        method,
        about,
        parameters: Vec::new(),
        body: None,
        answers: Vec::new(),
        codes: Vec::new(),
        is_tagged: false,
        handler,
    }
}

impl Operation {
    /// The same, which takes these parameters.
    pub(super) fn takes(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Operation {
        self.parameters.extend(parameters);
        self
    }

    /// The same, which takes a body.
    pub(super) fn takes_body(mut self, body: Body) -> Operation {
        self.body = Some(body);
        self
    }

    /// The same, which answers one of these with 200.
    pub(super) fn gives(self, contents: impl IntoIterator<Item = Content>) -> Operation {
        self.or(StatusCode::OK, "as it is asked for", contents)
    }

    /// The same, which answers a `T` in JSON with 200.
    pub(super) fn json<T: JsonSchema>(self) -> Operation {
        self.gives([Content::of::<T>(JSON)])
    }

    /// The same, which answers text or bytes of this media type with 200.
    pub(super) fn text(self, kind: &'static str) -> Operation {
        self.gives([Content::text(kind)])
    }

    /// The same, which answers one of these with another status.
    pub(super) fn or(
        mut self,
        status: StatusCode,
        about: &'static str,
        contents: impl IntoIterator<Item = Content>,
    ) -> Operation {
        self.answers.push(Answer { status, about, contents: contents.into_iter().collect() });
        self
    }

    /// The same, whose answers have an `ETag`.
    pub(super) fn tagged(mut self) -> Operation {
        self.is_tagged = true;
        self
    }

    /// The same, which may answer one of these instead.
    pub(super) fn may(mut self, codes: impl IntoIterator<Item = Code>) -> Operation {
        self.codes.extend(codes);
        self
    }

    /// Whether it only reads.
    pub(super) fn is_read(&self) -> bool {
        self.method == "GET"
    }
}
