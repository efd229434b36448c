//! The package in `universe/`, as a repository offers it.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::repository;

/// Where the artifact lies before `ci/package` is told where.
pub(crate) const NO_PLACE: &str = "https://artifacts.invalid";

/// A file of `universe/`.
pub(crate) fn text(file: &str) -> String {
    read(&repository("universe").join(file))
}

/// A JSON file of the repository.
pub(crate) fn json_file(path: &str) -> Value {
    let text = read(&repository(path));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The package as an entry of a repository document.
pub(crate) fn package() -> &'static Value {
    static PACKAGE: LazyLock<Value> = LazyLock::new(|| {
        let mut package = json_file("universe/package.json");
        package["releaseVersion"] = json!(0);
        package["config"] = json_file("universe/config.json");
        package["resource"] = json_file("universe/resource.json");
        let template = base64(text("marathon.json.mustache").as_bytes());
        package["marathon"] = json!({ "v2AppMustacheTemplate": template });
        package
    });
    &PACKAGE
}

/// Makes with `ci/package` the files of a repository, with the programs under test; `after` is the repository document of
/// before.
pub(crate) fn pack(url: &str, folder: &Path, after: Option<&Path>) -> Output {
    let programs = Path::new(env!("CARGO_BIN_EXE_metrics-collector")).parent().unwrap();
    let mut command = Command::new(repository("ci/package"));
    command.args(["--url", url]).arg("--out").arg(folder).arg("--binaries").arg(programs);
    if let Some(after) = after {
        command.arg("--after").arg(after);
    }
    command.output().expect("ci/package can be started")
}

fn base64(bytes: &[u8]) -> String {
    openssl::base64::encode_block(bytes)
}
