//! Bytes into records and fields, wherever the bytes are cut.

use datafusion::common::config::CsvOptions;

/// Takes what is found, field by field.
pub(super) trait Sink {
    /// Takes a part of a field's value.
    fn part(&mut self, field: usize, bytes: &[u8]);
    /// Ends a field; `quoted` tells an empty text from nothing.
    fn end_field(&mut self, field: usize, quoted: bool);
    /// Ends a record that began in `line`. Returns whether to go on.
    fn end_record(&mut self, fields: usize, line: u64) -> bool;
    /// Takes a line with nothing in it. Returns whether to go on.
    fn blank(&mut self, line: u64) -> bool;
    /// Whether it wants no more.
    fn has_enough(&self) -> bool;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Record,
    Field,
    Plain,
    Quoted,
    Escaped,
    /// After a quote inside a quoted value: its end, or the first of two.
    Quote,
    Comment,
}

/// Finds the records of a file. Quotes are doubled or escaped inside quoted values, which may have line ends; a quote
/// in the middle of a value without quotes is a part of it.
#[derive(Debug, Clone)]
pub(super) struct Records {
    delimiter: u8,
    quote: u8,
    escape: Option<u8>,
    doubled: bool,
    comment: Option<u8>,
    /// Which bytes end a value without quotes.
    ends: [bool; 256],
    state: State,
    field: usize,
    quoted: bool,
    /// The line that is under way, and the one that the record began in.
    line: u64,
    began: u64,
    /// After a carriage return, whose line feed may follow.
    returned: bool,
}

impl Records {
    pub(super) fn new(options: &CsvOptions) -> Self {
        let mut ends = [false; 256];
        ends[usize::from(options.delimiter)] = true;
        match options.terminator {
            Some(terminator) => ends[usize::from(terminator)] = true,
            None => (ends[usize::from(b'\n')], ends[usize::from(b'\r')]) = (true, true),
        }
        Self {
            delimiter: options.delimiter,
            quote: options.quote,
            escape: options.escape.filter(|escape| *escape != options.quote),
            doubled: options.double_quote.unwrap_or(true),
            comment: options.comment,
            ends,
            state: State::Record,
            field: 0,
            quoted: false,
            line: 1,
            began: 1,
            returned: false,
        }
    }

