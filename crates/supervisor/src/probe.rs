//! Asks an instance whether it is well: a connection, or one GET of which only the status line is read.

use crate::config::Check;
use crate::machine::Target;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
    let path = match check {
        Check::None => return Ok(()),
        Check::Tcp => None,
        Check::Http(path) => Some(path),
    };
    let mut stream = TcpStream::connect(address).await.map_err(|error| plain(&error))?;
    match path {
        None => Ok(()),
        Some(path) => get(&mut stream, path, host).await,
    }
}

async fn get(stream: &mut TcpStream, path: &str, host: &str) -> Result<(), String> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: colony-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(|error| plain(&error))?;
    let line = status_line(stream).await?;
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse::<u16>().ok());
    match status {
        Some(200..400) => Ok(()),
        Some(_) => Err(format!("answered {}", line.get(9..).unwrap_or_default().trim())),
        None => Err("the answer is not HTTP".to_owned()),
    }
}

async fn status_line(stream: &mut TcpStream) -> Result<String, String> {
    let (mut buffer, mut filled) = ([0; ANSWER_BYTES_MAX], 0);
    while filled < buffer.len() && !buffer[..filled].contains(&b'\n') {
        match stream.read(&mut buffer[filled..]).await.map_err(|error| plain(&error))? {
            0 => break,
            length => filled += length,
        }
    }
    let line = buffer[..filled].split(|&byte| byte == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).trim_end().to_owned())
}

fn question(check: &Check, target: &Target) -> String {
    let whom = match target {
        Target::Address(address) => address.to_string(),
        Target::Authority(authority) => authority.clone(),
    };
    match check {
        Check::Http(path) => format!("GET http://{whom}{path}"),
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

const ANSWER_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
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
        ask(&Check::Http("/healthz".to_owned()), &target, Duration::from_millis(300)).await
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
