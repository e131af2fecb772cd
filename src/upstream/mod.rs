//! Google's two services behind one trait: Code Assist for OAuth credentials, the public Generative Language API for API
//! keys. The only folder, with `credentials/oauth`, that knows the HTTP client.

pub mod agent;
pub mod cancel;
