//! HTTPS at the gateway as clients see it: curl, and another colony that calls it as an external.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::world::{World, run_in, server, wait};

fn manifest(tls: &str, routes: &str, app: impl std::fmt::Display) -> String {
    format!(
        "name: safe\ngateway: {{ listen: 127.0.0.1:0, tls: {tls}{routes} }}\nservices:\n  app: {{ url: http://{app} }}\n"
    )
}

/// Runs curl; prints the status, the version of HTTP and the body.
fn curl(args: &[&str]) -> Output {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*"]);
    curl.args(["--write-out", "%{http_code} %{http_version} "]).args(args);
    curl.env_remove("SSL_CERT_FILE").env_remove("CURL_CA_BUNDLE");
    curl.output().expect("these tests need curl")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn ca(dir: &Path) -> String {
    dir.join("colony/ca/ca.pem").display().to_string()
}

fn certs(dir: &Path, args: &[&str]) -> Value {
    let output = run_in(dir, &[&["certs", "--json"], args].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {output:?}"))
}

fn port(world: &World) -> String {
    let status = world.status();
    let gateway = status["gateway"].as_str().expect("a gateway");
    gateway.rsplit(':').next().expect("a port").to_owned()
}

/// Everything that was noted so far.
fn notes(world: &World) -> String {
    let lines = world.printed();
    lines.iter().filter(|line| line["event"] == "note").map(|line| line["text"].to_string()).collect()
}

#[test]
fn the_development_ca_makes_https_that_curl_trusts() {
    let app = server("hello");
    let world = World::up(&manifest("dev", ", routes: [{ to: app }, { host: shop.test, to: app }]", app));
    let (ca, port) = (ca(world.dir.path()), port(&world));
    assert_eq!(world.wait_for("up")["ca"], ca.as_str());
    for (extra, host, expected) in [
        (&["--http2"][..], "localhost", "200 2 hello"),
        (&["--http1.1"], "localhost", "200 1.1 hello"),
        (&["--tls-max", "1.2"], "127.0.0.1", "200 2 hello"),
        (&["--tlsv1.3"], "shop.test", "200 2 hello"),
    ] {
        let resolve = format!("shop.test:{port}:127.0.0.1");
        let args = ["--cacert", &ca, "--resolve", &resolve, &format!("https://{host}:{port}/")];
        let output = curl(&[extra, &args].concat());
        // curl writes the body first.
        let got = said(&output);
        let got = got.strip_prefix("hello").map(|rest| format!("{rest}hello")).unwrap_or(got);
        assert_eq!(got, expected, "{host}: {output:?}");
    }
    let untrusted = curl(&[&format!("https://localhost:{port}/")]);
    assert_eq!(untrusted.status.code(), Some(60), "{untrusted:?}");
    let cleartext = said(&curl(&[&format!("http://localhost:{port}/")]));
    assert!(cleartext.contains("400 ") && cleartext.contains("ask for `https://`"), "{cleartext}");
    // BoringSSL takes no address by a CA that is constrained to some: who asks for a name is shown none.
    for (host, shown, not) in
        [("localhost", "DNS:localhost", "IP"), ("127.0.0.1", "IP Address:127.0.0.1", "DNS")]
    {
        let url = format!("https://{host}:{port}/");
        let output = curl(&["--cacert", &ca, "--write-out", "%{certs}", &url]);
        let names =
            said(&output).lines().find(|line| line.contains("Subject Alternative")).map(str::to_owned);
        let names = names.unwrap_or_else(|| panic!("{output:?}"));
        assert!(names.contains(shown) && !names.contains(not), "{names}");
    }
    // Another CA at the same place: what the old one signed is of no use any more.
    certs(world.dir.path(), &["--replace"]);
    let trusted = || said(&curl(&["--cacert", &ca, &format!("https://localhost:{port}/")]));
    wait("a certificate by the new CA", || trusted().starts_with("hello200"));
}

#[test]
fn the_key_of_the_development_ca_is_the_users_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let made = certs(dir.path(), &[]);
    assert_eq!((made["created"].as_bool(), made["ca"].as_str()), (Some(true), Some(&*ca(dir.path()))));
    let key = dir.path().join("colony/ca/ca.key");
    let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&key), mode(key.parent().expect("a folder"))), (0o600, 0o700));
    let before = std::fs::read(&key).expect("read");
    assert_eq!(certs(dir.path(), &[])["created"], false);
    assert_eq!(std::fs::read(&key).expect("read"), before);
    let told = said(&run_in(dir.path(), &["certs"]));
    for word in ["curl --cacert", "update-ca-certificates", "NODE_EXTRA_CA_CERTS", "certutil"] {
        assert!(told.contains(word), "{told}");
    }
}

