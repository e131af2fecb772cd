//! Rules of the conversation.
