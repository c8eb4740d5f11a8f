//! A proxy between server and Broker that breaks connections in every way that there is, as a seed says, until it is
//! told to be calm.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a connection comes to.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is reset after so many bytes of a request.
    Reset(usize),
    /// The answer ends after so many bytes, within its first line.
    Truncate(usize),
    /// What is sent is swallowed, and nothing comes back.
    BlackHole,
    /// The answer is no HTTP.
    Garbage,
    /// The answer comes late.
    Delay(Duration),
}

/// The proxy; ends when dropped.
pub(crate) struct ChaosProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

struct Shared {
    broker: SocketAddr,
    dice: Mutex<fastrand::Rng>,
    is_calm: AtomicBool,
    faults: AtomicUsize,
}

impl ChaosProxy {
    /// Stands before a Broker.
    pub(crate) async fn start(broker: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            broker,
            dice: Mutex::new(fastrand::Rng::with_seed(seed)),
            is_calm: AtomicBool::new(false),
            faults: AtomicUsize::new(0),
        });
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            _serving: serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    /// Its label in metrics.
    pub(crate) fn label(&self) -> String {
        self.address.to_string()
    }

    /// From now on nothing is broken.
    pub(crate) fn calm(&self) {
        self.shared.is_calm.store(true, Ordering::Relaxed);
    }

    /// Exchanges that were broken.
    pub(crate) fn faults(&self) -> usize {
        self.shared.faults.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // Either side may go away at any time.
            let _ended = shared.serve(client).await;
        });
    }
}

impl Shared {
    /// Exchange after exchange, until one is broken.
    async fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut broker = TcpStream::connect(self.broker).await?;
        loop {
            let mut request = [0; 4096];
            let read = some(client.read(&mut request).await?)?;
            let request = &request[..read];
            match self.fate() {
                None => broker.write_all(request).await?,
                Some(Fate::Delay(delay)) => {
                    broker.write_all(request).await?;
                    tokio::time::sleep(delay).await;
                }
                Some(fate) => {
                    self.faults.fetch_add(1, Ordering::Relaxed);
                    return doom(fate, client, broker, request).await;
                }
            }
            let answer = answer_of(&mut client, &mut broker).await?;
            client.write_all(&answer).await?;
        }
    }

    /// One exchange in three comes to harm.
    fn fate(&self) -> Option<Fate> {
        if self.is_calm.load(Ordering::Relaxed) {
            return None;
        }
        let mut dice = self.dice.lock().unwrap();
        Some(match dice.u8(0..60) {
            0..5 => Fate::Reset(dice.usize(0..300)),
            5..10 => Fate::Truncate(dice.usize(0..9)),
            10 => Fate::BlackHole,
            11..15 => Fate::Garbage,
            15..20 => Fate::Delay(Duration::from_millis(dice.u64(1..20))),
            _ => return None,
        })
    }
}

/// What the Broker answers, in one piece; what more comes of the request is passed on.
async fn answer_of(client: &mut TcpStream, broker: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let (mut answer, mut request) = ([0; 4096], [0; 4096]);
    loop {
        tokio::select! {
            read = broker.read(&mut answer) => return Ok(answer[..some(read?)?].to_vec()),
            read = client.read(&mut request) => broker.write_all(&request[..some(read?)?]).await?,
        }
    }
}

/// The end of a stream is the end of both.
fn some(read: usize) -> std::io::Result<usize> {
    match read {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        read => Ok(read),
    }
}

/// The last exchange of a connection.
async fn doom(
    fate: Fate,
    mut client: TcpStream,
    mut broker: TcpStream,
    request: &[u8],
) -> std::io::Result<()> {
    match fate {
        Fate::Reset(bytes) => {
            broker
                .write_all(&request[..bytes.min(request.len())])
                .await?;
            client.set_zero_linger()
        }
        Fate::Truncate(bytes) => {
            broker.write_all(request).await?;
            let answer = answer_of(&mut client, &mut broker).await?;
            client.write_all(&answer[..bytes]).await
        }
        Fate::BlackHole => {
            let mut nowhere = tokio::io::sink();
            tokio::io::copy(&mut client, &mut nowhere).await.map(drop)
        }
        Fate::Garbage => {
            client
                .write_all(b"\x16\x03\x01 220 no HTTP here\r\n\r\n")
                .await
        }
        Fate::Delay(_) => Ok(()),
    }
}
