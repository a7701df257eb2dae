//! Which statements are ours, how a script is cut, and what the words for completion are.

use std::any::Any;

use nightjar_names::ModelReference;
use nightjar_sql::*;

use crate::{parse_one, parse_ours};

fn ours<S: Statement + Clone>(sql: &str) -> S {
    let statement = parse_ours(sql);
    statement.downcast_ref::<S>().unwrap_or_else(|| panic!("{sql} is {statement:?}")).clone()
}

#[test]
fn sql_is_left_to_datafusion() {
    for sql in [
        "CREATE TABLE model (a INT)",
        "CREATE TABLE models AS SELECT 1 AS model",
        "CREATE OR REPLACE TABLE model AS SELECT 1",
        "CREATE VIEW model AS SELECT 1",
        "CREATE EXTERNAL TABLE models STORED AS PARQUET LOCATION 'model/'",
        "SELECT model FROM models",
        "SELECT model, fine_tune, target, validate FROM evaluate",
        "SELECT * FROM 'reviews.parquet'",
        "WITH model AS (SELECT 1) SELECT * FROM model",
        "SHOW TABLES",
        "SHOW COLUMNS FROM models",
        "SHOW ALL",
        "SHOW FUNCTIONS",
        "SHOW datafusion.execution.batch_size",
        "SHOW models.size",
        "SHOW versions.size",
        "SHOW TIMEZONE",
        "DESCRIBE model",
        "DESCRIBE models",
        "DESCRIBE model.reviews",
        "DESC model",
        "DESCRIBE some_table",
        "EXPLAIN SELECT 1",
        "EXPLAIN FORMAT tree SELECT 1",
        "EXPLAIN (SELECT 1)",
        "EXPLAIN (ANALYZE) SELECT 1",
        "EXPLAIN ANALYZE SELECT model FROM models",
        "EXPLAIN CREATE TABLE model AS SELECT 1",
        "DROP TABLE model",
        "DROP VIEW IF EXISTS models",
        "ALTER TABLE model RENAME TO models",
        "INSERT INTO model VALUES (1)",
        "COPY model TO 'models.parquet'",
        "COPY (SELECT model FROM models) TO 'models/' STORED AS PARQUET",
        "SET datafusion.execution.batch_size = 1024",
        "RESET datafusion.execution.batch_size",
        "VALUES (1)",
        "(SELECT 1)",
    ] {
        assert!(matches!(parse_one(sql).parsed, Parsed::Sql(_)), "{sql}");
    }
}

#[test]
fn ours_are_ours_in_any_case() {
    assert_eq!(ours::<ShowModels>("show models;"), ShowModels);
    assert_eq!(ours::<ShowVersions>("Show Versions Of Sentiment").model, "sentiment");
    assert_eq!(ours::<ShowTraining>("SHOW TRAINING OF \"Sentiment\"").model, "Sentiment");
    assert_eq!(ours::<ResumeTraining>("resume training of \"Sentiment\"").model, "Sentiment");
    assert_eq!(ours::<DiscardTraining>("Discard Training of m").model, "m");
    assert!(ours::<DropModel>("drop /* it */ model if exists m").if_exists);
    let create = ours::<CreateModel>(
        "create or replace model M from 'all-MiniLM-L6-v2' fine_tune on Reviews target Label \
         validate on 'held out.parquet' with (Seed = 7, class_weights = balanced, x = -1.5e-3, y = TRUE)",
    );
    let fine_tune = create.fine_tune.clone().unwrap();
    assert_eq!((create.name.as_str(), create.base.as_deref()), ("m", Some("all-MiniLM-L6-v2")));
    assert_eq!(fine_tune.data.sql(), "SELECT * FROM \"reviews\"");
    assert_eq!(fine_tune.target.as_deref(), Some("label"));
    assert_eq!(fine_tune.validate.unwrap().sql(), "SELECT * FROM 'held out.parquet'");
    let options: Vec<_> = create.options.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(options, ["seed=7", "class_weights='balanced'", "x=-1.5e-3", "y=true"]);
}

