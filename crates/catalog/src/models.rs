//! Models and their versions.

use rusqlite::{OptionalExtension, Row, Transaction};

use crate::card::{ModelCard, Task};
use crate::catalog::{Catalog, Fault, now};
use crate::error::{CatalogError, Result};
use crate::ids::{Digest, RunId};
use crate::runs;
use nightjar_names::{ModelName, ModelReference, VersionNumber};

/// A model version to create. Its artifact must have been published before.
#[derive(Clone, Debug)]
pub struct NewModel {
    /// The model.
    pub name: String,
    /// Its card.
    pub card: ModelCard,
    /// Its artifact: for a base model the body itself, for a tuned one the folder with the head.
    pub digest: Digest,
    /// The training run that made it. The same transaction ends that run: as done, or as failed
    /// where the model existed and was kept.
    pub run: Option<RunId>,
}

/// What creating a model does when the name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// Fails.
    Fail,
    /// `OR REPLACE`: adds a version and makes it the current one.
    Replace,
    /// `IF NOT EXISTS`: keeps the model as it is.
    Ignore,
}

/// What creating a model did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// A new model.
    Created,
    /// A new version of a model that was there.
    Replaced,
    /// Nothing: the model was there, and [`OnConflict::Ignore`] was asked for.
    Existed,
}

/// The result of [`Catalog::create_model`].
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// The model's current version, which is the one just made unless the outcome is `Existed`.
    pub version: ModelVersion,
    /// What was done.
    pub outcome: CreateOutcome,
    /// Whether the model is its task's default now.
    pub is_default: bool,
}

/// One version of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelVersion {
    /// The model.
    pub name: String,
    /// From 1.
    pub version: VersionNumber,
    /// Its artifact.
    pub digest: Digest,
    /// Its card.
    pub card: ModelCard,
    /// The training run that made it.
    pub run: Option<RunId>,
    /// Microseconds since 1970 UTC.
    pub created_at: i64,
    /// Whether the plain name means this version.
    pub current: bool,
}

impl ModelVersion {
    /// The reference that always means this version: `name@version`.
    pub fn reference(&self) -> ModelReference {
        ModelReference::at(self.name.clone(), self.version)
    }
}

/// One row of SHOW MODELS.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSummary {
    /// The model.
    pub name: String,
    /// Its current version's task.
    pub task: Task,
    /// The version that the plain name means.
    pub current_version: VersionNumber,
    /// How many versions there are.
    pub versions: u64,
    /// Whether calls of its task that name no model mean it.
    pub is_default: bool,
    /// What the current version was made from.
    pub base: Option<String>,
    /// Microseconds since 1970 UTC.
    pub created_at: i64,
    /// When a version was last made, chosen or dropped; microseconds since 1970 UTC.
    pub updated_at: i64,
}

impl Catalog {
    /// Creates a model, or a version of one.
    ///
    /// Of several processes that create the same name at once exactly one succeeds with
    /// [`OnConflict::Fail`]; with `Replace` each gets its own version. Version numbers go up and are
    /// never given again, not even after the model was dropped, so that `name@2` in an old plan,
    /// log or run never means something else. The first model of a task becomes its default.
    pub fn create_model(&self, new: &NewModel, on_conflict: OnConflict) -> Result<Created> {
        let name: ModelName = new.name.parse()?;
        let name = name.as_str();
        let card = serde_json::to_string(&new.card).map_err(|error| unreadable("card", name, &error))?;
        self.write("create a model", |tx| {
            let outcome = match (model_task(tx, name)?, on_conflict) {
                (None, _) => CreateOutcome::Created,
                (Some(_), OnConflict::Replace) => CreateOutcome::Replaced,
                (Some(_), OnConflict::Ignore) => CreateOutcome::Existed,
                (Some(_), OnConflict::Fail) => {
                    return Err(CatalogError::ModelExists { name: name.into() }.into());
                }
            };
            if outcome != CreateOutcome::Existed {
                let made_by = new.run.map(|run| run.0 as i64);
                let task = new.card.task.as_str();
                let version = add_version(tx, name, task, &new.digest.to_string(), &card, made_by)?;
                if let Some(run) = new.run {
                    runs::finish(tx, run, &runs::TrainingOutcome::Done { version })?;
                }
            }
            if let (CreateOutcome::Existed, Some(run)) = (outcome, new.run) {
                // Someone was faster; the run has ended all the same.
                let error = format!("model '{name}' was made by someone else in the meantime");
                runs::finish(tx, run, &runs::TrainingOutcome::Failed { error })?;
            }
            let version = find(tx, &ModelReference::current(name))?;
            let is_default = default_name(tx, version.card.task)?.as_deref() == Some(name);
            Ok(Created { version, outcome, is_default })
        })
    }