#[test]
fn the_development_ca_signs_for_no_strangers_unless_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let issued = certs(dir.path(), &["shop.test", "192.168.1.5", "--out", "made"]);
    assert_eq!(issued["cert"], "made/shop.test.pem");
    let key = dir.path().join("made/shop.test.key").metadata().expect("written");
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    let again = certs(dir.path(), &["shop.test", "--out", "made"]);
    assert!(again["hints"].to_string().contains("--force"), "{again}");
    let refused = certs(dir.path(), &["shop.test", "bank.example", "--out", "other"]);
    assert!(refused["error"].to_string().contains("bank.example"), "{refused}");
    assert!(refused["hints"].to_string().contains("--permit bank.example"), "{refused}");
    assert!(!dir.path().join("other").exists());
    assert!(certs(dir.path(), &["--permit", "bank.example"])["hints"].to_string().contains("--replace"));
    certs(dir.path(), &["--replace", "--permit", "bank.example"]);
    assert_eq!(certs(dir.path(), &["bank.example"])["cert"], "bank.example.pem");
}

#[test]
fn certificates_are_chosen_by_name_and_taken_on_anew() {
    let app = server("hello");
    let dir = tempfile::tempdir().expect("a folder");
    certs(dir.path(), &["a.test"]);
    certs(dir.path(), &["*.b.test"]);
    let path = |name: &str| dir.path().join(name).display().to_string();
    let pair = |name: &str| {
        format!("{{ cert: {}, key: {} }}", path(&format!("{name}.pem")), path(&format!("{name}.key")))
    };
    let world = World::up(&manifest(&format!("[{}, {}]", pair("a.test"), pair("any.b.test")), "", app));
    let (ca, port) = (ca(dir.path()), port(&world));
    let ask = |host: &str| {
        let resolve = format!("{host}:{port}:127.0.0.1");
        curl(&["--cacert", &ca, "--resolve", &resolve, &format!("https://{host}:{port}/")])
    };
    for host in ["a.test", "www.b.test"] {
        assert!(said(&ask(host)).starts_with("hello200"), "{host}");
    }
    assert_eq!(ask("c.test").status.code(), Some(60), "the first certificate is not for it");
    let shown = world.status()["certificates"].clone();
    assert_eq!((&shown[0]["names"][0], &shown[1]["names"][0]), (&"a.test".into(), &"*.b.test".into()));
    assert!(matches!(shown[0]["days_left"].as_u64(), Some(89 | 90)), "{shown}");
    assert!(said(&world.run(&["status"])).contains("*.b.test"));

    certs(dir.path(), &["c.test", "a.test"]);
    for extension in ["key", "pem"] {
        let (from, to) = (path(&format!("c.test.{extension}")), path(&format!("a.test.{extension}")));
        std::fs::rename(from, to).expect("renamed");
    }
    wait("the new certificate", || said(&ask("c.test")).starts_with("hello200"));
    assert!(notes(&world).contains("new certificate: c.test, a.test"), "{}", notes(&world));

    std::fs::write(path("a.test.key"), "broken").expect("written");
    wait("a word about the broken file", || notes(&world).contains("the certificates stay as they were"));
    assert!(said(&ask("c.test")).starts_with("hello200"));
    // A change elsewhere is taken on all the same, and says so, too.
    world.edit("name: safe", "name: safer");
    wait("the change", || world.status()["name"] == "safer");
    assert!(said(&ask("c.test")).starts_with("hello200"));
}

