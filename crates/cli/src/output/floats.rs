//! Numbers that JSON has no form for.

use std::sync::LazyLock;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, FieldRef, Float16Type, Float32Type, Float64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::writer::{
    Encoder, EncoderFactory, EncoderOptions, NullableEncoder, make_encoder,
};

/// Without this factory, which would be asked again.
static PLAIN: LazyLock<EncoderOptions> = LazyLock::new(EncoderOptions::default);

/// Writes NaN and infinity as text, `"NaN"`, `"Infinity"` and `"-Infinity"`: as numbers Arrow would write `null` in their place.
#[derive(Debug)]
pub(super) struct FloatsAsText;

impl EncoderFactory for FloatsAsText {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let value: Box<dyn Fn(usize) -> f64 + 'a> = match array.data_type() {
            DataType::Float16 => {
                let array = array.as_primitive::<Float16Type>();
                Box::new(move |row| array.value(row).to_f64())
            }
            DataType::Float32 => {
                let array = array.as_primitive::<Float32Type>();
                Box::new(move |row| f64::from(array.value(row)))
            }
            DataType::Float64 => {
                let array = array.as_primitive::<Float64Type>();
                Box::new(move |row| array.value(row))
            }
            _ => return Ok(None),
        };
        let finite = make_encoder(field, array, &PLAIN)?;
        Ok(Some(NullableEncoder::new(Box::new(Floats { value, finite }), array.nulls().cloned())))
    }
}

struct Floats<'a> {
    value: Box<dyn Fn(usize) -> f64 + 'a>,
    finite: NullableEncoder<'a>,
}

impl Encoder for Floats<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = (self.value)(row);
        let text: &[u8] = match value {
            value if value.is_finite() => return self.finite.encode(row, out),
            value if value.is_nan() => b"\"NaN\"",
            value if value > 0.0 => b"\"Infinity\"",
            _ => b"\"-Infinity\"",
        };
        out.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Float64Array, ListArray, RecordBatch};

    use super::super::testing::print;
    use super::super::{ValueFormats, json::JsonPrinter};
    use super::*;

    #[test]
    fn numbers_without_a_form_are_text() {
        let plain: ArrayRef = Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(1.5), None]));
        let list = |value: f32| Some(vec![Some(value), None, Some(2.0)]);
        let lists = [list(f32::NEG_INFINITY), list(f32::INFINITY), list(0.1)];
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(lists));
        let rows =
            RecordBatch::try_from_iter_with_nullable([("f", plain, true), ("l", lists, true)]).unwrap();
        let lines = [
            r#"{"f":"NaN","l":["-Infinity",null,2.0]}"#,
            r#"{"f":1.5,"l":["Infinity",null,2.0]}"#,
            r#"{"f":null,"l":[0.1,null,2.0]}"#,
        ];
        let printed = print(JsonPrinter::new(ValueFormats::default()), &[rows]);
        assert_eq!(printed.lines().collect::<Vec<_>>(), lines);
    }
}
