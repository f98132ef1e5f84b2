//! A small shop as Express with `express-session` and a CSRF cookie pair makes one, and an API of
//! items as `FastAPI` does: it
//! refuses what a client gets wrong, and forgets nothing that it gave out.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::try_command::{Asked, Server, answer, server};

/// What a session knows.
#[derive(Default, Clone)]
struct Session {
    user: Option<String>,
    csrf: String,
    items: Vec<u64>,
    cart: String,
    order: Option<(u64, String)>,
}

#[derive(Default)]
struct Shop {
    sessions: Mutex<HashMap<String, Session>>,
    items: Mutex<Vec<u64>>,
    drawn: AtomicU64,
}

/// The shop, on a port of its own.
pub(super) fn start() -> Server {
    let shop = Shop {
        drawn: AtomicU64::new(500_000),
        ..Shop::default()
    };
    server(move |asked| shop.answer(asked))
}

impl Shop {
    fn draw(&self) -> u64 {
        self.drawn.fetch_add(7, Ordering::SeqCst)
    }

    /// What nobody can know before it was given out.
    fn token(&self, kind: &str) -> String {
        format!("{kind}-7f{:x}-c0ffee9{:x}", self.draw(), self.draw())
    }

    fn answer(&self, asked: &Asked) -> Vec<u8> {
        let mut line = asked.head.split_whitespace();
        let method = line.next().unwrap_or_default();
        let target = line.next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path.starts_with("/items") || path == "/me" || path == "/tree" {
            return self.items(method, path, query, asked);
        }
        let known = cookie(asked, "sid").filter(|s| self.sessions.lock().unwrap().contains_key(s));
        let (id, new) = match known {
            Some(id) => (id, false),
            None => (self.token("sid"), true),
        };
        let mut session = {
            let mut all = self.sessions.lock().unwrap();
            all.entry(id.clone()).or_default().clone()
        };
        let mut cookies = String::new();
        if new {
            cookies = format!("set-cookie: sid={id}; Path=/; HttpOnly\r\n");
        }
        let out = self.route((method, path, query), asked, &mut session, &mut cookies);
        self.sessions.lock().unwrap().insert(id, session);
        out
    }

    fn route(
        &self,
        (method, path, query): (&str, &str, &str),
        asked: &Asked,
        session: &mut Session,
        cookies: &mut String,
    ) -> Vec<u8> {
        let page = |cookies: &str, body: &str| {
            answer(
                "200 OK",
                &format!("{cookies}content-type: text/html\r\n"),
                body,
            )
        };
        let logged_in = session.user.is_some();
        let guarded = !session.csrf.is_empty()
            && cookie(asked, "csrf").as_deref() == Some(&session.csrf)
            && (header(asked, "x-csrf-token").as_deref() == Some(&session.csrf)
                || field(&asked.body, "_csrf").as_deref() == Some(&session.csrf));
        match (method, path) {
            ("POST", "/login" | "/api/cart" | "/api/orders") if !guarded => {
                refused("403 Forbidden", "csrf")
            }
            ("GET", "/") => page(cookies, "<a href=/login>log in</a>"),
            ("GET", "/login") => {
                let csrf = self.fresh(session, cookies);
                page(
                    cookies,
                    &format!("<input type=hidden name=_csrf value=\"{csrf}\">"),
                )
            }
            ("POST", "/login")
                if field(&asked.body, "password").as_deref() == Some("hunter2-shop") =>
            {
                session.user = field(&asked.body, "user");
                answer("303 See Other", "location: /shop\r\n", "")
            }
            ("GET", "/shop") if logged_in => {
                self.fresh(session, cookies);
                page(cookies, "<h1>shop</h1>")
            }
            ("GET", "/api/items") if logged_in => {
                session.items = vec![self.draw(), self.draw(), self.draw()];
                let items: Vec<Value> =
                    session.items.iter().map(|id| json!({ "id": id })).collect();
                data("200 OK", &json!({ "items": items }))
            }
            ("POST", "/api/cart") if logged_in => {
                let item = body(asked)["item"].as_u64().unwrap_or(0);
                if !session.items.contains(&item) {
                    return refused("400 Bad Request", "item");
                }
                session.cart = self.token("cart");
                data(
                    "201 Created",
                    &json!({ "cartId": session.cart, "total": 40 }),
                )
            }
            ("POST", "/api/orders") if logged_in => {
                if body(asked)["cart"] != session.cart.as_str() {
                    return refused("400 Bad Request", "cart");
                }
                let (id, receipt) = (self.draw(), self.token("receipt"));
                session.order = Some((id, receipt.clone()));
                data("201 Created", &json!({ "id": id, "receipt": receipt }))
            }
            ("GET", path) if path.starts_with("/api/orders/") => match &session.order {
                Some((id, receipt))
                    if path.ends_with(&format!("/{id}"))
                        && field(query, "receipt").as_deref() == Some(receipt) =>
                {
                    data("200 OK", &json!({ "state": "paid" }))
                }
                _ => refused("404 Not Found", "order"),
            },
            (method, path) => stateless(method, path, query, asked),
        }
    }

