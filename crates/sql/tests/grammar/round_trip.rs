//! `parse(display(s)) == s`, for every statement.

use std::fmt::Debug;

use datafusion_sql::parser::{DFParserBuilder, Statement as DataFusionStatement};
use datafusion_sql::sqlparser::ast::{Query, Statement as SqlStatement, Value};
use nightjar_names::{ModelReference, OnModelChange};
use nightjar_sql::*;
use proptest::option;
use proptest::prelude::*;

use crate::parse_ours;

/// Queries that print in ways a parenthesis or a keyword of ours could break.
const QUERIES: &[&str] = &[
    "SELECT review, label FROM reviews WHERE label IS NOT NULL",
    "WITH model AS (SELECT 1 AS target) SELECT * FROM model",
    "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1 LIMIT 3",
    "SELECT 1 EXCEPT (SELECT 2 INTERSECT SELECT 3)",
    "VALUES (1, 'a;b'), (2, NULL)",
    "SELECT 'it''s', \"a b\", $1, x'ff', E'a\\nb' FROM \"My Table\" AS t",
    "SELECT CASE WHEN a THEN ')' ELSE '(' END AS label FROM 'reviews.parquet'",
    "SELECT CAST(a AS BIGINT), a::TEXT, -1, NOT b, a BETWEEN 1 AND 2 FROM t TABLESAMPLE BERNOULLI (10)",
    "SELECT row_number() OVER (PARTITION BY a ORDER BY b DESC NULLS LAST) FROM t QUALIFY true",
    "SELECT * EXCEPT (id) FROM a JOIN b USING (id) LEFT JOIN LATERAL (SELECT 1) AS c ON true",
    "SELECT [1, 2][1], {'a': 1}, struct(1), INTERVAL '1 day', TIMESTAMP '2026-01-01'",
];

fn query() -> impl Strategy<Value = SyntaxTree<Query>> {
    proptest::sample::select(QUERIES).prop_map(|sql| {
        let mut parser = DFParserBuilder::new(sql).build().unwrap();
        match parser.parse_statement().unwrap() {
            DataFusionStatement::Statement(statement) => match *statement {
                SqlStatement::Query(query) => SyntaxTree::from(query),
                other => panic!("{sql}: {other:?}"),
            },
            other => panic!("{sql}: {other:?}"),
        }
    })
}

/// Keywords, and any other text: quotes, blanks, line ends, capitals, all of Unicode.
fn text() -> impl Strategy<Value = String> {
    const KEYWORDS: &[&str] = &[
        "from",
        "WITH",
        "if",
        "on",
        "select",
        "target",
        "Label",
        "fine_tune",
        "''",
        "\"\"",
        "a\"\"b",
        "a'b",
        "--",
    ];
    prop_oneof![
        1 => proptest::sample::select(KEYWORDS).prop_map(str::to_string),
        2 => "[a-z_][a-z0-9_]{0,8}",
        1 => "[a-zA-Z0-9 _.@'\"`\\\\;()-]{1,12}",
        1 => "(?s).{1,12}",
    ]
}

/// Names that the catalog allows.
fn model_name() -> impl Strategy<Value = String> {
    text().prop_filter("a model name", |name| {
        name.trim() == name && !name.contains(['@', '/', '\\', ':']) && !name.chars().any(char::is_control)
    })
}

prop_compose! {
    fn model()(name in model_name(), version in option::of(1u32..)) -> ModelReference {
        ModelReference { name, version }
    }
}

fn data() -> impl Strategy<Value = TrainingData> {
    prop_oneof![
        proptest::collection::vec(text(), 1..=3).prop_map(TableOrQuery::Table),
        text().prop_map(TableOrQuery::File),
        query().prop_map(TableOrQuery::Query),
    ]
    .prop_map(|source| TrainingData { source })
}

prop_compose! {
    fn fine_tune()(data in data(), target in option::of(text()), validate in option::of(data())) -> FineTune {
        FineTune { data, target, validate }
    }
}