    /// The version that a reference means. Errors: unknown names (the hint has the nearest known
    /// one) and versions.
    pub fn model_version(&self, reference: &ModelReference) -> Result<ModelVersion> {
        self.read("read a model", |tx| find(tx, reference))
    }

    /// Every model, by name.
    pub fn models(&self) -> Result<Vec<ModelSummary>> {
        self.read("list the models", |tx| {
            let mut statement = tx.prepare(
                "SELECT m.name, m.task, m.current_version, m.created_at, m.updated_at, v.card, \
                 (SELECT count(*) FROM model_versions a WHERE a.model = m.name) AS versions, \
                 EXISTS (SELECT 1 FROM defaults d WHERE d.model = m.name AND d.task = m.task) AS is_default \
                 FROM models m JOIN model_versions v ON v.model = m.name AND v.version = m.current_version \
                 ORDER BY m.name",
            )?;
            let mut rows = statement.query([])?;
            let mut models = Vec::new();
            while let Some(row) = rows.next()? {
                models.push(summary(row)?);
            }
            Ok(models)
        })
    }

    /// Every version of a model, oldest first.
    pub fn versions(&self, name: &str) -> Result<Vec<ModelVersion>> {
        self.read("list the versions of a model", |tx| {
            must_exist(tx, name)?;
            list(tx, &format!("{VERSIONS} WHERE v.model = ?1 ORDER BY v.version"), [name])
        })
    }

    /// Every version of every model, by name and version, for `nightjar.model_versions`.
    pub fn all_versions(&self) -> Result<Vec<ModelVersion>> {
        self.read("list the model versions", |tx| {
            list(tx, &format!("{VERSIONS} ORDER BY v.model, v.version"), [])
        })
    }

    /// The current version of a task's default model, or `None` if the task has none.
    pub fn default_model(&self, task: Task) -> Result<Option<ModelVersion>> {
        self.read("read the default model", |tx| match default_name(tx, task)? {
            Some(name) => Ok(Some(find(tx, &ModelReference::current(name))?)),
            None => Ok(None),
        })
    }

    /// As [`Catalog::default_model`]; no default is an error whose hint says how to get one.
    pub fn require_default_model(&self, task: Task) -> Result<ModelVersion> {
        if let Some(version) = self.default_model(task)? {
            return Ok(version);
        }
        let models = self.models()?.into_iter().filter(|model| model.task == task);
        Err(CatalogError::NoDefault { task, candidates: models.map(|model| model.name).collect() })
    }

    /// Makes a model the default of its current version's task.
    pub fn set_default(&self, name: &str) -> Result<()> {
        self.write("set the default model", |tx| {
            let task = must_exist(tx, name)?;
            tx.execute("INSERT OR REPLACE INTO defaults (task, model) VALUES (?1, ?2)", (task, name))?;
            Ok(())
        })
    }

    /// Makes version `version` the one that the plain name means.
    pub fn set_version(&self, name: &str, version: VersionNumber) -> Result<()> {
        self.write("set a model's version", |tx| {
            find(tx, &ModelReference::at(name, version))?;
            make_current(tx, name, version)
        })
    }

