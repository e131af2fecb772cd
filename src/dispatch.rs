//! Leases a credential, sends, waits for the first event; on failure judges it and tries the next.
