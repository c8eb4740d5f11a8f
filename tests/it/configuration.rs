//! The program's commands around the configuration: exit statuses, every problem told, secrets masked.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::client::{Connection, JSON};
use crate::support::program::{Program, headgate, run};

/// A folder with a configuration in it.
fn folder_with(toml: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    fs::write(&file, toml).unwrap();
    (folder, file)
}

const SERVED: &str = "[server]\nlisten = '127.0.0.1:0'\ndrain_delay = '0s'\n[admin]\nlisten = '127.0.0.1:0'\n[ingest]\ndurability = 'broker'\n[log]\nformat = 'json'\n";

#[test]
fn a_right_configuration_is_printed_whole_with_secrets_masked() {
    let toml = "[ingest]\ndurability = 'broker'\n[auth]\nuser = 'u'\npassword = 'hidden-1'\n[broker]\nurls = ['http://127.0.0.1:9/in']\nuser = 'b'\npassword = 'hidden-2'";
    let (folder, file) = folder_with(toml);
    let output = run(
        &["check", "--config", file.to_str().unwrap()],
        folder.path(),
    );
    let (told, log) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(!told.contains("hidden") && !log.contains("hidden"));
    let effective: toml::Table = told.parse().unwrap();
    assert_eq!(effective["auth"]["password"].as_str(), Some("***"));
    assert_eq!(effective["broker"]["password"].as_str(), Some("***"));
    assert_eq!(
        effective["broker"]["max_in_flight"].as_integer(),
        Some(8),
        "defaults are shown too"
    );
}

#[test]
fn every_problem_is_told_at_once_and_serve_does_not_start() {
    let toml = "[server]\nlisten = 'nowhere'\nno_such_key = 1\n[ingest]\nresponse_code = 500\n[auth]\npassword = 'hidden'\n[broker]\nmax_in_flight = 0";
    let (folder, file) = folder_with(toml);
    for command in ["check", "serve"] {
        let output = run(
            &[command, "--config", file.to_str().unwrap()],
            folder.path(),
        );
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{command}: {told}");
        for key in [
            "server.listen",
            "no_such_key",
            "ingest.response_code",
            "broker.max_in_flight",
        ] {
            assert!(told.contains(key), "{key} in {told}");
        }
        for word in ["nowhere", "500"] {
            assert!(told.contains(word), "the value given, {word}, in {told}");
        }
        assert!(!told.contains("hidden"), "{told}");
    }
    let missing = run(&["check", "--config", "no-such-file.toml"], folder.path());
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn a_log_of_json_lines_has_the_problems_of_the_configuration_too() {
    let wrong = "[ingest]\nresponse_code = 500\n[broker]\nmax_in_flight = 0\n";
    let of_the_file = format!("{wrong}[log]\nformat = 'json'\nlevel = 'loud'");
    for (toml, variable) in [
        (of_the_file.as_str(), None),
        (wrong, Some("json")),
        ("not TOML", Some("json")),
    ] {
        let (folder, file) = folder_with(toml);
        let told_by = |command| {
            let mut command = headgate(
                &[command, "--config", file.to_str().unwrap()],
                folder.path(),
            );
            command.envs(variable.map(|format| ("HEADGATE_LOG__FORMAT", format)));
            command.env("HEADGATE_PORT", "tcp://10.0.0.1:8080");
            let output = command.output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{told}");
            told
        };
        let checked = told_by("check");
        let lines: Vec<serde_json::Value> = told_by("serve")
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for (line, told) in std::iter::zip(&lines, checked.lines()) {
            let (level, message) = match told.strip_prefix("warning: ") {
                Some(warning) => ("WARN", warning),
                None => ("ERROR", told),
            };
            assert_eq!(line["level"], level, "{line}");
            assert_eq!(line["message"], format!("configuration: {message}"));
        }
        assert_eq!(lines.len(), checked.lines().count(), "{checked}");
        assert!(lines.len() > 1, "{checked}");
    }
}

#[test]
fn commands_beside_the_server_do_without_its_secrets() {
    let toml = "[server]\nlisten = '127.0.0.1:1'\n[auth]\nuser = 'u'\n[broker]\nuser = 'b'\n\
                [spool]\ndir = 'own-spool'\n[dead_letters]\ndir = 'own-letters'";
    let (folder, file) = folder_with(toml);
    let told_by = |command: &str| {
        let config = ["--config", file.to_str().unwrap()];
        let arguments = [&command.split(' ').collect::<Vec<_>>()[..], &config].concat();
        let output = run(&arguments, folder.path());
        let told = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), told)
    };
    for (command, used) in [
        ("spool inspect", "own-spool"),
        ("spool verify", "own-spool"),
        ("dead-letters list", "own-letters"),
        ("dead-letters replay", "own-letters"),
        ("dead-letters purge --all", "own-letters"),
        ("health", "127.0.0.1:1/"),
    ] {
        let (status, told) = told_by(command);
        assert_eq!(status, Some(1), "{command}: {told}");
        assert!(told.contains(used), "{command}: {told}");
    }
    for command in ["check", "serve"] {
        let (status, told) = told_by(command);
        assert_eq!(status, Some(2), "{command}: {told}");
        for variable in ["HEADGATE_AUTH__PASSWORD", "HEADGATE_BROKER__PASSWORD"] {
            assert!(told.contains(variable), "{command}: {told}");
        }
    }
}

