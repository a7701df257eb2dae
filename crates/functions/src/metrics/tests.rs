//! Every metric against scikit-learn's and scipy's figures, whole and merged from parts.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float32Array, Float64Array, Int8Array, LargeListArray,
    ListArray, ListBuilder, StringArray, StringBuilder, StringViewArray, StructArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Int8Type};
use datafusion::common::ScalarValue;

use super::MetricFunction;
use super::argument::{coerced, form_of};
use crate::registry::METRIC_FUNCTIONS;
use crate::{FunctionError, find_failure};

fn function(name: &str) -> &'static MetricFunction {
    METRIC_FUNCTIONS.iter().find(|function| function.doc.name == name).unwrap()
}

fn arrays(states: &[ScalarValue]) -> Vec<ArrayRef> {
    states.iter().map(|state| state.to_array().unwrap()).collect()
}

/// Returns the metric of the columns, once from all rows at a time and once from parts merged, for every cut.
fn values(name: &str, class: Option<&str>, columns: &[ArrayRef]) -> Vec<ScalarValue> {
    let function = function(name);
    let mut types: Vec<DataType> = columns.iter().map(|column| column.data_type().clone()).collect();
    types.extend(class.map(|_| DataType::Utf8));
    let counting = function.counting(form_of(name, "", function.forms, &types).unwrap());
    let new = || (counting.accumulator)(class.map(str::to_owned));
    let rows = columns[0].len();
    let mut whole = new();
    whole.update_batch(columns).unwrap();
    let mut found = vec![whole.evaluate().unwrap(), whole.evaluate().unwrap()];
    for cut in 0..=rows {
        let part = |from: usize, to: usize| -> Vec<ArrayRef> {
            columns.iter().map(|column| column.slice(from, to - from)).collect()
        };
        let mut merged = new();
        for rows in [part(cut, rows), part(0, cut)] {
            let mut accumulator = new();
            accumulator.update_batch(&rows).unwrap();
            let state = accumulator.state().unwrap();
            for (value, (part, declared)) in state.iter().zip((counting.state)()) {
                assert_eq!(value.data_type(), declared, "{name}: {part}");
            }
            merged.merge_batch(&arrays(&state)).unwrap();
        }
        found.push(merged.evaluate().unwrap());
    }
    found
}

#[track_caller]
fn near(name: &str, class: Option<&str>, columns: &[ArrayRef], expected: f64) {
    for found in values(name, class, columns) {
        let ScalarValue::Float64(Some(found)) = found else { panic!("{name}: {found:?}") };
        assert!((found - expected).abs() < 1e-7, "{name} is {found}, expected {expected}");
    }
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(values.iter().map(|value| (*value != "NULL").then_some(*value)).collect::<StringArray>())
}

