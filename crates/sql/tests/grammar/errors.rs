//! What errors say, where they point, and what they suggest.

use nightjar_errors::Failure;
use nightjar_sql::{SqlError, parse_statements};

fn error(sql: &str) -> SqlError {
    match parse_statements(sql) {
        Err(error) => error,
        Ok(statements) => panic!("{sql} parsed: {statements:?}"),
    }
}

/// The message without the place, and the hint.
fn told(sql: &str) -> (String, String) {
    let error = error(sql);
    let hint = error.hint().unwrap_or_default();
    let SqlError::Syntax { message, .. } = error else { panic!("{sql}: {error:?}") };
    (message, hint)
}

#[test]
fn messages_say_what_was_expected() {
    for (sql, message) in [
        ("CREATE MODEL", "expected a model name, found the end of the statement"),
        ("CREATE MODEL FROM 'x'", "expected a model name, found FROM"),
        ("CREATE MODEL 5", "expected a model name, found 5"),
        ("CREATE MODEL ''", "'' cannot be a model's name: it is empty"),
        ("CREATE MODEL \"\"", "'' cannot be a model's name: it is empty"),
        ("CREATE MODEL \" a\"", "' a' cannot be a model's name: it begins or ends with a blank"),
        ("CREATE MODEL m@2", "version 2 cannot be named here"),
        ("CREATE OR REPLACE MODEL IF NOT EXISTS m", "OR REPLACE and IF NOT EXISTS exclude each other"),
        ("CREATE MODEL m FROM ''", "the base is empty"),
        ("CREATE MODEL m FROM FINE_TUNE ON t", "expected a base in quotes, found FINE_TUNE"),
        ("CREATE MODEL m FROM 'x' FINE_TUNE t", "expected ON, found t"),
        (
            "CREATE MODEL m FINE_TUNE ON",
            "expected a table, a file in quotes or a query in parentheses, found the end of the statement",
        ),
        ("CREATE MODEL m FINE_TUNE ON a.b.c.d", "a table has at most three names, found a.b.c.d"),
        ("CREATE MODEL m FINE_TUNE ON ''", "the path of the rows is empty"),
        (
            "CREATE MODEL m FINE_TUNE ON (SELECT 1",
            "expected a closing parenthesis, found the end of the statement",
        ),
        (
            "CREATE MODEL m FINE_TUNE ON (DELETE FROM t)",
            "the rows come from a statement that changes a table, not from a query",
        ),
        ("CREATE MODEL m FINE_TUNE ON t TARGET", "expected a column, found the end of the statement"),
        (
            "CREATE MODEL m FINE_TUNE ON t WITH (seed = 1) TARGET c",
            "expected the end of the statement, found TARGET",
        ),
        (
            "CREATE MODEL m FINE_TUNE ON t TARGET c x",
            "expected VALIDATE ON, WITH or the end of the statement, found x",
        ),
        ("CREATE MODEL m WITH ()", "expected an option, found )"),
        ("CREATE MODEL m WITH (seed)", "expected =, found )"),
        ("CREATE MODEL m WITH (seed = )", "expected a number, a string in quotes, true or false, found )"),
        ("CREATE MODEL m WITH (seed = -x)", "expected a number, found x"),
        ("CREATE MODEL m WITH (seed = NULL)", "expected a value, found NULL"),
        ("CREATE MODEL m WITH (seed = 1", "expected , or ), found the end of the statement"),
        (
            "ALTER MODEL m",
            "expected FINE_TUNE ON, SET DEFAULT, SET VERSION or RENAME TO, found the end of the statement",
        ),
        ("ALTER MODEL m SET", "expected DEFAULT or VERSION, found the end of the statement"),
        ("ALTER MODEL m SET VERSION 0", "expected a version number from 1, found 0"),
        ("ALTER MODEL m SET VERSION x", "expected a version number from 1, found x"),
        ("ALTER MODEL m RENAME TO n@1", "version 1 cannot be named here"),
        ("DROP MODEL m@0", "'m@0' is not a model reference: a name or name@version was expected"),
        ("DROP MODEL m@x", "'m@x' is not a model reference: a name or name@version was expected"),
        ("DROP MODEL m@", "'m@' is not a model reference: a name or name@version was expected"),
        ("DROP MODEL 'm'@1@2", "'m@1@2' is not a model reference: a name or name@version was expected"),
        (
            "DROP MODEL m@99999999999",
            "'m@99999999999' is not a model reference: a name or name@version was expected",
        ),
        ("SHOW MODELS x", "expected the end of the statement, found x"),
        ("SHOW VERSIONS sentiment", "expected OF, found sentiment"),
        ("EVALUATE sentiment ON t", "expected MODEL, found sentiment"),
        ("EVALUATE MODEL m", "expected ON, found the end of the statement"),
        ("PROMOTE MODEL m", "expected TO, found the end of the statement"),
        ("PROMOTE MODEL m TO n@1", "version 1 cannot be named here"),
        ("PROMOTE MODEL m TO n x", "expected IF BETTER ON or the end of the statement, found x"),
        ("PROMOTE MODEL m TO n IF", "expected BETTER, found the end of the statement"),
        ("PROMOTE MODEL m TO n IF BETTER ON t x", "expected TARGET, BY or the end of the statement, found x"),
        ("EXPLAIN VERBOSE EXPLAIN SELECT 1", "an EXPLAIN cannot be explained"),
        ("EXPLAIN CREATE MODEL", "expected a model name, found the end of the statement"),
    ] {
        assert_eq!(told(sql).0, message, "{sql}");
    }
}

