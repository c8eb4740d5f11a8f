//! `openapi.yaml` and the server hold each other to their word: what is served is the file, what the file says is what
//! happens, and every code is in both.

mod examples;

use std::collections::{BTreeMap, BTreeSet};

use headgate::event::ViolationCode;
use headgate::ingress::{ProblemType, problem_types};
use serde_json::Value;

use crate::support::client::{Answer, JSON};
use crate::support::fake_broker::FakeBroker;
use crate::support::test_app::TestApp;

const FILE: &str = include_str!("../../openapi.yaml");

/// Words in the table of codes of those that no request is answered with in this version.
const RESERVED: &str = "reserved:";
/// In the file for servers with a spool on disk.
const OF_ANOTHER_SPOOL: &str = "spool_failed";

/// What browsers send.
const ORIGIN: (&str, &str) = ("Origin", "https://app.example");
const PREFLIGHT: (&str, &str) = ("Access-Control-Request-Method", "POST");

fn description() -> Value {
    serde_saphyr::from_str(FILE).unwrap()
}

/// The object that a reference stands for, else the object itself.
fn resolved<'a>(description: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').unwrap();
            let target = description.pointer(pointer);
            target.unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
        None => value,
    }
}

/// The rows of the table of codes: code, status, what it says.
fn table(description: &Value) -> BTreeMap<String, (u16, String)> {
    let text = description["info"]["description"].as_str().unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let code = cells[1].trim_matches('`').to_owned();
        (code, (cells[2].parse().unwrap(), cells[3].to_owned()))
    })
    .collect()
}

#[tokio::test]
async fn the_file_is_what_is_served() {
    let app = TestApp::start("").await;
    let answer = app.get("/openapi.yaml").await;
    assert_eq!((answer.status, answer.text()), (200, FILE));
    assert_eq!(answer.header("content-type"), Some("application/yaml"));
    app.finish().await;
}

#[test]
fn the_codes_of_rejected_events_are_those_of_the_rules() {
    let description = description();
    let code = &description["components"]["schemas"]["FieldError"]["properties"]["code"];
    let told: Vec<&Value> = code["enum"].as_array().unwrap().iter().collect();
    assert_eq!(told, ViolationCode::ALL.map(ViolationCode::as_str));
}

#[test]
fn codes_are_the_same_in_the_enum_in_the_table_and_in_the_server() {
    let description = description();
    let table = table(&description);
    let schema = &description["components"]["schemas"]["ProblemCode"]["enum"];
    let in_enum: BTreeSet<&str> = schema
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap())
        .collect();
    let in_table: BTreeSet<&str> = table.keys().map(String::as_str).collect();
    assert_eq!(in_enum, in_table);
    let served = known_problems();
    for (code, known) in &served {
        let row = table
            .get(*code)
            .unwrap_or_else(|| panic!("{code} is in no row"));
        assert_eq!(row.0, known.status, "{code}");
        assert!(!row.1.contains(RESERVED), "{code} is no longer reserved");
    }
    for (code, (_, words)) in &table {
        let is_reserved = words.contains(RESERVED) || code == OF_ANOTHER_SPOOL;
        assert!(
            is_reserved || served.contains_key(code.as_str()),
            "{code} is never answered"
        );
    }
}

#[test]
fn examples_of_refusals_are_such_as_are_given() {
    let told = known_problems();
    let description = description();
    let mut examples = Vec::new();
    collect_problems(&description, &mut examples);
    let shown: BTreeSet<&str> = examples
        .iter()
        .map(|problem| {
            let code = problem["code"].as_str().unwrap();
            assert_eq!(problem["status"], told[code].status, "{code}");
            assert_eq!(problem["title"], told[code].title, "{code}");
            code
        })
        .collect();
    assert_eq!(shown, told.into_keys().collect());
}

/// The kinds of refusal by their codes.
fn known_problems() -> BTreeMap<&'static str, ProblemType> {
    problem_types().map(|known| (known.word, known)).collect()
}

