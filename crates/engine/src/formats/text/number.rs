//! Numbers as they are written, and whether a float keeps them.

/// The digits of a number as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) negative: bool,
    /// Digits before the point, without leading zeros, and after it.
    pub(super) whole: usize,
    pub(super) fraction: usize,
    pub(super) point: bool,
    pub(super) exponent: bool,
    /// Whether it begins with a zero that a number would lose, or with a plus.
    pub(super) padded: bool,
}

/// Returns what a text says as a number: `-12`, `1.50`, `.5`, `1e5`; None for any other text.
pub(super) fn number(text: &str) -> Option<Number> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' | b'+' => text.split_at(1),
        _ => ("", text),
    };
    let end = rest.find(['e', 'E']).unwrap_or(rest.len());
    let (mantissa, exponent) = rest.split_at(end);
    if let Some(exponent) = exponent.get(1..) {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    Some(Number {
        negative: sign == "-",
        whole: whole.trim_start_matches('0').len(),
        fraction: fraction.len(),
        point: mantissa.contains('.'),
        exponent: !exponent.is_empty(),
        padded: sign == "+" || (whole.len() > 1 && whole.starts_with('0')),
    })
}

/// Whether a text is one of the values of a float that are no numbers: NaN and the infinities, as writers spell them.
pub(super) fn special(text: &str) -> bool {
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    ["nan", "inf", "infinity"].iter().any(|known| bare.eq_ignore_ascii_case(known))
}

/// Returns the significant digits of a number and the power of ten of the first one; none for zero.
fn significant(text: &str) -> (Vec<u8>, i64) {
    let text = text.trim_start_matches(['-', '+']);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(i64::from(i32::MAX));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let zeros = all.iter().take_while(|digit| **digit == b'0').count();
    let last = all.iter().rposition(|digit| *digit != b'0').map_or(zeros, |last| last + 1);
    let power = exponent + whole.len() as i64 - zeros as i64 - 1;
    (all.get(zeros..last).unwrap_or_default().to_vec(), power)
}

/// Whether a 64-bit float keeps a number: written with as many digits, it is the same text. So 0.1 is kept, as is
/// 0.10000000000000001, and 9007199254740993 is not.
pub(super) fn float_keeps(text: &str) -> bool {
    // Fewer digits are kept by any float that isn't at the edge of its range.
    if text.len() <= 15 && !text.contains(['e', 'E']) {
        return true;
    }
    let (digits, power) = significant(text);
    if digits.is_empty() {
        return true;
    }
    if digits.len() > 17 {
        return false;
    }
    let Ok(value) = text.parse::<f64>() else { return false };
    if !value.is_finite() {
        return false;
    }
    let shortest = significant(&format!("{value:e}"));
    let written = significant(&format!("{value:.*e}", digits.len() - 1));
    (&shortest.0, shortest.1) == (&digits, power) || (written.0, written.1) == (digits, power)
}

/// Whether two texts say the same number.
#[cfg(test)]
pub(super) fn same(one: &str, other: &str) -> bool {
    let (one_digits, other_digits) = (significant(one), significant(other));
    let zero = one_digits.0.is_empty() && other_digits.0.is_empty();
    let kept = |text: &str, digits: &(Vec<u8>, i64)| {
        significant(&format!("{:.*e}", digits.0.len().max(1) - 1, text.parse::<f64>().unwrap_or(f64::NAN)))
            == *digits
    };
    one == other
        || zero
        || (one.starts_with('-') == other.starts_with('-')
            && (one_digits == other_digits || kept(other, &one_digits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_float_keeps() {
        for kept in [
            "0.1",
            "0.10000000000000001",
            "0.30000000000000004",
            "1e5",
            "1E-300",
            "9007199254740992",
            "0",
            "0e0",
        ] {
            assert!(float_keeps(kept), "{kept}");
        }
        for lost in ["9007199254740993", "1234567890123456.7", "1e400", "0.12345678901234567890", "1e-400"] {
            assert!(!float_keeps(lost), "{lost}");
        }
    }

    #[test]
    fn numbers_as_they_are_written() {
        for text in ["", "-", ".", "e5", "1e", "1e+", "1,5", " 1", "0x1", "1_0", "--1", "1.2.3", "5%"] {
            assert_eq!(number(text), None, "{text}");
        }
        let padded = |text| number(text).unwrap().padded;
        assert!(padded("007") && padded("+1") && padded("-01") && padded("00.5"));
        assert!(!padded("0") && !padded("0.5") && !padded("-7") && !padded("10"));
        let found = number("-12.50").unwrap();
        assert_eq!((found.whole, found.fraction, found.negative), (2, 2, true));
    }
}
