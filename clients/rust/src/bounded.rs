use std::fmt::Display;
use std::time::Duration;

use crate::error::{Error, Result};

/// Checks a time: whole milliseconds from `min` to `max`, both included.
pub(crate) fn bounded(name: &str, value: Duration, min: u64, max: u64) -> Result<()> {
    let rule = || format!("from {min} to {max} ms");
    if value < Duration::from_millis(min) || value > Duration::from_millis(max) {
        return Err(Error::invalid_field(name, &rule(), format!("{value:?}")));
    }
    Ok(())
}

/// Checks a number from `min` to `max`, both included.
pub(crate) fn bounded_number<T: PartialOrd + Display + Copy>(
    name: &str,
    value: T,
    min: T,
    max: T,
) -> Result<()> {
    if value < min || value > max {
        return Err(Error::invalid_field(name, &format!("from {min} to {max}"), value));
    }
    Ok(())
}