fn numbers(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

// y = list('abccbacb'); p = list('abcabbcd')
// accuracy_score(y, p) -> 0.625
// precision_recall_fscore_support(y, p, average='macro', zero_division=0)
//   -> 0.5416666666666666 0.45833333333333326 0.49166666666666664
// precision_recall_fscore_support(y, p, labels=list('abcd'), average=None, zero_division=0)
//   -> [.5, 2/3, 1, 0] [.5, 2/3, 2/3, 0] [.5, 2/3, .8, 0]
#[test]
fn classification_agrees_with_scikit_learn() {
    let columns = [
        texts(&["a", "b", "NULL", "c", "c", "b", "a", "c", "b", "a"]),
        texts(&["a", "b", "a", "c", "a", "b", "b", "c", "d", "NULL"]),
    ];
    near("accuracy", None, &columns, 0.625);
    near("precision", None, &columns, 0.541_666_666_666_666_6);
    near("recall", None, &columns, 0.458_333_333_333_333_3);
    near("f1", None, &columns, 0.491_666_666_666_666_64);
    for (class, precision, recall, f1) in
        [("a", 0.5, 0.5, 0.5), ("c", 1.0, 2.0 / 3.0, 0.8), ("d", 0.0, 0.0, 0.0), ("no such", 0.0, 0.0, 0.0)]
    {
        near("precision", Some(class), &columns, precision);
        near("recall", Some(class), &columns, recall);
        near("f1", Some(class), &columns, f1);
    }
}

// confusion_matrix(y, p, labels=list('abcd')) -> [[1 1 0 0] [0 2 0 1] [1 0 2 0] [0 0 0 0]]
#[test]
fn the_confusion_matrix_lists_the_pairs_that_occur() {
    let columns =
        [texts(&["a", "b", "c", "c", "b", "a", "c", "b"]), texts(&["a", "b", "c", "a", "b", "b", "c", "d"])];
    let expected = "[{label: a, prediction: a, count: 1}, {label: a, prediction: b, count: 1}, \
                    {label: b, prediction: b, count: 2}, {label: b, prediction: d, count: 1}, \
                    {label: c, prediction: a, count: 1}, {label: c, prediction: c, count: 2}]";
    for found in values("confusion_matrix", None, &columns) {
        assert_eq!(found.data_type(), (function("confusion_matrix").returns)());
        assert_eq!(found.to_string(), expected);
    }
}

#[test]
fn labels_of_any_type_compare_as_text() {
    let dictionary: DictionaryArray<Int8Type> =
        vec![Some("1"), Some("0"), None, Some("1")].into_iter().collect();
    let same: [ArrayRef; 4] = [
        Arc::new(Int8Array::from(vec![Some(1), Some(0), None, Some(1)])),
        Arc::new(StringViewArray::from(vec![Some("1"), Some("0"), None, Some("1")])),
        Arc::new(dictionary),
        texts(&["1", "0", "NULL", "1"]),
    ];
    for label in &same {
        for prediction in &same {
            near("accuracy", None, &[Arc::clone(label), Arc::clone(prediction)], 1.0);
        }
    }
    let booleans: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true)]));
    near("accuracy", None, &[booleans, texts(&["true", "true", "true", "True"])], 1.0 / 3.0);
}

// t = [1,0,1,1,0,0,1]; s = [.9,.4,.4,.75,.1,.8,.6]
// roc_auc_score(t, s), log_loss(t, s) -> 0.7083333333333333 0.5779689993725243
#[test]
fn scores_of_two_classes_agree_with_scikit_learn() {
    let scores = numbers(&[0.9, 0.4, 0.4, 0.75, 0.1, 0.8, 0.6]);
    let truth = Int8Array::from(vec![1, 0, 1, 1, 0, 0, 1]);
    let booleans = cast(&truth, &DataType::Boolean).unwrap();
    for labels in
        [Arc::new(truth) as ArrayRef, booleans, texts(&["1", "false", "TRUE", "true", "0", "0", "1"])]
    {
        near("roc_auc", None, &[Arc::clone(&labels), Arc::clone(&scores)], 0.708_333_333_333_333_3);
        near("log_loss", None, &[labels, Arc::clone(&scores)], 0.577_968_999_372_524_3);
    }
}

fn score_lists() -> ListArray {
    let fields = Fields::from(vec![
        Field::new("label", DataType::Utf8, true),
        Field::new("score", DataType::Float32, true),
    ]);
    let labels = texts(&["a", "b", "c", "b", "a", "c", "c", "b", "a", "b", "c", "a"]);
    let scores = Float32Array::from(vec![0.7, 0.2, 0.1, 0.5, 0.3, 0.2, 0.5, 0.25, 0.25, 0.6, 0.4, 0.0]);
    let entries = StructArray::new(fields.clone(), vec![labels, Arc::new(scores)], None);
    let item = Arc::new(Field::new_list_field(DataType::Struct(fields), true));
    // The last label, with 0, is left out of the last list.
    ListArray::new(item, OffsetBuffer::new(vec![0, 3, 6, 9, 11].into()), Arc::new(entries), None)
}

