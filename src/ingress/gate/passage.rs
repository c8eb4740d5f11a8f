//! Counts each request once, however it ends.

use tokio::time::Instant;

use crate::telemetry::{Route, Telemetry};

/// The status under which a request counts that was never answered: with HTTP/2 its client took it back, with HTTP/1 its
/// connection was cut. No RFC has it; nginx and what reads its logs have made it known.
const NOT_ANSWERED: u16 = 499;

/// A request on its way to its answer; counted when it is dropped.
pub(super) struct Passage<'a> {
    telemetry: &'a Telemetry,
    route: Route,
    began: Instant,
    status: u16,
    body_bytes: usize,
}

impl<'a> Passage<'a> {
    /// Begins now.
    pub(super) fn new(telemetry: &'a Telemetry, route: Route) -> Self {
        Self {
            telemetry,
            route,
            began: Instant::now(),
            status: NOT_ANSWERED,
            body_bytes: 0,
        }
    }

    /// It is answered; so many bytes of its body have come.
    pub(super) fn answered(mut self, status: u16, body_bytes: usize) {
        self.status = status;
        self.body_bytes = body_bytes;
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        let body_bytes = self.body_bytes as u64;
        self.telemetry
            .request(self.route, self.status, took, body_bytes);
    }
}
