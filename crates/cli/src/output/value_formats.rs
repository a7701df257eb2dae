//! How values become text, as `SET datafusion.format.…` says.

use std::sync::Arc;

use datafusion::arrow::csv;
use datafusion::arrow::json;
use datafusion::arrow::util::display::{DurationFormat, FormatOptions};
use datafusion::config::FormatOptions as Settings;

use super::floats::FloatsAsText;

/// How a missing value is shown where nobody has said: apart from an empty text.
const NULL: &str = "NULL";

/// The session's formats of dates, times and missing values. What is as it was is left to each output format.
#[derive(Debug, Clone, Default)]
pub(crate) struct ValueFormats {
    null: Option<String>,
    date: Option<String>,
    datetime: Option<String>,
    timestamp: Option<String>,
    timestamp_tz: Option<String>,
    time: Option<String>,
    duration_iso8601: bool,
    raises_errors: bool,
}

impl ValueFormats {
    /// Returns the formats of a session's settings.
    pub(crate) fn of(settings: &Settings) -> Self {
        let usual = Settings::default();
        let said = |value: &Option<String>, usual: &Option<String>| value.clone().filter(|_| value != usual);
        Self {
            null: Some(settings.null.clone()).filter(|null| *null != usual.null),
            date: said(&settings.date_format, &usual.date_format),
            datetime: said(&settings.datetime_format, &usual.datetime_format),
            timestamp: said(&settings.timestamp_format, &usual.timestamp_format),
            timestamp_tz: said(&settings.timestamp_tz_format, &usual.timestamp_tz_format),
            time: said(&settings.time_format, &usual.time_format),
            duration_iso8601: settings.duration_format.eq_ignore_ascii_case("iso8601"),
            raises_errors: !settings.safe,
        }
    }

    /// Returns the text of a missing value in a table.
    pub(super) fn null(&self) -> &str {
        self.null.as_deref().unwrap_or(NULL)
    }

    /// Returns them for the cells of a table.
    pub(super) fn cells(&self) -> FormatOptions<'_> {
        let duration = if self.duration_iso8601 { DurationFormat::ISO8601 } else { DurationFormat::Pretty };
        FormatOptions::new()
            .with_null(self.null())
            .with_display_error(!self.raises_errors)
            .with_date_format(self.date.as_deref())
            .with_datetime_format(self.datetime.as_deref())
            .with_timestamp_format(self.timestamp.as_deref())
            .with_timestamp_tz_format(self.timestamp_tz.as_deref())
            .with_time_format(self.time.as_deref())
            .with_duration_format(duration)
    }

    /// Returns them for CSV.
    pub(super) fn csv(&self) -> csv::WriterBuilder {
        let mut builder = csv::WriterBuilder::new();
        if let Some(null) = &self.null {
            builder = builder.with_null(null.clone());
        }
        if let Some(format) = &self.date {
            builder = builder.with_date_format(format.clone());
        }
        if let Some(format) = &self.datetime {
            builder = builder.with_datetime_format(format.clone());
        }
        if let Some(format) = &self.timestamp {
            builder = builder.with_timestamp_format(format.clone());
        }
        if let Some(format) = &self.timestamp_tz {
            builder = builder.with_timestamp_tz_format(format.clone());
        }
        if let Some(format) = &self.time {
            builder = builder.with_time_format(format.clone());
        }
        builder
    }

    /// Returns them for JSON, where a missing value is `null` whatever is said.
    pub(super) fn json(&self) -> json::WriterBuilder {
        let mut builder =
            json::WriterBuilder::new().with_explicit_nulls(true).with_encoder_factory(Arc::new(FloatsAsText));
        if let Some(format) = &self.date {
            builder = builder.with_date_format(format.clone());
        }
        if let Some(format) = &self.datetime {
            builder = builder.with_datetime_format(format.clone());
        }
        if let Some(format) = &self.timestamp {
            builder = builder.with_timestamp_format(format.clone());
        }
        if let Some(format) = &self.timestamp_tz {
            builder = builder.with_timestamp_tz_format(format.clone());
        }
        if let Some(format) = &self.time {
            builder = builder.with_time_format(format.clone());
        }
        builder
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Date32Array, RecordBatch};

    use super::super::testing::print;
    use super::super::{csv::CsvPrinter, json::JsonPrinter, markdown::MarkdownPrinter};
    use super::*;

    #[test]
    fn every_output_format_follows_the_settings() {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(20_000), None]));
        let batch =
            RecordBatch::try_from_iter_with_nullable([("d", Arc::clone(&days), true), ("e", days, true)])
                .unwrap();
        let settings = Settings {
            null: "nil".to_owned(),
            date_format: Some("%d.%m.%Y".to_owned()),
            ..Settings::default()
        };
        let formats = ValueFormats::of(&settings);
        let schema = batch.schema();
        let batches = [batch];
        let csv = print(CsvPrinter::new(&schema, formats.clone()), &batches);
        assert_eq!(csv, "d,e\n04.10.2024,04.10.2024\nnil,nil\n");
        let json = print(JsonPrinter::new(formats.clone()), &batches);
        assert_eq!(json, "{\"d\":\"04.10.2024\",\"e\":\"04.10.2024\"}\n{\"d\":null,\"e\":null}\n");
        let markdown = print(MarkdownPrinter::new(&schema, formats), &batches);
        assert!(markdown.contains("| 04.10.2024 | 04.10.2024 |\n| nil | nil |"), "{markdown}");
    }
}
