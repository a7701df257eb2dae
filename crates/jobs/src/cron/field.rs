//! One field of an expression: lists, ranges, steps and names.

/// A field that can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldError {
    /// What is wrong, with the field's name.
    pub(crate) reason: String,
    /// What to write instead.
    pub(crate) hint: String,
}

impl FieldError {
    pub(super) fn new(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: hint.into() }
    }
}

/// What a field counts.
pub(super) struct FieldKind {
    pub(super) name: &'static str,
    pub(super) min: u32,
    pub(super) max: u32,
    /// The last value that is not another number for the first one, as 7 is for Sunday.
    pub(super) last: u32,
    /// Names of the values from `first_named` on. Three letters or more stand for one.
    pub(super) names: &'static [&'static str],
    pub(super) first_named: u32,
    /// One form that is right.
    pub(super) example: &'static str,
}

pub(super) const MINUTE: FieldKind = FieldKind {
    name: "minute",
    min: 0,
    max: 59,
    last: 59,
    names: &[],
    first_named: 0,
    example: "0, 15,45, */20 or 5/20",
};
pub(super) const HOUR: FieldKind = FieldKind {
    name: "hour",
    min: 0,
    max: 23,
    last: 23,
    names: &[],
    first_named: 0,
    example: "2, 8-18, 22-2 or */6",
};
pub(super) const MONTH: FieldKind = FieldKind {
    name: "month",
    min: 1,
    max: 12,
    last: 12,
    names: &[
        "JANUARY",
        "FEBRUARY",
        "MARCH",
        "APRIL",
        "MAY",
        "JUNE",
        "JULY",
        "AUGUST",
        "SEPTEMBER",
        "OCTOBER",
        "NOVEMBER",
        "DECEMBER",
    ],
    first_named: 1,
    example: "1, JAN,JUL or NOV-FEB",
};
pub(super) const MONTH_DAY: FieldKind = FieldKind {
    name: "day of month",
    min: 1,
    max: 31,
    last: 31,
    names: &[],
    first_named: 1,
    example: "1, 1,15, L (the last day), L-3 (three days before it), LW (the last weekday) or 15W",
};
/// Sunday is 0 and 7.
pub(super) const WEEK_DAY: FieldKind = FieldKind {
    name: "weekday",
    min: 0,
    max: 7,
    last: 6,
    names: &["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"],
    first_named: 0,
    example: "1 or MON, MON-FRI, 5L (the last Friday) or 5#2 (the second Friday); 0 and 7 are Sunday",
};

impl FieldKind {
    pub(super) fn error(&self, text: &str, reason: &str) -> FieldError {
        FieldError::new(
            format!("{} '{text}' {reason}", self.name),
            format!("write the {} as {}", self.name, self.example),
        )
    }

    /// Reads a number or a name.
    pub(super) fn value(&self, text: &str) -> Result<u32, FieldError> {
        let upper = text.to_ascii_uppercase();
        let named = |name: &&str| upper.len() >= 3 && name.starts_with(&upper);
        if let Some(index) = self.names.iter().position(named) {
            return Ok(self.first_named + index as u32);
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.error(
                text,
                if self.names.is_empty() { "is not a number" } else { "is not a number or a name" },
            ));
        }
        match text.parse() {
            Ok(value) if (self.min..=self.max).contains(&value) => Ok(value),
            _ => Err(self.error(text, &format!("is out of range: expected {} to {}", self.min, self.max))),
        }
    }

    /// Reads `*`, a value, a range or either with a step, as a set of bits. A range whose end comes before its start wraps; a value
    /// with a step begins there and goes on to the field's end.
    pub(super) fn item(&self, text: &str) -> Result<u64, FieldError> {
        let (range, step) = match text.split_once('/') {
            None => (text, None),
            Some((range, step)) => (range, Some(self.step(text, step)?)),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.min, self.last),
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            None if step.is_some() => (self.value(range)?, self.last),
            None => {
                let value = self.value(range)?;
                (value, value)
            }
        };
        let count = self.last - self.min + 1;
        let length = if to >= from { to - from } else { to + count - from };
        let values = (0..=length).step_by(step.unwrap_or(1) as usize);
        Ok(values.fold(0, |bits, offset| bits | 1 << (self.min + (from - self.min + offset) % count)))
    }

    fn step(&self, text: &str, step: &str) -> Result<u32, FieldError> {
        match step.parse() {
            Ok(step) if step > 0 && step <= self.max => Ok(step),
            _ => Err(self.error(text, &format!("has a step that is not 1 to {}", self.max))),
        }
    }

    /// Reads a list.
    pub(super) fn list(&self, text: &str) -> Result<u64, FieldError> {
        text.split(',').try_fold(0, |bits, item| Ok(bits | self.item(item)?))
    }
}
