//! Every metric: name, type, labels and help in one place. docs/METRICS.md is generated from this table.

use super::metric::MetricKind::{Counter, Gauge, Histogram};
use super::metric::{Metric, metric};

const ROUTE: (&str, &str) = ("route", "logstash, events, health, other");
const KEY: (&str, &str) = ("key", "the key's name");
const BROKER: (&str, &str) = (
    "broker",
    "the Broker's address, with its path where several have the same",
);

pub(super) const REQUESTS: Metric = metric(
    Counter,
    "headgate_requests_total",
    &[ROUTE, ("status", "the HTTP status of the answer, or 499")],
    "Requests on the public listener. 499: not answered, for the client of HTTP/2 took it back or the connection was cut.",
);
pub(super) const REQUEST_DURATION: Metric = metric(
    Histogram,
    "headgate_request_duration_seconds",
    &[ROUTE],
    "Time from the head of a request to its answer.",
);
pub(super) const REQUEST_BODY_BYTES: Metric = metric(
    Counter,
    "headgate_request_body_bytes_total",
    &[ROUTE],
    "Bytes of request bodies as they came, before inflating.",
);
pub(super) const REQUESTS_REFUSED: Metric = metric(
    Counter,
    "headgate_requests_refused_total",
    &[(
        "code",
        "the problem code of the answer, see docs/OPERATIONS.md",
    )],
    "Requests refused on the public listener, on any path; not those whose head could not be read.",
);
pub(super) const REQUESTS_RATE_LIMITED: Metric = metric(
    Counter,
    "headgate_requests_rate_limited_total",
    &[(
        "limit",
        "key_events, key_bytes (of an API key), client_events, client_bytes (of a client's address)",
    )],
    "Requests refused because a limit of [[auth.keys]] or [limits] was reached.",
);
pub(super) const KEY_EVENTS: Metric = metric(
    Counter,
    "headgate_key_events_total",
    &[KEY],
    "Events taken from requests that bear this API key, as the answers said: what was kept of one whose client went away or read 503 is in no key's count.",
);
pub(super) const KEY_REQUESTS_REFUSED: Metric = metric(
    Counter,
    "headgate_key_requests_refused_total",
    &[KEY],
    "Requests that bear this API key and were refused, for whatever reason.",
);
pub(super) const EVENTS_RECEIVED: Metric = metric(
    Counter,
    "headgate_events_received_total",
    &[(
        "codec",
        "plain, json, json_lines, auto (also the application API), replay",
    )],
    "Events decoded from bodies that were not refused as a whole: accepted or rejected.",
);
pub(super) const EVENTS_ACCEPTED: Metric = metric(
    Counter,
    "headgate_events_accepted_total",
    &[],
    "Events that Headgate has taken responsibility for, those that died on arrival included.",
);
pub(super) const EVENTS_REJECTED: Metric = metric(
    Counter,
    "headgate_events_rejected_total",
    &[(
        "reason",
        "the first violation's code, as the client was told",
    )],
    "Events that the client was told are not taken.",
);
pub(super) const EVENTS_DEAD_LETTERED: Metric = metric(
    Counter,
    "headgate_events_dead_lettered_total",
    &[(
        "reason",
        "the first violation's code, rejected_by_broker, poison, or unknown where a newer version wrote the letter into the spool",
    )],
    "Events that were kept as dead letters.",
);
pub(super) const EVENTS_DELIVERED: Metric = metric(
    Counter,
    "headgate_events_delivered_total",
    &[("output", "http, file, stdout")],
    "Events that the output has taken.",
);
pub(super) const SOURCE_EVENTS: Metric = metric(
    Counter,
    "headgate_source_events_total",
    &[(
        "one for each of metrics.source_fields, in lower case and with _ for what is no letter or digit",
        "the field's value; other beyond metrics.max_sources",
    )],
    "Events accepted, by the application that sent them.",
);
pub(super) const DEAD_LETTERS_DROPPED: Metric = metric(
    Counter,
    "headgate_dead_letters_dropped_total",
    &[],
    "Dead letters removed because dead_letters.max_bytes was reached.",
);
pub(super) const DEAD_LETTERS_PURGED: Metric = metric(
    Counter,
    "headgate_dead_letters_purged_total",
    &[],
    "Dead letters removed while the server ran because `headgate dead-letters purge` asked for it.",
);
pub(super) const DEAD_LETTERS_BYTES: Metric = metric(
    Gauge,
    "headgate_dead_letters_bytes",
    &[(
        "shelf",
        "arrival (died on arrival), broker (not taken by a Broker)",
    )],
    "Bytes of the dead letters that are kept, as of at most a few seconds ago.",
);
pub(super) const DEAD_LETTERS_LIMIT: Metric = metric(
    Gauge,
    "headgate_dead_letters_limit_bytes",
    &[],
    "What headgate_dead_letters_bytes can be for a shelf before its oldest letters are dropped: dead_letters.max_bytes.",
);
pub(super) const DEAD_LETTERS_FAILING: Metric = metric(
    Gauge,
    "headgate_dead_letters_failing",
    &[],
    "1 while dead letters cannot be written: they wait, and where many do all delivery waits; else 0.",
);
pub(super) const OUTPUT_FAILING: Metric = metric(
    Gauge,
    "headgate_output_failing",
    &[],
    "1 while the file output, or standard output, cannot be written: events wait in the spool; else 0. Of Brokers headgate_broker_up tells.",
);
pub(super) const OUTPUT_EVENTS_REMOVED: Metric = metric(
    Counter,
    "headgate_output_events_removed_total",
    &[],
    "Events in files of the file output that were removed because output.file.max_bytes was reached. They were delivered before.",
);
pub(super) const OUTPUT_BYTES_REMOVED: Metric = metric(
    Counter,
    "headgate_output_bytes_removed_total",
    &[],
    "Bytes of the files of the file output that were removed because output.file.max_bytes was reached.",
);
pub(super) const SPOOL_BYTES: Metric = metric(
    Gauge,
    "headgate_spool_bytes",
    &[],
    "Bytes of events that wait for delivery or are under way.",
);
pub(super) const SPOOL_LIMIT: Metric = metric(
    Gauge,
    "headgate_spool_limit_bytes",
    &[],
    "The most that headgate_spool_bytes can be: spool.max_bytes, or spool.memory_bytes.",
);
pub(super) const SPOOL_DISK_FULL: Metric = metric(
    Gauge,
    "headgate_spool_disk_full",
    &[],
    "1 while the disk has no room for the spool, or too many files are open, whatever headgate_spool_limit_bytes is; else 0.",
);
pub(super) const SPOOL_EVENTS: Metric = metric(
    Gauge,
    "headgate_spool_events",
    &[],
    "Events that wait for delivery or are under way.",
);
pub(super) const SPOOL_OLDEST_AGE: Metric = metric(
    Gauge,
    "headgate_spool_oldest_event_age_seconds",
    &[],
    "Age of the oldest event in the spool; 0 when it is empty.",
);
pub(super) const SPOOL_EVENTS_AT_START: Metric = metric(
    Gauge,
    "headgate_spool_events_at_start",
    &[],
    "Events that lay in the spool on disk when the program started.",
);
pub(super) const SPOOL_SYNC_DURATION: Metric = metric(
    Histogram,
    "headgate_spool_sync_duration_seconds",
    &[],
    "Time that a sync of the spool on disk took.",
);
pub(super) const SPOOL_CHECKPOINT_FAILING: Metric = metric(
    Gauge,
    "headgate_spool_checkpoint_failing",
    &[],
    "1 while the checkpoint of the spool on disk cannot be written, or space not be given back; else 0.",
);
pub(super) const SPOOL_CORRUPT_RECORDS: Metric = metric(
    Counter,
    "headgate_spool_corrupt_records_total",
    &[],
    "Stretches of the spool on disk that could not be read, and held events that were not delivered yet.",
);
pub(super) const SPOOL_LOST_EVENTS: Metric = metric(
    Counter,
    "headgate_spool_lost_events_total",
    &[],
    "Events that were lost, because the stretch of the spool on disk that held them could not be read.",
);
pub(super) const BROKER_REQUESTS: Metric = metric(
    Counter,
    "headgate_broker_requests_total",
    &[BROKER, ("outcome", "delivered, errored, rejected")],
    "Requests to a Broker, by what came of them.",
);
pub(super) const BROKER_REQUEST_DURATION: Metric = metric(
    Histogram,
    "headgate_broker_request_duration_seconds",
    &[BROKER],
    "Time from sending a batch to the Broker's answer or the error.",
);
pub(super) const BROKER_UP: Metric = metric(
    Gauge,
    "headgate_broker_up",
    &[BROKER],
    "1 while the Broker is sent to, 0 while it is left alone after failures until one request succeeds.",
);
pub(super) const BROKER_WINDOW: Metric = metric(
    Gauge,
    "headgate_broker_window",
    &[BROKER],
    "Requests that may be under way to the Broker: broker.max_in_flight, and fewer after it answered that it is busy (429, 503).",
);
pub(super) const CONNECTIONS: Metric = metric(
    Gauge,
    "headgate_connections",
    &[],
    "Open connections on the public listener.",
);
pub(super) const CONNECTIONS_LIMIT: Metric = metric(
    Gauge,
    "headgate_connections_limit",
    &[],
    "The most that are served: server.max_connections.",
);
pub(super) const PROXY_HEADERS_REFUSED: Metric = metric(
    Counter,
    "headgate_proxy_headers_refused_total",
    &[(
        "reason",
        "missing, malformed, untrusted, incomplete, unexpected",
    )],
    "Connections closed for their PROXY header, or for the want of one; see server.proxy_protocol.",
);
pub(super) const TLS_HANDSHAKE_FAILURES: Metric = metric(
    Counter,
    "headgate_tls_handshake_failures_total",
    &[(
        "reason",
        "closed, timeout, not_tls, incompatible, client_certificate, refused, faulty",
    )],
    "Connections of the public listener that ended before TLS was agreed upon, by why.",
);
pub(super) const TLS_LAST_RELOAD_SUCCESSFUL: Metric = metric(
    Gauge,
    "headgate_tls_last_reload_successful",
    &[],
    "0 from when changed files of [server.tls] were refused until they are taken; else 1. The next start would fail.",
);
pub(super) const TLS_CERTIFICATE_EXPIRY: Metric = metric(
    Gauge,
    "headgate_tls_certificate_expiry_timestamp_seconds",
    &[(
        "setting",
        "server.tls.certificate or broker.tls.client_certificate, where it is set",
    )],
    "When the certificate that is in use, or the first of its chain, expires, in seconds since 1970.",
);
pub(super) const IN_FLIGHT_BYTES: Metric = metric(
    Gauge,
    "headgate_in_flight_bytes",
    &[],
    "Bytes of bodies and rendered envelopes in memory.",
);
pub(super) const IN_FLIGHT_LIMIT: Metric = metric(
    Gauge,
    "headgate_in_flight_limit_bytes",
    &[],
    "The most that headgate_in_flight_bytes can be: ingest.max_in_flight_bytes.",
);
pub(super) const BODIES_WAITING: Metric = metric(
    Gauge,
    "headgate_bodies_waiting",
    &[],
    "Large bodies that wait, up to two seconds, until those before them leave room: more would come at once than fits into \
     ingest.max_in_flight_bytes.",
);
pub(super) const CONFIG_RELOADS: Metric = metric(
    Counter,
    "headgate_config_reloads_total",
    &[(
        "outcome",
        "`applied`, also where nothing had changed; `refused`",
    )],
    "Times that the configuration was read again. One that is wrong is refused, and the old one stays.",
);
pub(super) const CONFIG_LAST_RELOAD_SUCCESSFUL: Metric = metric(
    Gauge,
    "headgate_config_last_reload_successful",
    &[],
    "0 from when a changed configuration was refused until one is taken; else 1.",
);
pub(super) const CONFIG_LOADED: Metric = metric(
    Gauge,
    "headgate_config_loaded_timestamp_seconds",
    &[],
    "When the configuration in force was read, in seconds since 1970.",
);
pub(super) const PROCESS_START_TIME: Metric = metric(
    Gauge,
    "process_start_time_seconds",
    &[],
    "When the server started, in seconds since 1970.",
);
pub(super) const LOG_LINES_LOST: Metric = metric(
    Counter,
    "headgate_log_lines_lost_total",
    &[],
    "Lines of the log that were lost, because what reads standard error did not take them.",
);
pub(super) const BUILD_INFO: Metric = metric(
    Gauge,
    "headgate_build_info",
    &[("version", "this program's version")],
    "Always 1; the version is the label.",
);

