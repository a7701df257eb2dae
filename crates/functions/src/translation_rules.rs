//! Messages of DataFusion that its programmers understand, with what a user reads in their place.

/// A message of DataFusion, and what is said in its place.
pub(crate) struct Rule {
    /// The message; each `{}` stands for any text.
    pub(crate) said: &'static str,
    /// What is told; `{0}`, `{1}` … are those texts.
    pub(crate) told: &'static str,
    /// What to type next, likewise.
    pub(crate) hint: Option<&'static str>,
}

impl Rule {
    /// Whether the hint suggests `{1}` in the place of `{0}`.
    pub(crate) fn suggests(&self) -> bool {
        self.hint.is_some_and(|hint| hint.starts_with("did you mean {1}?"))
    }
}

const fn rule(said: &'static str, told: &'static str) -> Rule {
    Rule { said, told, hint: None }
}

const fn with_hint(said: &'static str, told: &'static str, hint: &'static str) -> Rule {
    Rule { said, told, hint: Some(hint) }
}

const OVER: &str = "a window function needs OVER: row_number() OVER (ORDER BY id)";
const SETTINGS: &str = "SHOW ALL lists the settings";
const FUNCTIONS: &str = "SHOW FUNCTIONS lists the functions";
const CALLS: &str = "SHOW FUNCTIONS LIKE '{1}' lists what it takes; a value of another type is converted by CAST(column AS DOUBLE)";
const WHOLE: &str = "leave it out: each statement takes effect as a whole, by itself";
const TABLES: &str = "SHOW TABLES lists the tables";

