//! A service for tests that notes when it sees each request begin: event streams that are held,
//! questions that take their time, and pages that a test fills.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The service and what it saw.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<SeenRequests>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct SeenRequests {
    begun: Mutex<Vec<(Instant, String)>>,
    streams: AtomicUsize,
    slow: AtomicUsize,
    pages: Mutex<HashMap<String, String>>,
    /// Every byte of every request.
    raw: Mutex<String>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(SeenRequests::default());
        let noted = Arc::clone(&seen);
        runtime.spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, Arc::clone(&noted)));
            }
        });
        Self {
            address,
            seen,
            _runtime: runtime,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Streams that are held now.
    pub(crate) fn streams(&self) -> usize {
        self.seen.streams.load(Ordering::SeqCst)
    }

    /// Slow questions that wait for their answer now.
    pub(crate) fn slow(&self) -> usize {
        self.seen.slow.load(Ordering::SeqCst)
    }

    /// When the requests were begun, and of what path.
    pub(crate) fn begun(&self) -> Vec<(Instant, String)> {
        self.seen.begun.lock().unwrap().clone()
    }

    /// All that it was sent.
    pub(crate) fn raw(&self) -> String {
        self.seen.raw.lock().unwrap().clone()
    }

    /// Puts a text at a path.
    pub(crate) fn put(&self, path: &str, text: &str) {
        let mut pages = self.seen.pages.lock().unwrap();
        pages.insert(path.to_owned(), text.to_owned());
    }
}

/// Counts as long as it lives.
struct Held<'a>(&'a AtomicUsize);

impl<'a> Held<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(counter)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(tcp: TcpStream, seen: Arc<SeenRequests>) {
    let (read, mut write) = tcp.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match read.read_line(&mut head).await {
                Ok(1..) => {}
                _ => return,
            }
        }
        let at = Instant::now();
        let path = head.split(' ').nth(1).unwrap_or("").to_owned();
        seen.begun.lock().unwrap().push((at, path.clone()));
        let length = head.lines().find_map(|l| {
            let (name, value) = l.split_once(':')?;
            let length = name.eq_ignore_ascii_case("content-length");
            length.then(|| value.trim().parse::<usize>().ok()).flatten()
        });
        let mut body = vec![0; length.unwrap_or(0)];
        if read.read_exact(&mut body).await.is_err() {
            return;
        }
        {
            let mut raw = seen.raw.lock().unwrap();
            // What a load test sends for minutes is the same again and again.
            if raw.len() < 1 << 20 {
                raw.push_str(&head);
                raw.push_str(&String::from_utf8_lossy(&body));
            }
        }
        if path.starts_with("/sse") {
            let _held = Held::new(&seen.streams);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: hello\n\n";
            if write.write_all(head.as_bytes()).await.is_err() {
                return;
            }
            // Until the other side goes.
            let _ = read.read_u8().await;
            return;
        }
        if path.starts_with("/slow") {
            let _held = Held::new(&seen.slow);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(3)) => {}
                // Who asked is gone.
                _ = read.read_u8() => return,
            }
        }
        let page = seen.pages.lock().unwrap().get(&path).cloned();
        let text = page.unwrap_or_else(|| "ok".to_owned());
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
