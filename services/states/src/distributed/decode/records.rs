//! Delimited text to records, by the rules that Step Functions has for it.
//!
//! Source: Developer Guide, "How Step Functions parses input CSV files". A backslash escapes in bare fields as in quoted ones, and a
//! doubled quotation mark stands for one in both; no CSV library has these two rules, which is why the records are told apart here.

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What the bytes so far have come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    /// Between two records.
    Nothing,
    /// Before the first byte of a field.
    Start,
    Bare,
    /// In a bare field, behind a quotation mark.
    BareQuote,
    Quoted,
    /// In a quoted field, behind a quotation mark.
    QuotedQuote,
}

/// Takes bytes, gives records.
pub(super) struct Records {
    delimiter: u8,
    within: Within,
    /// The byte before was a backslash.
    escaped: bool,
    /// How much of a byte order mark was seen; `None` behind it.
    mark: Option<usize>,
    fields: Vec<Vec<u8>>,
    field: Vec<u8>,
    bytes: usize,
}

impl Records {
    pub(super) fn new(delimiter: u8) -> Self {
        let (fields, field) = (Vec::new(), Vec::new());
        Self { delimiter, within: Within::Nothing, escaped: false, mark: Some(0), fields, field, bytes: 0 }
    }

    /// How long the record is that has not ended.
    pub(super) fn pending_bytes(&self) -> usize {
        self.bytes
    }

    /// One byte more: the record that it ends, if it ends one.
    pub(super) fn push(&mut self, byte: u8) -> Option<Vec<String>> {
        if let Some(seen) = self.mark {
            if BOM.get(seen) == Some(&byte) {
                self.mark = Some(seen + 1).filter(|seen| *seen < BOM.len());
                return None;
            }
            self.mark = None;
            BOM[..seen].iter().for_each(|byte| self.take(*byte));
        }
        if std::mem::take(&mut self.escaped) && (byte == b'\\' || byte == b'"' || byte == self.delimiter) {
            self.take(byte);
            return None;
        }
        match (self.within, byte) {
            (Within::Quoted, b'"') => self.within = Within::QuotedQuote,
            (Within::QuotedQuote, b'"') => {
                self.take(b'"');
                self.within = Within::Quoted;
            }
            (Within::BareQuote, b'"') => self.take(b'"'),
            (Within::BareQuote, _) => {
                self.take(b'"');
                return self.push(byte);
            }
            (_, b'\\') => self.escaped = true,
            (Within::Quoted, _) => self.take(byte),
            (Within::Nothing, b'\r' | b'\n') => {}
            (_, b'\r' | b'\n') => return Some(self.record()),
            (_, byte) if byte == self.delimiter => self.end_field(),
            (Within::Nothing | Within::Start, b'"') => self.within = Within::Quoted,
            (Within::Bare, b'"') => self.within = Within::BareQuote,
            (Within::Nothing | Within::Start | Within::Bare | Within::QuotedQuote, _) => self.take(byte),
        }
        None
    }

    /// The text is over: its last record, where nothing ends that.
    pub(super) fn finish(&mut self) -> Option<Vec<String>> {
        if self.within == Within::BareQuote {
            self.take(b'"');
        }
        (self.within != Within::Nothing).then(|| self.record())
    }

    /// A byte of the field itself.
    fn take(&mut self, byte: u8) {
        if self.within != Within::Quoted {
            self.within = Within::Bare;
        }
        self.field.push(byte);
        self.bytes += 1;
    }

    fn end_field(&mut self) {
        self.fields.push(std::mem::take(&mut self.field));
        self.bytes += 1;
        self.within = Within::Start;
    }

    fn record(&mut self) -> Vec<String> {
        self.end_field();
        (self.within, self.bytes) = (Within::Nothing, 0);
        let text = |field: Vec<u8>| {
            String::from_utf8(field).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
        };
        std::mem::take(&mut self.fields).into_iter().map(text).collect()
    }
}
