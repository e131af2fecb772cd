//! More connections than there is room for: those that only wait give way, those that are owed something do not.

use super::harness::{Client, PATIENCE, Rig, ask, limits, start, start_on, try_ask, wait_until};
use gemini_openai_proxy::http::Limits;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};

const GET: &str = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

/// Clients that were answered and keep their connections, the first of them idle for longest.
fn kept(rig: &Rig, address: SocketAddr, count: usize) -> Vec<Client> {
    let busy = rig.running.snapshot().busy;
    let mut clients: Vec<Client> = (0..count).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        client.get("/x");
        assert_eq!(client.answer().status, 200);
        handed_back(rig, busy);
    }
    clients
}

/// Waits until every answered connection is with the front again, a moment after its client has the answer; `busy` are not
/// answered.
fn handed_back(rig: &Rig, busy: usize) {
    wait_until(|| (rig.running.snapshot().busy, rig.running.snapshot().queued) == (busy, 0));
}

/// Clients whose requests are being answered.
fn busy(rig: &Rig, address: SocketAddr, count: usize) -> Vec<Client> {
    let ask = |_| {
        let mut client = Client::connect(address);
        client.get("/wait");
        rig.entered.recv_timeout(PATIENCE).unwrap();
        client
    };
    (0..count).map(ask).collect()
}

