//! A syntax tree that statements hold.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A syntax tree that is shared and not copied, behind a type that says at once that threads may share it.
///
/// The types of sqlparser's trees contain each other in many circles, so the compiler's proof that they are `Send` is dear; it is made
/// once here, and not in each async function that holds one.
pub struct SyntaxTree<T>(Arc<dyn Shared<T>>);

/// A tree that threads may share. Proven once for each type of tree.
trait Shared<T>: Send + Sync {
    fn tree(&self) -> &T;
}

impl<T: Send + Sync> Shared<T> for T {
    fn tree(&self) -> &T {
        self
    }
}

impl<T: Send + Sync + 'static> SyntaxTree<T> {
    /// Holds a tree.
    pub fn new(tree: T) -> Self {
        Self(Arc::new(tree))
    }
}

impl<T: Send + Sync + 'static> From<Box<T>> for SyntaxTree<T> {
    fn from(tree: Box<T>) -> Self {
        Self::new(*tree)
    }
}

impl<T> Deref for SyntaxTree<T> {
    type Target = T;

    fn deref(&self) -> &T {
        (*self.0).tree()
    }
}

impl<T> Clone for SyntaxTree<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: PartialEq> PartialEq for SyntaxTree<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for SyntaxTree<T> {}

impl<T: fmt::Debug> fmt::Debug for SyntaxTree<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for SyntaxTree<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
