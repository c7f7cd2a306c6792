//! `decube dev`: whole clusters with a ledger over them in one process, for trying
//! things out.
//!
//! The nodes are real: each has its own directory, log, engine, keys and API, and
//! they speak over the loopback network as any cluster does. Every node votes on the
//! ledger, and every cluster weighs the same: of four clusters one can be stopped.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use decube_core::ledger::{Genesis, Member, Params, TimeMs};
use decube_core::types::ClusterId;

use super::config::refused;
use super::exit::{FAILED, Failure, Outcome, USAGE};
use super::node::{ended, not_started, record_key, runtime, stop_signal};
use crate::config::{Layers, Peer, Settings, load};
use crate::launch::{Prepared, Running, start_log};
use crate::ledger::genesis;

/// How long the nodes may take to elect a leader before the user is told.
const READY_TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  decube dev
  decube dev --clusters 1 --nodes 1 --listen 127.0.0.1:9080
  decube dev --data /tmp/try-decube
  decube dev --record /tmp/recorded && decube replay /tmp/recorded")]
pub struct DevArgs {
    /// How many clusters
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    clusters: u16,
    /// How many nodes each has
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=7))]
    nodes: u16,
    /// Leave out these clusters, as if they were down
    #[arg(long, value_name = "NUMBER")]
    without: Vec<u16>,
    /// Where the nodes keep their data; it is there again at the next start
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the API of the first node listens; the others take the ports after it
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
    check_size(&data, args.clusters, args.nodes)?;
    if let Some(number) = args
        .without
        .iter()
        .find(|one| **one > args.clusters || **one == 0)
    {
        let message = format!(
            "--without {number}: there are clusters 1 to {}",
            args.clusters
        );
        return Err(Failure::new(USAGE, message));
    }
    let mut prepared = Vec::new();
    for number in 1..=args.clusters * args.nodes {
        let settings = load(&layers(&args, &data, number)?)
            .map_err(refused)?
            .settings;
        start_log(&settings.log);
        prepared.push(Prepared::open(settings).map_err(|error| not_started(&error))?);
    }
    let ports = ports(&data, prepared.len())?;
    let genesis = genesis_file(&args, &data, &prepared)?;
    let peers: Vec<Peer> = prepared
        .iter()
        .zip(&ports)
        .map(|(node, port)| Peer {
            id: node.id(),
            addr: format!("127.0.0.1:{port}"),
        })
        .collect();
    let stop = tokio::spawn(stop_signal());
    let mut running: Vec<(u16, Running)> = Vec::new();
    for (number, mut node) in (1..).zip(prepared) {
        if args.without.contains(&args.cluster_of(number)) {
            continue;
        }
        complete(&args, number, &peers, &genesis, node.settings_mut());
        match node.start().await {
            Ok(node) => running.push((number, node)),
            Err(error) => {
                stop_all(running).await?;
                return Err(not_started(&error).hint("--listen chooses other ports"));
            }
        }
    }
    if running.is_empty() {
        return Err(Failure::new(USAGE, "--without leaves no cluster to run"));
    }
    wait_ready(&running).await;
    introduce(&args, &running, &data);
    let ends = running.iter().map(|(_, node)| Box::pin(node.ended()));
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

/// What makes a node one of its cluster and of the ledger.
fn complete(args: &DevArgs, number: u16, peers: &[Peer], genesis: &Path, settings: &mut Settings) {
    let own = args.cluster_of(number);
    let in_cluster = |place: usize| {
        let number = u16::try_from(place + 1).expect("few nodes");
        args.cluster_of(number) == own
    };
    let place = usize::from(number - 1);
    settings.cluster.bind_addr.clone_from(&peers[place].addr);
    let (members, others): (Vec<_>, Vec<_>) = peers
        .iter()
        .cloned()
        .enumerate()
        .partition(|(place, _)| in_cluster(*place));
    settings.cluster.peers = members.into_iter().map(|(_, peer)| peer).collect();
    settings.gcl.peers = others.into_iter().map(|(_, peer)| peer).collect();
    settings.gcl.genesis = Some(genesis.to_owned());
}

