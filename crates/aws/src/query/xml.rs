//! Writing XML 1.0.

const HEAD: &str = "<?xml version=\"1.0\"?>";

/// A document: an element called `name` in a namespace, with what `write` puts into it, of about `capacity` bytes.
pub(crate) fn document(name: &str, namespace: &str, capacity: usize, write: impl FnOnce(&mut Element<'_>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD.len() + namespace.len() + 2 * name.len() + 16 + capacity);
    for part in [HEAD, "<", name, " xmlns=\"", namespace, "\">"] {
        out.extend_from_slice(part.as_bytes());
    }
    write(&mut Element::new(&mut out));
    for part in ["</", name, ">"] {
        out.extend_from_slice(part.as_bytes());
    }
    out
}

/// An element being written.
pub(crate) struct Element<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Element<'a> {
    /// What is inside the element that `out` has open.
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Writes an element with what `write` puts into it.
    pub(crate) fn element(&mut self, name: &str, write: impl FnOnce(&mut Element<'_>)) {
        self.tag("<", name);
        write(&mut Element { out: &mut *self.out });
        self.tag("</", name);
    }

    /// Writes an element with a text.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.element(name, |element| push(element.out, text));
    }

    /// Writes an element with what needs no escape.
    pub(crate) fn plain(&mut self, name: &str, text: &str) {
        self.element(name, |element| element.out.extend_from_slice(text.as_bytes()));
    }

    /// Writes an element with a public id.
    pub(crate) fn uuid(&mut self, name: &str, uuid: &[u8; 16]) {
        self.element(name, |element| crate::uuid::push(element.out, uuid));
    }

    fn tag(&mut self, open: &str, name: &str) {
        self.out.extend_from_slice(open.as_bytes());
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'>');
    }
}

/// Writes a text. What XML 1.0 cannot carry in any form becomes U+FFFD: for texts whose exact form matters, ask before.
fn push(out: &mut Vec<u8>, text: &str) {
    let mut buffer = [0; 4];
    for c in text.chars() {
        match c {
            '&' => out.extend_from_slice(b"&amp;"),
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '"' => out.extend_from_slice(b"&quot;"),
            // A reader would make a line feed of it.
            '\r' => out.extend_from_slice(b"&#xD;"),
            '\t' | '\n' | ' '..='\u{FFFD}' | '\u{10000}'.. => {
                out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            }
            _ => out.extend_from_slice("\u{FFFD}".as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::is_xml;

    fn pushed(text: &str) -> String {
        let mut out = Vec::new();
        push(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    /// What a reader of XML makes of a text: line ends first, then references.
    fn read(text: &str) -> String {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text = text.replace("&#xD;", "\r").replace("&quot;", "\"").replace("&gt;", ">").replace("&lt;", "<");
        text.replace("&amp;", "&")
    }

    #[test]
    fn what_means_something_to_xml_is_escaped() {
        assert_eq!(pushed("a<b>&\"c'\r\n\t]]>"), "a&lt;b&gt;&amp;&quot;c'&#xD;\n\t]]&gt;");
        assert_eq!(pushed("&lt;&#0;"), "&amp;lt;&amp;#0;");
        assert_eq!(pushed("\0\u{1F}\u{FFFE}\u{FFFF}"), "\u{FFFD}".repeat(4));
        assert_eq!(pushed("\u{7F}\u{85}\u{FFFD}\u{10FFFF}"), "\u{7F}\u{85}\u{FFFD}\u{10FFFF}");
    }

    proptest! {
        #[test]
        fn what_xml_can_carry_reads_back(text: String) {
            prop_assume!(is_xml(&text));
            prop_assert_eq!(read(&pushed(&text)), text);
        }

        #[test]
        fn nothing_else_is_ever_written(text: String) {
            prop_assert!(is_xml(&pushed(&text)));
        }
    }
}
