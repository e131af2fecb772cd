//! Reading and writing Server-Sent Events. Knows nothing else.
