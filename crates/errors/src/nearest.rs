//! The nearest known name to a mistyped one.

/// Returns the known name most like `name`, or none when no name is close enough to be a slip of the fingers.
///
/// Case is ignored. Close enough means a Damerau–Levenshtein distance of at most a third of the longer name
/// (at least one). The first of equally near names wins, so the order of `known` decides ties.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in known {
        let lower = candidate.to_lowercase();
        let distance = strsim::damerau_levenshtein(&name, &lower);
        let allowed = (name.chars().count().max(lower.chars().count()) / 3).max(1);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let known = ["learning_rate", "batch_size", "epochs", "sentiment"];
        assert_eq!(nearest("learning_rte", known), Some("learning_rate"));
        assert_eq!(nearest("Epoch", known), Some("epochs"));
        assert_eq!(nearest("sentimnet", known), Some("sentiment"));
        assert_eq!(nearest("warmup", known), None);
        assert_eq!(nearest("x", known), None);
        assert_eq!(nearest("", []), None);
    }

    #[test]
    fn the_first_of_equally_near_names_wins() {
        assert_eq!(nearest("model", ["model1", "model2"]), Some("model1"));
    }
}
