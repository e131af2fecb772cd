//! The fake Google against its own rules.

mod common;

use common::google::{FakeGoogle, User};

#[test]
fn it_starts_and_ends() {
    let fake = FakeGoogle::start();
    let login = fake.add_user(User::licensed("a@example.com", "project-a"));
    assert!(login.access_token.starts_with("ya29."));
    assert_eq!(fake.requests().len(), 0);
}