/// Every object in it that reads like a problem document.
fn collect_problems<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    if value["title"].is_string() && value["code"].is_string() {
        found.push(value);
    }
    let members = value.as_object().into_iter().flat_map(|all| all.values());
    let elements = value.as_array().into_iter().flatten();
    for inner in members.chain(elements) {
        collect_problems(inner, found);
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let description = description();
    let mut used = BTreeSet::new();
    collect_references(&description, &mut used);
    for reference in &used {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(description.pointer(pointer).is_some(), "{reference}");
    }
    for (kind, components) in description["components"].as_object().unwrap() {
        for name in components.as_object().unwrap().keys() {
            let is_used = used.contains(&format!("#/components/{kind}/{name}"));
            assert!(
                is_used || kind == "securitySchemes",
                "{kind}/{name} is not used"
            );
        }
    }
}

/// Linters and generators of clients ask for all of it, though the standard does not.
#[test]
fn tools_find_what_they_ask_for() {
    let description = description();
    assert_eq!(description["security"], serde_json::json!([]));
    expect_usable(&description);
}

fn expect_usable(value: &Value) {
    assert!(
        value["type"] != "array" || value["items"].is_object(),
        "{value}"
    );
    // openapi-python-client leaves out every answer in which a constant narrows what another part says.
    for part in value["allOf"].as_array().into_iter().flatten() {
        let mut properties = part["properties"].as_object().into_iter().flatten();
        let has_constant = properties.any(|(_, property)| property.get("const").is_some());
        assert!(!has_constant, "an enum of one, please: {part}");
    }
    let members = value.as_object().into_iter().flat_map(|all| all.values());
    for inner in members.chain(value.as_array().into_iter().flatten()) {
        expect_usable(inner);
    }
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                found.insert(reference.to_owned());
            }
            for member in members.values() {
                collect_references(member, found);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                collect_references(element, found);
            }
        }
        _ => {}
    }
}

/// Paths that a path of the file stands for.
fn targets(template: &str) -> Vec<String> {
    match template {
        "/{path}" => ["/app-logs/a", "/v1/other"].map(str::to_owned).into(),
        _ => vec![template.to_owned()],
    }
}

/// Requests that make each operation answer in several ways.
fn bodies_for(target: &str, method: &str) -> Vec<&'static str> {
    match (target, method) {
        ("/v1/events", "post" | "put") => vec!["[{\"a\":1}]", "[]", "[{},5]", "[5]", "oops", ""],
        (_, "post" | "put") => vec!["{\"a\":1}", "oops", ""],
        _ => vec![""],
    }
}

#[tokio::test]
async fn every_operation_answers_as_it_is_described() {
    let description = description();
    let broker = FakeBroker::start();
    for toml in [
        "",
        "[ingest]\ndurability = 'memory'\nresponse_code = 204",
        "[ingest]\nmax_content_length = '2B'",
        "[auth]\nuser = 'u'\npassword = 'p'",
        "[cors]\nallowed_origins = ['https://app.example']\n[limits]\nevents_per_second_per_client = 1",
    ] {
        let app = TestApp::start_with(&broker, toml).await;
        for (template, operations) in description["paths"].as_object().unwrap() {
            for target in targets(template) {
                expect_all_methods(&description, operations, &app, &target).await;
            }
        }
        app.finish().await;
    }
}

/// Fails unless every method on this path is answered as it is described.
async fn expect_all_methods(description: &Value, operations: &Value, app: &TestApp, target: &str) {
    for method in ["get", "head", "post", "put", "options", "delete"] {
        let operation = &operations[method];
        for body in bodies_for(target, method) {
            let headers = [JSON, ORIGIN, PREFLIGHT];
            let answer = app
                .request(&method.to_uppercase(), target, &headers, body)
                .await;
            if !operation.is_null() {
                expect_answer(description, operation, &answer);
                continue;
            }
            let expected = if target.starts_with("/v1/other") {
                404
            } else {
                405
            };
            assert_eq!(
                answer.status, expected,
                "{method} {target} is not described"
            );
        }
    }
}

