//! `decube dev` as a user starts it, and the commands that talk to it.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::http::call;
use super::process::{decube, free_port};

pub struct Dev {
    child: Child,
    port: u16,
    nodes: u16,
}

impl Dev {
    fn start(data: &std::path::Path, port: u16) -> Self {
        Self::start_with(data, port, &[])
    }

    /// One cluster of three nodes.
    pub fn start_with(data: &std::path::Path, port: u16, arguments: &[&str]) -> Self {
        let one: &[&str] = &["--clusters", "1"];
        Self::start_nodes(data, port, 3, &[one, arguments].concat())
    }

    /// Whatever the arguments say, so many nodes.
    pub fn start_nodes(data: &std::path::Path, port: u16, nodes: u16, arguments: &[&str]) -> Self {
        Self::start_nodes_at(data, (port, port), nodes, arguments)
    }

    fn start_nodes_at(
        data: &std::path::Path,
        (first, port): (u16, u16),
        nodes: u16,
        arguments: &[&str],
    ) -> Self {
        let child = decube()
            .args(["dev", "--listen", &format!("127.0.0.1:{first}"), "--data"])
            .arg(data)
            .args(arguments)
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let dev = Self { child, port, nodes };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !dev.ready() {
            assert!(Instant::now() < deadline, "not ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        dev
    }

    /// A part of the nodes: waits for the one that is asked only. `ports` are the
    /// first one of all nodes and the one of that node.
    pub fn start_some(data: &std::path::Path, ports: (u16, u16), arguments: &[&str]) -> Self {
        Self::start_nodes_at(data, ports, 1, arguments)
    }

    fn ready(&self) -> bool {
        let all = (0..self.nodes).map(|offset| {
            let node = ([127, 0, 0, 1], self.port + offset).into();
            call(node, "GET", "/ready", b"").is_ok_and(|answer| answer.status == 200)
        });
        all.into_iter().all(|ready| ready)
    }

    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = decube()
            .args(arguments)
            .env("DECUBE_API", format!("http://127.0.0.1:{}", self.port))
            // Keys of accounts are made below it.
            .env(
                "XDG_CONFIG_HOME",
                std::env::temp_dir().join(format!("decube-{}", self.port)),
            )
            .output()
            .expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (
            output.status.code().expect("an exit code"),
            text(output.stdout),
            text(output.stderr),
        )
    }

    pub fn interrupt(&mut self) {
        let sent = std::process::Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill is there").success());
        assert!(self.child.wait().expect("it ends").success());
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Ended already, if the test came to its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first of three ports in a row that were free a moment ago.
pub fn three_ports() -> u16 {
    ports(3)
}

/// The first of so many ports in a row that were free a moment ago.
pub fn ports(count: u16) -> u16 {
    loop {
        let port = free_port();
        let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        let Some(end) = port.checked_add(count) else {
            continue;
        };
        if (port + 1..end).all(free) {
            return port;
        }
    }
}

#[test]
fn a_development_cluster_serves_and_keeps_its_data() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("dev");
    let mut dev = Dev::start(&data, three_ports());
    let (code, out, _) = dev.run(&["kv", "put", "greeting", "hello"]);
    assert_eq!((code, out.starts_with("revision ")), (0, true), "{out}");
    assert_eq!(dev.run(&["kv", "get", "greeting"]).1, "hello");
    let (code, _, error) = dev.run(&["kv", "get", "nothing"]);
    assert_eq!(
        (
            code,
            error.starts_with("error: there is no key \"nothing\"")
        ),
        (3, true),
        "{error}"
    );
    assert_eq!(dev.run(&["kv", "put", "greeting", "x", "--if-absent"]).0, 4);
    assert!(dev.run(&["kv", "list"]).1.contains("greeting"));
    let (code, out, _) = dev.run(&["status"]);
    assert_eq!((code, out.matches("voter").count()), (0, 3), "{out}");

    let file = dir.path().join("file");
    std::fs::write(&file, b"some bytes").expect("written");
    let (code, _, error) = dev.run(&["object", "put", "an object", file.to_str().expect("text")]);
    assert_eq!(code, 0, "{error}");
    let copy = dir.path().join("copy");
    assert_eq!(
        dev.run(&["object", "get", "an object", copy.to_str().expect("text")])
            .0,
        0
    );
    assert_eq!(std::fs::read(&copy).expect("written"), b"some bytes");
    assert!(dev.run(&["object", "stat", "an object"]).1.contains("10"));

    let source = dir.path().join("source");
    std::fs::create_dir(&source).expect("made");
    std::fs::write(source.join("inside"), b"kept").expect("written");
    let api = format!("http://127.0.0.1:{}", dev.port);
    let snapshot = |verb: &str, path: &std::path::Path| {
        let path = path.to_str().expect("text");
        dev.run(&["snapshot", "--api", &api, verb, "test-snapshot", path])
    };
    let (code, _, error) = snapshot("create", &source);
    assert_eq!(code, 0, "{error}");
    assert!(
        dev.run(&["catalog", "query", "id=test-*"])
            .1
            .contains("test-snapshot")
    );
    let (code, _, error) = snapshot("restore", &dir.path().join("restored"));
    assert_eq!(code, 0, "{error}");

    let second = decube()
        .args([
            "dev",
            "--clusters",
            "1",
            "--listen",
            "127.0.0.1:0",
            "--data",
        ])
        .arg(&data)
        .output();
    let second = second.expect("it runs");
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("is in use by process"));

    dev.interrupt();
    let dev = Dev::start(&data, dev.port);
    assert_eq!(dev.run(&["kv", "get", "greeting"]).1, "hello");
    assert_eq!(dev.run(&["object", "get", "an object"]).1, "some bytes");
    assert_eq!(dev.run(&["object", "rm", "an object"]).0, 0);
}

#[test]
fn without_a_node_the_client_says_what_to_do() {
    let port = free_port();
    let output = decube()
        .args(["status", "--api", &format!("http://127.0.0.1:{port}")])
        .output();
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`decube dev` starts a cluster"));
}
