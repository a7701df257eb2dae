//! How many columns of a terminal a text takes.

/// The characters that take two columns: East Asian wide ones and emoji.
const WIDE: &[(u32, u32)] = &[
    (0x1100, 0x115f),
    (0x231a, 0x231b),
    (0x23e9, 0x23ec),
    (0x2614, 0x2615),
    (0x26a1, 0x26a1),
    (0x2705, 0x2705),
    (0x270a, 0x270b),
    (0x2728, 0x2728),
    (0x274c, 0x274c),
    (0x2753, 0x2755),
    (0x2795, 0x2797),
    (0x2b50, 0x2b50),
    (0x2e80, 0x303e),
    (0x3041, 0xa4cf),
    (0xac00, 0xd7a3),
    (0xf900, 0xfaff),
    (0xfe30, 0xfe6f),
    (0xff01, 0xff60),
    (0xffe0, 0xffe6),
    (0x1f300, 0x1f64f),
    (0x1f680, 0x1f6ff),
    (0x1f900, 0x1f9ff),
    (0x20000, 0x3fffd),
];

/// The characters that take none: combining marks, joiners and variation selectors.
const EMPTY: &[(u32, u32)] = &[
    (0x300, 0x36f),
    (0x483, 0x489),
    (0x591, 0x5bd),
    (0x610, 0x61a),
    (0x64b, 0x65f),
    (0x1ab0, 0x1aff),
    (0x1dc0, 0x1dff),
    (0x200b, 0x200f),
    (0x202a, 0x202e),
    (0x2060, 0x2064),
    (0x20d0, 0x20ff),
    (0xfe00, 0xfe0f),
    (0xfe20, 0xfe2f),
    (0xfeff, 0xfeff),
    (0x1f3fb, 0x1f3ff),
];

/// Returns the width of a text, in columns.
pub(crate) fn of(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(of_char).sum() }
}

/// Returns the text cut to at most `columns`, with an ellipsis as its last where something was cut.
pub(crate) fn cut(text: &str, columns: usize) -> std::borrow::Cow<'_, str> {
    if of(text) <= columns {
        return text.into();
    }
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        taken += of_char(*c);
        taken + 1 > columns
    });
    format!("{}…", &text[..end.map_or(text.len(), |(at, _)| at)]).into()
}

fn of_char(c: char) -> usize {
    let within = |ranges: &[(u32, u32)]| {
        let after = ranges.partition_point(|(_, last)| *last < u32::from(c));
        ranges.get(after).is_some_and(|(first, _)| *first <= u32::from(c))
    };
    match c {
        _ if c.is_ascii() => 1,
        _ if within(EMPTY) => 0,
        _ if within(WIDE) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths() {
        assert!(WIDE.is_sorted() && EMPTY.is_sorted());
        for (text, columns) in
            [("", 0), ("abc", 3), ("é", 1), ("e\u{301}", 1), ("漢字", 4), ("👍", 2), ("…", 1)]
        {
            assert_eq!(of(text), columns, "{text}");
        }
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("漢字漢字", 4), "漢…");
        assert_eq!(cut("abc", 1), "…");
    }
}
