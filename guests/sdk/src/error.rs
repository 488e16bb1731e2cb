//! The error that a plugin returns.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;

/// An error answer: a message for the caller of the plugin.
///
/// The host receives the message unchanged, so say what was wrong and what was expected. A message that
/// is longer than the host's limit on output is refused like any other answer.
///
/// The conversions below let `?` work on results of the standard library's parsers:
///
/// ```
/// use hostel_guest::Error;
///
/// fn double(input: &str) -> Result<String, Error> {
///     let number: u32 = input.trim().parse()?;
///     let double = number.checked_mul(2).ok_or("the number is over 2147483647")?;
///     Ok(double.to_string())
/// }
///
/// assert_eq!(double("21").unwrap(), "42");
/// assert_eq!(double("x").unwrap_err().to_string(), "invalid digit found in string");
/// ```
///
/// Convert any other error with [`Error::from_display`], or return a [`Result`](crate::Result), for which `?` takes every
/// error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
}

impl Error {
    /// Creates an error with a message.
    ///
    /// ```
    /// let error = hostel_guest::Error::new("the image is empty");
    /// assert_eq!(error.message(), "the image is empty");
    /// ```
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }

    /// Creates an error whose message is the text of `cause`, for use with `map_err`.
    ///
    /// ```
    /// use core::net::IpAddr;
    /// use hostel_guest::Error;
    ///
    /// fn address(input: &str) -> Result<IpAddr, Error> {
    ///     input.parse().map_err(Error::from_display)
    /// }
    ///
    /// assert_eq!(address("here").unwrap_err().message(), "invalid IP address syntax");
    /// ```
    pub fn from_display(cause: impl fmt::Display) -> Self {
        Self {
            message: cause.to_string(),
        }
    }

    /// Returns the message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the message, without copying it.
    pub fn into_message(self) -> String {
        self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Error {}

/// A result of a plugin function whose `?` takes every error, `&str` and `String`. The error's text is the answer's message.
///
/// ```
/// fn address(input: &str) -> hostel_guest::Result<String> {
///     let address: core::net::IpAddr = input.parse()?;
///     if address.is_loopback() {
///         Err("the address is this machine's")?;
///     }
///     Ok(address.to_string())
/// }
///
/// let call = |input| hostel_guest::testing::Host::new().call(address, input);
/// assert_eq!(call(b"::2"), Ok(b"::2".into()));
/// assert_eq!(call(b"here").unwrap_err().message(), "invalid IP address syntax");
/// assert_eq!(call(b"::1").unwrap_err().message(), "the address is this machine's");
/// ```
pub type Result<T, E = Box<dyn core::error::Error>> = core::result::Result<T, E>;

impl From<Box<dyn core::error::Error>> for Error {
    fn from(cause: Box<dyn core::error::Error>) -> Self {
        Self::from_display(cause)
    }
}

impl From<Box<dyn core::error::Error + Send + Sync>> for Error {
    fn from(cause: Box<dyn core::error::Error + Send + Sync>) -> Self {
        Self::from_display(cause)
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

/// Implements `From` for errors of the standard library. One blanket implementation for
/// `core::error::Error` would conflict with those for `&str` and `String`.
macro_rules! from_display {
    ($($cause:ty),+ $(,)?) => {
        $(impl From<$cause> for Error {
            fn from(cause: $cause) -> Self {
                Self::from_display(cause)
            }
        })+
    };
}

from_display!(
    alloc::string::FromUtf8Error,
    core::array::TryFromSliceError,
    core::char::ParseCharError,
    core::fmt::Error,
    core::num::ParseFloatError,
    core::num::ParseIntError,
    core::num::TryFromIntError,
    core::str::ParseBoolError,
    core::str::Utf8Error,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_become_messages() {
        assert_eq!(Error::from("a"), Error::new("a"));
        assert_eq!(Error::from(String::from("b")), Error::new("b"));
        assert_eq!(Error::new("c").to_string(), "c");
        assert_eq!(Error::new("d").into_message(), "d");
    }

    #[test]
    fn question_mark_takes_errors_of_the_standard_library() {
        fn parse(input: &[u8]) -> Result<i8, Error> {
            Ok(i8::try_from(core::str::from_utf8(input)?.parse::<i64>()?)?)
        }
        assert_eq!(parse(b"-7"), Ok(-7));
        assert!(parse(b"\xff").unwrap_err().message().contains("utf-8"));
        assert!(parse(b"seven").unwrap_err().message().contains("digit"));
        assert!(
            parse(b"700")
                .unwrap_err()
                .message()
                .contains("out of range")
        );
    }
}