#[test]
fn model_references() {
    for (text, name, version) in [
        ("sentiment", "sentiment", None),
        ("Sentiment@3", "sentiment", Some(3)),
        ("\"My Model\"@3", "My Model", Some(3)),
        ("\"My Model\" @3", "My Model", Some(3)),
        ("`My Model`@12", "My Model", Some(12)),
        ("'all-MiniLM-L6-v2'", "all-MiniLM-L6-v2", None),
        ("'all-MiniLM-L6-v2'@2", "all-MiniLM-L6-v2", Some(2)),
        ("'all-MiniLM-L6-v2@2'", "all-MiniLM-L6-v2", Some(2)),
        ("\"it\"\"s\"", "it\"s", None),
        ("'it''s'", "it's", None),
        ("\"from\"", "from", None),
        ("select", "select", None),
        ("model", "model", None),
    ] {
        let model = ModelReference { name: name.to_string(), version };
        assert_eq!(ours::<DescribeModel>(&format!("DESCRIBE MODEL {text}")).model, model, "{text}");
        assert_eq!(ours::<DescribeModel>(&format!("DESC MODEL {text}")).model, model, "{text}");
        assert_eq!(ours::<DropModel>(&format!("DROP MODEL {text};")).model, model, "{text}");
        let evaluate = ours::<EvaluateModel>(&format!("EVALUATE MODEL {text} ON t TARGET c"));
        assert_eq!((evaluate.model, evaluate.target.as_deref()), (model, Some("c")), "{text}");
    }
    assert_eq!(ours::<CreateModel>("CREATE MODEL m FROM Base@2").base.as_deref(), Some("base@2"));
}

#[test]
fn training_data_plans_as_written() {
    let data = |on: &str| ours::<EvaluateModel>(&format!("EVALUATE MODEL m ON {on}")).data;
    for (on, sql) in [
        ("reviews", "SELECT * FROM \"reviews\""),
        ("Lake.\"Raw\".select", "SELECT * FROM \"lake\".\"Raw\".\"select\""),
        ("\"a\"\"b\"", "SELECT * FROM \"a\"\"b\""),
        ("'it''s.csv'", "SELECT * FROM 'it''s.csv'"),
        ("(SELECT a FROM t)", "SELECT a FROM t"),
    ] {
        assert_eq!(data(on).sql(), sql);
        // The statement is the text's.
        let parsed = parse_one(sql).parsed;
        let Parsed::Sql(expected) = parsed else { panic!("{sql}") };
        assert_eq!(data(on).statement().unwrap(), expected, "{on}");
    }
}

#[test]
fn scripts_keep_the_text_of_each_statement() {
    let script = "\n-- first\n ;; SELECT 'é;' AS \"ü\" ; /* two */ CREATE MODEL m\n  FROM 'ß' -- base\n  WITH (seed = 1);\
                  \r\nSHOW MODELS";
    let statements = parse_statements(script).unwrap();
    let texts: Vec<_> = statements.iter().map(|statement| statement.sql.as_str()).collect();
    let create = "CREATE MODEL m\n  FROM 'ß' -- base\n  WITH (seed = 1)";
    assert_eq!(texts, ["SELECT 'é;' AS \"ü\"", create, "SHOW MODELS"]);
    for empty in ["", " ", ";", "-- nothing", "/* ; */;;\n"] {
        assert!(parse_statements(empty).unwrap().is_empty(), "{empty:?}");
    }
}

#[test]
fn examples_parse_to_their_kind_and_print_back() {
    for kind in STATEMENTS {
        let statement = parse_ours(kind.example);
        assert!(std::ptr::eq(statement.kind(), *kind), "{}", kind.name);
        let printed = statement.to_string();
        let again = parse_ours(&printed);
        assert_eq!(again.to_string(), printed);
        assert!(kind.syntax.starts_with(kind.name) || kind.name.contains("CREATE"), "{}", kind.name);
        assert_eq!((statement.as_ref() as &dyn Any).type_id(), (again.as_ref() as &dyn Any).type_id());
    }
    let names: std::collections::BTreeSet<_> = STATEMENTS.iter().map(|kind| kind.name).collect();
    assert_eq!(names.len(), STATEMENTS.len());
}

#[test]
fn completion_words_and_reference_come_from_the_lists() {
    let words = completion_words();
    for word in [
        "MODEL",
        "FINE_TUNE",
        "VALIDATE",
        "TARGET",
        "EVALUATE",
        "VERSIONS",
        "TRAINING",
        "seed",
        "class_weights",
    ] {
        assert!(words.contains(&word), "{word}");
    }
    assert!(words.iter().all(|word| !word.contains(['[', '…', ' '])));
    let page = reference_markdown();
    assert_eq!(page, reference_markdown());
    for kind in STATEMENTS {
        assert!(page.contains(&format!("## {}\n", kind.name)) && page.contains(kind.syntax), "{}", kind.name);
    }
    for option in TRAINING_OPTIONS {
        assert!(
            page.contains(&format!("## {}\n", option.name)) && page.contains(option.reason),
            "{}",
            option.name
        );
    }
}
