//! What a connection is doing, and since when: the clocks of its time limits. Written where it happens (the stream,
//! the service), read by the connection's task. Atomics only.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::protocol::Protocol;
use super::transport::read_limit;
use crate::config;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// Nothing: open, and no byte of a next request has come.
    Idle = 0,
    /// A request's head is coming in.
    Head = 1,
    /// A request is being served; its handler keeps its own time.
    Serving = 2,
    /// The answer is on its way out.
    Answering = 3,
}

/// A connection of the reserve that says nothing for so long makes room for one that does.
const RESERVE_SILENCE: Duration = Duration::from_secs(1);

/// The time limits that a connection's task keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeLimits {
    /// Longest silence before the first byte.
    pub(super) idle: Duration,
    /// Longest time for a head.
    pub(super) head: Duration,
    /// Longest time until an answer is taken.
    answer: Duration,
}

impl TimeLimits {
    pub(super) fn new(server: &config::Server) -> Self {
        Self {
            idle: server.keep_alive_timeout,
            head: server.header_read_timeout,
            answer: server.request_timeout,
        }
    }

    /// Those of a connection that is only there for health checks.
    pub(super) fn of_reserve(&self) -> Self {
        Self {
            idle: self.idle.min(RESERVE_SILENCE),
            head: self.head.min(RESERVE_SILENCE),
            answer: self.answer.min(RESERVE_SILENCE),
        }
    }
}

/// In place of the milliseconds: the clock is read when somebody asks. With HTTP/1 all happens in the task
/// that keeps the limits, and that asks each time before it waits, so it is read once for all that a turn
/// brought.
const NOT_READ_YET: u64 = u64::MAX >> 2;

/// A connection's state.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Milliseconds since `opened` or [`NOT_READ_YET`], shifted by two, and [`Doing`] in the low bits: one
    /// word, so that they change together.
    state: AtomicU64,
    /// Requests being served: at most one with HTTP/1.
    requests: AtomicUsize,
    /// Milliseconds since `opened` of the last write; only with HTTP/2, where answers can be long under way.
    written: AtomicU64,
    /// With HTTP/2 the streams come and go within one head or body of the connection.
    is_multiplexed: bool,
    /// Whether the connection is to end when its answers are out.
    is_dismissed: AtomicBool,
    /// The most bytes that are read from it at once; only with HTTP/1. The library of HTTP/2 keeps room for a
    /// frame, which is limited, and what one stream declares says nothing of the others.
    read_limit: AtomicUsize,
    /// Milliseconds since `opened` at which each answer went out that the client has not taken yet; only with
    /// HTTP/2, where a client can be busy and leave one lying for ever.
    untaken: Mutex<Vec<u64>>,
}

impl Activity {
    /// A connection that has just come to do this.
    pub(super) fn new(first: Doing, protocol: Protocol) -> Self {
        Self {
            opened: Instant::now(),
            state: AtomicU64::new(first as u64),
            requests: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            is_multiplexed: protocol == Protocol::Http2,
            is_dismissed: AtomicBool::new(false),
            read_limit: AtomicUsize::new(match protocol {
                Protocol::Http1 => read_limit(None, false),
                Protocol::Http2 => usize::MAX,
            }),
            untaken: Mutex::default(),
        }
    }

    /// Whether it is one of HTTP/2.
    pub(super) fn is_multiplexed(&self) -> bool {
        self.is_multiplexed
    }

    /// Ends the connection when its answers are out. With HTTP/1 an answer can say so itself.
    pub(super) fn dismiss(&self) {
        self.is_dismissed.store(true, Ordering::Relaxed);
    }

    /// Whether it was dismissed.
    pub(super) fn is_dismissed(&self) -> bool {
        self.is_dismissed.load(Ordering::Relaxed)
    }

    /// From now on reads so many bytes at once at most.
    pub(super) fn limit_reads(&self, bytes: usize) {
        if !self.is_multiplexed {
            self.read_limit.store(bytes, Ordering::Relaxed);
        }
    }

    /// The most bytes that are read at once.
    pub(super) fn read_limit(&self) -> usize {
        self.read_limit.load(Ordering::Relaxed)
    }

