//! `threatstream simulate`: an attack on a running platform, or its log lines in a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use threatstream_domain::Clock;
use threatstream_simulator::{generate, scenario};

use crate::arguments::SimulateOptions;

/// Runs the command.
pub(crate) fn simulate(options: &SimulateOptions) -> anyhow::Result<u8> {
    let chosen = scenario(&options.scenario.to_uppercase())?;
    let Some(out) = &options.out else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(on_server(options, chosen.attack_vector));
    };
    let start = Clock::system().now();
    let lines = generate(chosen, rand::random(), start, options.eps, options.seconds);
    let mut writer: Box<dyn Write> = if out.as_path() == Path::new("-") {
        Box::new(std::io::stdout().lock())
    } else {
        Box::new(File::create(out).with_context(|| format!("cannot write {}", out.display()))?)
    };
    let mut buffered = BufWriter::new(&mut writer);
    let mut count = 0u64;
    for line in lines {
        writeln!(buffered, "{line}")?;
        count += 1;
    }
    buffered.flush()?;
    eprintln!("{count} lines of {}", chosen.attack_vector);
    Ok(crate::CLEAN)
}

async fn on_server(options: &SimulateOptions, attack_vector: &str) -> anyhow::Result<u8> {
    // Installing the provider twice is harmless: the first stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
    let server = options.server.trim_end_matches('/');
    let call = async |method: http::Method, path: &str, body: Option<Value>| -> anyhow::Result<Value> {
        let mut request = client.request(method, format!("{server}{path}"));
        if let Some(token) = &options.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.with_context(|| format!("cannot reach {server}"))?;
        let status = response.status();
        let answer: Value = response.json().await.unwrap_or_default();
        anyhow::ensure!(status.is_success(), "{server} answered {status}: {}", problem(&answer));
        Ok(answer)
    };
    let order = json!({
        "attack_vector": attack_vector,
        "duration_seconds": options.seconds,
        "target_eps": options.eps,
    });
    let mut state = call(http::Method::POST, "/api/simulation/start", Some(order)).await?;
    let id = state["simulation_id"].clone();
    let bar = ProgressBar::new(u64::from(options.seconds))
        .with_style(ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} s")?);
    while state["status"] == "RUNNING" && state["simulation_id"] == id {
        bar.set_position(state["elapsed_seconds"].as_u64().unwrap_or(0));
        bar.set_message(format!("{} events", state["events_generated"]));
        tokio::time::sleep(Duration::from_millis(500)).await;
        state = call(http::Method::GET, "/api/simulation/state", None).await?;
    }
    bar.finish_and_clear();
    println!("{}", serde_json::to_string_pretty(&state)?);
    Ok(crate::CLEAN)
}

/// What a problem says, a field a line.
fn problem(answer: &Value) -> String {
    let mut text = answer["detail"]
        .as_str()
        .or(answer["title"].as_str())
        .unwrap_or("no explanation")
        .to_owned();
    for error in answer["errors"].as_array().into_iter().flatten() {
        let part = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        text.push_str(&format!("\n  {}: {}", part("field"), part("message")));
    }
    text
}
