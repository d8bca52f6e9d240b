//! A certificate that nobody trusts, made for one run: the load generators do not look at who signed it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{Error, Result};

/// On P-256, for the loopback. All files are PEM.
#[derive(Debug)]
pub struct Certificate {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// One after the other in one file, as HAProxy wants them.
    pub both: PathBuf,
}

impl Certificate {
    /// Makes the files in `folder`.
    pub fn make(openssl: &Path, folder: &Path) -> Result<Certificate> {
        let [cert, key, both] = ["cert.pem", "key.pem", "both.pem"].map(|name| folder.join(name));
        let output = Command::new(openssl)
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
            .args(["-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&cert)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Error::new("start openssl", error))?;
        if !output.status.success() {
            return Err(Error::new("make a certificate", String::from_utf8_lossy(&output.stderr).trim()));
        }
        let read = |path: &Path| std::fs::read(path);
        let joined = read(&cert).and_then(|cert| Ok([cert, read(&key)?].concat()));
        joined
            .and_then(|bytes| std::fs::write(&both, bytes))
            .map_err(|error| Error::new("put certificate and key into one file", error))?;
        Ok(Certificate { cert, key, both })
    }
}
