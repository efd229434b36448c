//! Tells the program which commit and which compiler it is built with.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=METRICS_COLLECTOR_REVISION");
    let given = std::env::var("METRICS_COLLECTOR_REVISION").ok().filter(|revision| !revision.is_empty());
    let revision = given.or_else(revision_of_checkout).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=BUILT_FROM_REVISION={revision}");
    println!("cargo::rustc-env=BUILT_WITH_RUSTC={}", compiler().as_deref().unwrap_or("unknown"));
}

/// The commit, with `-dirty` behind it where what is built is not what was committed, if this directory is the top of a
/// git checkout and git is there. A crate that lies somewhere inside another project's checkout has no revision.
fn revision_of_checkout() -> Option<String> {
    let here = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR")?).canonicalize().ok()?;
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != here {
        return None;
    }
    watch_head();
    for path in BUILT_FROM {
        println!("cargo::rerun-if-changed={path}");
    }
    let revision = git(&["rev-parse", "--short=12", "HEAD"])?;
    // Reading only: another git may be at work on the index.
    let status = [&["--no-optional-locks", "status", "--porcelain", "--"], &BUILT_FROM[..]].concat();
    Some(if git(&status).is_some() { format!("{revision}-dirty") } else { revision })
}

/// What the program is built from. A change of these makes a build anyway, so that watching them costs nothing; a
/// change of anything else is none of the program's.
const BUILT_FROM: [&str; 4] = ["src", "build.rs", "Cargo.toml", "Cargo.lock"];

/// Builds anew when the commit changes. `logs/HEAD` grows with every move of HEAD, also where the branch itself
/// is packed away; a path that does not exist would build anew every time.
fn watch_head() {
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        if let Some(path) = git(&["rev-parse", "--git-path", name])
            && Path::new(&path).exists()
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    run("git", arguments)
}

/// The second word of `rustc 1.95.0 (...)`.
fn compiler() -> Option<String> {
    let text = run(&std::env::var("RUSTC").ok()?, &["--version"])?;
    text.split_whitespace().nth(1).map(str::to_owned)
}

/// What a command prints, if it can be run and succeeds. It runs in the package's directory, as build scripts do.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
