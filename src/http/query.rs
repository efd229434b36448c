//! Query strings, read strictly: a name that is misspelt must not look as if it had been heard.

use super::operation::Parameter;

/// Names and values, decoded.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string, which may have `known` names in it.
    ///
    /// # Errors
    /// In one sentence what is wrong.
    pub(super) fn read(text: Option<&str>, known: &[Parameter]) -> Result<Query, String> {
        let pairs = form_urlencoded::parse(text.unwrap_or_default().as_bytes()).into_owned();
        let pairs: Vec<(String, String)> = pairs.collect();
        if pairs.iter().all(|(name, _)| known.iter().any(|parameter| parameter.name == name)) {
            return Ok(Query(pairs));
        }
        let names: Vec<_> = known.iter().map(|parameter| parameter.name).collect();
        Err(format!("a query has nothing in it but {}", names.join(", ")))
    }

    /// Every value of this name.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.values(name).map(str::to_owned).collect()
    }

    /// The value of this name, if there is one.
    ///
    /// # Errors
    /// There are two.
    pub(super) fn once(&self, name: &str) -> Result<Option<String>, String> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value.map(str::to_owned)),
            _ => Err(format!("{name} stands there twice")),
        }
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::operation::query;
    use super::*;

    #[test]
    fn a_query_has_the_names_that_are_known() {
        let known = [query("a", "", json!({})), query("b", "", json!({}))];
        let read = |text| Query::read(Some(text), &known);
        let good = read("a=1&b=x+y%3D&a=").unwrap();
        assert_eq!(good.all("a"), ["1", ""]);
        assert_eq!(good.once("b"), Ok(Some("x y=".to_owned())));
        assert!(good.once("a").is_err_and(|why| why.contains("a stands there twice")));
        assert_eq!(good.once("c"), Ok(None));
        assert_eq!(read("c=1").unwrap_err(), "a query has nothing in it but a, b");
        assert!(Query::read(None, &[]).is_ok());
    }
}
