//! `decube dev`: a whole cluster in one process, for trying things out.
//!
//! The nodes are real: each has its own directory, log, engine, keys and API, and
//! they speak over the loopback network as any cluster does.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::config::refused;
use super::exit::{FAILED, Failure, Outcome, USAGE};
use super::node::{ended, not_started, record_key, runtime, stop_signal};
use crate::config::{Layers, Peer, load};
use crate::launch::{Prepared, Running, start_log};

/// How long the nodes may take to elect a leader before the user is told.
const READY_TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  decube dev
  decube dev --nodes 1 --listen 127.0.0.1:9080
  decube dev --data /tmp/try-decube
  decube dev --record /tmp/recorded && decube replay /tmp/recorded")]
pub struct DevArgs {
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=7))]
    nodes: u16,
    /// Where the nodes keep their data; it is there again at the next start
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the API of the first node listens; the others take the next ports
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// What is logged: error, warn, info, debug or trace
    #[arg(long, default_value = "warn")]
    log_level: String,
    /// Record what each node takes into a directory below this one, for
    /// `decube replay`
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Overrides one key of every node's configuration
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Runs the command.
pub fn run(args: DevArgs) -> Outcome {
    let data = args.data.clone().unwrap_or_else(default_data);
    runtime()?.block_on(cluster(args, data))
}

async fn cluster(args: DevArgs, data: PathBuf) -> Outcome {
    check_size(&data, args.nodes)?;
    let mut prepared = Vec::new();
    for number in 1..=args.nodes {
        let settings = load(&layers(&args, &data, number)?)
            .map_err(refused)?
            .settings;
        start_log(&settings.log);
        prepared.push(Prepared::open(settings).map_err(|error| not_started(&error))?);
    }
    let ports = ports(&data, prepared.len())?;
    let addr = |port: &u16| format!("127.0.0.1:{port}");
    let peers: Vec<Peer> = prepared
        .iter()
        .zip(&ports)
        .map(|(node, port)| Peer {
            id: node.id(),
            addr: addr(port),
        })
        .collect();
    let stop = tokio::spawn(stop_signal());
    let mut running: Vec<Running> = Vec::new();
    for (mut node, port) in prepared.into_iter().zip(&ports) {
        let settings = node.settings_mut();
        settings.cluster.bind_addr = addr(port);
        settings.cluster.peers.clone_from(&peers);
        match node.start().await {
            Ok(node) => running.push(node),
            Err(error) => {
                stop_all(running).await?;
                return Err(not_started(&error).hint("--listen chooses other ports"));
            }
        }
    }
    wait_ready(&running).await;
    introduce(&running, &data);
    let ends = running.iter().map(|node| Box::pin(node.ended()));
    let died = tokio::select! {
        biased;
        (exit, ..) = futures::future::select_all(ends) => Some(exit),
        _ = stop => None,
    };
    if died.is_none() {
        eprintln!("stopping; the data stays in {}", data.display());
    }
    let stopped = stop_all(running).await;
    died.map_or(stopped, ended)
}

/// The configuration of one node. `--set` comes last, but for what makes the
/// nodes one cluster.
fn layers(args: &DevArgs, data: &Path, number: u16) -> Result<Layers, Failure> {
    let directory = data.join(format!("node-{number}"));
    let offset = number - 1;
    let port = match args.listen.port() {
        0 => 0,
        port => port.checked_add(offset).ok_or_else(|| {
            Failure::new(
                USAGE,
                format!("--listen {}: the ports end at 65535", args.listen),
            )
        })?,
    };
    let api = SocketAddr::new(args.listen.ip(), port);
    let mut set = vec![
        "cluster.id=dev".to_owned(),
        format!("node.name=node-{number}"),
        format!("logging.level={}", args.log_level),
    ];
    set.extend(args.set.iter().cloned());
    set.extend([
        format!("cluster.raft.data_dir={}", directory.display()),
        format!("api.rest.bind_addr={api}"),
    ]);
    let of_node = |record: &PathBuf| record.join(format!("node-{number}"));
    set.extend(args.record.as_ref().map(of_node).as_deref().map(record_key));
    let env = Vec::new();
    Ok(Layers {
        file: None,
        env,
        set,
    })
}

