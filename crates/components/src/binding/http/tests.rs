//! Requests reach a server as they were asked for, and its answers are told.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::*;

/// Answers by the path of a request; `/echo` with the request itself.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let mut text = Vec::new();
    let mut bytes = [0; 4_096];
    while !complete(&text) {
        match stream.read(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(count) => text.extend_from_slice(&bytes[..count]),
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default();
    let echo = format!("200 OK\r\ncontent-length: {}\r\nx-one: 1\r\nx-one: 2\r\n\r\n{text}", text.len());
    let said = match path {
        "/base/gone" => "404 Not Found\r\ncontent-length: 4\r\n\r\ngone".to_owned(),
        "/base/empty" => "204 No Content\r\n\r\n".to_owned(),
        "/base/found" => "302 Found\r\nlocation: /base/echo\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "/base/moved" => {
            "308 Permanent Redirect\r\nlocation: echo?a=1\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
        "/base/circle" => {
            "307 Temporary Redirect\r\nlocation: circle\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
        "/base/large" => format!("200 OK\r\ncontent-length: 2000\r\n\r\n{}", "x".repeat(2_000)),
        "/base/stuck" => std::future::pending().await,
        _ => echo,
    };
    let _ = stream.write_all(format!("HTTP/1.1 {said}").as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn complete(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    body.len() >= length.parse().expect("a number")
}

async fn server(tls: Option<TlsAcceptor>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                match tls {
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            answer(stream).await;
                        }
                    }
                    None => answer(stream).await,
                }
            });
        }
    });
    port
}

fn http(set: &[(&str, &str)]) -> Result<Http, Invalid> {
    Http::new(&Properties::from_iter(set.iter().copied()))
}

async fn plain(more: &[(&str, &str)]) -> Http {
    let url = format!("http://127.0.0.1:{}/base/", server(None).await);
    http(&[&[("url", url.as_str())][..], more].concat()).expect("it is right")
}

fn request(operation: &str, data: &'static str, metadata: &[(&str, &str)]) -> Request {
    let metadata = metadata.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Request { operation: operation.to_owned(), data: data.into(), metadata }
}

async fn echoed(http: &Http, request: Request) -> String {
    let answer = http.invoke(request).await.expect("it is answered");
    String::from_utf8(answer.data.to_vec()).expect("text")
}

#[tokio::test]
async fn each_operation_is_a_method() {
    let http = plain(&[]).await;
    for operation in http.operations() {
        if *operation == "head" {
            continue;
        }
        let echo = echoed(&http, request(operation, "{\"a\":1}", &[("path", "/echo?q=1")])).await;
        let method = if *operation == "create" { "POST".to_owned() } else { operation.to_uppercase() };
        assert!(echo.starts_with(&format!("{method} /base/echo?q=1 HTTP/1.1\r\n")), "{echo}");
        let has_body = ["POST", "PUT", "PATCH"].contains(&method.as_str());
        assert_eq!(echo.ends_with("\r\n\r\n{\"a\":1}"), has_body, "{echo}");
        assert_eq!(echo.contains("content-type: application/json; charset=utf-8\r\n"), has_body, "{echo}");
        assert!(echo.contains("accept: application/json; charset=utf-8\r\n"), "{echo}");
    }
    let answer = http.invoke(request("head", "", &[("path", "echo")])).await.expect("it is answered");
    assert!(answer.data.is_empty() && answer.metadata["X-One"] == "1, 2", "{answer:?}");
    assert!(echoed(&http, request("get", "", &[])).await.starts_with("GET /base/ "));
}

#[tokio::test]
async fn metadata_with_a_capital_letter_is_a_header() {
    let http = plain(&[("securityToken", "hush"), ("securityTokenHeader", "X-Token")]).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let metadata = [
        ("Content-Type", "text/plain"),
        ("X-Mine", "1"),
        ("small", "2"),
        ("traceparent", trace),
        ("Host", "elsewhere"),
        ("Content-Length", "1"),
    ];
    let echo = echoed(&http, request("post", "abc", &metadata)).await;
    for line in ["content-type: text/plain", "x-mine: 1", "x-token: hush", "content-length: 3"] {
        assert!(echo.contains(&format!("\r\n{line}\r\n")), "{line}: {echo}");
    }
    assert!(echo.contains(trace) && !echo.contains("small") && !echo.contains("elsewhere"), "{echo}");
    assert!(http.invoke(request("post", "", &[("X Y", "1")])).await.is_err());
    assert!(http.invoke(request("post", "", &[("X-Y", "a\nb")])).await.is_err());
}

