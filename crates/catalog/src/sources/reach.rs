//! Whether a host answers at all, asked with a deadline.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Connects to the host of `url` (with its scheme's port by default) and hangs up. The error says
/// why that failed, or that `limit` passed.
///
/// HTTP clients wait minutes for a host that drops packets, once per address and for the resolver
/// too; whoever works without a network must not. The resolver can't be given a deadline, so the
/// try runs on its own thread, which is left behind when time is up and ends by itself.
pub(crate) fn check(url: &str, limit: Duration) -> Result<(), String> {
    let url = url::Url::parse(url).map_err(|error| error.to_string())?;
    let host = url.host_str().ok_or("it names no host")?.trim_matches(['[', ']']).to_string();
    let port = url.port_or_known_default().unwrap_or(443);
    let (sender, receiver) = mpsc::channel();
    let started = Instant::now();
    let work = move || {
        let _ = sender.send(connect(&host, port, started, limit));
    };
    thread::Builder::new().name("reach-hub".into()).spawn(work).map_err(|error| error.to_string())?;
    match receiver.recv_timeout(limit) {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {:.1} s", limit.as_secs_f32())),
    }
}

fn connect(host: &str, port: u16, started: Instant, limit: Duration) -> Result<(), String> {
    let addresses = (host, port).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut reason = "its name has no address".to_string();
    for address in addresses {
        let left = limit.saturating_sub(started.elapsed());
        // A first address that swallows packets must leave time for the next one.
        let share = (limit / 2).min(left);
        if share.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, share) {
            Ok(_) => return Ok(()),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn tells_open_from_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/path", listener.local_addr().unwrap());
        check(&url, Duration::from_secs(2)).unwrap();
        drop(listener);
        assert!(check(&url, Duration::from_secs(2)).is_err());
        assert!(check("not a url", Duration::from_secs(2)).is_err());
    }
}
