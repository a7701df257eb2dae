//! From a text to its statements: what all grammars share.

pub(crate) mod clauses;
pub(crate) mod complete;
pub(crate) mod dialect;
pub(crate) mod grammar;
pub(crate) mod names;
pub(crate) mod numbers;
pub(crate) mod script;
pub(crate) mod suggest;
pub(crate) mod syntax_tree;
pub(crate) mod with_clause;
