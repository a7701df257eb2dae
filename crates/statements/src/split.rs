//! The split into training and validation rows.

use nightjar_catalog::Digest;

use crate::labelled_rows::{LabelledRows, Targets};

/// Row numbers of the two parts, each ascending.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) train: Vec<usize>,
    pub(crate) validation: Vec<usize>,
}

impl Split {
    /// Returns a stratified split: `fraction` of each class, chosen by a hash of row and seed, so that it depends
    /// neither on partitioning nor on the order of rows. Every class keeps a row to learn from.
    pub(crate) fn stratified(rows: &LabelledRows, fraction: f64, seed: i64) -> Self {
        let classes: Vec<u32> = match &rows.targets {
            Targets::Labels { classes, .. } => classes.clone(),
            Targets::LabelLists { labels, sets } => rarest(labels.len(), sets),
            Targets::Numbers(numbers) => vec![0; numbers.len()],
        };
        stratified(&rows.keys, &classes, fraction, seed)
    }
}

/// Returns the rarest label of each row, the first of equals; rows without any have a stratum of their own.
fn rarest(labels: usize, sets: &[Vec<u32>]) -> Vec<u32> {
    let mut rows = vec![0_usize; labels];
    sets.iter().flatten().for_each(|label| rows[*label as usize] += 1);
    let of = |set: &Vec<u32>| set.iter().copied().min_by_key(|label| (rows[*label as usize], *label));
    sets.iter().map(|set| of(set).unwrap_or(labels as u32)).collect()
}

/// Returns where a row stands for a seed: the first of each class are held out.
pub(crate) fn place(seed: i64, key: &[u8]) -> Digest {
    Digest::of(&[&seed.to_le_bytes(), key].concat())
}

/// Returns how many rows of a class are held out: never all.
pub(crate) fn held_out(rows: usize, fraction: f64) -> usize {
    ((rows as f64 * fraction).round() as usize).min(rows.saturating_sub(1))
}

fn stratified(keys: &[Digest], classes: &[u32], fraction: f64, seed: i64) -> Split {
    let count = classes.iter().max().map_or(0, |max| *max as usize + 1);
    let mut strata: Vec<Vec<(Digest, usize)>> = vec![Vec::new(); count];
    for (row, (key, class)) in keys.iter().zip(classes).enumerate() {
        strata[*class as usize].push((place(seed, &key.0), row));
    }
    let mut split = Split { train: Vec::new(), validation: Vec::new() };
    for mut stratum in strata {
        stratum.sort();
        let held_out = held_out(stratum.len(), fraction);
        split.validation.extend(stratum[..held_out].iter().map(|(_, row)| row));
        split.train.extend(stratum[held_out..].iter().map(|(_, row)| row));
    }
    split.train.sort_unstable();
    split.validation.sort_unstable();
    split
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_gives_its_share_and_keeps_a_row() {
        let keys: Vec<Digest> = (0..131u32).map(|row| Digest::of(&row.to_le_bytes())).collect();
        let classes: Vec<u32> = (0..131)
            .map(|row| {
                if row < 100 {
                    0
                } else if row < 130 {
                    1
                } else {
                    2
                }
            })
            .collect();
        let split = stratified(&keys, &classes, 0.1, 42);
        let of = |class| split.validation.iter().filter(|row| classes[**row] == class).count();
        assert_eq!((of(0), of(1), of(2)), (10, 3, 0));
        assert_eq!(split.train.len() + split.validation.len(), 131);
        assert!(split.train.contains(&130));
        assert_eq!(stratified(&keys, &classes, 0.1, 42), split);
        assert_ne!(stratified(&keys, &classes, 0.1, 43), split);
        assert!(stratified(&keys, &classes, 0.0, 42).validation.is_empty());
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        let keys: Vec<Digest> = (0..50u32).map(|row| Digest::of(&row.to_le_bytes())).collect();
        let reversed: Vec<Digest> = keys.iter().rev().copied().collect();
        let chosen = |keys: &[Digest]| {
            let split = stratified(keys, &vec![0; keys.len()], 0.2, 1);
            let mut rows: Vec<Digest> = split.validation.iter().map(|row| keys[*row]).collect();
            rows.sort();
            rows
        };
        assert_eq!(chosen(&keys), chosen(&reversed));
    }
}