    /// Gives a model another name, with its versions, their numbers, its runs and its place as a
    /// default. Cards of models made from it keep the old name as their `base`: what pins their
    /// content is the body's digest. Errors: an unknown name, a new name that is taken.
    pub fn rename_model(&self, name: &str, to: &str) -> Result<()> {
        let to: ModelName = to.parse()?;
        let to = to.as_str();
        self.write("rename a model", |tx| {
            must_exist(tx, name)?;
            if model_task(tx, to)?.is_some() {
                return Err(CatalogError::ModelExists { name: to.into() }.into());
            }
            tx.execute("UPDATE models SET name = ?2, updated_at = ?3 WHERE name = ?1", (name, to, now()))?;
            tx.execute("UPDATE training_runs SET model = ?2 WHERE model = ?1", (name, to))?;
            // The new name goes on from the higher of the two counts; the old name's count stays.
            tx.execute(
                "INSERT INTO model_numbers (name, last_version) \
                 SELECT ?2, last_version FROM model_numbers WHERE name = ?1 \
                 ON CONFLICT (name) DO UPDATE SET last_version = max(last_version, excluded.last_version)",
                (name, to),
            )?;
            Ok(())
        })
    }

    /// Drops a version, or with `None` the model with all its versions. Returns whether there was
    /// one; without `if_exists` there must be.
    ///
    /// When the current version goes, the newest remaining one becomes current; when the last one
    /// goes, so does the model. A task whose default model goes has no default until one is set:
    /// rows must not silently be labelled by another model. Artifacts stay, so models made from
    /// this one and plans that name it keep working; collecting unused ones is another command's.
    pub fn drop_model(&self, name: &str, version: Option<VersionNumber>, if_exists: bool) -> Result<bool> {
        self.write("drop a model", |tx| {
            let reference = ModelReference { name: name.into(), version };
            match find(tx, &reference) {
                Ok(_) => (),
                Err(Fault::Catalog(
                    CatalogError::ModelUnknown { .. } | CatalogError::VersionUnknown { .. },
                )) if if_exists => {
                    return Ok(false);
                }
                Err(fault) => return Err(fault),
            }
            let kept = "SELECT max(version) FROM model_versions WHERE model = ?1 AND version <> ?2";
            let newest: Option<VersionNumber> = match version {
                Some(version) => tx.query_row(kept, (name, version), |row| row.get(0))?,
                None => None,
            };
            let (Some(version), Some(newest)) = (version, newest) else {
                tx.execute("DELETE FROM models WHERE name = ?1", [name])?;
                return Ok(true);
            };
            tx.execute("DELETE FROM model_versions WHERE model = ?1 AND version = ?2", (name, version))?;
            let current: VersionNumber =
                tx.query_row("SELECT current_version FROM models WHERE name = ?1", [name], |row| row.get(0))?;
            make_current(tx, name, if current == version { newest } else { current })?;
            Ok(true)
        })
    }
}

const VERSIONS: &str = "SELECT v.model, v.version, v.digest, v.card, v.run_id, v.created_at, \
    v.version = m.current_version AS current FROM model_versions v JOIN models m ON m.name = v.model";

/// Adds a version under the next number and makes it the current one; makes the model, and the default of a task without models, where
/// it is the first. Returns the number.
pub(crate) fn add_version(
    tx: &Transaction<'_>,
    name: &str,
    task: &str,
    digest: &str,
    card: &str,
    run: Option<i64>,
) -> Result<VersionNumber, Fault> {
    let now = now();
    let version: VersionNumber = tx.query_row(
        "INSERT INTO model_numbers (name, last_version) VALUES (?1, 1) ON CONFLICT (name) \
         DO UPDATE SET last_version = last_version + 1 RETURNING last_version",
        [name],
        |row| row.get(0),
    )?;
    if model_task(tx, name)?.is_none() {
        tx.execute(
            "INSERT INTO models (name, task, current_version, created_at, updated_at) \
             VALUES (?1, ?2, ?3, ?4, ?4)",
            (name, task, version, now),
        )?;
        // "First" is what it says: where other models of the task exist and none is the
        // default, someone dropped the default, and only a choice makes another.
        tx.execute(
            "INSERT INTO defaults (task, model) SELECT ?1, ?2 WHERE NOT EXISTS \
             (SELECT 1 FROM models WHERE task = ?1 AND name <> ?2)",
            (task, name),
        )?;
    }
    tx.execute(
        "INSERT INTO model_versions (model, version, task, digest, card, run_id, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (name, version, task, digest, card, run, now),
    )?;
    make_current(tx, name, version)?;
    Ok(version)
}

