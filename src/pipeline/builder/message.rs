//! Events that are written here rather than sent: plain text as a message. Pure.

use crate::pipeline::json::{Members, push_string};

/// Room for what stands around a message.
pub(super) const MESSAGE_ROOM: usize = 128;

/// Writes an event of nothing but a message, and tags if there are any.
pub(super) fn push_message(out: &mut Vec<u8>, text: &str, tags: &[&str]) {
    let mut object = Members::open(out, b'{');
    push_string(object.key("message"), text);
    if !tags.is_empty() {
        let mut array = Members::open(object.key("tags"), b'[');
        for tag in tags {
            push_string(array.next(), tag);
        }
        array.close(b']');
    }
    object.close(b'}');
}
