//! Tokens agree with the tokenizers library at its plainest, whatever the shortcuts for long texts.

use nightjar_models::TextTokenizer;
use proptest::prelude::*;
use tokenizers::{Tokenizer, TruncationParams};

use crate::{some_text, tiny};

/// Returns the library's own tokenizer, without padding, truncating to `window` tokens if any.
fn library(dir: &std::path::Path, window: Option<usize>) -> Tokenizer {
    let mut tokenizer = Tokenizer::from_file(dir.join("tokenizer.json")).unwrap();
    tokenizer.with_padding(None);
    let params = window.map(|max_length| TruncationParams { max_length, ..Default::default() });
    tokenizer.with_truncation(params).unwrap();
    tokenizer
}

fn check(ours: &TextTokenizer, dir: &std::path::Path, text: &str) {
    let whole = library(dir, None).encode(text, true).unwrap();
    let cut = library(dir, Some(ours.window())).encode(text, true).unwrap();
    let found = ours.encode(text);
    let start: String = text.chars().take(50).collect();
    // Whole token lists of long texts would bury the message.
    assert!(found.ids == cut.get_ids(), "{start:?}");
    assert!(found.type_ids == cut.get_type_ids(), "{start:?}");
    assert_eq!(found.truncated, whole.len() > ours.window(), "{start:?}");
    assert_eq!(ours.count(text), whole.len(), "{start:?}");
    let content = library(dir, None).encode(text, false).unwrap();
    assert!(ours.tokens(text) == content.get_tokens(), "{start:?}");
}

#[test]
fn tokens_are_the_librarys() {
    let (dir, encoder) = tiny(1);
    let ours = encoder.tokenizer();
    for text in [
        "",
        "Good COFFEE!",
        "caf\u{e9} \u{4e2d}\u{6587}",
        "[SEP] a[MASK]b",
        "\0\u{200b}\t\r\n x",
        "unbelievable",
    ] {
        check(ours, dir.path(), text);
    }
    for words in [60, 61, 62, 63, 64, 65, 1000, 5000] {
        check(ours, dir.path(), &some_text(words, words));
    }
    assert_eq!(ours.tokens("Good coffees"), ["good", "coffee", "##s"]);
    assert_eq!(ours.count(""), 2);
}

/// Returns the pair's ids, how many of them the library puts into the first segment, and whether any are missing.
fn library_pair(dir: &std::path::Path, window: usize, first: &str, second: &str) -> (Vec<u32>, usize, bool) {
    let cut = library(dir, Some(window)).encode((first, second), true).unwrap();
    let whole = library(dir, None).encode((first, second), true).unwrap();
    let segment = cut.get_type_ids().iter().filter(|id| **id == 0).count();
    (cut.get_ids().to_vec(), segment, whole.len() > window)
}

#[test]
fn pairs_are_the_librarys() {
    let (dir, encoder) = tiny(1);
    let ours = encoder.tokenizer();
    let lengths = [0, 1, 2, 20, 29, 30, 31, 32, 33, 60, 61, 62, 100, 3000];
    for first in lengths {
        for second in lengths {
            let (a, b) = (some_text(first, 1), some_text(second, 2));
            let found = ours.encode_pair(&a, &b);
            let expected = library_pair(dir.path(), ours.window(), &a, &b);
            assert!((found.ids, found.first, found.truncated) == expected, "{first} and {second} words");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    // Several pieces of 4 kB, made of what might go wrong where one ends: added tokens cut in half, combining
    // marks, punctuation, dropped characters, Chinese.
    #[test]
    fn long_texts_are_cut_without_a_trace(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("[SEP]"), Just("[MA"), Just("SK]"), Just("[\0SEP]"), Just("e\u{301}"), Just("\u{301}"), Just(" \u{301}"),
                Just(",\u{327}"), Just("\u{4e2d}\u{6587}"), Just("\u{1f600}"), Just("\0"), Just("\u{200d}"), Just("_"),
                Just("good"), Just("coffees "), Just("."), Just("\u{3000}"), Just("\u{a0}"), Just("\r\n"), Just("\u{5d0}"),
                Just("[CLS"), Just("]"), Just("\u{fb01}"), Just("\u{130}"), Just("\u{ac00}"),
            ],
            1..6,
        ),
        shift in 0usize..8,
        times in 1usize..1500,
    ) {
        let (dir, encoder) = tiny(1);
        let text = format!("{}{}", "x ".repeat(shift), parts.concat().repeat(times));
        check(encoder.tokenizer(), dir.path(), &text);
    }
}

#[test]
fn a_megabyte_is_cut_to_the_window() {
    let (_dir, encoder) = tiny(1);
    let tokenizer = encoder.tokenizer();
    let megabyte = |part: &str| part.repeat((1 << 20) / part.len());
    for part in ["good coffee, ", "x", "\u{4e2d}", "\u{1f600}", "\0", "e\u{301}", " "] {
        let text = megabyte(part);
        let encoded = tokenizer.encode(&text);
        assert!(encoded.ids.len() >= 2 && encoded.ids.len() <= 64);
    }
    let count = tokenizer.count(&megabyte("good coffee, "));
    assert_eq!(count, (1 << 20) / 13 * 3 + 2);
}
