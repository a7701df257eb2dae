//! Where a process of the cluster listens.

use std::fmt;
use std::str::FromStr;

use crate::error::ClusterError;

/// A host and a port, as `--cluster`, `--scheduler` and `--bind` take them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// The port; 0 for any that is free, where something is to listen.
    pub port: u16,
}

impl Address {
    /// The port of a scheduler, where none is given.
    pub const SCHEDULER_PORT: u16 = 50050;

    /// Returns the address on this machine alone.
    pub fn loopback(port: u16) -> Self {
        Self { host: "127.0.0.1".to_owned(), port }
    }

    /// Returns the URL that a client asks.
    pub(crate) fn url(&self) -> String {
        format!("http://{self}")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Address {
    type Err = ClusterError;

    fn from_str(text: &str) -> Result<Self, ClusterError> {
        let invalid = || ClusterError::Address { text: text.to_owned() };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(invalid)?;
                (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(invalid)?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || !host.chars().all(known) {
            return Err(invalid());
        }
        let port = port.map_or(Ok(Self::SCHEDULER_PORT), str::parse).map_err(|_| invalid())?;
        Ok(Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read_and_written() {
        for (text, host, port) in [
            ("localhost:7000", "localhost", 7000),
            ("10.0.0.1", "10.0.0.1", Address::SCHEDULER_PORT),
            ("[::1]:80", "::1", 80),
            ("scheduler_1.internal:0", "scheduler_1.internal", 0),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            ":50050",
            "host:",
            "host:port",
            "host:70000",
            "http://host:1",
            "a b:1",
            "[::1",
            "[::1]x",
            "u@h:1",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
