//! `GET /v1/openapi.json`: the table of routes as an OpenAPI 3.1 document.
//!
//! Whatever is said here comes from the table, from the types that answers are made of, and from the list of reasons why
//! the guard refuses. The tests hold every answer that they get against it.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::answers::JSON;
use super::guard::Access;
use super::operation::{Answer, Body, Content, Operation, Parameter, Place, Route};
use super::problem::{self, Members};
use super::reason::Reason;
use crate::telemetry::build_info;

/// Where the types of answers stand in the document.
const SCHEMAS: &str = "/components/schemas";

const DESCRIPTION: &str = "Takes metrics from local processes and delivers them to Kafka. Fields are only ever added \
    to answers. Errors are `application/problem+json` with a `code` for programs. A path that is not here answers 404 `not_found`, a \
    method 405 `method_not_allowed`; `HEAD` answers as `GET` without the body.";

const TOKEN: &str = "The token of `http-token` or `http-token-file`. On the collector's own machine (127.0.0.1, [::1]) \
    reads need none, and writes only where `http-writes` is `token`.";

/// What the connection answers before there is a request.
const TOO_LARGE: &str =
    "The request's line and header have more than 16 KiB, or more than 64 fields. There is no body.";

/// The document. `schema_of`: the JSON Schemas of bodies, which the configuration has.
pub(super) fn document(routes: &[Route], schema_of: impl Fn(Body) -> Value) -> Value {
    let mut schemas = schemas();
    let problem = schemas.subschema_for::<Members<'static>>().to_value();
    let mut paths = Map::new();
    for route in routes {
        let methods = route.operations.iter().map(|operation| {
            let described = Described { operation, access: route.access, problem: &problem };
            (operation.method.to_ascii_lowercase(), described.value(route.path, &mut schemas))
        });
        paths.insert(route.path.to_owned(), methods.collect::<Map<_, _>>().into());
    }
    let mut types = schemas.take_definitions(true);
    types.extend(Body::ALL.map(|body| (body.name().to_owned(), schema_of(body))));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "metrics-collector",
            "version": build_info::VERSION,
            "description": DESCRIPTION,
            "license": { "name": "Apache License 2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": types,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": TOKEN } },
        },
    })
}

/// Makes schemas of what is answered.
fn schemas() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    settings.into_generator()
}

/// An operation, and what of the document it needs.
struct Described<'a> {
    operation: &'a Operation,
    access: Access,
    /// Schema of an error.
    problem: &'a Value,
}

impl Described<'_> {
    fn value(&self, path: &str, schemas: &mut SchemaGenerator) -> Value {
        let operation = self.operation;
        let mut value = json!({
            "operationId": operation_id(operation.method, path),
            "summary": operation.about,
            "responses": self.responses(schemas),
        });
        if !operation.parameters.is_empty() {
            value["parameters"] = operation.parameters.iter().map(parameter).collect();
        }
        if let Some(body) = operation.body {
            value["requestBody"] = json!({ "required": true, "content": request_content(body) });
        }
        if self.access == Access::Closed || !operation.is_read() {
            value["security"] = json!([{ "token": [] }]);
        }
        value
    }

    fn responses(&self, schemas: &mut SchemaGenerator) -> Value {
        let mut responses: BTreeMap<StatusCode, Value> = self
            .operation
            .answers
            .iter()
            .map(|answer| (answer.status, self.answer(answer, schemas)))
            .collect();
        for (status, names) in self.problems() {
            // Where the status stands for an answer as well, an error is one more form of it.
            let response =
                responses.entry(status).or_insert_with(|| json!({ "description": "", "content": {} }));
            let listed = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let before = response["description"].as_str().filter(|text| !text.is_empty());
            let description = before.map_or_else(|| listed.clone(), |text| format!("{text}; or {listed}"));
            response["description"] = description.into();
            let mut schema = self.problem.clone();
            schema["properties"] = json!({ "code": { "enum": names } });
            response["content"][problem::CONTENT_TYPE] = json!({ "schema": schema });
            if status == StatusCode::UNAUTHORIZED {
                response["headers"] = json!({ "WWW-Authenticate": header("What is wanted.") });
            }
        }
        responses.insert(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, json!({ "description": TOO_LARGE }));
        responses.into_iter().map(|(status, response)| (status.as_str().to_owned(), response)).collect()
    }

    fn answer(&self, answer: &Answer, schemas: &mut SchemaGenerator) -> Value {
        let contents = answer.contents.iter().map(|Content { kind, schema }| {
            let of_type = schema.map_or(json!({}), |of| json!({ "schema": of(schemas) }));
            ((*kind).to_owned(), of_type)
        });
        let contents: Map<String, Value> = contents.collect();
        let mut value = json!({ "description": answer.about, "content": contents });
        if self.operation.is_tagged {
            value["headers"] = json!({ "ETag": header("The version of the configuration, for `If-Match`.") });
        }
        value
    }

    /// The codes of all errors that it may answer, by status.
    fn problems(&self) -> BTreeMap<StatusCode, Vec<&'static str>> {
        let operation = self.operation;
        let refused = Reason::ALL
            .into_iter()
            .filter(|reason| reason.may_refuse(operation.is_read(), self.access, operation.body.is_some()));
        let codes = operation.codes.iter().copied().chain(refused.filter_map(Reason::code));
        let mut problems: BTreeMap<StatusCode, Vec<&'static str>> = BTreeMap::new();
        for code in codes {
            problems.entry(code.status).or_default().push(code.name);
        }
        problems
    }
}

/// A name for those who make a client of the document: `get_v1_config`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once(method.to_ascii_lowercase().as_str()).chain(words).collect::<Vec<_>>().join("_")
}

fn parameter(parameter: &Parameter) -> Value {
    let place = match parameter.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    json!({
        "name": parameter.name,
        "in": place,
        "description": parameter.about,
        "required": parameter.place == Place::Path,
        "schema": parameter.schema,
    })
}

fn request_content(body: Body) -> Value {
    json!({ JSON: { "schema": { "$ref": format!("#{SCHEMAS}/{}", body.name()) } } })
}

/// A header field that an answer always has.
fn header(about: &str) -> Value {
    json!({ "description": about, "required": true, "schema": { "type": "string" } })
}
