//! How large a policy may be.

use crate::error::PolicyError;
use crate::policy::Policy;

/// Bounds on a policy. All are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most names at its top level.
    pub keys_max: usize,
    /// Most combinations of values: of its fields multiplied, each with how deep it is nested.
    pub combinations_max: u64,
    /// Longest text of it.
    pub bytes_max: usize,
}

impl Limits {
    /// Ours: bounded only by what a policy may cost.
    pub const OURS: Limits = Limits { keys_max: usize::MAX, combinations_max: u64::MAX, bytes_max: BYTES_MAX };
    /// Those of AWS.
    pub const AWS: Limits = Limits { keys_max: 5, combinations_max: 150, bytes_max: 256 << 10 };

    /// Checks `policy`.
    ///
    /// # Errors
    /// [`PolicyError::TooManyKeys`], [`PolicyError::TooComplex`], [`PolicyError::TooLong`].
    pub fn check(&self, policy: &Policy) -> Result<(), PolicyError> {
        if policy.bytes() > self.bytes_max {
            return Err(PolicyError::TooLong { bytes: policy.bytes(), max: self.bytes_max });
        }
        if policy.keys() > self.keys_max {
            return Err(PolicyError::TooManyKeys { keys: policy.keys(), max: self.keys_max });
        }
        if policy.combinations() > self.combinations_max {
            return Err(PolicyError::TooComplex { combinations: policy.combinations(), max: self.combinations_max });
        }
        Ok(())
    }
}

/// Longest text of a policy that is read at all.
pub(crate) const BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of a policy that is read at all.
pub(crate) const DEPTH_MAX: usize = 32;
/// Most conditions of a policy that is read at all.
pub(crate) const CONDITIONS_MAX: usize = 20_000;
