//! Asks an instance whether it is well: a connection, or one GET in the HTTP version of its service.

use crate::config::{Check, Protocol};
use crate::machine::Target;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// Asks within `patience`; returns the address that answered, or why none did.
pub(crate) async fn ask(check: &Check, target: &Target, patience: Duration) -> Result<SocketAddr, String> {
    match timeout(patience, ask_target(check, target)).await {
        Ok(answer) => answer,
        Err(_) => {
            Err(format!("{}: no answer within {}", question(check, target), crate::event::Human(patience)))
        }
    }
}

async fn ask_target(check: &Check, target: &Target) -> Result<SocketAddr, String> {
    let (addresses, host) = match target {
        Target::Address(address) => (vec![*address], address.to_string()),
        Target::Authority(authority) => (look_up(authority).await?, authority.clone()),
    };
    let mut answer = Err("no address".to_owned());
    for address in addresses {
        answer = ask_address(check, address, &host).await.map(|()| address);
        if answer.is_ok() {
            break;
        }
    }
    answer.map_err(|why| format!("{}: {why}", question(check, target)))
}

async fn look_up(authority: &str) -> Result<Vec<SocketAddr>, String> {
    match lookup_host(authority).await {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(format!("cannot look up `{authority}`: {error}")),
    }
}

async fn ask_address(check: &Check, address: SocketAddr, host: &str) -> Result<(), String> {
    let connect = async || TcpStream::connect(address).await.map_err(|error| plain(&error));
    match check {
        Check::None => Ok(()),
        Check::Tcp => connect().await.map(drop),
        Check::Http { path, protocol } => {
            match get(connect().await?, *protocol, request(*protocol, path, host)?).await {
                Ok(status) if (200..400).contains(&status.as_u16()) => Ok(()),
                Ok(status) => Err(format!("answered {status}")),
                Err(error) => {
                    let other = protocol.other();
                    let question = request(other, path, host)?;
                    let answer = timeout(HINT_PATIENCE, get(connect().await?, other, question)).await;
                    Err(misunderstood(*protocol, &error, matches!(answer, Ok(Ok(_)))))
                }
            }
        }
    }
}

type Question = Request<Empty<Bytes>>;

fn request(protocol: Protocol, path: &str, host: &str) -> Result<Question, String> {
    let request = Request::get(match protocol {
        Protocol::Http1 => path.to_owned(),
        Protocol::Http2 => format!("http://{host}{path}"),
    });
    let request = request.header(USER_AGENT, "colony-probe").header(ACCEPT, "*/*");
    let request = match protocol {
        Protocol::Http1 => request.header(HOST, host).header(CONNECTION, "close"),
        Protocol::Http2 => request,
    };
    request.body(Empty::new()).map_err(|error| format!("cannot be asked: {error}"))
}

/// One request on a connection of its own, of whose answer only the head is read.
async fn get(stream: TcpStream, protocol: Protocol, question: Question) -> Result<StatusCode, hyper::Error> {
    let io = TokioIo::new(stream);
    match protocol {
        Protocol::Http1 => {
            let (mut sender, connection) = http1::handshake(io).await?;
            status(sender.send_request(question), connection).await
        }
        Protocol::Http2 => {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            status(sender.send_request(question), connection).await
        }
    }
}

/// Drives the connection until the answer is there. It is the answer that tells of a failure of the connection.
async fn status(
    answer: impl Future<Output = Result<Response<Incoming>, hyper::Error>>,
    connection: impl Future<Output = Result<(), hyper::Error>>,
) -> Result<StatusCode, hyper::Error> {
    let driven = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = answer => answer.map(|answer| answer.status()),
        never = driven => never,
    }
}

/// Why there was no answer that could be read. Who answers in the other version is told the key.
fn misunderstood(asked: Protocol, error: &hyper::Error, other_answers: bool) -> String {
    match (asked, other_answers) {
        (Protocol::Http1, true) => {
            return "it speaks HTTP/2 and was asked in HTTP/1.1; its service needs `protocol: http2`"
                .to_owned();
        }
        (Protocol::Http2, true) => {
            return "it speaks HTTP/1 and was asked in HTTP/2; its service needs `protocol: http1`"
                .to_owned();
        }
        (Protocol::Http1, false) if error.is_parse() => return "the answer is not HTTP".to_owned(),
        _ if error.is_incomplete_message() => return "closed the connection without an answer".to_owned(),
        _ => {}
    }
    let cause = std::error::Error::source(error);
    match (cause.and_then(|cause| cause.downcast_ref::<std::io::Error>()), asked) {
        (Some(error), _) => plain(error),
        (None, Protocol::Http1) => error.to_string(),
        (None, Protocol::Http2) => "the answer is not HTTP/2, which `protocol: http2` says it is".to_owned(),
    }
}

