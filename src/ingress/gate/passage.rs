//! Counts each request once, however it ends.

use tokio::time::Instant;

use crate::ingress::body::RequestBody;
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
    /// What has come of it counts also where nobody waits for the answer any more.
    pub(super) body: &'a mut RequestBody,
}

impl<'a> Passage<'a> {
    /// Begins now.
    pub(super) fn new(telemetry: &'a Telemetry, route: Route, body: &'a mut RequestBody) -> Self {
        Self {
            telemetry,
            route,
            began: Instant::now(),
            status: NOT_ANSWERED,
            body,
        }
    }

    /// It is answered.
    pub(super) fn answered(mut self, status: u16) {
        self.status = status;
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        let body_bytes = self.body.bytes as u64;
        self.telemetry
            .request(self.route, self.status, took, body_bytes);
    }
}