#[tokio::test]
async fn what_is_no_success_is_an_error_unless_it_is_not_to_be() {
    let http = plain(&[]).await;
    let error = http.invoke(request("get", "", &[("path", "gone")])).await.expect_err("it is gone");
    assert_eq!(error.why, "received status code 404");
    assert_eq!((&*error.metadata["statusCode"], &*error.metadata["status"]), ("404", "404 Not Found"));
    let answer = http.invoke(request("get", "", &[("path", "gone"), ("errorIfNot2XX", "false")])).await;
    let answer = answer.expect("it is answered");
    assert_eq!((&answer.data[..], &*answer.metadata["statusCode"]), (&b"gone"[..], "404"));
    assert!(http.invoke(request("get", "", &[("errorIfNot2XX", "perhaps")])).await.is_err());
    let lenient = plain(&[("errorIfNot2XX", "false")]).await;
    assert!(lenient.invoke(request("get", "", &[("path", "gone")])).await.is_ok());
    assert!(lenient.invoke(request("get", "", &[("path", "empty")])).await.expect("it is").data.is_empty());
}

#[tokio::test]
async fn redirects_are_followed_and_not_for_ever() {
    let http = plain(&[]).await;
    let found = echoed(&http, request("post", "abc", &[("path", "found")])).await;
    assert!(found.starts_with("GET /base/echo ") && !found.contains("abc"), "{found}");
    let moved = echoed(&http, request("post", "abc", &[("path", "moved")])).await;
    assert!(moved.starts_with("POST /base/echo?a=1 ") && moved.ends_with("abc"), "{moved}");
    let circle = http.invoke(request("get", "", &[("path", "circle")])).await.expect_err("it never ends");
    assert_eq!(circle.why, "stopped after 10 redirects");
}

#[tokio::test]
async fn answers_have_a_bound_in_size_and_time() {
    let small = plain(&[("maxResponseBodySize", "1Ki")]).await;
    let large = small.invoke(request("get", "", &[("path", "large")])).await.expect_err("it is too large");
    assert_eq!(large.why, "the answer has more than 1024 bytes (maxResponseBodySize)");
    let quick = plain(&[("responseTimeout", "50ms")]).await;
    let stuck = quick.invoke(request("get", "", &[("path", "stuck")])).await.expect_err("it is stuck");
    assert_eq!(stuck.why, "no answer within 50ms");
    let nobody = http(&[("url", "http://127.0.0.1:1/")]).expect("it is right");
    let refused = nobody.invoke(request("get", "", &[])).await.expect_err("nobody is there");
    assert!(refused.why.contains("refused"), "{refused}");
}

#[tokio::test]
async fn tls_is_spoken_with_whom_is_trusted() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("it fits");
    let port = server(Some(TlsAcceptor::from(Arc::new(config)))).await;
    let url = format!("https://localhost:{port}/base");
    let (pem, key) = (cert.pem(), signing_key.serialize_pem());
    let set =
        [("url", url.as_str()), ("MTLSRootCA", &pem), ("MTLSClientCert", &pem), ("MTLSClientKey", &key)];
    let trusting = http(&set).expect("it is right");
    assert!(echoed(&trusting, request("get", "", &[("path", "echo")])).await.starts_with("GET /base/echo "));
    let strange = http(&set[..1]).expect("it is right");
    let refused = strange.invoke(request("get", "", &[])).await.expect_err("it is not trusted");
    assert!(refused.why.contains("UnknownIssuer"), "{refused}");
}

#[test]
fn what_cannot_be_set_is_refused() {
    let url = ("url", "http://localhost/");
    for set in [
        &[][..],
        &[("url", "localhost:80")],
        &[("url", "ftp://localhost/")],
        &[url, ("MTLSRootCA", "/nowhere.pem")],
        &[url, ("MTLSClientCert", "-----BEGIN NOTHING-----")],
        &[url, ("MTLSRenegotiation", "RenegotiateFreelyAsClient")],
        &[url, ("maxResponseBodySize", "0")],
        &[url, ("maxResponseBodySize", "1Gi")],
        &[url, ("securityToken", "hush")],
        &[url, ("securityToken", "hu\nsh"), ("securityTokenHeader", "X")],
        &[url, ("errorIfNot2XX", "perhaps")],
    ] {
        let refused = http(set).map(drop).expect_err("it is refused");
        assert!(!refused.to_string().contains("hu"), "{refused}");
    }
}