/// The nodes of a cluster are fixed when it begins: another number later would be
/// another cluster on the same data.
fn check_size(data: &Path, nodes: u16) -> Outcome {
    let failed =
        |error: std::io::Error| Failure::new(FAILED, format!("{}: {error}", data.display()));
    std::fs::create_dir_all(data).map_err(failed)?;
    let path = data.join("nodes");
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim() == nodes.to_string() => Ok(()),
        Ok(text) => {
            let message = format!(
                "{} holds a cluster of {} nodes",
                data.display(),
                text.trim()
            );
            Err(Failure::new(USAGE, message)
                .hint(format!("use --nodes {}, or another --data", text.trim())))
        }
        Err(_) => std::fs::write(&path, format!("{nodes}\n")).map_err(failed),
    }
}

/// Ports for the nodes among themselves: those of the last time where they are
/// free, so that what somebody wrote down stays true.
fn ports(data: &Path, count: usize) -> Result<Vec<u16>, Failure> {
    let failed = |error: std::io::Error| Failure::new(FAILED, format!("no free port: {error}"));
    let path = data.join("ports");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let known: Vec<u16> = text
        .split_whitespace()
        .filter_map(|port| port.parse().ok())
        .collect();
    let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    // All are held until all are chosen, so that none is chosen twice.
    let mut held = Vec::new();
    for place in 0..count {
        let last = known
            .get(place)
            .and_then(|port| TcpListener::bind(local(*port)).ok());
        let listener = match last {
            Some(listener) => listener,
            None => TcpListener::bind(local(0)).map_err(failed)?,
        };
        held.push(listener);
    }
    let ports: Result<Vec<u16>, _> = held
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect();
    let ports = ports.map_err(failed)?;
    let text: Vec<String> = ports.iter().map(u16::to_string).collect();
    std::fs::write(&path, text.join("\n")).map_err(failed)?;
    Ok(ports)
}

async fn wait_ready(running: &[Running]) {
    let ready = async {
        while !running.iter().all(Running::serving) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(READY_TIMEOUT, ready).await.is_err() {
        eprintln!("warning: the nodes have not found a leader yet; `decube status` tells more");
    }
}

fn introduce(running: &[Running], data: &Path) {
    let first = running.first().expect("at least one node").address();
    eprintln!(
        "DeCube is running with {} node(s); Ctrl-C stops it.\n",
        running.len()
    );
    for (place, node) in running.iter().enumerate() {
        eprintln!(
            "  node-{}  http://{}  {}",
            place + 1,
            node.address(),
            node.id()
        );
    }
    let server = match first.port() {
        8080 => String::new(),
        _ => format!("  export DECUBE_API=http://{first}\n"),
    };
    eprintln!("\n  data     {}\n", data.display());
    eprintln!("Try:\n{server}  decube kv put greeting hello");
    eprintln!("  decube kv get greeting");
    eprintln!("  decube status");
    eprintln!("  curl 'http://{first}/catalog/query?type=snapshots'");
}

async fn stop_all(running: Vec<Running>) -> Outcome {
    // All at once: a node that is alone can not hand leadership over.
    let exits = futures::future::join_all(running.into_iter().map(Running::stop)).await;
    exits.into_iter().try_for_each(ended)
}

/// A directory of this user that outlives the process.
fn default_data() -> PathBuf {
    let var = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = var("XDG_DATA_HOME").or_else(|| var("HOME").map(|home| home.join(".local/share")));
    base.unwrap_or_else(std::env::temp_dir).join("decube-dev")
}
