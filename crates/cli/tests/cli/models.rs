use crate::Nightjar;

#[test]
fn pulling_keeps_a_model_and_twice_is_once() {
    let nightjar = Nightjar::new();
    nightjar_models::testing::write_tiny_model(&nightjar.path("files"), 1).unwrap();
    let first = nightjar.run(&["model", "pull", "tiny", "--from", "files"]);
    assert_eq!(first.status, Some(0), "{first:?}");
    let fields: Vec<&str> = first.stdout.trim_end().split('\t').collect();
    assert_eq!((fields.len(), fields[0], fields[1].len()), (3, "tiny@1", 64), "{}", first.stdout);
    let second = nightjar.run(&["model", "pull", "tiny", "--from", "files"]);
    assert_eq!((second.stdout, second.status), (first.stdout, Some(0)));
    assert_eq!(second.stderr, "note: tiny@1 is in the catalog already\n");
    let list = nightjar.run(&["-q", "model", "list", "--format", "csv"]);
    assert_eq!(list.stdout.lines().count(), 2, "{}", list.stdout);
    assert!(list.stdout.lines().last().unwrap().starts_with("tiny,embed,1,1,true,"), "{}", list.stdout);
}

#[test]
fn another_models_name_is_not_taken_over() {
    let nightjar = Nightjar::new().with_tiny_model();
    nightjar_models::testing::write_tiny_model(&nightjar.path("other"), 2).unwrap();
    let ran = nightjar.run(&["model", "pull", "./other", "--as", "tiny"]);
    assert_eq!((ran.stdout.as_str(), ran.status), ("", Some(1)));
    assert!(ran.stderr.contains("error: a model named 'tiny' exists already"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: choose another name with --as"), "{}", ran.stderr);
    assert_eq!(nightjar.run(&["model", "pull", "./other", "--as", "third"]).status, Some(0));
}

#[test]
fn what_can_not_be_pulled_says_why() {
    let nightjar = Nightjar::new();
    let typo = nightjar.run(&["model", "pull", "all-MiniLM-L6-v3"]);
    assert_eq!(typo.status, Some(1));
    assert!(typo.stderr.contains("hint: did you mean 'all-MiniLM-L6-v2'?"), "{}", typo.stderr);
    let empty = nightjar.run(&["model", "pull", "nothing", "--from", "."]);
    assert_eq!(empty.status, Some(1));
    assert!(empty.stderr.contains("config.json"), "{}", empty.stderr);
}

#[test]
fn a_model_is_trained_run_and_measured() {
    let nightjar = Nightjar::new().with_tiny_model();
    nightjar.sql(
        "CREATE VIEW labelled AS SELECT concat(word, ' thing ', x) AS text, label
         FROM (VALUES ('good', 'up'), ('great', 'up'), ('bad', 'down'), ('awful', 'down')) w(word, label)
         CROSS JOIN generate_series(1, 20) n(x)",
    );
    nightjar
        .sql("CREATE MODEL mood FROM 'tiny' FINE_TUNE ON labelled WITH (epochs = 12, learning_rate = 2e-3)");
    let label = nightjar.run(&["sql", "--format", "json", "-c", "SELECT classify('a great thing') AS label"]);
    assert_eq!((label.stdout.as_str(), label.stderr.as_str()), ("{\"label\":\"up\"}\n", ""));
    assert!(nightjar.sql("EVALUATE MODEL mood ON labelled").contains("accuracy"));
}

#[test]
fn truncated_texts_are_told() {
    let nightjar = Nightjar::new().with_tiny_model();
    let sql = "SELECT count(embed(t, 'tiny')) FROM (VALUES (repeat('good ', 500)), (repeat('bad ', 500)), ('x')) v(t)";
    let ran = nightjar.run(&["-q", "sql", "-c", sql]);
    assert_eq!(ran.stderr, "warning: 2 texts were longer than the model's window and were truncated\n");
}