// y = ['a','b','c','a']; P = np.array([[.7,.2,.1],[.3,.5,.2],[.25,.25,.5],[0,.6,.4]], dtype=np.float32)
// log_loss(y, P, labels=['a','b','c'])                -> 4.4213385581970215
// roc_auc_score([v == 'a' for v in y], P[:,0])        -> 0.5
#[test]
fn lists_of_scores_agree_with_scikit_learn() {
    let labels = texts(&["a", "b", "c", "a"]);
    let lists: ArrayRef = Arc::new(score_lists());
    let item = Arc::new(Field::new_list_field(score_lists().value_type(), true));
    let large: ArrayRef = Arc::new(cast(&lists, &DataType::LargeList(item)).unwrap());
    assert!(large.as_any().is::<LargeListArray>());
    for scores in [lists, large] {
        near("log_loss", None, &[Arc::clone(&labels), Arc::clone(&scores)], 4.421_338_558);
        near("roc_auc", Some("a"), &[Arc::clone(&labels), scores], 0.5);
    }
}

// t = [3.0, -0.5, 2.0, 7.0, 2.0]; p = [2.5, 0.0, 2.0, 8.0, 1.5]
// mean_squared_error(t, p) ** .5, mean_absolute_error(t, p), r2_score(t, p), pearsonr(t, p)[0], spearmanr(t, p)[0]
//   -> 0.5916079783099616 0.5 0.9412751677852349 0.9808107217942781 0.9746794344808963
#[test]
fn regression_agrees_with_scikit_learn_and_scipy() {
    let truth =
        Float64Array::from(vec![Some(3.0), Some(-0.5), None, Some(2.0), Some(7.0), Some(2.0), Some(9.0)]);
    let predicted =
        Float64Array::from(vec![Some(2.5), Some(0.0), Some(1.0), Some(2.0), Some(8.0), Some(1.5), None]);
    let columns: [ArrayRef; 2] = [Arc::new(truth), Arc::new(predicted)];
    for (name, expected) in [
        ("rmse", 0.591_607_978_309_961_6),
        ("mae", 0.5),
        ("r2", 0.941_275_167_785_234_9),
        ("pearson", 0.980_810_721_794_278_1),
        ("spearman", 0.974_679_434_480_896_3),
    ] {
        near(name, None, &columns, expected);
    }
}

#[test]
fn no_rows_give_null_of_the_type_returned() {
    for function in METRIC_FUNCTIONS {
        for counting in function.forms.iter().map(|form| function.counting(form)) {
            let mut accumulator = (counting.accumulator)(None);
            let value = accumulator.evaluate().unwrap();
            assert!(value.is_null() && value.data_type() == (function.returns)(), "{}", function.doc.name);
            let state = accumulator.state().unwrap();
            let mut merged = (counting.accumulator)(None);
            merged.merge_batch(&arrays(&state)).unwrap();
            assert!(merged.evaluate().unwrap().is_null(), "{}", function.doc.name);
        }
    }
}

/// Lists of labels, one a word: "NULL" alone is no list, "-" an empty one.
fn lists(rows: &[&str]) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in rows {
        match *row {
            "NULL" => lists.append_null(),
            "-" => lists.append(true),
            labels => lists.append_value(labels.split(' ').map(|label| (label != "NULL").then_some(label))),
        }
    }
    Arc::new(lists.finish())
}

