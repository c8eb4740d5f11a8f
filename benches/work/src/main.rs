//! Does one piece of work so many times and nothing else: what `scripts/instructions` runs under callgrind.
//!
//! `headgate-bench-work PIECE TIMES`; without arguments it lists the pieces. What is made ready for the work,
//! and its first few times, happen outside of [`counted`], which callgrind is told to look at alone.

use std::hint::black_box;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use headgate::config::BrokerFormat;
use headgate_bench_work::{
    Append, Decode, Join, Requests, array, nasty_event, ndjson, nested_document, scan,
    typical_event,
};
use seglog::{DiskFolder, Folder};

/// Does a piece of work so many times.
type Work = fn(usize) -> Result<()>;

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

const PIECES: &[(&str, Work)] = &[
    ("scan_typical", |times| scanning(&typical_event(), times)),
    ("scan_nasty", |times| scanning(&nasty_event(), times)),
    ("scan_nested", |times| scanning(&nested_document(), times)),
    ("decode_single", |times| {
        decoding(JSON, typical_event(), times)
    }),
    ("decode_array100", |times| decoding(JSON, array(100), times)),
    ("decode_nasty", |times| decoding(JSON, nasty_event(), times)),
    ("decode_ndjson100", |times| {
        decoding(NDJSON, ndjson(100), times)
    }),
    ("append_single", |times| appending(1, times)),
    ("append_group64", |times| appending(64, times)),
    ("join_singles1000", |times| {
        joining(1000, typical_event(), times)
    }),
    ("join_arrays1000", |times| joining(10, array(100), times)),
    ("request_single", |times| {
        requesting(Requests::new(JSON, &typical_event())?, times)
    }),
    ("request_single_key", |times| {
        requesting(Requests::with_key(JSON, &typical_event())?, times)
    }),
    ("request_array100", |times| {
        requesting(Requests::new(JSON, &array(100))?, times)
    }),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _nobody_reads = writeln!(std::io::stderr(), "headgate-bench-work: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(wanted) = arguments.next() else {
        let mut output = std::io::stdout().lock();
        for (name, _) in PIECES {
            writeln!(output, "{name}")?;
        }
        return Ok(());
    };
    let Some(times) = arguments.next() else {
        bail!("usage: headgate-bench-work PIECE TIMES");
    };
    let Some((_, work)) = PIECES.iter().find(|(name, _)| *name == wanted) else {
        bail!("{wanted} is no piece");
    };
    work(times.parse()?)
}

/// So many times the work is done beforehand: buffers have grown then, and caches are filled.
const WARM_UP_TIMES: usize = 10;

/// What callgrind counts: the name must stay, and be called.
#[inline(never)]
fn counted(times: usize, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    for _ in 0..times {
        work()?;
    }
    Ok(())
}

/// Does the work, the first few times uncounted.
fn repeat(times: usize, mut work: impl FnMut() -> Result<()>) -> Result<()> {
    for _ in 0..WARM_UP_TIMES {
        work()?;
    }
    counted(times, &mut work)
}

fn scanning(text: &str, times: usize) -> Result<()> {
    repeat(times, || {
        let (end, _) = black_box(scan(black_box(text.as_bytes())));
        ensure!(end == Some(text.len()), "the input is no JSON");
        Ok(())
    })
}

fn decoding(media_type: &'static str, body: String, times: usize) -> Result<()> {
    let decode = Decode::new(media_type, body)?;
    repeat(times, || {
        let envelope = black_box(decode.envelope()?);
        ensure!(envelope.dead.count == 0, "an event is not valid");
        Ok(())
    })
}

fn appending(records: usize, times: usize) -> Result<()> {
    let payload = Decode::new(JSON, typical_event())?.envelope()?.live.bytes;
    let place = tempfile::tempdir()?;
    let folder: Arc<dyn Folder> = Arc::new(DiskFolder::new(place.path()));
    let mut append = Append::new(&folder, records, payload.to_vec())?;
    repeat(times, || append.group())
}

fn joining(envelopes: usize, body: String, times: usize) -> Result<()> {
    let decode = Decode::new(JSON, body)?;
    let join = Join::new(envelopes, || decode.envelope(), BrokerFormat::JsonBatch)?;
    repeat(times, || {
        ensure!(black_box(join.body_bytes()) > 0, "the body is empty");
        Ok(())
    })
}

fn requesting(mut requests: Requests, times: usize) -> Result<()> {
    repeat(times, || requests.exchange())
}
