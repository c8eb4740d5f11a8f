//! The program itself, as a process: for what cannot be seen from inside.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use serde_json::Value;

use super::PATIENCE;
use super::client::{Answer, Connection, JSON};
use super::operator::Operator;

/// The program with no settings from the environment of the tests.
pub(crate) fn headgate(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headgate"));
    command.args(arguments).current_dir(folder);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HEADGATE_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command that ends by itself.
pub(crate) fn run(arguments: &[&str], folder: &Path) -> Output {
    headgate(arguments, folder).output().unwrap()
}

/// A server that runs as a process of its own; killed when dropped.
pub(crate) struct Program {
    child: Child,
    log: Receiver<String>,
    /// What was read of the log.
    read: Vec<String>,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Program {
    /// Starts a server and waits until it has told its addresses. The configuration must ask for `log.format =
    /// "json"`.
    pub(crate) fn serve(config: &Path, folder: &Path) -> Self {
        let config = config.display().to_string();
        Self::start(headgate(&["serve", "--config", &config], folder))
    }

    /// Starts a server by a command of the test's own.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines() {
                // Nobody may read the log any more.
                let _unread = sender.send(line.unwrap());
            }
        });
        let mut addresses = Vec::new();
        let mut begun = Vec::new();
        while addresses.len() < 2 {
            let Ok(line) = log.recv_timeout(PATIENCE) else {
                panic!("the server does not tell its addresses: {begun:#?}");
            };
            let told: Value = serde_json::from_str(&line).unwrap();
            if told["message"] == "listening" {
                addresses.push(told["address"].as_str().unwrap().parse().unwrap());
            }
            begun.push(line);
        }
        Self {
            child,
            log,
            read: begun,
            public: addresses[0],
            admin: addresses[1],
        }
    }

    /// Lets no file become longer than so many bytes, as on a full disk; none: as long as they like.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let id = self.child.id().try_into().unwrap();
        let (_, hard) = rlimit::getrlimit(rlimit::Resource::FSIZE).unwrap();
        let limits = (bytes.unwrap_or(hard), hard);
        rlimit::prlimit(id, rlimit::Resource::FSIZE, Some(limits), None).unwrap();
    }

    /// Waits until it logs a line with these words.
    pub(crate) fn until_logged(&mut self, words: &str) {
        while !self.read.last().is_some_and(|line| line.contains(words)) {
            let line = self.log.recv_timeout(PATIENCE);
            self.read.push(line.expect("a line with these words"));
        }
    }

    /// Waits until it logs one more line with these words, and gives it.
    pub(crate) fn until_next(&mut self, words: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE);
            let line =
                line.unwrap_or_else(|_| panic!("no line with {words:?} after {:#?}", self.read));
            self.read.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &id])
            .status();
        assert!(status.unwrap().success());
    }

    /// Its admin listener.
    pub(crate) fn operator(&self) -> Operator {
        Operator::new(self.admin)
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.public).await
    }

    /// Posts JSON on a connection of its own.
    pub(crate) async fn post(&self, body: impl AsRef<[u8]>) -> Answer {
        let mut connection = self.connect().await;
        connection.request("POST", "/", &[JSON], body).await
    }

    /// Its number among the processes.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once; what it logged.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.end().2
    }

    /// Waits for the end: exit status, standard output, and what it logged.
    pub(crate) fn end(mut self) -> (Option<i32>, String, Vec<String>) {
        let mut log = std::mem::take(&mut self.read);
        // The log ends with the process.
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) => log.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {log:#?}"),
            }
        }
        let mut output = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        std::io::Read::read_to_string(&mut stdout, &mut output).unwrap();
        (self.child.wait().unwrap().code(), output, log)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has mostly ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
