//! `colony certs`: a CA for development, and certificates by it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use crate::args::Certs;
use crate::authority::{self, Stored};
use crate::failure::Failure;
use crate::terminal;
use crate::tls::date;

pub(crate) fn run(args: &Certs) -> Result<ExitCode, Failure> {
    let authority = authority(args)?;
    match args.names.as_slice() {
        [] => tell(args, &authority),
        names => issue(args, &authority, names),
    }
}

fn authority(args: &Certs) -> Result<Stored, Failure> {
    if args.replace {
        return Stored::create(&args.permit);
    }
    match Stored::find()? {
        None => Stored::create(&args.permit),
        Some(stored) if args.permit.is_empty() => Ok(stored),
        Some(stored) => {
            let message = format!("there is a development CA already, in {}", stored.folder.display());
            Err(Failure::new(message).hint(
                "what it may sign stands in its certificate; `--replace` makes another one, which is to be trusted anew",
            ))
        }
    }
}

fn tell(args: &Certs, stored: &Stored) -> Result<ExitCode, Failure> {
    let (certificate, until) = (stored.certificate(), date(stored.authority.validity().until));
    if args.json {
        let object = json!({ "ca": certificate, "created": stored.new, "valid_until": until });
        terminal::print(&format!("{object}\n"))?;
    } else {
        terminal::print(&trust(&certificate, &until, stored.new))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How the programs of this machine learn to trust the authority.
fn trust(certificate: &Path, until: &str, new: bool) -> String {
    let ca = certificate.display();
    let state = if new { "made just now, " } else { "" };
    let rows = [
        ("curl", format!("curl --cacert {ca} https://localhost:8443/")),
        ("this machine", format!("sudo cp {ca} /usr/local/share/ca-certificates/colony.crt")),
        ("", "sudo update-ca-certificates    # Debian, Ubuntu".to_owned()),
        ("Chromium", format!("certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n Colony -i {ca}")),
        (
            "Firefox",
            format!("certutil -d sql:PROFILE -A -t C,, -n Colony -i {ca}    # PROFILE: see about:profiles"),
        ),
        ("Node.js", format!("export NODE_EXTRA_CA_CERTS={ca}")),
        (
            "Python",
            format!("export REQUESTS_CA_BUNDLE={ca} SSL_CERT_FILE={ca}    # trusts nothing else then"),
        ),
    ];
    let mut out = format!("\n  development CA  {ca}\n                  {state}valid until {until}\n\n");
    out.push_str("  It signs for localhost and .test with all below them, and for loopback and private\n");
    out.push_str("  addresses; for others only if it was made with `--permit`. Trusted by\n\n");
    for (who, how) in rows {
        let _ = writeln!(out, "  {who:<14}  {how}");
    }
    out.push_str(
        "\n  `gateway: { tls: dev }` in a manifest uses it, `colony certs NAME...` makes a certificate.\n",
    );
    out.push_str("  (certutil is in the package libnss3-tools.)\n\n");
    out
}

fn issue(args: &Certs, stored: &Stored, names: &[String]) -> Result<ExitCode, Failure> {
    let (cert, key) = paths(&args.out, &names[0]);
    if let Some(there) = [&cert, &key].into_iter().find(|path| path.exists() && !args.force) {
        return Err(
            Failure::new(format!("{} is there already", there.display())).hint("`--force` replaces it")
        );
    }
    let issued = stored.issue(names)?;
    std::fs::create_dir_all(&args.out)
        .map_err(|error| Failure::new(format!("cannot create {}: {error}", args.out.display())))?;
    authority::write(&key, &issued.key, 0o600)?;
    authority::write(&cert, &issued.chain, 0o644)?;
    let until = date(issued.certificate.validity().until);
    let ca = stored.certificate();
    if args.json {
        let object = json!({ "cert": cert, "key": key, "names": names, "valid_until": until, "ca": ca });
        terminal::print(&format!("{object}\n"))?;
    } else {
        let (cert, key) = (cert.display(), key.display());
        terminal::print(&format!(
            "wrote {cert} and {key}: {}, valid until {until}\n\n  gateway:\n    tls: {{ cert: {cert}, key: {key} }}\n\n\
             trusted by whoever trusts {}; `colony certs` says how\n",
            names.join(", "),
            ca.display(),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `shop.test.pem` and `shop.test.key`; a wildcard and an IPv6 address have letters that shells mind.
fn paths(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let name = name.replace('*', "any").replace(':', "-");
    let folder = folder.strip_prefix(".").unwrap_or(folder);
    (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")))
}
