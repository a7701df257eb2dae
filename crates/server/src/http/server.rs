//! Listening, TLS, and one task for each connection.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::access::Access;
use super::error::{HttpError, Result};
use super::routes;
use super::settings::HttpSettings;
use super::state::ServerState;

/// How many connections are served at once; further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 128;

/// How long a client may take to begin: the TLS handshake, and the request's head.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take in all. It serves one request.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// How long connections that are open at the end may take to finish.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that listens, and answers once it runs.
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    app: Router,
}

impl HttpServer {
    /// Listens at the address of the settings.
    ///
    /// # Errors
    /// An address that other machines reach, without a token; a token that is empty; certificate files that can't be used; a port
    /// that is taken.
    pub async fn bind(settings: HttpSettings, state: ServerState) -> Result<Self> {
        settings.check()?;
        let tls = settings.tls.as_ref().map(|files| files.load()).transpose()?;
        let failed = |source| HttpError::Bind { address: settings.bind, source };
        let listener = TcpListener::bind(settings.bind).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        if settings.token.is_some() && tls.is_none() && !settings.is_local() {
            log::warn!("{address} speaks plain HTTP: whoever is on the way there can read the token");
        }
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        Ok(Self { listener, address, tls, app: routes::router(state, Access::by(&settings)) })
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the status page's URL.
    pub fn url(&self) -> String {
        format!("{}://{}/", if self.tls.is_some() { "https" } else { "http" }, self.address)
    }

    /// Answers until `shutdown` is over, and then for a few seconds those who have asked before.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let (slot, stream) = tokio::select! {
                () = &mut shutdown => break,
                accepted = accept(&self.listener, &slots) => accepted,
            };
            let (tls, app) = (self.tls.clone(), self.app.clone());
            connections.spawn(async move {
                let _slot = slot;
                if timeout(CONNECTION_TIMEOUT, serve(stream, tls, app)).await.is_err() {
                    log::debug!("a client took too long");
                }
            });
            while connections.try_join_next().is_some() {}
        }
        drop(self.listener);
        let rest = async { while connections.join_next().await.is_some() {} };
        if timeout(STOP_TIMEOUT, rest).await.is_err() {
            log::debug!("connections are cut off");
        }
    }
}

/// Waits for a free slot, and then for a connection.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (Option<OwnedSemaphorePermit>, TcpStream) {
    // The semaphore is never closed.
    let slot = slots.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (slot, stream),
            // No file descriptors are left, or the client has gone.
            Err(error) => {
                log::debug!("no connection: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, app: Router) {
    match tls {
        None => answer(stream, app).await,
        Some(tls) => match timeout(BEGIN_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => answer(stream, app).await,
            Ok(Err(error)) => log::debug!("no TLS: {error}"),
            Err(_) => log::debug!("no TLS within {} s", BEGIN_TIMEOUT.as_secs()),
        },
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, app: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(BEGIN_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    if let Err(error) = connection.await {
        log::debug!("a connection ended: {error}");
    }
}