/// How the ledger of these nodes began: written once, and kept.
fn genesis_file(args: &DevArgs, data: &Path, nodes: &[Prepared]) -> Result<PathBuf, Failure> {
    let path = data.join("genesis.json");
    if path.exists() {
        return Ok(path);
    }
    let clusters: Vec<String> = (1..)
        .zip(nodes)
        .map(|(number, _)| args.cluster_name(number))
        .collect();
    let members = nodes.iter().zip(&clusters);
    let members: Vec<Member> = members
        .map(|(node, cluster)| Member::new(node.id(), node.key(), ClusterId::from_name(cluster), 1))
        .collect();
    let genesis = Genesis {
        name: "dev".to_owned(),
        time: TimeMs(super::ledger::now_ms()),
        params: Params::default(),
        members,
    };
    let text = genesis::render(&genesis, &clusters);
    std::fs::write(&path, text)
        .map_err(|error| Failure::new(FAILED, format!("{}: {error}", path.display())))?;
    Ok(path)
}

impl DevArgs {
    /// The cluster of a node, from 1.
    fn cluster_of(&self, number: u16) -> u16 {
        (number - 1) / self.nodes + 1
    }

    fn cluster_name(&self, number: u16) -> String {
        match self.clusters {
            1 => "dev".to_owned(),
            _ => format!("dev-{}", self.cluster_of(number)),
        }
    }
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
        format!("cluster.id={}", args.cluster_name(number)),
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

/// The nodes are fixed when the clusters begin: others later would be other clusters
/// on the same data.
fn check_size(data: &Path, clusters: u16, nodes: u16) -> Outcome {
    let failed =
        |error: std::io::Error| Failure::new(FAILED, format!("{}: {error}", data.display()));
    std::fs::create_dir_all(data).map_err(failed)?;
    let path = data.join("nodes");
    let wanted = format!("{clusters}x{nodes}");
    let Ok(text) = std::fs::read_to_string(&path) else {
        return std::fs::write(&path, format!("{wanted}\n")).map_err(failed);
    };
    let found = text.trim();
    // One number is what this program wrote before it ran more than one cluster.
    let (found_clusters, found_nodes) = found.split_once('x').unwrap_or(("1", found));
    if format!("{found_clusters}x{found_nodes}") == wanted {
        return Ok(());
    }
    let message = format!(
        "{} holds {found_clusters} cluster(s) of {found_nodes} node(s)",
        data.display()
    );
    let hint = format!("use --clusters {found_clusters} --nodes {found_nodes}, or another --data");
    Err(Failure::new(USAGE, message).hint(hint))
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

async fn wait_ready(running: &[(u16, Running)]) {
    let ready = async {
        while !running.iter().all(|(_, node)| node.serving()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(READY_TIMEOUT, ready).await.is_err() {
        eprintln!("warning: the nodes have not found a leader yet; `decube status` tells more");
    }
}

fn introduce(args: &DevArgs, running: &[(u16, Running)], data: &Path) {
    let (_, first) = running.first().expect("at least one node");
    let first = first.address();
    let clusters = usize::from(args.clusters) - args.without.len();
    eprintln!(
        "DeCube is running with {clusters} cluster(s) of {} node(s) and one ledger; Ctrl-C stops \
         it.",
        args.nodes
    );
    let mut last = 0;
    for (number, node) in running {
        let cluster = args.cluster_of(*number);
        if cluster != last {
            eprintln!("\n  cluster {}", args.cluster_name(*number));
            last = cluster;
        }
        eprintln!(
            "    node-{number:<3} http://{}  {}",
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
    eprintln!("  decube tx submit --type note --payload '{{\"hello\":\"world\"}}' --wait");
    eprintln!("  decube ledger tail");
    eprintln!("  decube status");
    eprintln!("  curl 'http://{first}/catalog/query?type=snapshots'");
}

async fn stop_all(running: Vec<(u16, Running)>) -> Outcome {
    // All at once: a node that is alone cannot hand leadership over.
    let stops = running.into_iter().map(|(_, node)| node.stop());
    let exits = futures::future::join_all(stops).await;
    exits.into_iter().try_for_each(ended)
}

/// A directory of this user that outlives the process.
fn default_data() -> PathBuf {
    super::user_dir("XDG_DATA_HOME", ".local/share").join("decube-dev")
}
