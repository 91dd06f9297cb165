//! Writes entries and values as JSON, as serde_json does, which reads them. serde_json tests the characters of a text one by one
//! and writes a member in eight pieces: the two lines of a request took 23,000 instructions more, a seventh of what the log adds.

use super::event::{Entry, Salted, Values};
use std::io::Write;

/// Appends an entry.
pub(super) fn write_entry<T: AsRef<str>>(entry: &Entry<T>, output: &mut Vec<u8>) -> serde_json::Result<()> {
    let mut object = Object::new(output);
    object.scalar("bytes", entry.bytes)?;
    object.text("client", entry.client.as_ref())?;
    object.scalar("confined", entry.confined)?;
    object.scalar("count", entry.count)?;
    object.text("credential", entry.credential.as_ref())?;
    object.text("database", entry.database.as_ref())?;
    object.text("denied_by", entry.denied_by.as_ref())?;
    object.text("event", Some(entry.event.as_str()))?;
    if !entry.guards.is_empty() {
        serde_json::to_writer(object.member("guards"), &entry.guards)?;
    }
    object.text("learning_id", entry.learning_id.as_ref())?;
    object.text("learning_type", entry.learning_type.as_ref())?;
    object.scalar("oldest_open_intent", entry.oldest_open_intent)?;
    object.text("outcome", entry.outcome.as_ref())?;
    object.text("owner", entry.owner.as_ref())?;
    object.text("policy", entry.policy.as_ref())?;
    object.text("public_key", entry.public_key.as_ref())?;
    object.text("request_id", entry.request_id.as_ref())?;
    object.text("rule", entry.rule.as_ref())?;
    object.text("sha256", entry.sha256.as_ref())?;
    object.scalar("status", entry.status)?;
    object.text("storage", entry.storage.as_ref())?;
    object.text("subject", entry.subject.as_ref())?;
    object.text("table", entry.table.as_ref())?;
    object.text("time", Some(&entry.time))?;
    object.text("version", entry.version.as_ref())?;
    object.text("violation", entry.violation.as_ref())?;
    object.end();
    Ok(())
}

/// Appends the values of an entry.
pub(super) fn write_values<T: AsRef<str>>(values: &Values<T>, output: &mut Vec<u8>) -> serde_json::Result<()> {
    let mut object = Object::new(output);
    object.salted("client", values.client.as_ref())?;
    object.salted("learning_id", values.learning_id.as_ref())?;
    object.salted("owner", values.owner.as_ref())?;
    object.salted("subject", values.subject.as_ref())?;
    object.end();
    Ok(())
}

/// An object that is being written. Members without a value are left out.
struct Object<'a> {
    output: &'a mut Vec<u8>,
    /// What precedes the next member.
    separator: &'static [u8],
}

impl<'a> Object<'a> {
    const fn new(output: &'a mut Vec<u8>) -> Self {
        Self { output, separator: b"{\"" }
    }

    /// Appends the name of a member, which its value is to follow.
    fn member(&mut self, name: &str) -> &mut Vec<u8> {
        self.output.extend_from_slice(std::mem::replace(&mut self.separator, b",\""));
        self.output.extend_from_slice(name.as_bytes());
        self.output.extend_from_slice(b"\":");
        self.output
    }

    /// A number or a truth value.
    fn scalar(&mut self, name: &str, value: Option<impl std::fmt::Display>) -> serde_json::Result<()> {
        value.map_or(Ok(()), |value| write!(self.member(name), "{value}").map_err(serde_json::Error::io))
    }

    fn text(&mut self, name: &str, value: Option<impl AsRef<str>>) -> serde_json::Result<()> {
        value.map_or(Ok(()), |value| write_text(value.as_ref(), self.member(name)))
    }

    fn salted<T: AsRef<str>>(&mut self, name: &str, value: Option<&Salted<T>>) -> serde_json::Result<()> {
        let Some(Salted { salt, value }) = value else { return Ok(()) };
        let mut object = Object::new(self.member(name));
        object.text("salt", Some(salt))?;
        object.text("value", Some(value))?;
        object.end();
        Ok(())
    }

    fn end(self) {
        if self.separator == b"{\"" {
            self.output.push(b'{');
        }
        self.output.push(b'}');
    }
}

fn write_text(text: &str, output: &mut Vec<u8>) -> serde_json::Result<()> {
    // Without an early end, so that the compiler tests many characters at a time.
    let is_escaped = |escaped, byte| escaped | (byte < b' ') | (byte == b'"') | (byte == b'\\');
    if text.bytes().fold(false, is_escaped) {
        return serde_json::to_writer(output, text);
    }
    output.push(b'"');
    output.extend_from_slice(text.as_bytes());
    output.push(b'"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Entry, Salted, Values, write_entry, write_text, write_values};
    use crate::audit::event::Kind;
    use crate::audit::event::tests::full;
    use serde::Serialize;

    /// Asserts that serde_json writes the same.
    fn assert_written(value: &impl Serialize, write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>) {
        let mut written = Vec::new();
        write(&mut written).expect("written");
        let written = String::from_utf8(written).expect("text");
        assert_eq!(written, serde_json::to_string(value).expect("JSON"));
    }

    #[test]
    fn entry_is_written_as_its_declaration_has_it() {
        for entry in [full(), Entry::new(Kind::Interrupted)] {
            assert_written(&entry, |output| write_entry(&entry, output));
        }
    }

    #[test]
    fn values_are_written_as_their_declaration_has_them() {
        let salted = |value: &str| Some(Salted { salt: "00".repeat(16), value: value.to_owned() });
        let all =
            Values { client: salted("::1"), learning_id: salted("\"\t"), owner: salted(""), subject: salted("ü") };
        for values in [all.clone(), Values { client: None, ..all }, Values::default()] {
            assert_written(&values, |output| write_values(&values, output));
        }
    }

    #[test]
    fn every_character_is_escaped_as_json_requires() {
        for character in ('\0'..='\u{ff}').chain(['\u{2028}', '\u{ffff}', '\u{10ffff}']) {
            for text in [format!("{character}"), format!("a long text before it, and {character} after it")] {
                assert_written(&text, |output| write_text(&text, output));
            }
            for escaped in ['\n', '"', '\\'] {
                let text = format!("{character}{escaped}");
                assert_written(&text, |output| write_text(&text, output));
            }
        }
    }
}