fn is_open(client: &mut Client) -> bool {
    client.socket.set_nonblocking(true).unwrap();
    let peeked = client.socket.peek(&mut [0]);
    client.socket.set_nonblocking(false).unwrap();
    peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn the_longest_idle_connection_gives_way_to_a_new_one() {
    let rig = start(Limits { max_connections: 3, ..limits() });
    let mut idle = kept(&rig, rig.address, 3);
    // The first is asked once more, so the second has been idle for longest.
    idle[0].get("/again");
    assert_eq!(idle[0].answer().status, 200);
    handed_back(&rig, 0);
    let mut new = kept(&rig, rig.address, 1);
    assert_eq!(idle[1].rest(), Ok(String::new()), "closed without a word");
    for client in [0, 2] {
        assert!(is_open(&mut idle[client]));
    }
    for mut client in idle.into_iter().step_by(2).chain(new.drain(..)) {
        client.get("/still");
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn a_crowd_that_says_nothing_keeps_nobody_out() {
    let rig = start(Limits { max_connections: 3, ..limits() });
    let silent: Vec<Client> = (0..50).map(|_| Client::connect(rig.address)).collect();
    for _ in 0..10 {
        assert_eq!(ask(rig.address, GET).status, 200);
        // The worker may stay with it for a moment, and three of those leave no room.
        handed_back(&rig, 0);
    }
    assert!(rig.running.snapshot().connections <= 3);
    drop(silent);
}

#[test]
fn connections_that_are_owed_something_do_not_give_way() {
    let rig = start(Limits { max_connections: 3, max_connections_per_address: 1, ..limits() });
    // Loopback is exempt from the limit per address.
    let mut owed = busy(&rig, rig.address, 2);
    let mut uploading = Client::connect(rig.address);
    uploading.send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(uploading.head_answer().status, 100);
    let answer = ask(rig.address, GET);
    assert_eq!((answer.status, answer.header("connection")), (503, Some("close")));
    assert_eq!(answer.header("retry-after"), Some("1"));
    uploading.send("hello");
    assert_eq!(uploading.answer().body, "POST /x  5 -");
    owed.iter().for_each(|_| rig.release.send(()).unwrap());
    for client in &mut owed {
        assert_eq!(client.answer().body, "waited");
    }
    assert_eq!(ask(rig.address, GET).status, 200);
}

#[test]
fn a_request_that_has_arrived_unseen_is_answered_before_anybody_gives_way() {
    let rig = start(Limits { max_connections: 3, ..limits() });
    let mut clients = kept(&rig, rig.address, 3);
    let (idle, gates) = clients.split_first_mut().unwrap();
    // While the front judges the first gate, it is told of the second and of a new connection in one piece. While it
    // judges the second, the request comes that it has not been told of.
    gates[0].get("/gate");
    rig.entered.recv_timeout(PATIENCE).unwrap();
    gates[1].get("/gate");
    let new = Client::connect(rig.address);
    rig.release.send(()).unwrap();
    rig.entered.recv_timeout(PATIENCE).unwrap();
    idle.get("/x");
    rig.release.send(()).unwrap();
    assert_eq!(idle.answer().status, 200, "it was closed with its request in hand");
    drop(new);
}

#[test]
fn heads_that_drip_keep_nobody_out_for_long() {
    let rig = start(Limits { max_connections: 3, head_timeout: PATIENCE * 10, ..limits() });
    let mut dripping: Vec<Client> = (0..3).map(|_| Client::connect(rig.address)).collect();
    dripping.iter_mut().for_each(|client| client.send("GET / HTTP/1.1\r\nX: "));
    wait_until(|| rig.running.snapshot().connections == 3);
    wait_until(|| try_ask(rig.address, GET).is_some_and(|answer| answer.status == 200));
    assert_eq!(dripping.iter_mut().map(|client| usize::from(is_open(client))).sum::<usize>(), 2);
}

#[test]
fn strangers_keep_nobody_out_however_often_they_come() {
    for begun in [
        "BAD\r\n\r\n",
        "POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nu",
        "GET / HTTP/1.1\r\nX: ",
        "POST /stranger HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nu",
    ] {
        let rig = start(Limits { max_connections: 3, ..limits() });
        let mut strangers: Vec<Client> = (0..3).map(|_| Client::connect(rig.address)).collect();
        strangers.iter_mut().for_each(|client| client.send(begun));
        wait_until(|| rig.running.snapshot().connections == 3);
        for _ in 0..3 {
            assert_eq!(ask(rig.address, GET).status, 200, "{begun}");
            handed_back(&rig, 0);
        }
    }
}

#[test]
fn bodies_that_drip_keep_nobody_out_for_long() {
    let rig = start(Limits { max_connections: 3, body_idle_timeout: PATIENCE * 10, ..limits() });
    let mut dripping: Vec<Client> = (0..3).map(|_| Client::connect(rig.address)).collect();
    dripping.iter_mut().for_each(|client| client.send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\nx"));
    wait_until(|| rig.running.snapshot().connections == 3);
    wait_until(|| try_ask(rig.address, GET).is_some_and(|answer| answer.status == 200));
    assert_eq!(dripping.iter_mut().map(|client| usize::from(is_open(client))).sum::<usize>(), 2);
}

/// An address of this machine that is not loopback. Connecting a datagram socket sends nothing.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_loopback())
}

#[test]
fn one_address_cannot_take_all_connections() {
    let Some(outer) = outer_address() else {
        println!("skipped: this machine has no address but loopback");
        return;
    };
    let limits = Limits { workers: 20, max_connections: 100, max_connections_per_address: 10, ..limits() };
    let rig = start_on("0.0.0.0", limits);
    let (outer, inner) =
        (SocketAddr::new(outer, rig.address.port()), SocketAddr::from(([127, 0, 0, 1], rig.address.port())));
    let mut others = kept(&rig, inner, 20);
    let mut own = busy(&rig, outer, 9);
    let mut idle = kept(&rig, outer, 1);
    let mut tenth = busy(&rig, outer, 1);
    assert_eq!(idle[0].rest(), Ok(String::new()), "an idle one of the same address gives way");
    assert_eq!(ask(outer, GET).status, 503, "the eleventh of one address");
    // Loopback is exempt, and those that are in are served.
    own.append(&mut tenth);
    own.iter().for_each(|_| rig.release.send(()).unwrap());
    for client in &mut own {
        assert_eq!(client.answer().status, 200);
    }
    for client in &mut others {
        client.get("/x");
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn a_pipeline_of_refusals_leaves_the_others_their_turn() {
    let rig = start(limits());
    // While the front judges this one, all that follows arrives.
    let mut gate = Client::connect(rig.address);
    gate.get("/gate");
    rig.entered.recv_timeout(PATIENCE).unwrap();
    let mut flood = Client::connect(rig.address);
    flood.send("GET /refused HTTP/1.1\r\nHost: h\r\n\r\n".repeat(2000));
    let mut other = Client::connect(rig.address);
    other.get("/x");
    rig.release.send(()).unwrap();
    assert_eq!(other.answer().status, 200);
    let order = rig.judged.lock().unwrap();
    let before = order.iter().take_while(|path| *path != "/x").count();
    assert!(before < 1000, "{before} requests of another were judged before this one");
}

#[test]
fn a_flood_of_pipelines_leaves_the_others_their_turn() {
    let rig = start(Limits { max_connections: 200, ..limits() });
    let hold = || rig.entered.recv_timeout(PATIENCE).unwrap();
    let mut flood = kept(&rig, rig.address, 100);
    let mut other = kept(&rig, rig.address, 1).remove(0);
    // While the front judges this one, all that follows arrives.
    let mut gate = Client::connect(rig.address);
    gate.get("/gate");
    hold();
    let refused = "GET /refused HTTP/1.1\r\nHost: h\r\n\r\n";
    flood.iter_mut().skip(1).for_each(|client| client.send(refused.repeat(40)));
    flood[0].send(refused.to_owned() + &refused.replace("refused", "gate"));
    rig.release.send(()).unwrap();
    hold();
    let begun = rig.judged.lock().unwrap().len();
    other.get("/x");
    rig.release.send(()).unwrap();
    assert_eq!(other.answer().status, 200);
    let order = rig.judged.lock().unwrap();
    let before = order.iter().skip(begun).take_while(|path| *path != "/x").count();
    assert!(before < 64, "{before} requests of others were judged before this one");
}
