//! Bytes into objects, wherever the bytes are cut and the lines end.

/// Objects, one after the other, and where each begins.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) bytes: Vec<u8>,
    /// Where each begins in `bytes`, and in which line of the file.
    pub(super) starts: Vec<usize>,
    pub(super) lines: Vec<u64>,
}

impl Objects {
    /// Returns an object's text.
    pub(super) fn get(&self, row: usize) -> &[u8] {
        let start = self.starts.get(row).copied().unwrap_or_default();
        let end = self.starts.get(row + 1).copied().unwrap_or(self.bytes.len());
        self.bytes.get(start..end).unwrap_or_default()
    }
}

/// Something that is no object: its line, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stray {
    pub(super) line: u64,
    pub(super) reason: String,
}

/// Finds the objects of a file. Of an array only what is in it is taken.
#[derive(Debug, Default)]
pub(super) struct Finder {
    depth: usize,
    in_text: bool,
    escaped: bool,
    array: bool,
    closed: bool,
    any: bool,
    line: u64,
    began: u64,
    /// In a piece of a file, until an object is found that is in no other: the last byte that isn't blank.
    inside: Option<Option<u8>>,
}

impl Finder {
    /// Returns the finder of a piece of a file, which begins with a line and may be inside an object, after `before`.
    ///
    /// What is in an object or a list is told apart by commas, so an object that follows another without one is in nothing. No text has line ends.
    pub(super) fn inside(before: Option<u8>) -> Self {
        Self { inside: Some(before), ..Self::default() }
    }

    /// Passes by what is inside an object that began before the piece. Returns how many bytes it took.
    fn pass(&mut self, input: &[u8], mut before: Option<u8>) -> usize {
        for (at, byte) in input.iter().enumerate() {
            match byte {
                _ if self.in_text => {
                    let escaped = std::mem::take(&mut self.escaped);
                    self.escaped = !escaped && *byte == b'\\';
                    self.in_text = escaped || *byte != b'"';
                }
                b'{' if matches!(before, None | Some(b'}')) => {
                    self.inside = None;
                    return at;
                }
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' => {}
                other => (self.in_text, before) = (*other == b'"', Some(*other)),
            }
        }
        self.inside = Some(before);
        input.len()
    }