/// Every operation that is described, by its target and method.
fn operations(description: &Value) -> Vec<(String, &str, &Value)> {
    let mut all = vec![];
    for (template, operations) in description["paths"].as_object().unwrap() {
        let target = template.replace("{path}", "app-logs/a");
        for method in ["get", "head", "post", "put", "options"] {
            if !operations[method].is_null() {
                all.push((target.clone(), method, &operations[method]));
            }
        }
    }
    all
}

/// Fails unless the answer is described among those of its operation.
fn expect_answer(description: &Value, operation: &Value, answer: &Answer) {
    let response = &operation["responses"][answer.status.to_string()];
    assert!(!response.is_null(), "{operation} answered {answer:?}");
    expect_described(description, resolved(description, response), answer);
}

#[tokio::test]
async fn beyond_the_most_connections_operations_answer_as_described() {
    let description = description();
    for status in [503, 429] {
        let toml = format!("[server]\nmax_connections = 1\n[ingest]\noverload_status = {status}");
        let app = TestApp::start(&toml).await;
        let mut only = app.connect().await;
        only.request("GET", "/live", &[], "").await;
        for (target, method, operation) in operations(&description) {
            let answer = app
                .request(&method.to_uppercase(), &target, &[ORIGIN, PREFLIGHT], "")
                .await;
            let is_health = operation["tags"][0] == "health" || method == "head";
            let expected = if is_health { 200 } else { status };
            assert_eq!(answer.status, expected, "{method} {target}");
            expect_answer(&description, operation, &answer);
        }
        let answer = app.request("HEAD", "/v1/other", &[], "").await;
        assert_eq!(answer.status, status);
        expect_answer(
            &description,
            &description["paths"]["/{path}"]["head"],
            &answer,
        );
        drop(only);
        app.finish().await;
    }
}

#[tokio::test]
async fn a_doubtful_head_is_refused_as_described() {
    let description = description();
    let app = TestApp::start("").await;
    for (target, method, operation) in operations(&description) {
        let two_hosts = [JSON, ("Host", "other")];
        let answer = app
            .request(&method.to_uppercase(), &target, &two_hosts, "")
            .await;
        assert_eq!(answer.status, 400, "{method} {target}");
        expect_answer(&description, operation, &answer);
    }
    app.finish().await;
}

/// Fails unless media type, headers and code of the answer are those of its description.
fn expect_described(description: &Value, response: &Value, answer: &Answer) {
    let media_types = response["content"].as_object();
    match (answer.body.is_empty(), media_types) {
        (true, _) => {}
        (false, None) => panic!("a body that is not described: {answer:?}"),
        (false, Some(media_types)) => {
            let media_type = answer.header("content-type").unwrap();
            let content = media_types.get(media_type);
            let schema = content.map(|content| resolved(description, &content["schema"]));
            let schema =
                schema.unwrap_or_else(|| panic!("{media_type} is not described: {answer:?}"));
            expect_members(description, schema, answer);
        }
    }
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let is_required = resolved(description, header)["required"] == true;
        let is_there = answer.header(&name.to_ascii_lowercase()).is_some();
        assert!(is_there || !is_required, "{name} is missing in {answer:?}");
    }
}

/// Fails unless the members that the schema requires are there, its constants are as they are, and a closed object has
/// no others.
fn expect_members(description: &Value, schema: &Value, answer: &Answer) {
    let parts = match schema["allOf"].as_array() {
        Some(parts) => parts.clone(),
        None => vec![schema.clone()],
    };
    for part in &parts {
        let part = resolved(description, part);
        for required in part["required"].as_array().into_iter().flatten() {
            let name = required.as_str().unwrap();
            assert!(
                answer.json().get(name).is_some(),
                "{name} is missing in {answer:?}"
            );
        }
        let Some(properties) = part["properties"].as_object() else {
            continue;
        };
        for (name, property) in properties {
            let value = &answer.json()[name];
            let is_as_said = property.get("const").is_none_or(|known| known == value);
            let words = property["enum"].as_array();
            let is_known = words.is_none_or(|words| words.contains(value));
            assert!(is_as_said && is_known, "{name} in {answer:?}");
        }
        if part["additionalProperties"] == false {
            for name in answer.json().as_object().unwrap().keys() {
                assert!(properties.contains_key(name), "{name} in {answer:?}");
            }
        }
    }
}
