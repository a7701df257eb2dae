//! Numbers in JSON that are read back as they were: as text, because serde_json's own reading may be off by a unit in the last place,
//! and a training that goes on must end with the bits of one that was never stopped.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number that JSON keeps to the bit; NaN and infinities too.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Exact(pub f64);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The shortest text that reads back as the same number.
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Exact).map_err(de::Error::custom)
    }
}

/// For `#[serde(with = …)]`: a number as [`Exact`].
pub mod number {
    use super::*;

    /// Writes the number.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Exact(*number).serialize(serializer)
    }

    /// Reads the number.
    ///
    /// # Errors
    /// Where there is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Exact::deserialize(deserializer).map(|exact| exact.0)
    }
}

/// For `#[serde(with = …)]`: numbers by name, as [`Exact`].
pub mod map {
    use std::collections::BTreeMap;

    use super::*;

    /// Writes the numbers.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        numbers: &BTreeMap<String, f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(numbers.iter().map(|(name, number)| (name, Exact(*number))))
    }

    /// Reads the numbers.
    ///
    /// # Errors
    /// Where one is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, f64>, D::Error> {
        let exact = BTreeMap::<String, Exact>::deserialize(deserializer)?;
        Ok(exact.into_iter().map(|(name, number)| (name, number.0)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_comes_back() {
        let mut bits = 0x3ff0_0000_0000_0000_u64;
        for _ in 0..10_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = Exact(f64::from_bits(bits));
            let json = serde_json::to_string(&number).unwrap();
            let again: Exact = serde_json::from_str(&json).unwrap();
            assert!(again.0.to_bits() == bits || (again.0.is_nan() && number.0.is_nan()), "{json}");
        }
        assert!(serde_json::from_str::<Exact>("\"many\"").is_err());
    }
}
