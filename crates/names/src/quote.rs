//! Names as SQL writes them.

/// A name as SQL writes it: quoted unless it is a plain lower-case identifier.
pub fn sql_name(name: &str) -> String {
    let head = |c: char| c.is_ascii_lowercase() || c == '_';
    if name.starts_with(head) && name.chars().all(|c| head(c) || c.is_ascii_digit()) {
        name.to_string()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_prints_and_parses() {
        let digest = Digest::of(b"hello");
        let mut parts = Digest::of_parts();
        [b"he".as_slice(), b"", b"llo"].iter().for_each(|part| parts.add(part));
        assert_eq!(parts.finish(), digest);
        let text = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse::<Digest>().unwrap(), digest);
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Digest>(&format!("\"{text}\"")).unwrap(), digest);
        for wrong in
            ["", "2cf2", &text[1..], &text.to_uppercase(), &text.replace('2', "g"), &text.replace("2c", "é")]
        {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn references_print_back() {
        for text in ["sentiment", "sentiment@3", "all-MiniLM-L6-v2@12", "a b"] {
            assert_eq!(text.parse::<ModelReference>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "@1",
            "a@",
            "a@0",
            "a@-1",
            "a@x",
            "a@1@2",
            "a@+1",
            "a@01",
            "a/b",
            " a",
            "a\n",
            "a@99999999999",
        ] {
            assert!(wrong.parse::<ModelReference>().is_err(), "{wrong:?}");
        }
        assert!("x".repeat(129).parse::<ModelName>().is_err());
    }
}