// y, p = MultiLabelBinarizer(classes=list('abcd')) of the rows below without NULL
// accuracy_score(y, p) -> 0.3333333333333333
// precision_recall_fscore_support(y, p, average='micro', zero_division=0)
//   -> 0.6666666666666666 0.5 0.5714285714285714
// precision_recall_fscore_support(y, p, average='macro', zero_division=0) -> 0.5 0.41666666666666663 0.45
// precision_recall_fscore_support(y, p, average=None, zero_division=0)
//   -> [1, .5, .5, 0] [2/3, .5, .5, 0] [.8, .5, .5, 0]
#[test]
fn lists_of_labels_agree_with_scikit_learn() {
    // Order, repetition and NULLs within a list do not count.
    let columns = [
        lists(&["b a b", "a", "NULL", "-", "b NULL c", "d", "c a", "a"]),
        lists(&["a b", "c a", "a", "-", "c", "-", "b", "NULL"]),
    ];
    for (name, expected) in [
        ("accuracy", 1.0 / 3.0),
        ("micro_precision", 2.0 / 3.0),
        ("micro_recall", 0.5),
        ("micro_f1", 4.0 / 7.0),
        ("precision", 0.5),
        ("recall", 5.0 / 12.0),
        ("f1", 0.45),
    ] {
        near(name, None, &columns, expected);
    }
    for (class, precision, recall, f1) in
        [("a", 1.0, 2.0 / 3.0, 0.8), ("d", 0.0, 0.0, 0.0), ("no", 0.0, 0.0, 0.0)]
    {
        near("precision", Some(class), &columns, precision);
        near("recall", Some(class), &columns, recall);
        near("f1", Some(class), &columns, f1);
    }
    let expected = "[{label: a, hits: 2, predicted: 2, support: 3}, {label: b, hits: 1, predicted: 2, support: 2}, \
                    {label: c, hits: 1, predicted: 2, support: 2}, {label: d, hits: 0, predicted: 0, support: 1}]";
    for found in values("label_counts", None, &columns) {
        assert_eq!(found.data_type(), (function("label_counts").returns)());
        assert_eq!(found.to_string(), expected);
    }
}

#[test]
fn one_label_a_row_counts_like_a_list_of_one() {
    let (labels, predictions) = (["a", "b", "c", "c", "NULL"], ["a", "c", "c", "b", "a"]);
    let singles = [texts(&labels), texts(&predictions)];
    let of_one = [lists(&labels), lists(&predictions)];
    for name in [
        "accuracy",
        "micro_precision",
        "micro_recall",
        "micro_f1",
        "precision",
        "recall",
        "f1",
        "label_counts",
    ] {
        assert_eq!(values(name, None, &singles), values(name, None, &of_one), "{name}");
    }
    near("micro_f1", None, &singles, 0.5);
}

// P = np.array([[.9,.6,.2,.1],[.7,.4,.5,.1],[.2,.3,.1,.05],[.1,.45,.8,.3],[.3,.2,.1,.4],[.4,.5,.3,.2]], dtype=np.float32)
// y as above
// np.mean([log_loss(y[:, i], P[:, i].astype(np.float64), labels=[0, 1]) for i in range(4)]) -> 0.39453673018447916
#[test]
fn the_loss_of_lists_is_the_mean_of_binary_losses() {
    let labels = lists(&["a b", "a", "-", "b c", "d", "a c"]);
    let scores = [
        0.9, 0.6, 0.2, 0.1, 0.7, 0.4, 0.5, 0.1, 0.2, 0.3, 0.1, 0.05, 0.1, 0.45, 0.8, 0.3, 0.3, 0.2, 0.1, 0.4,
        0.4, 0.5, 0.3, 0.2,
    ];
    let of = |scores: &[f32], labels: &[&str], row: i32| -> ArrayRef {
        let fields = Fields::from(vec![
            Field::new("label", DataType::Utf8, true),
            Field::new("score", DataType::Float32, true),
        ]);
        let names: Vec<&str> = labels.iter().copied().cycle().take(scores.len()).collect();
        let columns: Vec<ArrayRef> = vec![texts(&names), Arc::new(Float32Array::from(scores.to_vec()))];
        let entries = StructArray::new(fields.clone(), columns, None);
        let item = Arc::new(Field::new_list_field(DataType::Struct(fields), true));
        let offsets: Vec<i32> = (0..=scores.len() as i32 / row).map(|at| at * row).collect();
        Arc::new(ListArray::new(item, OffsetBuffer::new(offsets.into()), Arc::new(entries), None))
    };
    near("log_loss", None, &[labels, of(&scores, &["a", "b", "c", "d"], 4)], 0.394_536_730_184);
    // A label that is not among the scores has probability 0, clipped: (-ln .5 - ln f32's epsilon) / 2.
    let expected = (0.5_f64.ln() + f64::from(f32::EPSILON).ln()) / -2.0;
    near("log_loss", None, &[lists(&["a z"]), of(&[0.5], &["a"], 1)], expected);
}

