//! The text of an object into what its values are.

use super::shape::{At, Clash, Kind, Shape, inside};

/// So many lists and objects may lie inside each other.
const DEPTH: usize = 100;

/// Why an object's values can't be told.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is no JSON: after so many bytes, and what is wrong.
    Syntax(usize, String),
    /// A list or an object in place of a value, or the like.
    Clash(Box<Clash>),
}

impl From<Clash> for Fault {
    fn from(clash: Clash) -> Self {
        Self::Clash(Box::new(clash))
    }
}

/// Takes the values of an object's text, which begins in the line `at`, into a shape.
pub(super) fn take(text: &[u8], shape: &mut Shape, at: &At) -> Result<(), Fault> {
    Parser { text, place: 0, at }.value(shape, 0)
}

struct Parser<'a> {
    text: &'a [u8],
    place: usize,
    at: &'a At,
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.place) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.place += 1;
        }
        None
    }

    fn expected<T>(&self, what: &str) -> Result<T, Fault> {
        let found = match self.text.get(self.place) {
            Some(byte) => format!("'{}'", String::from_utf8_lossy(&[*byte])),
            None => "the end of the object".to_owned(),
        };
        Err(Fault::Syntax(self.place, format!("expected {what}, found {found}")))
    }

    fn here(&self) -> At {
        let lines = self.text.get(..self.place).unwrap_or_default().iter().filter(|byte| **byte == b'\n');
        At { line: self.at.line + lines.count() as u64, file: self.at.file.clone() }
    }

    fn value(&mut self, shape: &mut Shape, depth: usize) -> Result<(), Fault> {
        if depth > DEPTH {
            return self.expected("fewer lists and objects inside each other");
        }
        let first = self.peek();
        if first == Some(b'n') {
            return self.word("null");
        }
        let kind = match first {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::List,
            _ => Kind::Value,
        };
        if shape.kind() != Some(kind) {
            shape.is(kind, &self.here())?;
        }
        match first {
            Some(b'{') => self.object(shape, depth),
            Some(b'[') => self.list(shape, depth),
            Some(b'"') => {
                self.string()?;
                shape.values.add_text();
                Ok(())
            }
            Some(b't') => {
                shape.values.add_boolean();
                self.word("true")
            }
            Some(b'f') => {
                shape.values.add_boolean();
                self.word("false")
            }
            Some(b'-' | b'0'..=b'9') => {
                let rest = self.text.get(self.place..).unwrap_or_default();
                let number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                let length = rest.iter().take_while(|byte| number(byte)).count();
                self.place += length;
                shape.values.add_number(std::str::from_utf8(&rest[..length]).unwrap_or_default());
                Ok(())
            }
            _ => self.expected("a value"),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        match self.text.get(self.place..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            true => {
                self.place += word.len();
                Ok(())
            }
            false => self.expected("a value"),
        }
    }

    fn object(&mut self, shape: &mut Shape, depth: usize) -> Result<(), Fault> {
        self.place += 1;
        if self.peek() == Some(b'}') {
            self.place += 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return self.expected("a key in quotes");
            }
            let key = self.string()?;
            if self.peek() != Some(b':') {
                return self.expected("':' after a key");
            }
            self.place += 1;
            self.value(shape.field(&key), depth + 1).map_err(|fault| match fault {
                Fault::Clash(clash) => Fault::Clash(Box::new(inside(&key, *clash))),
                fault => fault,
            })?;
            match self.peek() {
                Some(b',') => self.place += 1,
                Some(b'}') => {
                    self.place += 1;
                    return Ok(());
                }
                _ => return self.expected("',' or '}'"),
            }
        }
    }

    fn list(&mut self, shape: &mut Shape, depth: usize) -> Result<(), Fault> {
        self.place += 1;
        if self.peek() == Some(b']') {
            self.place += 1;
            return Ok(());
        }
        loop {
            self.value(shape.items(), depth + 1).map_err(|fault| match fault {
                Fault::Clash(clash) => Fault::Clash(Box::new(inside("[]", *clash))),
                fault => fault,
            })?;
            match self.peek() {
                Some(b',') => self.place += 1,
                Some(b']') => {
                    self.place += 1;
                    return Ok(());
                }
                _ => return self.expected("',' or ']'"),
            }
        }
    }

    /// Returns a string's value.
    fn string(&mut self) -> Result<String, Fault> {
        self.place += 1;
        let start = self.place;
        let mut escapes = false;
        while let Some(byte) = self.text.get(self.place) {
            match byte {
                b'"' => break,
                b'\\' => {
                    escapes = true;
                    self.place += 1;
                }
                _ => {}
            }
            self.place += 1;
        }
        let raw = self.text.get(start..self.place);
        let Some(raw) = raw.filter(|_| self.text.get(self.place) == Some(&b'"')) else {
            return self.expected("'\"'");
        };
        let Ok(text) = std::str::from_utf8(raw) else {
            return Err(Fault::Syntax(start, "a text is not UTF-8".to_owned()));
        };
        self.place += 1;
        Ok(if escapes { unescaped(text) } else { text.to_owned() })
    }
}

/// Returns a string's text without its escapes.
fn unescaped(text: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        let plain = match char {
            '\\' => match rest.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('u') => {
                    let digits: String = rest.by_ref().take(4).collect();
                    units.push(u16::from_str_radix(&digits, 16).unwrap_or(0xfffd));
                    continue;
                }
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(rows: &[&str]) -> Result<String, Fault> {
        let mut shape = Shape::default();
        for (row, text) in rows.iter().enumerate() {
            take(text.as_bytes(), &mut shape, &At { file: "f".into(), line: row as u64 + 1 })?;
        }
        let column =
            |field: &datafusion::arrow::datatypes::Field| format!("{}: {}", field.name(), field.data_type());
        Ok(shape.columns().iter().map(column).collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn types_keep_all_values() {
        for (rows, expected) in [
            (&["{\"n\": 1}", "{\"n\": 1.5}"][..], "n: Float64"),
            (&["{\"n\": 18446744073709551615}"], "n: UInt64"),
            (&["{\"n\": \"5\"}"], "n: Utf8"),
            (&["{\"n\": true}", "{\"n\": \"x\"}"], "n: Utf8"),
            (&["{\"n\": null}", "{\"m\\u00e9\": 1}"], "n: Null, mé: Int64"),
        ] {
            assert_eq!(columns(rows).unwrap(), expected);
        }
        let nested = columns(&["{\"l\": [{\"a\": 1}, null, {\"b\": []}]}"]).unwrap();
        assert!(nested.contains("\"a\": Int64") || nested.contains("a"), "{nested}");
    }

    #[test]
    fn what_does_not_go_together_tells_key_and_lines() {
        let Err(Fault::Clash(clash)) = columns(&["{\"a\": {\"t\": 1}}", "{\"a\":\n{\"t\": [2]}}"]) else {
            panic!("no clash");
        };
        assert_eq!((clash.column.as_str(), clash.first.1.line, clash.then.1.line), ("a.t", 1, 3));
        for text in ["{\"a\" 1}", "{a: 1}", "{\"a\": }", "{\"a\": [1 2]}", "{\"a\": nul}"] {
            assert!(matches!(columns(&[text]), Err(Fault::Syntax(..))), "{text}");
        }
    }
}
