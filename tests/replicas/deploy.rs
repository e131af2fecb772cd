//! What stands in deploy/ for replicas: Kubernetes' and Compose's files say what the program needs, and the rules and the
//! dashboard name figures that there are.

use super::programs::address;
use super::redis::Redis;
use super::*;
use crate::common::program::{Folder, Program, command};
use crate::usage::metrics::promtool;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(deploy(name)).unwrap()
}

/// The documents of a YAML file.
fn documents(name: &str) -> Vec<Value> {
    let program = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let output = Command::new("python3").args(["-c", program]).arg(deploy(name)).output().expect("python3");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}; tests/setup.sh installs python3-yaml");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents.iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

fn entry<'a>(list: &'a Value, name: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name} in {list}"))
}

/// The parts fit together, and what the program reads of them makes a ready replica.
#[test]
fn a_pod_of_the_kubernetes_file_is_ready_and_has_the_time_to_end() {
    let all = documents("kubernetes.yaml");
    let deployment = &of_kind(&all, "Deployment")["spec"];
    let pod = &deployment["template"]["spec"];
    let container = entry(&pod["containers"], "proxy");
    let labels = &deployment["template"]["metadata"]["labels"];
    for selector in [
        &deployment["selector"]["matchLabels"],
        &of_kind(&all, "Service")["spec"]["selector"],
        &of_kind(&all, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    let budget = of_kind(&all, "PodDisruptionBudget")["spec"]["minAvailable"].as_u64().unwrap();
    assert!(budget < deployment["replicas"].as_u64().unwrap(), "a node could never be drained");
    let port = entry(&container["ports"], of_kind(&all, "Service")["spec"]["ports"][0]["targetPort"].as_str().unwrap());
    let secret = of_kind(&all, "Secret");
    assert_eq!(container["envFrom"][0]["secretRef"]["name"], secret["metadata"]["name"]);
    let map = of_kind(&all, "ConfigMap");
    assert_eq!(entry(&pod["volumes"], "config")["configMap"]["name"], map["metadata"]["name"]);
    let mount = entry(&container["volumeMounts"], "config")["mountPath"].as_str().unwrap();
    assert_eq!(container["args"][2], format!("{mount}/config.json"));
    let mut config: Value = serde_json::from_str(map["data"]["config.json"].as_str().unwrap()).unwrap();
    assert_eq!(config["server"]["port"], port["containerPort"]);
    let seconds = |name: &str| config["server"][name].as_f64().unwrap();
    let grace = pod["terminationGracePeriodSeconds"].as_f64().unwrap();
    assert!(grace > seconds("drain_delay_sec") + seconds("drain_sec") + 2.0);
    let state = entry(&container["volumeMounts"], "state")["mountPath"].as_str().unwrap();
    for file in ["credentials_file", "state_file"] {
        let path = config[file].as_str().unwrap();
        assert!(path.starts_with(state), "{path}: all else is read only");
    }

    let (google, redis, folder) = (google(), Redis::start(), Folder::new("kubernetes"));
    config["server"]["host"] = json!("127.0.0.1");
    config["server"]["port"] = json!(0);
    config["credentials_file"] = json!("credentials.json");
    config["state_file"] = json!("state.json");
    config["endpoints"] = google.endpoints_json();
    let mut command = command(&folder, &["run", "-c", "config.json"]);
    for name in secret["stringData"].as_object().unwrap().keys() {
        let value = match name.as_str() {
            "GEMINI_PROXY_ENCRYPTION_KEY" => SEAL.to_owned(),
            "GEMINI_PROXY_STORE_URL" => redis.url(),
            "GEMINI_API_KEY" => GEMINI_KEY.to_owned(),
            "CLIENT_KEY" => FREE.to_owned(),
            "ADMIN_PASSWORD" => "a password of the pods".to_owned(),
            other => panic!("{other} is known to nobody"),
        };
        command.env(name, value);
    }
    let program = Program::spawn(&folder, &config, command);
    let mut client = Client::new(address(&program));
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["port"], port["name"]);
        let path = get["path"].as_str().unwrap();
        wait_for(path, || client.get(path).status == 200);
    }
    assert_eq!(client.chat(FREE, MODEL).unwrap().status, 200);
    assert!(!redis.names().is_empty(), "the store is that of the environment");
}

#[test]
fn composes_files_are_yaml_and_mount_what_there_is() {
    for name in ["compose.yaml", "compose-replicas.yaml"] {
        let [file] = documents(name).try_into().unwrap();
        for (service, what) in file["services"].as_object().unwrap() {
            assert!(what["image"].is_string(), "{name}: {service}");
            let volumes = what["volumes"].as_array().into_iter().flatten().map(|volume| volume.as_str().unwrap());
            for volume in volumes.filter(|volume| volume.starts_with("./")) {
                let path = volume.split(':').next().unwrap();
                assert!(deploy(path).exists(), "{name}: {path}");
            }
            let needs = what["depends_on"].as_array().into_iter().flatten();
            needs
                .for_each(|needed| assert!(file["services"][needed.as_str().unwrap()].is_object(), "{name}: {needed}"));
        }
    }
}

/// Words of this shape in a text.
fn figures(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("gemini_proxy_") || word.starts_with("process_")).collect()
}

#[test]
fn the_rules_and_the_dashboard_name_figures_that_there_are() {
    let output = Command::new(promtool()).args(["check", "rules"]).arg(deploy("alerts.yaml")).output();
    let output = output.expect("promtool, which tests/setup.sh gets");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("SUCCESS"), "{said}");
    let (google, redis) = (google(), Redis::start());
    let replica = replica(&google, "a", json!({"url": redis.url()}), &json!({"requests_per_day": 9}));
    google.script(GEMINI_KEY, Step::status(400, "no"));
    assert_eq!(chat(&replica, LIMITED).status, 400);
    assert_eq!(chat(&replica, LIMITED).status, 200);
    let shown = Client::new(replica.address()).get("/metrics").body;
    let there = figures(&shown);
    let dashboard: Value = serde_json::from_str(&text("grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let asked: Vec<&str> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(panels.len() > 10 && asked.len() >= panels.len());
    let (rules, asked) = (text("alerts.yaml"), asked.join("\n"));
    for named in figures(&rules).union(&figures(&asked)) {
        assert!(there.contains(named), "{named} is no figure of\n{shown}");
    }
}
