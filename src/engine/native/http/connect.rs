//! How connections of the load are made: names, addresses, the TLS handshake, and which HTTP is
//! spoken then.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_rustls::TlsConnector;

use super::http2::shared::{Connected, NotShared, Pool};
use super::{Channel, Connection, Http1, Http2, Transport, Version};
use crate::crypto::{self, Refused, Trust};
use crate::engine::native::addresses::{AddressBook, Load};
use crate::engine::native::names::Names;
use crate::engine::native::socket::Socket;
use crate::engine::native::sources::Sources;
use crate::engine::native::why;
use crate::measure::{FailureKind, LoadedAddress};
use crate::scenario::{Addresses, Allowed, Http, Origin, Protocol, Resolve};

/// What is said of an address that was not to be connected to.
pub(in crate::engine::native) const NOT_ALLOWED: &str =
    "a response led to a host that is not allowed (--allow-target)";

/// How a thread's connections are made.
#[derive(Debug, Clone, Default)]
pub(in crate::engine::native) struct Means {
    pub(in crate::engine::native) protocol: Protocol,
    pub(in crate::engine::native) trust: Option<Trust>,
    pub(in crate::engine::native) sources: Sources,
    pub(in crate::engine::native) allowed: Allowed,
    pub(in crate::engine::native) resolve: Resolve,
}

/// Opens connections to the scenario's origins; one per thread.
pub(in crate::engine::native) struct Connector {
    means: Means,
    names: Names,
    book: AddressBook,
    /// Connections that several VUs share.
    pool: Pool,
    /// Who chose HTTP/1.1 where HTTP/2 could have been chosen.
    chose_one: RefCell<Vec<String>>,
}

impl Connector {
    pub(in crate::engine::native) fn new(means: Means, addresses: Addresses) -> Self {
        Self {
            means,
            names: Names::default(),
            book: AddressBook::new(addresses),
            pool: Pool::default(),
            chose_one: RefCell::default(),
        }
    }

    /// One that does the same, and whose connections are counted nowhere.
    pub(in crate::engine::native) fn apart(&self) -> Self {
        Self {
            means: self.means.clone(),
            names: self.names.clone(),
            book: self.book.apart(),
            pool: Pool::default(),
            chose_one: RefCell::default(),
        }
    }

    /// Whether several VUs may share a connection.
    pub(in crate::engine::native) fn shares(&self) -> bool {
        self.means.protocol.streams_per_connection > 1
    }

    /// Which HTTP is asked for.
    pub(in crate::engine::native) fn http(&self) -> Http {
        self.means.protocol.http
    }

    /// How the load fell on the addresses since this was last asked.
    pub(in crate::engine::native) fn cut(&self) -> Vec<LoadedAddress> {
        self.book.cut()
    }

    /// Opens a connection of a VU and makes the TLS handshake; or takes a part of one that others
    /// have.
    pub(in crate::engine::native) async fn connect(
        &self,
        origin: &Origin,
        vu: u32,
    ) -> Result<Connection, FailureKind> {
        let Protocol {
            http,
            streams_per_connection: most,
        } = self.means.protocol;
        let shares = most > 1 && http.may_be_two(origin.tls);
        if !shares || self.has_chosen_one(origin) {
            return self.connect_alone(origin, vu, http).await;
        }
        let connect = async || {
            if self.has_chosen_one(origin) {
                return Ok(Connected::Else(None));
            }
            let (channel, version, reached) = self.channel(origin, vu, http).await?;
            if version == Version::Two {
                return Ok(Connected::Http2(channel, reached));
            }
            let chose_one = origin.authority.clone();
            self.chose_one.borrow_mut().push(chose_one);
            let transport = Transport::Http1(Http1::new(channel));
            Ok(Connected::Else(Some(Connection::new(transport, &reached))))
        };
        match self.pool.share(origin, most, connect).await {
            Ok((http2, reached)) => {
                let transport = Transport::Http2(Box::new(http2));
                Ok(Connection::new(transport, &reached))
            }
            Err(NotShared::Failed(kind)) => Err(kind),
            Err(NotShared::Else(Some(connection))) => Ok(connection),
            Err(NotShared::Else(None)) => self.connect_alone(origin, vu, http).await,
        }
    }