fn question(check: &Check, target: &Target) -> String {
    let whom = match target {
        Target::Address(address) => address.to_string(),
        Target::Authority(authority) => authority.clone(),
    };
    match check {
        Check::Http { path, .. } => format!("GET http://{whom}{path}"),
        Check::Tcp | Check::None => whom,
    }
}

/// An error without its number.
fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        _ => error.to_string(),
    }
}

/// How long an answer in the other version may take, which is asked for only to say what is wrong.
const HINT_PATIENCE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::service::service_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn answering(answer: &'static str) -> Target {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = socket.accept().await {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                if answer.is_empty() {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
            }
        });
        Target::Authority(format!("localhost:{}", address.port()))
    }

    async fn get(answer: &'static str) -> Result<SocketAddr, String> {
        let target = answering(answer).await;
        ask(&healthz(Protocol::Http1), &target, Duration::from_millis(300)).await
    }

    fn healthz(protocol: Protocol) -> Check {
        Check::Http { path: "/healthz".to_owned(), protocol }
    }

    /// A server that speaks HTTP/2 with prior knowledge and nothing else, as gRPC servers do.
    async fn only_http2(status: u16) -> Target {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let answer = service_fn(move |request: Request<Incoming>| async move {
                    assert_eq!(request.uri().path(), "/healthz");
                    Response::builder().status(status).body(Empty::<Bytes>::new())
                });
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(server.serve_connection(TokioIo::new(stream), answer));
            }
        });
        Target::Address(address)
    }

    #[tokio::test]
    async fn who_speaks_only_http2_is_asked_in_http2() {
        let check = healthz(Protocol::Http2);
        let patience = Duration::from_secs(5);
        assert!(ask(&check, &only_http2(204).await, patience).await.is_ok());
        let why = ask(&check, &only_http2(503).await, patience).await.unwrap_err();
        assert!(why.ends_with("/healthz: answered 503 Service Unavailable"), "{why}");
    }

    #[tokio::test]
    async fn the_wrong_version_is_named_with_its_key() {
        let patience = Duration::from_secs(5);
        let why = ask(&healthz(Protocol::Http1), &only_http2(200).await, patience).await.unwrap_err();
        assert!(why.contains("speaks HTTP/2") && why.ends_with("needs `protocol: http2`"), "{why}");
        let http1 = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let why = ask(&healthz(Protocol::Http2), &http1, patience).await.unwrap_err();
        assert!(why.contains("speaks HTTP/1 ") && why.ends_with("needs `protocol: http1`"), "{why}");
        let ssh = answering("SSH-2.0-x\r\n").await;
        let why = ask(&healthz(Protocol::Http2), &ssh, patience).await.unwrap_err();
        assert!(why.contains("not HTTP/2"), "{why}");
    }

    #[tokio::test]
    async fn statuses_below_400_are_well() {
        assert!(get("HTTP/1.1 204 No Content\r\n\r\n").await.is_ok());
        assert!(get("HTTP/1.0 302 Found\r\n\r\n").await.is_ok());
        let why = get("HTTP/1.1 503 Service Unavailable\r\n\r\n").await.unwrap_err();
        assert!(why.ends_with("/healthz: answered 503 Service Unavailable"), "{why}");
        assert!(get("SSH-2.0-x\r\n").await.unwrap_err().contains("not HTTP"));
        assert!(get("").await.unwrap_err().contains("no answer within 300 ms"));
    }

    #[tokio::test]
    async fn nobody_there_is_refused() {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::Address(socket.local_addr().unwrap());
        assert!(ask(&Check::Tcp, &target, Duration::from_secs(1)).await.is_ok());
        drop(socket);
        let why = ask(&Check::Tcp, &target, Duration::from_secs(1)).await.unwrap_err();
        assert!(why.ends_with("connection refused"), "{why}");
    }
}