    /// Bytes came in.
    pub(super) fn bytes_came(&self) {
        if self.doing() == Doing::Idle && !self.is_multiplexed {
            self.begin(Doing::Head);
        }
    }

    /// Bytes go out.
    pub(super) fn bytes_went(&self) {
        if self.is_multiplexed {
            self.written.store(self.millis(), Ordering::Relaxed);
        }
    }

    /// An answer goes out; it is taken when the guard is dropped.
    pub(super) fn answer(self: &Arc<Self>) -> AnswerGuard {
        let since = self.millis();
        self.untaken().push(since);
        AnswerGuard {
            activity: Arc::clone(self),
            since,
        }
    }

    fn untaken(&self) -> MutexGuard<'_, Vec<u64>> {
        self.untaken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When something was last under way, as far as it is known: with HTTP/1, when it came to do what it does.
    pub(super) fn last_sign(&self) -> Instant {
        let since = self.since();
        let written = self.written.load(Ordering::Relaxed);
        self.opened + Duration::from_millis(since.max(written))
    }

    /// Everything written so far went out. With HTTP/1 an answer is written in one piece, so it is out then;
    /// one in several pieces would be cut, for a connection that idles may be parked.
    pub(super) fn flushed(&self) {
        if self.doing() == Doing::Answering {
            self.begin(Doing::Idle);
        }
    }

    /// A request's head is complete; it is served as long as the guard lives.
    pub(super) fn request(&self) -> RequestGuard<'_> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if !self.is_multiplexed {
            // Serving has no limit of its own, so nobody asks since when: the clock is left alone.
            let since = self.state.load(Ordering::Relaxed) >> 2;
            self.state
                .store(since << 2 | Doing::Serving as u64, Ordering::Relaxed);
        }
        RequestGuard(self)
    }

    fn request_ended(&self) {
        // Before it counts no more: whoever finds that nothing is served is to find since when.
        self.begin(if self.is_multiplexed {
            Doing::Idle
        } else {
            Doing::Answering
        });
        self.requests.fetch_sub(1, Ordering::Release);
    }

    fn begin(&self, doing: Doing) {
        let since = if self.is_multiplexed {
            self.millis()
        } else {
            NOT_READ_YET
        };
        self.state
            .store(since << 2 | doing as u64, Ordering::Relaxed);
    }

    /// Milliseconds since `opened` at which it came to do what it does.
    fn since(&self) -> u64 {
        let state = self.state.load(Ordering::Relaxed);
        if state >> 2 != NOT_READ_YET {
            return state >> 2;
        }
        let now = self.millis();
        self.state.store(now << 2 | state & 3, Ordering::Relaxed);
        now
    }

    fn millis(&self) -> u64 {
        self.opened.elapsed().as_millis() as u64
    }

    /// What the connection is doing. Streams of HTTP/2 begin and end on other threads: there the count alone tells whether
    /// anything is served, and the state since when nothing is.
    pub(super) fn doing(&self) -> Doing {
        if self.requests.load(Ordering::Acquire) > 0 {
            return Doing::Serving;
        }
        doing(self.state.load(Ordering::Relaxed))
    }

    /// Whether a request of HTTP/2 is served, or its answer not out yet.
    pub(super) fn has_streams(&self) -> bool {
        self.is_multiplexed
            && (self.requests.load(Ordering::Acquire) > 0 || !self.untaken().is_empty())
    }

    /// When what it does now has taken too long, if there is a limit to it.
    pub(super) fn deadline(&self, limits: &TimeLimits) -> Option<Instant> {
        let limit = match self.doing() {
            Doing::Idle => Some(limits.idle),
            Doing::Head => Some(limits.head),
            Doing::Answering => Some(limits.answer),
            Doing::Serving => None,
        };
        let of_state = limit.map(|limit| self.opened + Duration::from_millis(self.since()) + limit);
        of_state
            .into_iter()
            .chain(self.answer_deadline(limits))
            .min()
    }

    /// Whether the client has left an answer lying for too long: there is no use in a goodbye then.
    pub(super) fn is_answer_overdue(&self, limits: &TimeLimits) -> bool {
        self.answer_deadline(limits)
            .is_some_and(|deadline| deadline <= Instant::now())
    }

    /// When the client has left an answer lying for too long, if there is one.
    pub(super) fn answer_deadline(&self, limits: &TimeLimits) -> Option<Instant> {
        if !self.is_multiplexed {
            return None;
        }
        let since = self.untaken().iter().min().copied()?;
        Some(self.opened + Duration::from_millis(since) + limits.answer)
    }
}