/// Points the plain name at `version`. A model whose task changes by that stops being the default
/// of the task that it no longer has.
fn make_current(tx: &Transaction<'_>, name: &str, version: VersionNumber) -> Result<(), Fault> {
    tx.execute(
        "UPDATE models SET current_version = ?2, updated_at = ?3, \
         task = (SELECT task FROM model_versions WHERE model = ?1 AND version = ?2) WHERE name = ?1",
        (name, version, now()),
    )?;
    tx.execute(
        "DELETE FROM defaults WHERE model = ?1 AND task <> (SELECT task FROM models WHERE name = ?1)",
        [name],
    )?;
    Ok(())
}

/// Returns the version that a reference means.
pub(crate) fn find(tx: &Transaction<'_>, reference: &ModelReference) -> Result<ModelVersion, Fault> {
    let name = reference.name.as_str();
    let found = match reference.version {
        Some(version) => {
            list(tx, &format!("{VERSIONS} WHERE v.model = ?1 AND v.version = ?2"), (name, version))?
        }
        None => {
            list(tx, &format!("{VERSIONS} WHERE v.model = ?1 AND v.version = m.current_version"), [name])?
        }
    };
    if let Some(version) = found.into_iter().next() {
        return Ok(version);
    }
    must_exist(tx, name)?;
    let mut statement = tx.prepare("SELECT version FROM model_versions WHERE model = ?1 ORDER BY version")?;
    let versions = statement.query_map([name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let version = reference.version.unwrap_or_default();
    Err(CatalogError::VersionUnknown { name: name.into(), version, versions }.into())
}

fn list(
    tx: &Transaction<'_>,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<ModelVersion>, Fault> {
    let mut statement = tx.prepare(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next()? {
        versions.push(model_version(row)?);
    }
    Ok(versions)
}

fn model_version(row: &Row<'_>) -> Result<ModelVersion, Fault> {
    let name: String = row.get("model")?;
    let version: VersionNumber = row.get("version")?;
    let digest: String = row.get("digest")?;
    let run: Option<i64> = row.get("run_id")?;
    Ok(ModelVersion {
        card: card(row, &format!("{name}@{version}"))?,
        name,
        version,
        digest: digest.parse()?,
        run: run.map(|run| RunId(run as u64)),
        created_at: row.get("created_at")?,
        current: row.get("current")?,
    })
}

fn summary(row: &Row<'_>) -> Result<ModelSummary, Fault> {
    let name: String = row.get("name")?;
    let task: String = row.get("task")?;
    let versions: i64 = row.get("versions")?;
    Ok(ModelSummary {
        base: card(row, &name)?.base,
        name,
        task: task.parse()?,
        current_version: row.get("current_version")?,
        versions: versions as u64,
        is_default: row.get("is_default")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn card(row: &Row<'_>, name: &str) -> Result<ModelCard, Fault> {
    let text: String = row.get("card")?;
    serde_json::from_str(&text).map_err(|error| unreadable("card", name, &error).into())
}

pub(crate) fn unreadable(what: &'static str, name: &str, error: &serde_json::Error) -> CatalogError {
    CatalogError::RecordInvalid { what, name: name.into(), reason: error.to_string() }
}

fn default_name(tx: &Transaction<'_>, task: Task) -> Result<Option<String>, Fault> {
    let sql = "SELECT model FROM defaults WHERE task = ?1";
    Ok(tx.query_row(sql, [task.as_str()], |row| row.get(0)).optional()?)
}

/// The word of a model's task, or `None` if there is no such model.
pub(crate) fn model_task(tx: &Transaction<'_>, name: &str) -> Result<Option<String>, Fault> {
    Ok(tx.query_row("SELECT task FROM models WHERE name = ?1", [name], |row| row.get(0)).optional()?)
}

/// The word of a model's task; an unknown model is an error with the nearest known name.
fn must_exist(tx: &Transaction<'_>, name: &str) -> Result<String, Fault> {
    if let Some(task) = model_task(tx, name)? {
        return Ok(task);
    }
    let mut statement = tx.prepare("SELECT name FROM models ORDER BY name")?;
    let known: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let nearest = nightjar_errors::nearest(name, known.iter().map(String::as_str)).map(str::to_string);
    Err(CatalogError::ModelUnknown { name: name.into(), nearest }.into())
}
