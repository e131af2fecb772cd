//! The admin page in a headless Chromium (Debian's package, installed by `tests/setup.sh`). The cases are in `js/page_*.mjs`;
//! their screenshots go to `tests/screenshots`.

mod common;

use common::google::FakeGoogle;
use common::proxy::Proxy;
use common::script;
use std::path::Path;

fn browser(cases: &str, proxy: &Proxy) {
    for needed in ["node_modules/playwright-core/package.json", "node_modules/axe-core/package.json"] {
        assert!(script::file(needed).exists(), "{needed} is not installed: run tests/setup.sh (`make test` does)");
    }
    script::run(Path::new("node"), "js/run_browser.mjs", &[&format!("./{cases}")], proxy);
}

#[test]
fn the_page_shows_every_state_well_and_safely() {
    let google = FakeGoogle::start();
    browser("page_states.mjs", &Proxy::start(&google, |_| {}));
}
