//! Expressions over the columns of a relation, with model calls at every place.

use crate::choices::Choices;

/// How deep expressions are nested.
const DEPTH: usize = 4;

/// The columns that may be named, by their type.
#[derive(Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) texts: &'static [&'static str],
    pub(crate) numbers: &'static [&'static str],
    pub(crate) flags: &'static [&'static str],
}

/// Expressions over a scope.
pub(crate) struct Expressions<'a, 'b> {
    pub(crate) choices: &'a mut Choices<'b>,
    pub(crate) scope: Scope,
}

impl Expressions<'_, '_> {
    pub(crate) fn text(&mut self) -> String {
        self.text_at(DEPTH)
    }

    pub(crate) fn number(&mut self) -> String {
        self.number_at(DEPTH)
    }

    pub(crate) fn flag(&mut self) -> String {
        self.flag_at(DEPTH)
    }

    /// A text that comes from a model.
    pub(crate) fn label(&mut self) -> String {
        self.label_at(DEPTH - 1)
    }

    fn label_at(&mut self, depth: usize) -> String {
        let text = self.text_at(depth);
        match self.choices.below(6) {
            0 => format!("classify({text})"),
            1 => format!("classify({text}, 'products')"),
            2 => format!("try_classify({text})"),
            3 => format!("classify({text}, ['good', 'bad'])"),
            4 => format!("classify_scores({text})[1]['label']"),
            _ => format!("classify_scores({text}, 'products')[2]['label']"),
        }
    }

    fn text_at(&mut self, depth: usize) -> String {
        let column = self.choices.of(self.scope.texts);
        let Some(depth) = depth.checked_sub(1) else { return column.to_owned() };
        match self.choices.below(16) {
            0..3 => column.to_owned(),
            3..7 => self.label_at(depth),
            7 => format!(
                "CASE WHEN {} THEN {} ELSE {} END",
                self.flag_at(depth),
                self.text_at(depth),
                self.text_at(depth)
            ),
            8 => format!(
                "CASE WHEN {} THEN {} WHEN {} THEN {} END",
                self.flag_at(depth),
                self.text_at(depth),
                self.flag_at(depth),
                self.text_at(depth)
            ),
            9 => format!(
                "CASE {} WHEN {} THEN {} ELSE {} END",
                self.text_at(depth),
                self.text_at(depth),
                self.text_at(depth),
                self.text_at(depth)
            ),
            10 => {
                format!("coalesce({}, {}, {})", self.text_at(depth), self.text_at(depth), self.text_at(depth))
            }
            11 => format!("NULLIF({}, {})", self.text_at(depth), self.text_at(depth)),
            12 => format!("nvl2({}, {}, {})", self.text_at(depth), self.text_at(depth), self.text_at(depth)),
            13 => format!("({} || {})", self.text_at(depth), self.text_at(depth)),
            14 => self.choices.of(&["'good'", "'phone'", "''", "CAST(NULL AS VARCHAR)"]).to_owned(),
            _ => format!("greatest({}, {})", self.text_at(depth), self.text_at(depth)),
        }
    }

    fn number_at(&mut self, depth: usize) -> String {
        let column = self.choices.of(self.scope.numbers);
        let Some(depth) = depth.checked_sub(1) else { return column.to_owned() };
        match self.choices.below(12) {
            0..2 => column.to_owned(),
            2 => format!("similarity({}, {})", self.text_at(depth), self.text_at(depth)),
            3 => format!("predict({})", self.text_at(depth)),
            4 => format!("embed({})[1]", self.text_at(depth)),
            5 => format!(
                "CASE WHEN {} THEN {} ELSE {} END",
                self.flag_at(depth),
                self.number_at(depth),
                self.number_at(depth)
            ),
            6 => format!("coalesce({}, {})", self.number_at(depth), self.number_at(depth)),
            7 => format!("({} + {})", self.number_at(depth), self.number_at(depth)),
            8 => format!("length({})", self.text_at(depth)),
            9 => self.choices.of(&["1", "7", "0.5", "CAST(NULL AS BIGINT)"]).to_owned(),
            10 => {
                format!("cosine_similarity(embed({}), embed({}))", self.text_at(depth), self.text_at(depth))
            }
            _ => format!("count_tokens({})", self.text_at(depth)),
        }
    }

    fn flag_at(&mut self, depth: usize) -> String {
        let column = self.choices.of(self.scope.flags);
        let Some(depth) = depth.checked_sub(1) else { return column.to_owned() };
        match self.choices.below(16) {
            0 => column.to_owned(),
            1..4 => format!(
                "{} {} {}",
                self.text_at(depth),
                self.choices.of(&["=", "<>", "<"]),
                self.text_at(depth)
            ),
            4..6 => format!(
                "{} {} {}",
                self.number_at(depth),
                self.choices.of(&["<", ">=", "="]),
                self.number_at(depth)
            ),
            6..8 => format!("({} AND {})", self.flag_at(depth), self.flag_at(depth)),
            8..10 => format!("({} OR {})", self.flag_at(depth), self.flag_at(depth)),
            10 => format!("NOT ({})", self.flag_at(depth)),
            11 => format!("{} IS {}NULL", self.text_at(depth), self.choices.of(&["", "NOT "])),
            12 => format!(
                "{} {}IN ({}, 'bad')",
                self.text_at(depth),
                self.choices.of(&["", "NOT "]),
                self.text_at(depth)
            ),
            13 => format!("{} BETWEEN 'a' AND {}", self.text_at(depth), self.text_at(depth)),
            14 => format!(
                "CASE WHEN {} THEN {} ELSE {} END",
                self.flag_at(depth),
                self.flag_at(depth),
                self.flag_at(depth)
            ),
            // What fails outside of its branch.
            _ => {
                let id = self.scope.numbers[0];
                format!("CASE WHEN {id} > 3 THEN 12 / ({id} - 3) ELSE {} END > 1", self.number_at(depth))
            }
        }
    }
}
