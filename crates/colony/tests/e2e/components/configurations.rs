//! Configuration that is kept outside through a sidecar: read, and brought to the application as it changes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::sidecar::{Sidecar, component, folder, refused};
use crate::world;

/// An application that is brought changes: where to, and what. It lives as long as the test.
struct App {
    port: u16,
    brought: Arc<Mutex<Vec<(String, Value)>>>,
}

impl App {
    fn start() -> App {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let app = App { port, brought: Arc::default() };
        let brought = Arc::clone(&app.brought);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let brought = Arc::clone(&brought);
                std::thread::spawn(move || serve(stream, &brought));
            }
        });
        app
    }

    /// Waits until it was told that an item is so.
    fn told(&self, path: &str, key: &str, item: &Value) {
        world::wait(&format!("{key} to be {item}"), || {
            let brought = self.brought.lock().expect("nobody has panicked");
            brought.iter().any(|(to, body)| to == path && &body["items"][key] == item)
        });
    }
}

fn serve(stream: TcpStream, brought: &Mutex<Vec<(String, Value)>>) {
    let mut reader = BufReader::new(&stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let (mut line, mut bytes) = (String::new(), 0);
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                bytes = length.trim().parse().expect("a number");
            }
            line.clear();
        }
        let mut body = vec![0; bytes];
        reader.read_exact(&mut body).expect("a body");
        let path = first.split(' ').nth(1).unwrap_or_default();
        let is_change = path.starts_with("/configuration/");
        if is_change {
            let body = serde_json::from_slice(&body).expect("JSON");
            brought.lock().expect("nobody has panicked").push((path.to_owned(), body));
        }
        let status = if is_change { "200 OK" } else { "404 Not Found" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        if (&stream).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn start(settings: &[(&str, &str)], kind: &str, app: &App) -> (tempfile::TempDir, Sidecar) {
    let folder = folder(&[("resources/limits.yaml", &component("limits", kind, settings, ""))]);
    let sidecar = Sidecar::start(folder.path(), "shop", &["--app-port", &app.port.to_string()], &[]);
    (folder, sidecar)
}

#[test]
fn configuration_in_a_redis_is_read_and_watched_where_dapr_has_it() {
    let mut server = super::server::Server::start();
    let host = format!("127.0.0.1:{}", server.port);
    let app = App::start();
    let (_folder, sidecar) = start(&[("redisHost", &host)], "configuration.redis", &app);
    assert_eq!(sidecar.json("GET", "/v1.0/configuration/limits", ""), (204, Value::Null));
    server.ask(&["SET", "carts", "100||1"]);
    server.ask(&["SET", "orders", "20"]);
    let all = json!({"carts": {"value": "100", "version": "1"}, "orders": {"value": "20"}});
    assert_eq!(sidecar.json("GET", "/v1.0/configuration/limits", ""), (200, all));
    let one = sidecar.json("GET", "/v1.0/configuration/limits?key=orders&key=none", "");
    assert_eq!(one, (200, json!({"orders": {"value": "20"}})));

    let (status, told) = sidecar.json("GET", "/v1.0/configuration/limits/subscribe?key=carts", "");
    assert_eq!(status, 200, "{told}");
    server.ask(&["SET", "carts", "200||2"]);
    app.told("/configuration/limits/carts", "carts", &json!({"value": "200", "version": "2"}));
    server.kill();
    let (status, away) = sidecar.json("GET", "/v1.0/configuration/limits?key=carts", "");
    assert_eq!((status, &away["errorCode"]), (500, &json!("ERR_CONFIGURATION_GET")));
    server.restart();
    world::wait("the redis", || server.ask(&["SET", "carts", "300||3"]) == "OK");
    app.told("/configuration/limits/carts", "carts", &json!({"value": "300", "version": "3"}));
    server.ask(&["DEL", "carts"]);
    app.told("/configuration/limits/carts", "carts", &json!({}));

    let written =
        sidecar.json("POST", "/v1.0/configuration/limits", r#"{"items":[{"key":"a","value":"1"}]}"#);
    assert_eq!((written.0, &written.1["errorCode"]), (400, &json!("ERR_CONFIGURATION_READ_ONLY")));
    let id = told["id"].as_str().expect("an id");
    let ended = sidecar.json("GET", &format!("/v1.0/configuration/limits/{id}/unsubscribe"), "");
    assert_eq!(ended, (200, json!({"ok": true})));
}

#[test]
fn configuration_in_a_postgresql_is_read_and_watched_where_dapr_has_it() {
    let server = super::postgres_server::Server::shared();
    let database = server.database();
    server.ask(&database, TABLE);
    let string = server.string(&database);
    let settings = [("connectionString", string.as_str()), ("table", "limits")];
    let app = App::start();
    let (_folder, sidecar) = start(&settings, "configuration.postgresql", &app);
    let set = |sql: &str| drop(server.ask(&database, sql));
    set(r#"INSERT INTO limits VALUES ('carts', '100', '1', '{"by": "ada"}')"#);
    let carts = json!({"carts": {"value": "100", "version": "1", "metadata": {"by": "ada"}}});
    assert_eq!(sidecar.json("GET", "/v1.0/configuration/limits?key=carts", ""), (200, carts));

    let subscribe = "/v1.0/configuration/limits/subscribe?key=carts";
    let (status, no) = sidecar.json("GET", subscribe, "");
    assert_eq!((status, &no["errorCode"]), (500, &json!("ERR_CONFIGURATION_SUBSCRIBE")));
    assert!(no["message"].as_str().is_some_and(|text| text.contains("pgNotifyChannel")), "{no}");
    let (status, told) =
        sidecar.json("GET", &format!("{subscribe}&metadata.pgNotifyChannel=limits_changed"), "");
    assert_eq!(status, 200, "{told}");
    set("UPDATE limits SET value = '200', version = '2', metadata = NULL WHERE key = 'carts'");
    app.told("/configuration/limits/carts", "carts", &json!({"value": "200", "version": "2"}));
    set("DELETE FROM limits");
    app.told("/configuration/limits/carts", "carts", &json!({}));

    let nowhere = [("connectionString", string.as_str()), ("table", "nowhere")];
    let said = component("limits", "configuration.postgresql", &nowhere, "");
    let said = refused(self::folder(&[("resources/limits.yaml", &said)]).path(), "shop", &[]);
    assert!(said.contains("nowhere"), "{said}");
}

/// What an operator makes.
const TABLE: &str = r#"
CREATE TABLE limits (key VARCHAR NOT NULL, value VARCHAR NOT NULL, version VARCHAR NOT NULL, metadata JSON);
CREATE FUNCTION notify_event() RETURNS TRIGGER AS $$
DECLARE
    data json;
BEGIN
    IF (TG_OP = 'DELETE') THEN data = row_to_json(OLD); ELSE data = row_to_json(NEW); END IF;
    PERFORM pg_notify('limits_changed', json_build_object('table', TG_TABLE_NAME, 'action', TG_OP, 'data', data)::text);
    RETURN NULL;
END;
$$ LANGUAGE plpgsql;
CREATE TRIGGER limits AFTER INSERT OR UPDATE OR DELETE ON limits FOR EACH ROW EXECUTE PROCEDURE notify_event();
"#;