    /// A token that must come back in the cookie and beside it.
    fn fresh(&self, session: &mut Session, cookies: &mut String) -> String {
        session.csrf = self.token("csrf");
        let csrf = &session.csrf;
        *cookies = format!("{cookies}set-cookie: csrf={csrf}; SameSite=Strict\r\n");
        session.csrf.clone()
    }

    /// As the description says, and no less strict.
    fn items(&self, method: &str, path: &str, query: &str, asked: &Asked) -> Vec<u8> {
        let id = path
            .strip_prefix("/items/")
            .and_then(|id| id.parse::<u64>().ok());
        let known = id.is_some_and(|id| self.items.lock().unwrap().contains(&id));
        match method {
            _ if path == "/me" => match header(asked, "authorization").as_deref() {
                Some("Bearer s3cret-of-the-api") => data("200 OK", &json!({})),
                _ => refused("403 Forbidden", "token"),
            },
            "POST" if path == "/tree" && body(asked)["name"].is_string() => {
                data("200 OK", &body(asked))
            }
            "GET" if path == "/items" => {
                let limit = field(query, "limit").and_then(|l| l.parse::<u64>().ok());
                match limit {
                    Some(5..=50) => data("200 OK", &json!([])),
                    _ => refused("422 Unprocessable Content", "limit"),
                }
            }
            "POST" if path == "/items" && is_item(&body(asked)) => {
                let id = self.draw();
                self.items.lock().unwrap().push(id);
                data("201 Created", &json!({ "id": id }))
            }
            "GET" if known => data("200 OK", &json!({ "id": id })),
            "PUT" if known && is_item(&body(asked)) => data("200 OK", &json!({ "id": id })),
            "DELETE" if known => answer("204 No Content", "", ""),
            _ => refused("422 Unprocessable Content", "what"),
        }
    }
}

fn is_item(item: &Value) -> bool {
    let name = item["name"].as_str().unwrap_or_default();
    let currency = item["price"]["currency"].as_str().unwrap_or_default();
    let amount = item["price"]["amount"].as_f64().unwrap_or(0.0);
    (6..=40).contains(&name.len()) && currency.len() == 3 && amount > 0.0
}

/// What a collection asks for, of whoever proves who asks.
fn stateless(method: &str, path: &str, query: &str, asked: &Asked) -> Vec<u8> {
    let authorization = header(asked, "authorization").unwrap_or_default();
    // ann:hunter2-shop
    let is_ann = authorization == "Basic YW5uOmh1bnRlcjItc2hvcA==";
    let good = match (method, path) {
        ("GET", "/api/search/top%2010" | "/api/search/top 10") => {
            is_ann
                && field(query, "q").as_deref() == Some("books and more")
                && header(asked, "x-client").is_some_and(|id| id.len() == 36)
                && header(asked, "x-off").is_none()
        }
        ("POST", "/api/graphql") => {
            let body = body(asked);
            is_ann
                && body["variables"]["n"] == 2
                && body["query"]
                    .as_str()
                    .is_some_and(|q| q.contains("items(first"))
        }
        ("POST", "/api/rate") => {
            authorization == "Bearer t0ken-of-ann"
                && body(asked) == json!({ "stars": 5, "by": "ann", "note": null })
        }
        ("PUT", "/api/note") => authorization.is_empty() && asked.body == "text=a%20b%26c",
        _ => false,
    };
    if good {
        data("200 OK", &json!({}))
    } else {
        refused("400 Bad Request", "what")
    }
}

fn data(status: &str, value: &Value) -> Vec<u8> {
    answer(
        status,
        "content-type: application/json\r\n",
        value.to_string(),
    )
}

fn refused(status: &str, why: &str) -> Vec<u8> {
    data(status, &json!({ "error": why }))
}

fn body(asked: &Asked) -> Value {
    serde_json::from_str(&asked.body).unwrap_or_default()
}

fn header(asked: &Asked, name: &str) -> Option<String> {
    let mut lines = asked.head.lines().skip(1).filter_map(|l| l.split_once(':'));
    let found = lines.find(|(n, _)| n.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim().to_owned())
}

fn cookie(asked: &Asked, name: &str) -> Option<String> {
    let all = header(asked, "cookie")?;
    let mut pairs = all
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(n, _)| *n == name)
        .map(|(_, value)| value.to_owned())
}

/// A field of a form or a query, as it is meant.
fn field(text: &str, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs
        .find(|(n, _)| n == name)
        .map(|(_, value)| value.into_owned())
}