/// Every metric, in the order of docs/METRICS.md.
pub const ALL: &[Metric] = &[
    REQUESTS,
    REQUEST_DURATION,
    REQUEST_BODY_BYTES,
    REQUESTS_REFUSED,
    REQUESTS_RATE_LIMITED,
    KEY_EVENTS,
    KEY_REQUESTS_REFUSED,
    EVENTS_RECEIVED,
    EVENTS_ACCEPTED,
    EVENTS_REJECTED,
    EVENTS_DEAD_LETTERED,
    EVENTS_DELIVERED,
    SOURCE_EVENTS,
    DEAD_LETTERS_DROPPED,
    DEAD_LETTERS_PURGED,
    DEAD_LETTERS_BYTES,
    DEAD_LETTERS_LIMIT,
    DEAD_LETTERS_FAILING,
    OUTPUT_FAILING,
    OUTPUT_EVENTS_REMOVED,
    OUTPUT_BYTES_REMOVED,
    SPOOL_BYTES,
    SPOOL_LIMIT,
    SPOOL_DISK_FULL,
    SPOOL_EVENTS,
    SPOOL_OLDEST_AGE,
    SPOOL_EVENTS_AT_START,
    SPOOL_SYNC_DURATION,
    SPOOL_CHECKPOINT_FAILING,
    SPOOL_CORRUPT_RECORDS,
    SPOOL_LOST_EVENTS,
    BROKER_REQUESTS,
    BROKER_REQUEST_DURATION,
    BROKER_UP,
    BROKER_WINDOW,
    CONNECTIONS,
    CONNECTIONS_LIMIT,
    PROXY_HEADERS_REFUSED,
    TLS_HANDSHAKE_FAILURES,
    TLS_LAST_RELOAD_SUCCESSFUL,
    TLS_CERTIFICATE_EXPIRY,
    IN_FLIGHT_BYTES,
    IN_FLIGHT_LIMIT,
    BODIES_WAITING,
    CONFIG_RELOADS,
    CONFIG_LAST_RELOAD_SUCCESSFUL,
    CONFIG_LOADED,
    PROCESS_START_TIME,
    LOG_LINES_LOST,
    BUILD_INFO,
];
