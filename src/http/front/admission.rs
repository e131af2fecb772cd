//! Who may connect: what there is room for, and who gives way to a new connection.

use super::Front;
use crate::http::Refusal;
use crate::http::accept::network;
use crate::http::connection::Connection;
use crate::http::connection::claim::Claim;
use crate::http::opening::Opening;
use crate::http::socket::Socket;
use mio::net::TcpStream;
use mio::{Interest, Token};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Connections that are over a limit are told 503 as long as no more than these wait to be closed; then they are closed
/// without a word.
const TOLD_TO_WAIT: usize = 32;
/// Connections that are looked at to make room for one, before it is refused.
const CHANCES: usize = 64;
/// Connections that may be in their opening at the same time, or half of all if that is more.
const OPENINGS: usize = 16;

impl Front {
    pub(super) fn welcome(&mut self, mut socket: TcpStream, address: SocketAddr) {
        let peer = address.ip().to_canonical();
        let shared = self.shared.clone();
        let opening = Opening { proxied: shared.proxied, encrypted: shared.certificates.is_some() };
        if opening.proxied && !(shared.trusts)(peer) {
            if shared.foreign.is_due() {
                log::warn!("http: {peer} is none of trusted_proxies and was closed; others are not told");
            }
            return;
        }
        let begins = opening.proxied || opening.encrypted;
        let most = OPENINGS.max(shared.limits.max_connections / 2);
        if begins && !self.make_room(most, Connection::is_opening) {
            return;
        }
        let is_over = !self.has_room_for(peer);
        // Without its handshake nobody can be told.
        if is_over && opening.encrypted {
            return;
        }
        if is_over
            && self.connections.values().filter(|connection| connection.is_discarding()).count()
                >= TOLD_TO_WAIT.min(self.shared.limits.max_connections / 4 + 1)
        {
            return;
        }
        // Each piece of an answer is one write and must not wait for the acknowledgement of the one before.
        let _ = socket.set_nodelay(true);
        let token = self.next_token;
        if let Err(error) = self.poll.registry().register(&mut socket, Token(token), Interest::READABLE) {
            log::warn!("http: cannot watch a connection: {error}");
            return;
        }
        self.next_token += 1;
        let mut connection = Connection::new(Socket::new(socket), peer, opening, &self.shared.limits);
        let full = Refusal::overloaded("The server has too many connections.");
        if is_over && !connection.refuse(&full.response(), None, &self.shared) {
            return;
        }
        // Usually the request is there already.
        self.advance(token, connection);
    }

    /// Whether one more connection from this address is within the limits, if need be in the place of another.
    fn has_room_for(&mut self, peer: IpAddr) -> bool {
        let (all, each) = (self.shared.limits.max_connections, self.shared.limits.max_connections_per_address);
        let own = network(peer);
        let is_own = |connection: &Connection| network(connection.counts_for) == own;
        (self.is_proxy(peer) || self.make_room(each, is_own)) && self.make_room(all, |_| true)
    }

    /// Whether the caller for whom a proxy asks has fewer requests under way than one address may have connections.
    pub(super) fn may_ask(&self, connection: &Connection) -> bool {
        let address = connection.counts_for;
        if address == connection.peer || self.is_proxy(address) {
            return true;
        }
        let own = network(address);
        let under_way = self.connections.values().filter(|connection| network(connection.counts_for) == own).count();
        under_way < self.shared.limits.max_connections_per_address
    }

    /// A reverse proxy speaks for many, and usually lives on loopback.
    pub(super) fn is_proxy(&self, address: IpAddr) -> bool {
        address.is_loopback() || (self.shared.trusts)(address)
    }

    /// Whether a connection that has begun may go on: only now it may be known whose it is.
    pub(super) fn may_stay(&mut self, token: usize, connection: &mut Connection) -> bool {
        let full = Refusal::overloaded("The server has too many connections.");
        let stays = !self.shared.proxied
            || self.has_room_for(connection.peer)
            || connection.refuse(&full.response(), None, &self.shared);
        if stays {
            self.turn.put_off(token, connection);
        }
        stays
    }

    /// Closes connections of a kind until there are fewer than `limit`: of those that are owed nothing the longest idle
    /// first. Counted when needed rather than kept: a count that is not kept cannot go wrong.
    fn make_room(&mut self, limit: usize, is_kind: impl Fn(&Connection) -> bool) -> bool {
        let now = Instant::now();
        for _ in 0..CHANCES {
            let of_kind = self.connections.iter().filter(|(_, connection)| is_kind(connection));
            if of_kind.clone().count() < limit {
                return true;
            }
            let claims = of_kind.filter_map(|(token, connection)| Some((connection.claim(now)?, *token)));
            let Some(((claim, _), token)) = claims.min() else { return false };
            if claim == Claim::Idle && self.connections.get(&token).is_some_and(Connection::has_unread) {
                // Its request came after the poll, so it is no longer idle.
                self.drive(token);
            } else if self.connections.get(&token).is_some_and(Connection::give_way) {
                self.connections.remove(&token);
            }
        }
        false
    }
}
