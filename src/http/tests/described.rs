//! Holds answers against the document that the server gives of itself, `/v1/openapi.json`.

use std::sync::OnceLock;

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use super::super::{openapi, routes};
use super::fixture::Answer;

/// The document, with no room in it for what it does not name.
fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let mut document = openapi::document(&routes::table(), |_| json!({ "type": "object" }));
        close(&mut document["components"]["schemas"]);
        document
    })
}

/// Refuses members that a schema does not name. Clients must not: fields are added.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.get("properties").is_some_and(Value::is_object)
                && !members.contains_key("additionalProperties")
            {
                members.insert("additionalProperties".to_owned(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// The route that a path belongs to.
fn route_of(path: &str) -> Option<&'static Map<String, Value>> {
    let paths = document()["paths"].as_object().unwrap();
    let fits = |template: &str| {
        let (wanted, given) = (template.split('/'), path.split('/'));
        wanted.clone().count() == given.clone().count()
            && wanted.zip(given).all(|(wanted, given)| wanted == given || wanted.starts_with('{'))
    };
    let template = paths.keys().find(|template| *template == path);
    let template = template.or_else(|| paths.keys().find(|template| fits(template)))?;
    paths[template].as_object()
}

/// A validator of `schema`, which refers to what is in the document.
fn validator(schema: &Value) -> Validator {
    let whole = json!({ "components": document()["components"], "allOf": [schema] });
    jsonschema::options().with_draft(Draft::Draft202012).build(&whole).unwrap()
}

/// Looks whether the document knows of such an answer to `method` at `path`.
pub(super) fn check(method: &str, path: &str, answer: &Answer) {
    let asked = format!("{method} {path} {} {:?}", answer.status, answer.text);
    let read = if method == "HEAD" { "GET" } else { method };
    let Some(operation) = route_of(path).and_then(|route| route.get(&read.to_ascii_lowercase())) else {
        // No route, or none of its methods: what the guard says, or that.
        let codes = ["not_found", "method_not_allowed"];
        let is_guards =
            |code: &str| super::super::reason::Reason::ALL.iter().any(|reason| reason.name() == code);
        if method != "HEAD" {
            let code = answer.problem().1;
            assert!(codes.contains(&code.as_str()) || is_guards(&code), "{asked}");
        }
        return;
    };
    let described = &operation["responses"][answer.status.as_str()];
    assert!(described.is_object(), "a status that is not in the document: {asked}");
    for (name, header) in described["headers"].as_object().into_iter().flatten() {
        assert!(header["required"] != true || !answer.header(name).is_empty(), "without {name}: {asked}");
    }
    let content = &described["content"][answer.header("content-type")];
    assert!(content.is_object(), "{:?} is not in the document: {asked}", answer.header("content-type"));
    if method == "HEAD" || content.get("schema").is_none() {
        return;
    }
    let faults: Vec<String> =
        validator(&content["schema"]).iter_errors(&answer.json()).map(|fault| fault.to_string()).collect();
    assert_eq!(faults, Vec::<String>::new(), "{asked}");
}
