//! Names as SQL writes them.

/// A name as SQL writes it: quoted unless it is a plain lower-case identifier.
pub fn sql_name(name: &str) -> String {
    let head = |c: char| c.is_ascii_lowercase() || c == '_';
    if name.starts_with(head) && name.chars().all(|c| head(c) || c.is_ascii_digit()) {
        name.to_string()
    } else {
        quoted_name(name)
    }
}

/// A name in double quotes.
pub fn quoted_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::sql_name;

    #[test]
    fn only_plain_names_go_without_quotes() {
        for plain in ["reviews", "_a1"] {
            assert_eq!(sql_name(plain), plain);
        }
        assert_eq!(sql_name("My \"table\""), "\"My \"\"table\"\"\"");
        assert_eq!(sql_name("1a"), "\"1a\"");
        assert_eq!(sql_name(""), "\"\"");
    }
}