    /// Takes in bytes until there are `most` objects, or so many bytes of them. Returns how many bytes it took.
    pub(super) fn feed(
        &mut self,
        input: &[u8],
        into: &mut Objects,
        most: usize,
        most_bytes: usize,
    ) -> Result<usize, Stray> {
        let mut at = self.inside.map_or(0, |before| self.pass(input, before));
        while let Some(&byte) = input.get(at) {
            if self.depth == 0 {
                at += 1;
                self.outside(byte, into)?;
                continue;
            }
            let rest = &input[at..];
            let end = rest.iter().position(|byte| match self.in_text {
                true => matches!(byte, b'"' | b'\\') || self.escaped,
                false => matches!(byte, b'"' | b'{' | b'}' | b'[' | b']'),
            });
            let end = end.map_or(rest.len(), |end| end + 1);
            let (taken, last) = (&rest[..end], rest.get(end - 1).copied().unwrap_or_default());
            self.line += taken.iter().filter(|byte| **byte == b'\n').count() as u64;
            into.bytes.extend_from_slice(taken);
            at += end;
            if self.in_text {
                let escaped = std::mem::take(&mut self.escaped);
                self.escaped = !escaped && last == b'\\';
                self.in_text = escaped || last != b'"';
                continue;
            }
            match last {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
            if self.depth == 0 {
                into.bytes.push(b'\n');
                if into.starts.len() >= most || into.bytes.len() >= most_bytes {
                    return Ok(at);
                }
            }
        }
        Ok(at)
    }

    fn outside(&mut self, byte: u8, into: &mut Objects) -> Result<(), Stray> {
        match byte {
            b'\n' => self.line += 1,
            b' ' | b'\t' | b'\r' => {}
            b'[' if !self.any && !self.array => self.array = true,
            b',' if self.array && !self.closed => {}
            b']' if self.array && !self.closed => self.closed = true,
            b'{' if !self.closed => {
                (self.any, self.depth, self.began) = (true, 1, self.line);
                into.starts.push(into.bytes.len());
                into.lines.push(self.line + 1);
                into.bytes.push(byte);
            }
            other => {
                let found = String::from_utf8_lossy(&[other]).into_owned();
                let reason = format!("expected an object ('{{'), found '{found}'");
                return Err(Stray { line: self.line + 1, reason });
            }
        }
        Ok(())
    }

    /// Whether no object is under way.
    pub(super) fn is_between(&self) -> bool {
        self.depth == 0
    }

    /// Ends the file. Errors: an object or the array is not closed.
    pub(super) fn finish(&self) -> Result<(), Stray> {
        if self.depth > 0 {
            let reason = "the object that begins here doesn't end".to_owned();
            return Err(Stray { line: self.began + 1, reason });
        }
        if self.array && !self.closed {
            return Err(Stray {
                line: self.line + 1,
                reason: "the array of objects doesn't end (']')".to_owned(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, cut: usize) -> Result<Vec<(u64, String)>, Stray> {
        let (mut finder, mut objects) = (Finder::default(), Objects::default());
        for piece in text.as_bytes().chunks(cut) {
            assert_eq!(finder.feed(piece, &mut objects, usize::MAX, usize::MAX)?, piece.len());
        }
        finder.finish()?;
        let text = |row| String::from_utf8_lossy(objects.get(row)).trim().to_owned();
        Ok(objects.lines.iter().enumerate().map(|(row, line)| (*line, text(row))).collect())
    }

    #[test]
    fn a_piece_begins_with_what_is_in_no_object() {
        let find = |before: u8, piece: &str, cut: usize| {
            let (mut finder, mut objects) = (Finder::inside(Some(before)), Objects::default());
            for piece in piece.as_bytes().chunks(cut) {
                finder.feed(piece, &mut objects, usize::MAX, usize::MAX).unwrap();
            }
            let text = |row| String::from_utf8_lossy(objects.get(row)).trim().to_owned();
            (0..objects.starts.len()).map(text).zip(objects.lines.clone()).collect::<Vec<_>>()
        };
        let last = vec![("{\"a\":1}".to_owned(), 3)];
        for cut in 1..20 {
            assert_eq!(find(b'}', "\n\n{\"a\":1}\n", cut), last);
            assert_eq!(find(b':', "{\"b\":2}\n}\n{\"a\":1}\n", cut), last);
            assert_eq!(find(b',', "\"c\": \"} {\\\"} {\"}\r\n \r\n\t{\"a\":1}\n", cut), last);
            assert_eq!(find(b'[', "{\"b\":2},\n{\"b\":3}\n]}{\"a\":1}\n", cut), last);
            assert_eq!(find(b'[', "{\"b\":2},\n{\"b\":3}\n", cut), []);
        }
    }

    #[test]
    fn objects_are_found_however_they_are_written() {
        let objects = vec![(1, "{\"a\":\"}\\\"{\"}".to_owned()), (3, "{\"b\":[{}]}".to_owned())];
        for text in ["{\"a\":\"}\\\"{\"}\n\n{\"b\":[{}]}", "[{\"a\":\"}\\\"{\"},\n\n{\"b\":[{}]}]\n"] {
            for cut in 1..text.len() {
                assert_eq!(read(text, cut).unwrap(), objects, "{text} cut by {cut}");
            }
        }
        assert_eq!(read("", 1).unwrap(), []);
        assert_eq!(read("[]", 1).unwrap(), []);
        for (text, line) in [("{}\n7", 2), ("{}\n{", 2), ("[{}\n", 2), ("[{}]{}", 1), ("\n{}]", 2)] {
            assert_eq!(read(text, 1).unwrap_err().line, line, "{text}");
        }
    }
}