fn value() -> impl Strategy<Value = Value> {
    const NUMBERS: &[&str] = &["1e-3", "1E5", "0.5", ".5", "-1.5e+3", "00", "99999999999999999999"];
    prop_oneof![
        any::<i64>().prop_map(|number| Value::Number(number.to_string(), false)),
        proptest::sample::select(NUMBERS).prop_map(|number| Value::Number(number.to_string(), false)),
        any::<bool>().prop_map(Value::Boolean),
        prop_oneof![Just(String::new()), text()].prop_map(Value::SingleQuotedString),
    ]
}

fn options() -> impl Strategy<Value = Vec<(String, Value)>> {
    proptest::collection::vec((text(), value()), 0..4)
}

/// A base is any text but a blank one.
fn base() -> impl Strategy<Value = String> {
    text().prop_filter("a base", |base| !base.trim().is_empty())
}

prop_compose! {
    fn create()(
        (or_replace, if_not_exists) in prop_oneof![Just((false, false)), Just((true, false)), Just((false, true))],
        name in model_name(),
        base in option::of(base()),
        fine_tune in option::of(fine_tune()),
        options in options(),
    ) -> CreateModel {
        CreateModel { or_replace, if_not_exists, name, base, fine_tune, options }
    }
}

fn action() -> impl Strategy<Value = AlterAction> {
    prop_oneof![
        (fine_tune(), options())
            .prop_map(|(fine_tune, options)| AlterAction::FineTune { fine_tune, options }),
        Just(AlterAction::SetDefault),
        (1u32..).prop_map(AlterAction::SetVersion),
        model_name().prop_map(AlterAction::Rename),
    ]
}

fn prints_back<S: Statement + PartialEq + Debug>(statement: &S) {
    let sql = statement.to_string();
    let parsed = parse_ours(&sql);
    let parsed = parsed.downcast_ref::<S>().unwrap_or_else(|| panic!("{sql} is {parsed:?}"));
    assert_eq!(parsed, statement, "{sql}");
}

#[test]
fn each_query_prints_back() {
    for sql in QUERIES {
        let evaluate = parse_ours(&format!("EVALUATE MODEL m ON ({sql})"));
        prints_back(evaluate.downcast_ref::<EvaluateModel>().unwrap());
    }
    prints_back(&ShowModels);
    prints_back(&ShowMaterializedViews);
    prints_back(&ShowCache);
    prints_back(&ClearCache);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn create_model(create in create()) {
        prints_back(&create);
        prints_back(&ExplainCreateModel { create });
    }

    #[test]
    fn materialized_views(
        name in proptest::collection::vec(text(), 1..=3),
        if_exists in any::<bool>(),
        or_replace in any::<bool>(),
        keep in option::of(any::<bool>()),
        query in query(),
    ) {
        let on_model_change = keep.map(|keep| if keep { OnModelChange::Keep } else { OnModelChange::Full });
        let if_not_exists = if_exists && !or_replace;
        prints_back(&CreateMaterializedView { or_replace, if_not_exists, name: name.clone(), on_model_change, query });
        prints_back(&RefreshMaterializedView { name: name.clone(), full: if_exists });
        prints_back(&DropMaterializedView { if_exists, name, cascade: or_replace });
    }

    #[test]
    fn alter_model(name in model_name(), action in action()) {
        prints_back(&AlterModel { name, action });
    }

    #[test]
    fn promote_model(
        model in model(),
        to in model_name(),
        gate in option::of((data(), option::of(text()), option::of(proptest::sample::select(&["accuracy", "rmse", "macro_f1"])))),
    ) {
        let gate = gate.map(|(data, target, metric)| PromotionGate { data, target, metric: metric.map(str::to_owned) });
        prints_back(&PromoteModel { model, to, gate });
    }

    #[test]
    fn evaluate_model(model in model(), data in data(), target in option::of(text())) {
        prints_back(&EvaluateModel { model, data, target });
    }

    #[test]
    fn named_models(model in model(), if_exists in any::<bool>()) {
        prints_back(&ShowVersions { model: model.name.clone() });
        prints_back(&ShowTraining { model: model.name.clone() });
        prints_back(&ResumeTraining { model: model.name.clone() });
        prints_back(&DiscardTraining { model: model.name.clone() });
        prints_back(&DropModel { if_exists, model: model.clone(), cascade: if_exists });
        prints_back(&DescribeModel { model });
    }
}
