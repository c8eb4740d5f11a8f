//! The certificates that this server shows to others, and when they expire.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use metrics::Label;

use super::events::CertificateExpired;
use super::recorder::gauge;
use super::{Telemetry, names};

/// Those in use, by the setting that names their file. None: the time cannot be read.
pub(super) type Certificates = Mutex<BTreeMap<&'static str, Option<Timestamp>>>;

impl Telemetry {
    /// The certificate of this setting is shown from now on, and expires then.
    pub fn certificate_in_use(&self, setting: &'static str, expires_at: Option<Timestamp>) {
        let labels = vec![Label::new("setting", setting)];
        let seconds = expires_at.map_or(f64::NAN, |at| at.as_second() as f64);
        gauge(&self.recorder, &names::TLS_CERTIFICATE_EXPIRY, labels).set(seconds);
        let mut certificates = self
            .certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        certificates.insert(setting, expires_at);
        if let Some(at) = expires_at.filter(|at| *at <= Timestamp::now()) {
            CertificateExpired { setting, at }.emit();
        }
    }

    /// The settings of those in use, and when each expires.
    pub fn certificates(&self) -> Vec<(&'static str, Option<Timestamp>)> {
        let certificates = self
            .certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        certificates
            .iter()
            .map(|(setting, at)| (*setting, *at))
            .collect()
    }
}