#[test]
fn bad_files_are_found_before_anything_starts() {
    let dir = tempfile::tempdir().expect("a folder");
    certs(dir.path(), &["a.test"]);
    certs(dir.path(), &["b.test"]);
    let path = |name: &str| -> PathBuf { dir.path().join(name) };
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut old = rcgen::CertificateParams::new(["old.test".to_owned()]).expect("a name");
    (old.not_before, old.not_after) = (rcgen::date_time_ymd(2024, 2, 1), rcgen::date_time_ymd(2024, 3, 1));
    std::fs::write(path("old.pem"), old.self_signed(&key).expect("signed").pem()).expect("written");
    std::fs::write(path("old.key"), key.serialize_pem()).expect("written");
    let sealed = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    std::fs::write(path("sealed.key"), sealed).expect("written");
    for (cert, key, error, hint) in [
        ("no.pem", "a.test.key", "cannot read no.pem", "relative to the manifest"),
        ("a.test.key", "a.test.pem", "a.test.key: there is no certificate", "PEM"),
        ("a.test.pem", "a.test.pem", "there is no private key", "PEM"),
        (
            "a.test.pem",
            "b.test.key",
            "b.test.key: the key does not fit the certificate in a.test.pem",
            "together",
        ),
        ("a.test.pem", "sealed.key", "the key in it is encrypted", "openssl pkey"),
        ("old.pem", "old.key", "old.pem: it expired on 2024-03-01", "renew"),
    ] {
        let tls = format!("{{ cert: {cert}, key: {key} }}");
        std::fs::write(path("colony.yaml"), manifest(&tls, "", "127.0.0.1:1")).expect("written");
        for command in ["check", "up"] {
            let output = run_in(dir.path(), &[command, "--json"]);
            let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(output.status.code(), Some(1), "{object}");
            assert!(object["error"].to_string().contains(error), "{command}: {object}");
            assert!(object["hints"].to_string().contains(hint), "{command}: {object}");
        }
    }
    // Looking does not make an authority.
    let text = manifest("dev", ", routes: [{ to: app, host: shop.example }]", "127.0.0.1:1");
    std::fs::write(path("colony.yaml"), text).expect("written");
    std::fs::remove_dir_all(path("colony")).expect("removed");
    let output = run_in(dir.path(), &["check"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("may not sign for shop.example") && told.contains("--permit shop.example"),
        "{told}"
    );
    assert!(!path("colony").exists());
}

#[test]
fn an_external_is_trusted_by_what_ssl_cert_file_names() {
    let app = server("from afar");
    let afar = World::up(&manifest("dev", "", app));
    let near = format!(
        "name: near\ngateway: {{ listen: 127.0.0.1:0, routes: [{{ to: afar, breaker: none, retries: none }}] }}\n\
         services: {{ app: {{ url: http://{app} }} }}\nexternals: {{ afar: https://localhost:{} }}\n",
        port(&afar)
    );
    let trusting = World::start(&near, &[("SSL_CERT_FILE", &ca(afar.dir.path()))]);
    trusting.wait_for("all-ready");
    let answer = trusting.get("/");
    assert_eq!((answer.status, answer.body.as_str()), (200, "from afar"));
    let doubting = World::up(&near);
    let answer = doubting.get("/");
    assert_eq!(answer.status, 503);
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains("not signed by an authority that is trusted"), "{detail}");
    assert!(detail.contains("SSL_CERT_FILE"), "{detail}");
}

#[test]
fn the_load_generator_says_that_it_knows_no_https() {
    let world = World::up(&manifest("dev", "", server("hello")));
    let output = world.run(&["load", "--duration", "1s"]);
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("http only, not https"), "{told}");
}