#[test]
fn the_environment_beats_the_file_and_the_file_the_defaults() {
    let (folder, file) =
        folder_with("[ingest]\ndurability = 'memory'\nmax_depth = 7\n[log]\nlevel = 'warn'");
    let output = headgate(
        &["check", "--config", file.to_str().unwrap()],
        folder.path(),
    )
    .env("HEADGATE_INGEST__DURABILITY", "broker")
    .env("HEADGATE_BROKER__URLS", "['http://127.0.0.1:9']")
    .env("HEADGATE_SERVICE_HOST", "10.0.0.1")
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let effective: toml::Table = String::from_utf8(output.stdout).unwrap().parse().unwrap();
    assert_eq!(effective["ingest"]["durability"].as_str(), Some("broker"));
    assert_eq!(effective["ingest"]["max_depth"].as_integer(), Some(7));
    assert_eq!(effective["output"]["type"].as_str(), Some("http"));
    let warnings = String::from_utf8(output.stderr).unwrap();
    assert!(warnings.contains("HEADGATE_SERVICE_HOST"), "{warnings}");
}

#[test]
fn a_taken_port_and_a_folder_that_cannot_be_are_faults_that_are_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (folder, file) = folder_with(&SERVED.replacen("127.0.0.1:0", &address, 1));
    let output = run(
        &["serve", "--config", file.to_str().unwrap()],
        folder.path(),
    );
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&address), "{told}");
    for section in ["output.file", "dead_letters"] {
        let (folder, file) = folder_with(&format!("{SERVED}[{section}]\ndir = 'own.toml/events'"));
        let output = run(
            &["serve", "--config", file.to_str().unwrap()],
            folder.path(),
        );
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(&format!("{section}.dir")), "{told}");
        assert!(told.contains("own.toml/events"), "{told}");
        assert_eq!(told.matches("(os error").count(), 1, "{told}");
    }
}

#[tokio::test]
async fn a_signal_drains_and_the_exit_is_clean() {
    for signal in ["TERM", "INT"] {
        let (folder, file) = folder_with(&format!("{SERVED}[output]\ntype = 'stdout'"));
        let program = Program::serve(&file, folder.path());
        let mut client = Connection::open(program.public).await;
        let answer = client
            .request("POST", "/v1/events", &[JSON], "{\"message\":\"out\"}")
            .await;
        assert_eq!(answer.status, 200);
        let url = format!("http://{}/health", program.public);
        let healthy = run(&["health", "--url", &url], folder.path());
        assert_eq!(healthy.status.code(), Some(0));
        let mut admin = Connection::open(program.admin).await;
        assert_eq!(admin.request("GET", "/live", &[], "").await.status, 200);
        program.signal(signal);
        let (status, output, log) = program.end();
        assert_eq!(status, Some(0), "{log:#?}");
        let lines: Vec<serde_json::Value> = output
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!((lines.len(), &lines[0]["message"]), (1, &"out".into()));
        let drain = log.iter().find(|line| line.contains("draining")).unwrap();
        assert!(
            drain.contains(r#""delay":"0s","timeout":"20s""#),
            "as they are configured: {drain}"
        );
        assert!(
            !log.join("\n").contains("\"out\""),
            "bodies are never logged"
        );
        let dead = run(&["health", "--url", &url], folder.path());
        assert_eq!(dead.status.code(), Some(1));
    }
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let toml = SERVED.replace("drain_delay = '0s'", "drain_delay = '1h'");
    let (folder, file) = folder_with(&toml);
    let program = Program::serve(&file, folder.path());
    program.signal("TERM");
    crate::support::eventually("the drain to begin", async || {
        let mut probe = Connection::open(program.public).await;
        let answer = probe.request("GET", "/health", &[], "").await;
        (answer.json()["status"] == "draining").then_some(())
    })
    .await;
    program.signal("TERM");
    assert_eq!(program.end().0, Some(0));
}
