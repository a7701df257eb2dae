//! What the values under a key are, over many objects.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};

use super::super::text::Guess;
use crate::error::EngineError;

/// What a value can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Value,
    List,
    Object,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Value => "a value",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }
}

/// Where something is: the file and the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At {
    pub(super) file: Arc<str>,
    pub(super) line: u64,
}

/// Two values of one key that no type holds both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clash {
    /// The keys that lead there.
    pub(super) column: String,
    pub(super) first: (Kind, At),
    pub(super) then: (Kind, At),
}

impl From<Clash> for EngineError {
    fn from(clash: Clash) -> Self {
        let Clash { column, first, then } = clash;
        Self::TextShapes {
            column,
            found: first.0.name(),
            file: first.1.file.to_string(),
            line: first.1.line,
            other_found: then.0.name(),
            other: then.1.file.to_string(),
            other_line: then.1.line,
        }
    }
}

/// What the values of a key have been so far; NULLs tell nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    pub(super) values: Guess,
    kind: Option<(Kind, At)>,
    items: Option<Box<Shape>>,
    fields: Vec<(String, Shape)>,
    places: HashMap<String, usize>,
}

fn path(inside: &str, rest: &str) -> String {
    match rest {
        "" => inside.to_owned(),
        rest if rest.starts_with('[') => format!("{inside}{rest}"),
        rest => format!("{inside}.{rest}"),
    }
}

impl Shape {
    pub(super) fn kind(&self) -> Option<Kind> {
        self.kind.as_ref().map(|(kind, _)| *kind)
    }

    /// Takes in that there is a value of a kind.
    pub(super) fn is(&mut self, kind: Kind, at: &At) -> Result<(), Clash> {
        match &self.kind {
            None => self.kind = Some((kind, at.clone())),
            Some((known, first)) if *known != kind => {
                let first = (*known, first.clone());
                return Err(Clash { column: String::new(), first, then: (kind, at.clone()) });
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Returns the shape of a list's items.
    pub(super) fn items(&mut self) -> &mut Self {
        self.items.get_or_insert_default()
    }

    /// Returns the shape of the values under a key.
    pub(super) fn field(&mut self, name: &str) -> &mut Self {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                self.places.insert(name.to_owned(), self.fields.len());
                self.fields.push((name.to_owned(), Self::default()));
                self.fields.len() - 1
            }
        };
        // The place was found or made above.
        let last = self.fields.len() - 1;
        &mut self.fields[place.min(last)].1
    }

    /// Returns the shapes by key, as they appeared.
    pub(super) fn fields(&self) -> &[(String, Self)] {
        &self.fields
    }

    /// Returns the shape of a list's items, if there was one.
    pub(super) fn known_items(&self) -> Option<&Self> {
        self.items.as_deref()
    }

    /// Takes in what another file's values are.
    pub(super) fn merge(&mut self, other: &Self) -> Result<(), Clash> {
        if let Some((kind, at)) = &other.kind {
            self.is(*kind, at)?;
        }
        self.values.merge(&other.values);
        if let Some(items) = &other.items {
            let merged = self.items().merge(items);
            merged.map_err(|clash| Clash { column: path("[]", &clash.column), ..clash })?;
        }
        for (name, shape) in &other.fields {
            let merged = self.field(name).merge(shape);
            merged.map_err(|clash| Clash { column: path(name, &clash.column), ..clash })?;
        }
        Ok(())
    }

    /// Returns the type that keeps all of the values.
    pub(super) fn data_type(&self) -> DataType {
        match self.kind() {
            None => DataType::Null,
            Some(Kind::Value) => self.values.data_type(),
            Some(Kind::List) => {
                let item = self.items.as_ref().map_or(DataType::Null, |items| items.data_type());
                DataType::List(Arc::new(Field::new("item", item, true)))
            }
            Some(Kind::Object) => DataType::Struct(self.columns().into()),
        }
    }

    /// Returns the columns that an object's keys are.
    pub(super) fn columns(&self) -> Vec<Field> {
        self.fields.iter().map(|(name, shape)| Field::new(name, shape.data_type(), true)).collect()
    }

    /// Returns the place and the kind of something that isn't what a type holds.
    pub(super) fn unlike(&self, wanted: &DataType) -> Option<(String, Kind)> {
        let kind = self.kind()?;
        let deeper = |name: &str, found: (String, Kind)| (path(name, &found.0), found.1);
        match (kind, wanted) {
            (
                Kind::List,
                DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _),
            ) => {
                let found = self.known_items()?.unlike(item.data_type())?;
                Some(deeper("[]", found))
            }
            (Kind::Object, DataType::Struct(fields)) => self.fields.iter().find_map(|(name, shape)| {
                let (_, field) = fields.find(name)?;
                Some(deeper(name, shape.unlike(field.data_type())?))
            }),
            (Kind::Object, DataType::Map(..)) => None,
            (Kind::Value, wanted) if !wanted.is_nested() => None,
            (kind, _) => Some((String::new(), kind)),
        }
    }
}

pub(super) fn inside(name: &str, clash: Clash) -> Clash {
    Clash { column: path(name, &clash.column), ..clash }
}