#[test]
fn slips_bring_the_nearest_form() {
    for (sql, hint) in [
        ("CREATE MODLE m FROM 'x'", "did you mean CREATE MODEL?"),
        ("CREATE OR REPLACE MODLE m FROM 'x'", "did you mean CREATE MODEL?"),
        ("CRAETE MODEL m FROM 'x'", "did you mean CREATE MODEL?"),
        ("CREATE MODELS m", "did you mean CREATE MODEL?"),
        ("EXPLAIN CREATE MODLE m", "did you mean EXPLAIN CREATE MODEL?"),
        (
            "EXPLAIN ANALYZE CREATE MODEL m",
            "EXPLAIN CREATE MODEL takes neither ANALYZE nor VERBOSE, and trains nothing",
        ),
        ("DROP MODLE m", "did you mean DROP MODEL?"),
        ("ALTER MODLE m SET DEFAULT", "did you mean ALTER MODEL?"),
        ("EVALUTE MODEL m ON t", "did you mean EVALUATE MODEL?"),
        ("EVALUATE MODLE m ON t", "did you mean MODEL?"),
        ("PROMOTE MODEL m TO n IF BETER ON t", "did you mean BETTER?"),
        ("SHOW MODLES", "did you mean SHOW MODELS?"),
        ("SHOW MODEL", "did you mean SHOW MODELS?"),
        ("SHOW VERSION OF m", "did you mean SHOW VERSIONS?"),
        ("SHOW TRAININGS OF m", "did you mean SHOW TRAINING?"),
        ("RESUME TRANING OF m", "did you mean RESUME TRAINING?"),
        ("RESUME TRAINING OF m@2", "write m"),
        ("CREATE MODEL m FORM 'x'", "did you mean FROM?"),
        ("CREATE MODEL m FINETUNE ON t", "did you mean FINE_TUNE ON?"),
        ("CREATE MODEL m FINE TUNE ON t", "did you mean FINE_TUNE ON?"),
        ("CREATE MODEL m FINE-TUNE ON t", "did you mean FINE_TUNE ON?"),
        ("CREATE MODEL m FROM 'x' FINETUNE ON t", "did you mean FINE_TUNE ON?"),
        ("CREATE MODEL m FINE_TUNE ON t TAGRET c", "did you mean TARGET?"),
        ("CREATE MODEL m FINE_TUNE ON t VALIDATION ON u", "did you mean VALIDATE ON?"),
        ("CREATE MODEL m FINE_TUNE ON t WIHT (seed = 1)", "did you mean WITH?"),
        ("ALTER MODEL m FINETUNE ON t", "did you mean FINE_TUNE ON?"),
        ("ALTER MODEL m RENAM TO n", "did you mean RENAME TO?"),
        ("ALTER MODEL m SET DEFUALT", "did you mean DEFAULT?"),
        ("CREATE MODEL m@2", "write m"),
        ("CREATE MODEL my-model FROM 'x'", "quote it: 'my-model'"),
        ("DESCRIBE MODEL all-MiniLM-L6-v2@2", "quote it: 'all-MiniLM-L6-v2@2'"),
        ("DROP MODEL bge.small", "quote it: 'bge.small'"),
        ("DROP MODEL m@0", "versions are counted from 1: name@1"),
        ("EVALUATE MODEL m ON (reviews)", "a table's name needs no parentheses"),
        ("DROP MODEL", "the form is DROP MODEL [IF EXISTS] name[@version] [CASCADE | RESTRICT]"),
    ] {
        assert_eq!(told(sql).1, hint, "{sql}: {:?}", error(sql));
    }
}

#[test]
fn sql_that_looks_like_none_of_ours_brings_no_hint() {
    for sql in ["CREATE TABEL t", "SELECT 1 +", "CREATE TABLE", "DROP", "SHOW CREATE", "ALTER ROLE", "x"] {
        assert_eq!(told(sql).1, "", "{sql}");
    }
}

#[test]
fn places_are_those_of_the_script() {
    let SqlError::Syntax { line, column, near, statement, .. } =
        error("SELECT 'é';\n  CREATE MODEL m\n  'ü' FORM")
    else {
        panic!()
    };
    assert_eq!((line, column, near.as_str(), statement), (3, 3, "'ü'", Some("CREATE MODEL")));
    assert_eq!(
        error("SELECT 1;\nSELECT 1 FROM WHERE x y z,;").to_string().split(':').next().unwrap(),
        "syntax error at line 2, column 23"
    );
    assert_eq!(
        error("CREATE MODEL m FINE_TUNE ON (SELECT 1 FROM)").to_string(),
        "syntax error at line 1, column 43: expected identifier, found )"
    );
    assert_eq!(error("CREATE TABEL t").code(), "statement_syntax");
    assert_eq!(
        error("SELECT 'a").to_string(),
        "syntax error at line 1, column 8: unterminated string literal"
    );
    assert_eq!(
        error("SELECT 1 SELECT 2").to_string().split(':').next().unwrap(),
        "syntax error at line 1, column 10"
    );
}