    fn has_chosen_one(&self, origin: &Origin) -> bool {
        let chose_one = self.chose_one.borrow();
        chose_one.contains(&origin.authority)
    }

    /// Opens a connection for what is spoken over HTTP/1.1 alone.
    pub(in crate::engine::native) async fn connect_to_upgrade(
        &self,
        origin: &Origin,
        vu: u32,
    ) -> Result<Connection, FailureKind> {
        self.connect_alone(origin, vu, Http::One).await
    }

    async fn connect_alone(
        &self,
        origin: &Origin,
        vu: u32,
        http: Http,
    ) -> Result<Connection, FailureKind> {
        let (channel, version, reached) = self.channel(origin, vu, http).await?;
        let transport = match version {
            Version::One => Transport::Http1(Http1::new(channel)),
            Version::Two => {
                let http2 = Box::pin(Http2::alone(channel, origin)).await?;
                Transport::Http2(Box::new(http2))
            }
        };
        Ok(Connection::new(transport, &reached))
    }

    /// A channel to an origin, and what is to be spoken on it.
    async fn channel(
        &self,
        origin: &Origin,
        vu: u32,
        http: Http,
    ) -> Result<(Channel, Version, Reached), FailureKind> {
        let (socket, mut reached) = self.connect_tcp(origin, vu).await?;
        if !origin.tls {
            let version = match http {
                Http::Two => Version::Two,
                Http::One | Http::Auto => Version::One,
            };
            reached.note_choice(http, version);
            return Ok((Channel::Plain(socket), version, reached));
        }
        let began = Instant::now();
        let tls = Box::new(self.handshake(origin, socket, http).await?);
        reached.handshake = began.elapsed();
        let chose_two = tls.get_ref().1.alpn_protocol() == Some(crypto::HTTP_2);
        if http == Http::Two && !chose_two {
            return Err(no_http2());
        }
        let version = if chose_two {
            Version::Two
        } else {
            Version::One
        };
        reached.note_choice(http, version);
        Ok((Channel::Tls(tls), version, reached))
    }

    /// A socket, how long it took to connect, and where what is sent there is counted.
    async fn connect_tcp(
        &self,
        origin: &Origin,
        vu: u32,
    ) -> Result<(Socket, Reached), FailureKind> {
        let addresses = self.addresses(origin, vu).await?;
        let mut last = FailureKind::Dns;
        let several = addresses.len() > 1;
        for address in addresses {
            match self.connect_to(origin, address, vu).await {
                Ok(tcp) => {
                    // That another address let nobody in is got over.
                    why::clear();
                    return Ok(tcp);
                }
                Err(kind) => last = kind,
            }
            if several {
                self.book.pass_over(address, origin.port);
            }
        }
        Err(last)
    }

    /// Where a VU connects to for an origin, the first to be tried first.
    async fn addresses(&self, origin: &Origin, vu: u32) -> Result<Vec<IpAddr>, FailureKind> {
        let permitted = |a: &IpAddr| self.means.allowed.permits(&origin.host, *a);
        // What was given for a name was checked before the load, and so were the scenario's own
        // addresses: an answer led here.
        if let Some(given) = self.means.resolve.of(&origin.host, origin.port) {
            let given: Vec<_> = given.iter().copied().filter(permitted).collect();
            self.book.note(&origin.host, &given);
            let order = self.book.order(given, origin.port, vu);
            return some(order, FailureKind::Protocol);
        }
        if let Ok(address) = origin.host.parse::<IpAddr>() {
            let one = Some(address).filter(permitted).into_iter().collect();
            return some(one, FailureKind::Protocol);
        }
        let found = self.resolve(origin).await?;
        if found.is_empty() {
            // A name that leads nowhere is an error of the look-up.
            return Err(why::note(FailureKind::Dns, NOT_ALLOWED));
        }
        Ok(self.book.order(found, origin.port, vu))
    }