/// The rules, the most special first.
pub(crate) const RULES: &[Rule] = &[
    // Functions.
    with_hint("Invalid function 'row_number'{}", "row_number is called without OVER", OVER),
    with_hint("Invalid function 'rank'{}", "rank is called without OVER", OVER),
    with_hint("Invalid function 'dense_rank'{}", "dense_rank is called without OVER", OVER),
    with_hint("Invalid function 'lag'{}", "lag is called without OVER", OVER),
    with_hint("Invalid function 'lead'{}", "lead is called without OVER", OVER),
    with_hint("Invalid function 'ntile'{}", "ntile is called without OVER", OVER),
    with_hint(
        "Invalid function '{}'.\nDid you mean '{}'?",
        "unknown function '{0}'",
        "did you mean {1}? SHOW FUNCTIONS lists the functions",
    ),
    with_hint("Invalid function '{}'{}", "unknown function '{0}'", FUNCTIONS),
    rule(
        "array_element does not support type {}. {}",
        "a value of type {0} has no elements: [1] is for lists",
    ),
    with_hint(
        "{}No function matches the given name and argument types '{}()'{}",
        "{1} needs arguments",
        "SHOW FUNCTIONS LIKE '{1}' lists what it takes",
    ),
    with_hint(
        "{}No function matches the given name and argument types '{}({})'. You might{}",
        "{1} does not take ({2})",
        CALLS,
    ),
    rule("[return_type] {} not supported for {}", "{0} does not take {1}"),
    rule("AvgAccumulator for ({} --> {})", "avg does not take {0}"),
    with_hint(
        "Substring without for/from is not valid {}",
        "substr needs the place where the part begins",
        "substr(name, 1, 10) has the first ten characters",
    ),
    with_hint(
        "COUNT DISTINCT with multiple arguments",
        "count(DISTINCT …) takes one argument",
        "count(DISTINCT named_struct('a', a, 'b', b)) counts pairs",
    ),
    with_hint("Function does not exist", "there is no such function", FUNCTIONS),
    // Columns and tables.
    rule("compound identifier: {}", "a name of too many parts: {0}"),
    rule("Cannot access field at argument {}: type {} is not {}", "a value of type {1} has no fields"),
    with_hint(
        "{}column \"{}\" must appear in the GROUP BY clause{}",
        "{1} is neither in GROUP BY nor in an aggregate",
        "add it to GROUP BY, or take one value of each group: min({1})",
    ),
    with_hint(
        "HAVING clause references: {} must appear in the GROUP BY clause{}",
        "HAVING has {0}, which is neither in GROUP BY nor in an aggregate",
        "a condition on rows is written before the groups: WHERE {0}",
    ),
    with_hint(
        "{}the expression \"{}\" at position {} and \"{}\" at position {} have the same name{}",
        "two columns have the same name: {1} and {3}",
        "give each column its name: SELECT max(a) AS highest, max(b) AS other FROM t",
    ),
    with_hint("Invalid qualifier {}", "unknown table '{0}' in {0}.*", TABLES),
    with_hint("Table '{}' doesn't exist.", "there is no table '{0}'", TABLES),
    with_hint("View '{}' doesn't exist.", "there is no view '{0}'", TABLES),
    rule(
        "Too many columns! The subquery should only return one column: {}",
        "the subquery returns several columns where one is expected: {0}",
    ),
    rule("Order by column out of bounds, specified: {}, max: {}", "ORDER BY {0}: there are {1} columns"),
    rule(
        "Cannot create filter with non-boolean predicate '{}' returning {}",
        "WHERE needs a condition, and {0} is {1}",
    ),
    with_hint(
        "No files found at {}. Cannot infer schema{}",
        "no files in '{0}' to tell the columns from",
        "name a folder that has some, or declare the columns: CREATE EXTERNAL TABLE t (a INT) STORED AS PARQUET LOCATION '…'",
    ),
    // Expressions.
    rule("Unsupported ast node in sqltorel: {}", "this kind of expression is not supported"),
    with_hint(
        "ANY in LIKE expression",
        "LIKE ANY is not supported",
        "write a LIKE for each pattern, with OR between them",
    ),
    with_hint(
        "wildcard * with RENAME not supported",
        "RENAME after * is not supported",
        "name the columns: SELECT a AS x, b",
    ),
    with_hint(
        "The window {} is not defined!",
        "unknown window '{0}'",
        "define it after FROM: WINDOW {0} AS (ORDER BY id)",
    ),
    with_hint(
        "Placeholder '{}' was not provided a value{}",
        "the parameter {0} has no value",
        "PREPARE p AS SELECT $1 + 1; then EXECUTE p(41)",
    ),
    rule("variable [\"{}\"] has no type information", "unknown variable {0}"),
    // Settings.
    with_hint("{}ould not find config namespace{}key \"{}\"{}", "unknown setting '{2}'", SETTINGS),
    with_hint("{}ould not find config namespace \"{}\"{}", "unknown setting '{1}'", SETTINGS),
    with_hint("'{}' is not a variable which can be viewed with 'SHOW'{}", "unknown setting '{0}'", SETTINGS),
    with_hint(
        "SET variant not implemented yet: {}",
        "this form of SET is not supported",
        "SET name = value; SHOW ALL lists the settings",
    ),
    rule("Config value \"{}\" not found on {}", "unknown option '{0}'"),
    // Statements.
    with_hint(
        "{} not supported for Base table",
        "{0} is not supported",
        "INSERT OVERWRITE t SELECT … writes a table's rows anew",
    ),
    rule("Insert-on clause not supported", "ON CONFLICT is not supported"),
    rule("Insert-returning clause not supported", "RETURNING is not supported"),
    with_hint(
        "Replace Into not implemented for {} yet",
        "INSERT OR REPLACE is not supported",
        "INSERT OVERWRITE t SELECT … writes a table's rows anew",
    ),
    with_hint(
        "Inserts without a source not supported",
        "DEFAULT VALUES is not supported",
        "INSERT INTO t VALUES (…)",
    ),
    with_hint(
        "Partitioned inserts not yet supported",
        "PARTITION (…) after INSERT INTO is not supported",
        "select the partition's column with the others: INSERT INTO t SELECT a, '2026-01-31' AS day",
    ),
    with_hint(
        "If not exists not supported",
        "CREATE VIEW IF NOT EXISTS is not supported",
        "CREATE OR REPLACE VIEW v AS SELECT …",
    ),
    with_hint("Unsupported SQL statement: BEGIN{}", "BEGIN is not supported", WHOLE),
    with_hint("Unsupported SQL statement: SAVEPOINT{}", "SAVEPOINT is not supported", WHOLE),
    with_hint("Unsupported logical plan: Statement(Transaction{}", "transactions are not supported", WHOLE),
    with_hint(
        "Unsupported logical plan: CreateIndex{}",
        "CREATE INDEX is not supported",
        "leave it out: Parquet files are skipped by the statistics that they have",
    ),
    rule("Unsupported logical plan: {}", "this statement is not supported: {0}"),
    rule("Unsupported SQL statement: {}", "this statement is not supported: {0}"),
    with_hint(
        "Prepared statement '{}' does not exist",
        "there is no prepared statement '{0}'",
        "prepare it in this session: PREPARE {0} AS SELECT …",
    ),
    rule("Only `DROP TABLE/VIEW/SCHEMA {}", "this kind of DROP is not supported"),
    with_hint(
        "Writer not implemented for this format",
        "files of this format are read and not written",
        "STORED AS PARQUET",
    ),
];