fn doing(state: u64) -> Doing {
    match state & 3 {
        0 => Doing::Idle,
        1 => Doing::Head,
        2 => Doing::Serving,
        _ => Doing::Answering,
    }
}

/// A request being served; ends when dropped, also when the client goes away in the middle.
pub(super) struct RequestGuard<'a>(&'a Activity);

impl Drop for RequestGuard<'_> {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

/// An answer on its way to the client of an HTTP/2 connection.
#[derive(Debug)]
pub(super) struct AnswerGuard {
    activity: Arc<Activity>,
    since: u64,
}

impl Drop for AnswerGuard {
    fn drop(&mut self) {
        let mut untaken = self.activity.untaken();
        if let Some(place) = untaken.iter().position(|since| *since == self.since) {
            untaken.swap_remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: TimeLimits = TimeLimits {
        idle: Duration::from_secs(75),
        head: Duration::from_secs(10),
        answer: Duration::from_secs(50),
    };

    fn seconds_left(activity: &Activity) -> Option<u64> {
        let deadline = activity.deadline(&LIMITS)?;
        Some((deadline - Instant::now()).as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_own_clock() {
        let activity = Activity::new(Doing::Idle, Protocol::Http1);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(seconds_left(&activity), Some(15));
        activity.bytes_came();
        assert_eq!(seconds_left(&activity), Some(10));
        tokio::time::advance(Duration::from_secs(4)).await;
        activity.bytes_came();
        assert_eq!(
            seconds_left(&activity),
            Some(6),
            "more bytes do not wind the clock"
        );
        let request = activity.request();
        assert_eq!(seconds_left(&activity), None);
        activity.flushed();
        drop(request);
        assert_eq!(activity.doing(), Doing::Answering);
        assert_eq!(seconds_left(&activity), Some(50));
        activity.flushed();
        assert_eq!(seconds_left(&activity), Some(75));
    }

    #[tokio::test(start_paused = true)]
    async fn a_multiplexed_connection_is_idle_between_its_streams() {
        let activity = Activity::new(Doing::Idle, Protocol::Http2);
        let (first, second) = (activity.request(), activity.request());
        drop(first);
        assert_eq!(seconds_left(&activity), None);
        drop(second);
        tokio::time::advance(Duration::from_secs(5)).await;
        activity.bytes_came();
        assert_eq!(seconds_left(&activity), Some(70));
    }

    #[test]
    fn a_multiplexed_connection_never_seems_idle_for_the_time_that_it_served() {
        for _ in 0..200 {
            let mut activity = Activity::new(Doing::Idle, Protocol::Http2);
            activity.opened -= Duration::from_secs(3600);
            let request = activity.request();
            std::thread::scope(|scope| {
                scope.spawn(move || drop(request));
                let deadlines = std::iter::repeat_with(|| activity.deadline(&LIMITS));
                let first = deadlines.flatten().next().unwrap();
                assert!(first > Instant::now(), "it has only just become idle");
            });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_its_time_however_busy_the_connection_is() {
        let activity = Arc::new(Activity::new(Doing::Idle, Protocol::Http2));
        let first = activity.answer();
        tokio::time::advance(Duration::from_secs(20)).await;
        let request = activity.request();
        let second = activity.answer();
        assert_eq!(seconds_left(&activity), Some(30));
        drop(first);
        assert_eq!(seconds_left(&activity), Some(50));
        drop(second);
        assert_eq!(seconds_left(&activity), None);
        drop(request);
        assert_eq!(seconds_left(&activity), Some(75));
    }
}
