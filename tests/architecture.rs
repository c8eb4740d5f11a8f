//! Holds the source to the architecture: rooms use lower floors only, every file says what it is, none is long.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the source is to fail"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of each floor, from the ground up; see docs/ARCHITECTURE.md.
const FLOORS: [&[&str]; 7] = [
    &["folders", "units"],
    &["config", "event"],
    &["budget", "lifecycle", "telemetry"],
    &["accept", "dead_letters", "file_watch", "pipeline", "spool"],
    &["admin", "forward", "ingress", "replay"],
    &["app"],
    &["cli", "main"],
];

const MAX_LINES: usize = 400;

const CODE: [&str; 5] = ["crates/", "fuzz/", "scripts/", "src/", "tests/"];

fn floor_of(room: &str) -> usize {
    FLOORS
        .iter()
        .position(|rooms| rooms.contains(&room))
        .unwrap_or_else(|| {
            panic!(
                "the room `{room}` stands on no floor: add it to FLOORS and to docs/ARCHITECTURE.md"
            )
        })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file of the program, with its path below src/.
fn files() -> Vec<(String, String)> {
    files_below(&root().join("src"))
}

/// Every source file of the crates that the program is built of, with its path below crates/.
fn crate_files() -> Vec<(String, String)> {
    let crates = root().join("crates");
    let mut all = files_below(&crates);
    all.retain(|(file, _)| file.split('/').nth(1) == Some("src"));
    assert!(!all.is_empty(), "no source below {}", crates.display());
    all
}

fn files_below(top: &Path) -> Vec<(String, String)> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    collect(top, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(top).unwrap().display().to_string();
        (name, fs::read_to_string(path).unwrap())
    };
    paths.into_iter().map(read).collect()
}

/// The room of a file: the first part of its path.
fn room_of(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

/// A file's text without its unit tests, which may look anywhere.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap()
}

/// The rooms that a text names as `crate::room`.
fn rooms_used(text: &str) -> Vec<String> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.collect::<Vec<_>>().join("\n");
    assert!(
        !code.contains("crate::{"),
        "name each room on a line of its own: `use crate::room::…`"
    );
    code.split("crate::")
        .skip(1)
        .map(|rest| {
            let end = rest.find(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
            rest[..end.unwrap_or(rest.len())].to_owned()
        })
        .collect()
}

#[test]
fn rooms_use_lower_floors_only() {
    let mut wrong = Vec::new();
    for (file, text) in files() {
        let room = room_of(&file);
        if room == "lib" || file.ends_with("tests.rs") {
            continue;
        }
        for used in rooms_used(without_tests(&text)) {
            if used != room && floor_of(&used) >= floor_of(room) {
                wrong.push(format!("{file} uses {used}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "against the floors:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> = files()
        .into_iter()
        .chain(crate_files())
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(file, _)| file)
        .collect();
    assert!(silent.is_empty(), "no //! head: {silent:?}");
}

#[test]
fn no_file_is_long() {
    let all = ["src", "crates", "tests", "benches", "fuzz/fuzz_targets"]
        .into_iter()
        .flat_map(|folder| files_below(&root().join(folder)));
    let long: Vec<String> = all
        .filter(|(_, text)| text.lines().count() > MAX_LINES)
        .map(|(file, text)| format!("{file}: {} lines", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "above {MAX_LINES} lines: {long:?}");
}

#[test]
fn every_room_has_its_floor() {
    for (file, _) in files() {
        let room = room_of(&file);
        if room != "lib" {
            // Panics where there is none.
            floor_of(room);
        }
    }
    let page = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    for room in FLOORS.iter().flat_map(|rooms| rooms.iter()) {
        assert!(
            page.contains(&format!("`{room}`")),
            "docs/ARCHITECTURE.md does not name `{room}`"
        );
    }
}

#[test]
fn the_log_on_disk_is_synchronous_and_knows_no_format_and_no_protocol() {
    const FOREIGN: [&str; 8] = [
        "tokio",
        "futures",
        "serde",
        "serde_json",
        "http",
        "hyper",
        "axum",
        "headgate",
    ];
    let manifest = fs::read_to_string(root().join("crates/seglog/Cargo.toml")).unwrap();
    let named = |text: &str, name: &str| {
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
        text.split(|letter| !is_word(letter))
            .any(|word| word == name)
    };
    for foreign in FOREIGN {
        assert!(!named(&manifest, foreign), "Cargo.toml names {foreign}");
        for (file, text) in crate_files() {
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let code: Vec<&str> = code.collect();
            assert!(
                !file.starts_with("seglog/") || !named(&code.join("\n"), foreign),
                "{file} names {foreign}"
            );
        }
    }
}

/// What a page names between backticks.
fn quoted(page: &str) -> impl Iterator<Item = &str> {
    page.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_a_page_names_exists() {
    for page in ["SECURITY.md", "docs/OPERATIONS.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        let wrong: Vec<_> = quoted(&text)
            .filter(|name| CODE.iter().any(|folder| name.starts_with(folder)))
            .filter(|name| !name.contains(' ') && !is_there(name))
            .collect();
        assert!(
            wrong.is_empty(),
            "{page} names what is not there: {wrong:#?}"
        );
    }
}

/// Whether there is a file or a folder, or a test of a file (`tests/it/crash.rs::name`).
fn is_there(name: &str) -> bool {
    match name.split_once("::") {
        Some((file, test)) => fs::read_to_string(root().join(file))
            .is_ok_and(|text| text.contains(&format!("fn {test}("))),
        None => root().join(name).exists(),
    }
}

#[test]
fn every_threat_names_what_shows_its_defence() {
    let page = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let threats: Vec<&str> = rows.filter(|row| !row.starts_with("| threat |")).collect();
    assert!(threats.len() > 20, "the tables are not read: {threats:#?}");
    for row in threats {
        let shown_by = row.trim_end_matches('|').rsplit('|').next().unwrap();
        assert!(shown_by.contains('`'), "nothing shows it: {row}");
    }
}

/// A checkout with umask 077 is its owner's alone, who is root in the image: the server could not read its configuration.
#[test]
fn the_image_has_nothing_with_the_modes_of_the_checkout() {
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let (_, image) = dockerfile.rsplit_once("\nFROM ").unwrap();
    let copies: Vec<&str> = image
        .lines()
        .filter(|line| line.starts_with("COPY ") || line.starts_with("ADD "))
        .collect();
    assert!(!copies.is_empty(), "the Dockerfile is not read");
    for copy in copies {
        assert!(copy.contains("--from=build "), "{copy}");
    }
}
