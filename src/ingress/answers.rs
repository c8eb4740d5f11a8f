//! What is answered when events were taken.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::held_body::held_body;
use crate::budget::Reservation;
use crate::config::{Durability, Ingest};
use crate::pipeline::{Rejected, push_rejected};

/// The answers of the ingest paths, as configured.
pub(super) struct Answers {
    status: StatusCode,
    headers: HeaderMap,
    /// Of the application API.
    accepted_status: StatusCode,
}

impl Answers {
    pub(super) fn new(ingest: &Ingest) -> Self {
        let text = HeaderValue::from_static("text/plain");
        let status = StatusCode::from_u16(ingest.response_code)
            .expect("the configuration allows 200, 201, 202 and 204 only");
        let mut headers = HeaderMap::new();
        if status != StatusCode::NO_CONTENT {
            headers.insert(header::CONTENT_TYPE, text);
        }
        headers.extend(ingest.response_headers.clone());
        Self {
            status,
            headers,
            accepted_status: if ingest.durability == Durability::Memory {
                StatusCode::ACCEPTED
            } else {
                StatusCode::OK
            },
        }
    }

    pub(super) fn logstash(&self) -> Response {
        let body = if self.status == StatusCode::NO_CONTENT {
            Body::empty()
        } else {
            Body::from("ok")
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        // A clone would have no room for the request's id, and move all for it.
        headers.reserve(self.headers.len() + 1);
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        response
    }

    pub(super) fn accepted(&self, accepted: usize) -> Response {
        let body = format!("{{\"accepted\":{accepted}}}");
        let status = if accepted == 0 {
            StatusCode::OK
        } else {
            self.accepted_status
        };
        json(status, Body::from(body))
    }

    /// Some were accepted, some not. The answer can be large: it keeps the request's memory counted until it is
    /// sent.
    pub(super) fn partly(
        &self,
        accepted: usize,
        rejected: &[Rejected],
        reservation: Arc<Reservation>,
    ) -> Response {
        let mut body = format!("{{\"accepted\":{accepted},\"rejected\":").into_bytes();
        push_rejected(&mut body, rejected);
        body.push(b'}');
        json(StatusCode::MULTI_STATUS, held_body(body, reservation))
    }
}

fn json(status: StatusCode, body: Body) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], body).into_response()
}