    async fn connect_to(
        &self,
        origin: &Origin,
        to: IpAddr,
        vu: u32,
    ) -> Result<(Socket, Reached), FailureKind> {
        let began = Instant::now();
        let to = SocketAddr::new(to, origin.port);
        let socket = Socket::connect(to, self.means.sources.of(vu)).await;
        let socket = socket.map_err(|e| why::note_connecting(why::kind_of(&e), why::chain(&e)))?;
        let round_trip = began.elapsed();
        let load = self.book.load(&origin.host, to.ip());
        load.connected(round_trip);
        let reached = Reached {
            round_trip,
            handshake: Duration::ZERO,
            address: to,
            load,
        };
        Ok((socket, reached))
    }

    async fn resolve(&self, origin: &Origin) -> Result<Vec<IpAddr>, FailureKind> {
        if let Some(known) = self.names.known(&origin.host) {
            return Ok(known);
        }
        let (host, port) = (origin.host.clone(), origin.port);
        let ask = || async move {
            let found = tokio::net::lookup_host((host, port)).await?;
            Ok(found.map(|a| a.ip()).collect())
        };
        let mut addresses: Vec<IpAddr> = self.names.look_up(&origin.host, ask).await?;
        // A name may lead elsewhere than when it was checked before the load.
        addresses.retain(|a| self.means.allowed.permits(&origin.host, *a));
        let known = !addresses.is_empty();
        addresses.retain(|a| self.means.sources.reach(*a));
        if known && addresses.is_empty() {
            // No address from which the target can be reached is the generator's shortage, not the
            // target's failure.
            return Err(FailureKind::NoPorts);
        }
        self.names.keep(&origin.host, &addresses);
        self.book.note(&origin.host, &addresses);
        Ok(addresses)
    }

    async fn handshake(
        &self,
        origin: &Origin,
        socket: Socket,
        http: Http,
    ) -> Result<tokio_rustls::client::TlsStream<Socket>, FailureKind> {
        let trust = self.means.trust.as_ref().ok_or(FailureKind::Tls)?;
        let name = trust.name_of(&origin.host).ok_or(FailureKind::Tls)?;
        // Whatever ends a connection within the handshake is a failure of the handshake.
        TlsConnector::from(Arc::clone(trust.config_for(http)))
            .connect(name, socket)
            .await
            .map_err(|error| match trust.reason(&error) {
                Refused::NoHttp1 if http == Http::Two => no_http2(),
                reason => why::note(FailureKind::Tls, reason.to_string()),
            })
    }

    /// Notes why the first request on a new connection was not answered: with TLS 1.3 a server
    /// tells only then that it wants a client certificate.
    pub(in crate::engine::native) fn note_end(&self, origin: &Origin, kind: FailureKind) {
        let ended = matches!(
            kind,
            FailureKind::Tls | FailureKind::Eof | FailureKind::Reset
        );
        let lacks = |trust: &Trust| trust.lacks_certificate();
        if origin.tls && ended && self.means.trust.as_ref().is_some_and(lacks) {
            why::note(kind, Refused::WantsClientCertificate.to_string());
        }
    }
}

/// Notes that a server does not speak what it has to.
fn no_http2() -> FailureKind {
    let text = "the server does not speak HTTP/2: it did not choose it in the TLS handshake \
                (ALPN); set `http = \"auto\"`, which takes what the server chooses";
    why::note(FailureKind::Protocol, text)
}

fn some(addresses: Vec<IpAddr>, otherwise: FailureKind) -> Result<Vec<IpAddr>, FailureKind> {
    if addresses.is_empty() {
        return Err(why::note(otherwise, NOT_ALLOWED));
    }
    Ok(addresses)
}

/// What is known of the way to a server when it is connected to.
#[derive(Clone)]
pub(super) struct Reached {
    /// How long connecting took: a round trip of the network.
    pub(super) round_trip: Duration,
    /// How long the handshake of TLS took.
    pub(super) handshake: Duration,
    pub(super) address: SocketAddr,
    pub(super) load: Rc<Load>,
}

impl Reached {
    /// Notes what is spoken, where there was a choice or HTTP/2 was asked for.
    fn note_choice(&self, http: Http, version: Version) {
        match http {
            Http::One => {}
            Http::Auto | Http::Two => self.load.chose(version),
        }
    }
}