    /// Takes in bytes until the sink has enough. Returns how many it took.
    pub(super) fn feed(&mut self, input: &[u8], sink: &mut impl Sink) -> usize {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            let rest = &input[at..];
            match self.state {
                State::Record => {
                    let follows = std::mem::take(&mut self.returned) && byte == b'\n';
                    if follows {
                        at += 1;
                    } else if byte != self.delimiter && self.ends[usize::from(byte)] {
                        at += 1;
                        self.returned = byte == b'\r';
                        self.line += 1;
                        if !sink.blank(self.line - 1) {
                            return at;
                        }
                    } else if self.comment == Some(byte) {
                        self.state = State::Comment;
                    } else {
                        (self.began, self.field, self.state) = (self.line, 0, State::Field);
                    }
                }
                State::Field => {
                    self.quoted = byte == self.quote;
                    self.state = if self.quoted { State::Quoted } else { State::Plain };
                    at += usize::from(self.quoted);
                }
                State::Plain => {
                    let end =
                        rest.iter().position(|byte| self.ends[usize::from(*byte)]).unwrap_or(rest.len());
                    sink.part(self.field, &rest[..end]);
                    at += end;
                    if let Some(&byte) = input.get(at) {
                        at += 1;
                        if !self.end(byte, sink) {
                            return at;
                        }
                    }
                }
                State::Quoted => {
                    let ends = |byte: &u8| *byte == self.quote || Some(*byte) == self.escape;
                    let end = rest.iter().position(ends).unwrap_or(rest.len());
                    sink.part(self.field, &rest[..end]);
                    self.line += rest[..end].iter().filter(|byte| **byte == b'\n').count() as u64;
                    at += end;
                    if let Some(&byte) = input.get(at) {
                        at += 1;
                        self.state = if byte == self.quote { State::Quote } else { State::Escaped };
                    }
                }
                State::Escaped => {
                    sink.part(self.field, &[byte]);
                    self.line += u64::from(byte == b'\n');
                    self.state = State::Quoted;
                    at += 1;
                }
                State::Quote if byte == self.quote && self.doubled => {
                    sink.part(self.field, &[byte]);
                    self.state = State::Quoted;
                    at += 1;
                }
                State::Quote if self.ends[usize::from(byte)] => {
                    at += 1;
                    if !self.end(byte, sink) {
                        return at;
                    }
                }
                State::Quote => self.state = State::Plain,
                State::Comment => {
                    let ended =
                        rest.iter().position(|byte| *byte != self.delimiter && self.ends[usize::from(*byte)]);
                    at += ended.unwrap_or(rest.len());
                    if let Some(&byte) = input.get(at) {
                        at += 1;
                        self.line += 1;
                        (self.returned, self.state) = (byte == b'\r', State::Record);
                    }
                }
            }
        }
        at
    }

    /// Ends a field by the byte after it, and with it perhaps the record. Returns whether to go on.
    fn end(&mut self, byte: u8, sink: &mut impl Sink) -> bool {
        sink.end_field(self.field, self.quoted);
        if byte == self.delimiter {
            self.field += 1;
            (self.state, self.quoted) = (State::Field, false);
            return true;
        }
        self.line += 1;
        (self.returned, self.state) = (byte == b'\r', State::Record);
        sink.end_record(self.field + 1, self.began)
    }

    /// Ends the file. Errors: the line of a record whose quoted value isn't closed.
    pub(super) fn finish(&mut self, sink: &mut impl Sink) -> Result<(), u64> {
        match self.state {
            State::Record | State::Comment => {}
            State::Quoted | State::Escaped => return Err(self.began),
            State::Field | State::Plain | State::Quote => {
                let quoted = self.quoted && self.state != State::Field;
                sink.end_field(self.field, quoted);
                sink.end_record(self.field + 1, self.began);
                self.state = State::Record;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct All {
        records: Vec<(u64, Vec<Option<String>>)>,
        fields: Vec<Option<String>>,
        value: Vec<u8>,
        blanks: Vec<u64>,
    }

    impl Sink for All {
        fn part(&mut self, _: usize, bytes: &[u8]) {
            self.value.extend_from_slice(bytes);
        }

        fn end_field(&mut self, field: usize, quoted: bool) {
            assert_eq!(field, self.fields.len());
            let value = String::from_utf8(std::mem::take(&mut self.value)).unwrap();
            self.fields.push((quoted || !value.is_empty()).then_some(value));
        }

        fn end_record(&mut self, fields: usize, line: u64) -> bool {
            assert_eq!(fields, self.fields.len());
            self.records.push((line, std::mem::take(&mut self.fields)));
            true
        }

        fn blank(&mut self, line: u64) -> bool {
            self.blanks.push(line);
            true
        }

        fn has_enough(&self) -> bool {
            false
        }
    }

    fn read(text: &[u8], cut: usize, options: &CsvOptions) -> All {
        let (mut records, mut all) = (Records::new(options), All::default());
        for piece in text.chunks(cut) {
            assert_eq!(records.feed(piece, &mut all), piece.len());
        }
        records.finish(&mut all).unwrap();
        all
    }

    #[test]
    fn records_are_found_wherever_the_bytes_are_cut() {
        let text = b"a,\"b \"\"c\"\"\"\r\n,\"\"\n\n\"x\ny\",z\r#no,\n1,2";
        let options = CsvOptions { comment: Some(b'#'), ..CsvOptions::default() };
        let some = |text: &str| Some(text.to_owned());
        let expected = vec![
            (1, vec![some("a"), some("b \"c\"")]),
            (2, vec![None, some("")]),
            (4, vec![some("x\ny"), some("z")]),
            (7, vec![some("1"), some("2")]),
        ];
        for cut in 1..=text.len() {
            let all = read(text, cut, &options);
            assert_eq!(all.records, expected, "{cut}");
            assert_eq!(all.blanks, [3], "{cut}");
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_tells_its_line() {
        let (mut records, mut all) = (Records::new(&CsvOptions::default()), All::default());
        records.feed(b"a,b\n1,\"2\n3,4\n", &mut all);
        assert_eq!(records.finish(&mut all), Err(2));
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        // A sequence that is the same each time, over the bytes that matter.
        let mut state = 7_u64;
        let mut next = move |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        let pieces = ["a", "\"", ",", "\n", "\r\n", "é", " ", "0", "#"];
        for round in 0..300 {
            let width = 2 + next(3) as usize;
            let rows: Vec<Vec<Option<String>>> = (0..next(8))
                .map(|_| {
                    let value = |_| match next(4) {
                        0 => None,
                        _ => Some((0..next(5)).map(|_| pieces[next(9) as usize]).collect()),
                    };
                    (0..width).map(value).collect()
                })
                .collect();
            let field = |value: &Option<String>| match value {
                None => String::new(),
                Some(value) if value == "a" => value.clone(),
                Some(value) => format!("\"{}\"", value.replace('"', "\"\"")),
            };
            let end = if round % 2 == 0 { "\n" } else { "\r\n" };
            let line = |row: &Vec<Option<String>>| row.iter().map(field).collect::<Vec<_>>().join(",") + end;
            let text: String = rows.iter().map(line).collect();
            for cut in [1, 2, 3, 7, 1000] {
                let all = read(text.as_bytes(), cut, &CsvOptions::default());
                let found: Vec<_> = all.records.into_iter().map(|(_, row)| row).collect();
                assert_eq!(found, rows, "{text:?} cut by {cut}");
            }
        }
    }
}
