use crate::Nightjar;

const SQL: &str = "SELECT 1 AS id, 'a \"b\", c' AS text, 0.5 AS score, NULL AS nothing, [1, 2] AS list, \
                   named_struct('label', 'good') AS entry UNION ALL SELECT 2, 'd', 1.5, NULL, [], NULL ORDER BY id";

fn format(format: &str) -> String {
    let ran = Nightjar::new().run(&["-q", "sql", "-c", SQL, "--format", format]);
    assert_eq!((ran.stderr.as_str(), ran.status), ("", Some(0)));
    ran.stdout
}

#[test]
fn table() {
    insta::assert_snapshot!(format("table"), @r#"
    +----+----------+-------+---------+--------+---------------+
    | id | text     | score | nothing | list   | entry         |
    +----+----------+-------+---------+--------+---------------+
    |  1 | a "b", c |   0.5 | NULL    | [1, 2] | {label: good} |
    |  2 | d        |   1.5 | NULL    | []     | NULL          |
    +----+----------+-------+---------+--------+---------------+
    "#);
}

#[test]
fn csv() {
    insta::assert_snapshot!(format("csv"), @r#"
    id,text,score,nothing,list,entry
    1,"a ""b"", c",0.5,,"[1,2]","{""label"":""good""}"
    2,d,1.5,,[],
    "#);
}

#[test]
fn json() {
    insta::assert_snapshot!(format("json"), @r#"
    {"id":1,"text":"a \"b\", c","score":0.5,"nothing":null,"list":[1,2],"entry":{"label":"good"}}
    {"id":2,"text":"d","score":1.5,"nothing":null,"list":[],"entry":null}
    "#);
}

#[test]
fn markdown() {
    insta::assert_snapshot!(format("markdown"), @r#"
    | id | text | score | nothing | list | entry |
    | ---: | --- | ---: | --- | --- | --- |
    | 1 | a "b", c | 0.5 | NULL | [1, 2] | {label: good} |
    | 2 | d | 1.5 | NULL | [] | NULL |
    "#);
}

#[test]
fn results_without_rows() {
    let nightjar = Nightjar::new();
    let of = |format: &str| {
        nightjar.run(&["-q", "sql", "-c", "SELECT 1 AS a WHERE false", "--format", format]).stdout
    };
    assert_eq!(of("table"), "+---+\n| a |\n+---+\n+---+\n");
    assert_eq!(of("csv"), "a\n");
    assert_eq!(of("json"), "");
    assert_eq!(of("markdown"), "| a |\n| ---: |\n");
}

#[test]
fn the_number_of_rows_goes_to_stderr_and_only_for_tables() {
    let nightjar = Nightjar::new();
    let of = |format: &str| nightjar.run(&["sql", "-c", "SELECT 1 AS a", "--format", format]).stderr;
    assert!(of("table").starts_with("1 row in 0."), "{}", of("table"));
    assert_eq!(of("csv"), "");
}

#[test]
fn all_rows_come_and_statements_without_a_result_print_nothing() {
    let nightjar = Nightjar::new();
    let rows = nightjar.run(&["sql", "--format", "csv", "-c", "SELECT * FROM generate_series(1, 30000)"]);
    assert_eq!(rows.stdout.lines().count(), 30_001);
    let none = nightjar.run(&["sql", "-c", "CREATE VIEW v AS SELECT 1 AS a"]);
    assert_eq!((none.stdout.as_str(), none.stderr.as_str(), none.status), ("", "", Some(0)));
}

#[test]
fn vectors_are_whole_where_programs_read_them() {
    let nightjar = Nightjar::new().with_tiny_model();
    let sql = "SELECT embed('good', 'tiny') AS v";
    let of = |format: &str| nightjar.run(&["-q", "sql", "-c", sql, "--format", format]).stdout;
    for format in ["csv", "json"] {
        assert_eq!(of(format).lines().last().unwrap().split(',').count(), 32, "{format}");
    }
    for format in ["table", "markdown"] {
        assert!(of(format).contains(", … 32]"), "{format}");
    }
}
