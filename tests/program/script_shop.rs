//! The shop that `profiles/scripts` are written for: a service of a few pages that keeps sessions
//! and items, and notes what it was asked.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

/// The shop and what it was asked.
pub(crate) struct Shop {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    asked: Mutex<Vec<Asked>>,
    items: Mutex<BTreeMap<u64, Value>>,
    sessions: Mutex<HashMap<String, String>>,
    next: AtomicU64,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Its method and path, without a query: `GET /items`.
    pub(crate) what: String,
    /// Its headers, names in small letters.
    pub(crate) headers: HashMap<String, String>,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The value of a cookie that was sent.
    fn cookie(&self, name: &str) -> Option<&str> {
        let mut pairs = self
            .header("cookie")
            .split(';')
            .filter_map(|c| c.trim().split_once('='));
        pairs.find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// A field of a form.
    fn field(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(&self.body);
        pairs
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// What is answered.
struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn of(status: u16, mime: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", mime.to_owned())];
        Self {
            status,
            headers,
            body: body.into(),
        }
    }

    fn json(status: u16, body: &Value) -> Self {
        Self::of(status, "application/json", body.to_string())
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Shop {
    pub(crate) fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let kept = Arc::clone(&state);
        thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let state = Arc::clone(&kept);
                thread::spawn(move || serve(&tcp, &state));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }
}

/// Serves a connection until it ends.
fn serve(tcp: &TcpStream, state: &State) -> Option<()> {
    tcp.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(tcp.try_clone().ok()?);
    loop {
        let asked = read(&mut reader)?;
        state.asked.lock().unwrap().push(asked.clone());
        let mut writer = tcp;
        if asked.what == "GET /chat" {
            return chat(tcp, &asked);
        }
        let reply = state.answer(&asked);
        let mut head = format!("HTTP/1.1 {} x\r\n", reply.status);
        for (name, value) in &reply.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if reply.status != 204 {
            write!(head, "content-length: {}\r\n", reply.body.len()).unwrap();
        }
        head.push_str("\r\n");
        let bytes = [head.as_bytes(), &reply.body].concat();
        writer.write_all(&bytes).ok()?;
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?, words.next()?);
    let path = target.split('?').next()?;
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length");
    let length = length.and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked {
        what: format!("{method} {path}"),
        headers,
        body,
    })
}

/// Says what it hears, until the other leaves.
fn chat(tcp: &TcpStream, asked: &Asked) -> Option<()> {
    let accept = derive_accept_key(asked.header("sec-websocket-key").as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: {accept}\r\n\r\n"
    );
    let mut writer = tcp;
    writer.write_all(head.as_bytes()).ok()?;
    let mut socket = WebSocket::from_raw_socket(tcp, Role::Server, None);
    loop {
        let message = socket.read().ok()?;
        if let Message::Text(_) | Message::Binary(_) = message {
            socket.send(message).ok()?;
        }
    }
}

const FORM: &str = "<html><body><h1>Sign in</h1><form action=\"/form\" method=\"post\">\
    <input type=\"hidden\" name=\"csrf\" value=\"t0ken\"><input name=\"user\">\
    <input name=\"password\" type=\"password\"></form></body></html>";

impl State {
    fn answer(&self, asked: &Asked) -> Reply {
        let what = asked.what.as_str();
        match what {
            "GET /" | "GET /items" => Reply::of(200, "text/html", "<h1>Shop</h1>"),
            "GET /old" => Reply::of(302, "text/plain", "").with("location", "/items"),
            "GET /static/logo.png" => Reply::of(200, "image/png", [0x89, b'P', b'N', b'G', 0]),
            "GET /static/site.css" | "GET /static/site.js" => Reply::of(200, "text/plain", "a{}"),
            "GET /api/stock" => Reply::json(200, &json!({ "stock": 7 })),
            "GET /api/prices" => Reply::json(200, &json!({ "currency": "EUR", "from": 1.5 })),
            "POST /api/questions" => Reply::json(202, &json!({ "id": self.number() })),
            "POST /api/answer" => Reply::of(
                200,
                "text/event-stream",
                "data: one\n\ndata: two\n\ndata: [DONE]\n\n",
            ),
            "POST /api/payments" => payment(asked),
            "POST /upload" => upload(asked),
            "GET /form" => Reply::of(200, "text/html", FORM),
            "POST /form" => sent_form(asked),
            "POST /session" | "DELETE /session" | "GET /account" => self.session(asked),
            "POST /api/login" | "POST /api/logout" => self.login(asked),
            _ if what.starts_with("GET /api/orders") => self.orders(asked),
            _ if what.contains(" /api/items") => self.item(asked),
            _ => Reply::of(404, "text/plain", "nothing here"),
        }
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn login(&self, asked: &Asked) -> Reply {
        let given = asked.json();
        let (user, password) = (given["user"].as_str(), given["password"].as_str());
        match (asked.what.as_str(), user, password) {
            ("POST /api/logout", ..) => Reply::of(204, "text/plain", ""),
            (_, Some(user), Some("secret")) => {
                let token = format!("token-{}", self.number());
                let mut sessions = self.sessions.lock().unwrap();
                sessions.insert(token.clone(), user.to_owned());
                Reply::json(200, &json!({ "token": token, "user": user }))
            }
            _ => Reply::json(401, &json!({ "error": "wrong user or password" })),
        }
    }

    fn orders(&self, asked: &Asked) -> Reply {
        let token = asked.header("authorization").trim_start_matches("Bearer ");
        if !self.sessions.lock().unwrap().contains_key(token) {
            return Reply::json(401, &json!({ "error": "no token" }));
        }
        match asked.what.strip_prefix("GET /api/orders/") {
            Some(id) => Reply::json(200, &json!({ "id": id.parse::<u64>().ok() })),
            None => Reply::json(200, &json!({ "orders": [{ "id": 11 }, { "id": 12 }] })),
        }
    }

    fn session(&self, asked: &Asked) -> Reply {
        let known = |token: &str| self.sessions.lock().unwrap().get(token).cloned();
        let user = asked.cookie("session").and_then(known);
        match (asked.what.as_str(), user) {
            ("POST /session", _) if asked.field("password").as_deref() == Some("secret") => {
                let token = format!("s{}", self.number());
                let user = asked.field("user").unwrap_or_default();
                self.sessions.lock().unwrap().insert(token.clone(), user);
                let cookie = format!("session={token}; Path=/; HttpOnly");
                Reply::json(200, &json!({})).with("set-cookie", cookie)
            }
            ("DELETE /session", Some(_)) => {
                let token = asked.cookie("session").unwrap_or_default();
                self.sessions.lock().unwrap().remove(token);
                Reply::of(204, "text/plain", "")
            }
            ("GET /account", Some(user)) => {
                let theme = asked.cookie("theme");
                Reply::json(200, &json!({ "user": user, "theme": theme }))
            }
            _ => Reply::json(401, &json!({ "error": "no session" })),
        }
    }

    fn item(&self, asked: &Asked) -> Reply {
        let (method, path) = asked.what.split_once(' ').unwrap_or_default();
        let id = path
            .strip_prefix("/api/items/")
            .and_then(|id| id.parse::<u64>().ok());
        let mut items = self.items.lock().unwrap();
        match (method, id) {
            ("GET", None) => {
                let all = json!([{ "id": 1, "name": "pen" }, { "id": 2, "name": "ink" }]);
                Reply::json(200, &json!({ "items": all }))
            }
            ("POST", None) => {
                let id = self.number();
                let mut item = asked.json();
                item["id"] = json!(id);
                items.insert(id, item.clone());
                Reply::json(201, &item)
            }
            (_, Some(id)) if !items.contains_key(&id) => Reply::json(404, &json!({})),
            ("GET", Some(id)) => Reply::json(200, &items[&id]),
            ("PUT" | "PATCH", Some(id)) => {
                let mut item = items[&id].clone();
                for (name, value) in asked.json().as_object().into_iter().flatten() {
                    item[name] = value.clone();
                }
                items.insert(id, item.clone());
                Reply::json(200, &item)
            }
            ("DELETE", Some(id)) => {
                items.remove(&id);
                Reply::of(204, "text/plain", "")
            }
            _ => Reply::json(405, &json!({})),
        }
    }
}

/// The signature of a payment is HMAC-SHA256 with the key `test-key`, in hexadecimal.
fn payment(asked: &Asked) -> Reply {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"test-key");
    let own = ring::hmac::sign(&key, &asked.body);
    let mut hex = String::new();
    for byte in own.as_ref() {
        write!(hex, "{byte:02x}").unwrap();
    }
    let status = if asked.header("x-signature") == hex {
        200
    } else {
        403
    };
    Reply::json(status, &json!({}))
}

fn sent_form(asked: &Asked) -> Reply {
    let user = asked.field("user").unwrap_or_default();
    if asked.field("csrf").as_deref() != Some("t0ken") {
        return Reply::of(403, "text/html", "<p>the token is missing</p>");
    }
    let page = format!(
        "<p class=\"greeting\">Hello {user}</p><a class=\"other\" href=\"/\">home</a>\
         <a class=\"next\" href=\"/items\">items</a>"
    );
    Reply::of(200, "text/html", page)
}

/// The file of a form: its name and how many bytes it has.
fn upload(asked: &Asked) -> Reply {
    let kind = asked.header("content-type");
    let Some((_, boundary)) = kind.split_once("boundary=") else {
        return Reply::json(400, &json!({ "error": kind }));
    };
    let boundary = boundary.trim_matches('"');
    let body = String::from_utf8_lossy(&asked.body);
    let between = format!("--{boundary}");
    let mut parts = body.split(&between);
    let file = parts.find_map(|part| {
        let (head, content) = part.split_once("\r\n\r\n")?;
        let (_, name) = head.split_once("filename=\"")?;
        let name = name.split('"').next()?;
        let content = content.strip_suffix("\r\n")?;
        Some(json!({ "filename": name, "bytes": content.len() }))
    });
    match file {
        Some(file) => Reply::json(200, &file),
        None => Reply::json(400, &json!({ "error": "no file" })),
    }
}
