//! Nodes as processes.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::http::{Answer, call};

/// The binary under test.
pub fn decube() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_decube"));
    // What the machine's user configured must not change a test.
    for name in ["DECUBE_CONFIG", "DECUBE_API", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// A cluster of processes. Dropping it kills them.
pub struct Cluster {
    pub nodes: Vec<Node>,
    _dir: tempfile::TempDir,
}

/// One process and what it is started with.
pub struct Node {
    pub api: SocketAddr,
    pub id: String,
    /// Where its files are.
    pub data: PathBuf,
    config: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Cluster {
    /// Starts a cluster of so many nodes and waits until it serves.
    pub fn start(count: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut nodes: Vec<(Node, u16)> = (0..count)
            .map(|number| prepare(dir.path(), number))
            .collect();
        let peers: Vec<String> = nodes
            .iter()
            .map(|(node, port)| {
                format!(
                    "    - {{ id: \"{}\", addr: \"127.0.0.1:{port}\" }}\n",
                    node.id
                )
            })
            .collect();
        for (node, _) in &mut nodes {
            let text = std::fs::read_to_string(&node.config).expect("written before");
            let text = text.replace("  peers: []\n", &format!("  peers:\n{}", peers.concat()));
            std::fs::write(&node.config, text).expect("written");
            node.start();
        }
        let cluster = Self {
            nodes: nodes.into_iter().map(|(node, _)| node).collect(),
            _dir: dir,
        };
        cluster
            .nodes
            .iter()
            .for_each(|node| node.wait_ready(Duration::from_secs(30)));
        cluster
    }

    /// The place of the leader, once there is one.
    pub fn leader(&self) -> usize {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let leads = |node: &Node| {
                let status = node.get("/v1/status").ok()?;
                status.text().contains("\"role\":\"leader\"").then_some(())
            };
            if let Some(place) = self.nodes.iter().position(|node| leads(node).is_some()) {
                return place;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("no leader\n{}", self.logs());
    }

    pub fn logs(&self) -> String {
        self.nodes
            .iter()
            .map(|node| std::fs::read_to_string(&node.log).unwrap_or_default())
            .collect()
    }
}

fn prepare(dir: &Path, number: usize) -> (Node, u16) {
    let (api, raft) = (free_port(), free_port());
    let config = dir.join(format!("node-{number}.yaml"));
    let text = format!(
        "cluster:
  id: test
  raft: {{ bind_addr: \"127.0.0.1:{raft}\", data_dir: \"{}\" }}
  peers: []
api: {{ rest: {{ bind_addr: \"127.0.0.1:{api}\" }} }}
logging: {{ format: json }}
",
        dir.join(format!("data-{number}")).display()
    );
    std::fs::write(&config, text).expect("written");
    let output = decube()
        .args(["node", "id", "--config"])
        .arg(&config)
        .output()
        .expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let node = Node {
        data: dir.join(format!("data-{number}")),
        api: SocketAddr::from(([127, 0, 0, 1], api)),
        id: String::from_utf8(output.stdout)
            .expect("text")
            .trim()
            .to_owned(),
        config,
        log: dir.join(format!("node-{number}.log")),
        child: None,
    };
    (node, raft)
}

impl Node {
    /// Starts the process.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("a log");
        let child = decube()
            .args(["node", "--config"])
            .arg(&self.config)
            .stderr(log)
            .stdout(Stdio::null())
            .spawn();
        self.child = Some(child.expect("it starts"));
    }

    /// A second process on the same directory; what it said.
    pub fn start_again(&self) -> std::process::Output {
        decube()
            .args(["node", "--config"])
            .arg(&self.config)
            .output()
            .expect("it runs")
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("a signal can be sent");
        child.wait().expect("it ends");
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let sent = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status();
        assert!(sent.expect("kill is there").success());
        child.wait().expect("it ends")
    }

    pub fn running(&self) -> bool {
        self.child.is_some()
    }

    pub fn get(&self, path: &str) -> std::io::Result<Answer> {
        call(self.api, "GET", path, b"")
    }

    pub fn put(&self, path: &str, body: &[u8]) -> std::io::Result<Answer> {
        call(self.api, "PUT", path, body)
    }

    pub fn wait_ready(&self, most: Duration) {
        let deadline = Instant::now() + most;
        while !self.get("/ready").is_ok_and(|answer| answer.status == 200) {
            let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
            assert!(
                Instant::now() < deadline,
                "not ready in {most:?}\n{}",
                log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; there is nobody to tell.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
