//! What differs on purpose: `differences.txt`, a reason (`# …`) above the records that it holds for (`file.slt:line`).

use std::collections::BTreeMap;

const LIST: &str = include_str!("differences.txt");

/// Returns the listed records, with the reason of each.
pub(crate) fn listed() -> BTreeMap<String, String> {
    let (mut listed, mut reason, mut in_reason) = (BTreeMap::new(), String::new(), false);
    for line in LIST.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix('#') {
            reason = if in_reason { format!("{reason} {}", text.trim()) } else { text.trim().to_owned() };
            in_reason = true;
            continue;
        }
        in_reason = false;
        for place in line.split_whitespace() {
            assert!(!reason.is_empty(), "{place} has no reason");
            assert!(listed.insert(place.to_owned(), reason.clone()).is_none(), "{place} is listed twice");
        }
    }
    listed
}

#[test]
fn each_difference_has_a_reason_and_a_place() {
    for (place, reason) in listed() {
        let line = place.split_once(".slt:").map(|(_, line)| line.parse::<u32>());
        assert!(matches!(line, Some(Ok(_))), "'{place}' under '{reason}' is not file.slt:line");
    }
}