#[test]
fn a_window_forgets_the_rows_that_leave_it() {
    let mut accuracy = (function("accuracy").accumulator)(None);
    let rows = |labels: &[&str], predictions: &[&str]| [texts(labels), texts(predictions)];
    accuracy.update_batch(&rows(&["a", "b", "NULL"], &["b", "b", "a"])).unwrap();
    accuracy.retract_batch(&rows(&["a", "NULL"], &["b", "a"])).unwrap();
    assert_eq!(accuracy.evaluate().unwrap(), ScalarValue::from(1.0));
    accuracy.retract_batch(&rows(&["b"], &["b"])).unwrap();
    assert!(accuracy.evaluate().unwrap().is_null());
    let f1 = function("f1");
    let mut f1 = (f1.counting(f1.forms[2]).accumulator)(None);
    let rows = |labels: &[&str], predictions: &[&str]| [lists(labels), lists(predictions)];
    f1.update_batch(&rows(&["a b", "c", "NULL"], &["a", "-", "a"])).unwrap();
    f1.retract_batch(&rows(&["c", "NULL"], &["-", "a"])).unwrap();
    assert_eq!(f1.evaluate().unwrap(), ScalarValue::from(0.5));
    f1.retract_batch(&rows(&["b a"], &["a"])).unwrap();
    assert!(f1.evaluate().unwrap().is_null());
}

#[test]
fn a_label_that_is_neither_true_nor_false_is_named() {
    let mut accumulator = (function("roc_auc").accumulator)(None);
    let error = accumulator.update_batch(&[texts(&["good"]), numbers(&[0.5])]).unwrap_err();
    let failure = find_failure::<FunctionError>(&error).unwrap();
    assert!(matches!(failure, FunctionError::NotBinary { label, .. } if label == "good"), "{error}");
}

#[test]
fn arguments_of_the_wrong_type_are_named() {
    let refuse = |name: &str, types: &[DataType]| {
        let function = function(name);
        assert_eq!(coerced(function.forms, types), types);
        form_of(name, function.doc.syntax, function.forms, types).unwrap_err().to_string()
    };
    let (text, float) = (DataType::Utf8, DataType::Float64);
    assert_eq!(
        refuse("accuracy", &[text.clone(), float.clone()]),
        "argument 2 of accuracy must be a label (text, boolean or integer) or a list of labels, got Float64"
    );
    assert_eq!(
        refuse("rmse", &[float.clone(), text.clone()]),
        "argument 2 of rmse must be a number, got Utf8"
    );
    assert_eq!(
        refuse("log_loss", &[text.clone(), text.clone()]),
        "argument 2 of log_loss must be a list of scores (the result of classify_scores) or a number, got Utf8"
    );
    assert_eq!(
        refuse("mae", std::slice::from_ref(&float)),
        "mae takes mae(truth, prediction), got (Float64)"
    );
    let scores = score_lists().data_type().clone();
    assert!(refuse("roc_auc", &[text.clone(), scores.clone()]).starts_with(
        "roc_auc takes roc_auc(label, score) or roc_auc(label, scores, 'positive class'), got (Utf8, List("
    ));
    assert!(form_of("", "", function("roc_auc").forms, &[text.clone(), scores, text]).is_ok());
}

#[test]
fn memory_grows_with_the_pairs_and_not_with_the_rows() {
    let rows: Vec<&str> = ["a", "b"].into_iter().cycle().take(10_000).collect();
    let mut accumulator = (function("f1").accumulator)(None);
    accumulator.update_batch(&[texts(&rows), texts(&rows)]).unwrap();
    assert!(accumulator.size() < 1000, "{}", accumulator.size());
}
