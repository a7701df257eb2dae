//! bf16: the upper half of an f32.

/// A bfloat16 number: 1 sign bit, 8 bits of exponent, 7 bits of fraction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl Bf16 {
    /// Returns the nearest bf16, ties to even; NaN stays NaN. Numbers below 2^-126 become zero of their sign, as the hardware's
    /// conversion makes them, so that every instruction set gives the same bits.
    #[inline(always)]
    pub fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        let bits = if value.abs() < f32::MIN_POSITIVE { bits & 0x8000_0000 } else { bits };
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        // Rounding could carry a NaN over into infinity or zero.
        let quiet = (bits >> 16) | 0x40;
        Bf16(if value.is_nan() { quiet as u16 } else { rounded as u16 })
    }

    /// Returns the same number as f32.
    #[inline(always)]
    pub fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    /// Returns the two numbers of a word, the lower half first.
    #[inline(always)]
    pub(crate) fn pair(word: u32) -> [f32; 2] {
        [f32::from_bits(word << 16), f32::from_bits(word & 0xffff_0000)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_nearest_even_and_nan_stays_nan() {
        for (value, bits) in [
            (0.0, 0),
            (-0.0, 0x8000),
            (1.0, 0x3f80),
            (1.0 + 1.0 / 256.0, 0x3f80),
            (1.0 + 3.0 / 256.0, 0x3f82),
            (f32::INFINITY, 0x7f80),
            (f32::MAX, 0x7f80),
            (f32::MIN_POSITIVE, 0x0080),
            (-1e-39, 0x8000),
            (f32::from_bits(0x007f_ffff), 0),
        ] {
            assert_eq!(Bf16::from_f32(value).0, bits, "{value}");
        }
        for nan in [f32::NAN, f32::from_bits(0x7f80_0001), f32::from_bits(0xffff_ffff)] {
            assert!(Bf16::from_f32(nan).to_f32().is_nan());
        }
        assert_eq!(Bf16::pair(0x4000_3f80), [1.0, 2.0]);
    }
}
