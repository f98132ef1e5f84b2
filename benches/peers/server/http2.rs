//! A connection that speaks HTTP/2 with TLS: every request gets the same answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context as _;
use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::State;

/// TLS with a certificate of its own, that offers HTTP/2 alone.
pub(super) fn acceptor() -> anyhow::Result<TlsAcceptor> {
    let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

pub(super) async fn serve(tcp: TcpStream, tls: &TlsAcceptor, state: &State) -> anyhow::Result<()> {
    tcp.set_nodelay(true)?;
    let tls = tls.accept(tcp).await?;
    let mut connection = h2::server::handshake(tls).await?;
    let mut answered = false;
    while let Some(asked) = connection.accept().await {
        let (_, mut respond) = asked?;
        let answer = Response::builder()
            .header(CONTENT_TYPE, "text/plain")
            .header(CONTENT_LENGTH, 5)
            .body(())
            .context("the answer is none")?;
        let mut body = respond.send_response(answer, false)?;
        body.send_data(Bytes::from_static(b"hello"), true)?;
        state.requests.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(&mut answered, true) {
            state.count_towards_all(&state.served);
        }
    }
    Ok(())
}
