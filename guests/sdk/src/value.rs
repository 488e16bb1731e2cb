//! The types that plugin functions take and return.

use crate::Error;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// A parameter of a plugin function: bytes or text, borrowed or owned.
///
/// Implement it for a type of your own to parse it from the input:
///
/// ```
/// use hostel_guest::{Error, Input};
///
/// struct Point(u8, u8);
///
/// impl Input<'_> for Point {
///     fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
///         let [x, y] = bytes.try_into()?;
///         Ok(Point(x, y))
///     }
/// }
///
/// hostel_guest::plugin!(sum);
///
/// fn sum(point: Point) -> String {
///     (point.0 + point.1).to_string()
/// }
/// ```
pub trait Input<'a>: Sized {
    /// Reads the value from the input.
    ///
    /// # Errors
    ///
    /// If the bytes are not such a value. The host then receives this error, and the function does not
    /// run.
    fn from_bytes(bytes: &'a [u8]) -> Result<Self, Error>;
}

/// A result of a plugin function: bytes or text, borrowed or owned, or a `Result` of one of them.
///
/// The error of a `Result` can be any type that converts into [`Error`], such as `&str` or `String`.
pub trait Output {
    /// Returns the answer's bytes.
    ///
    /// # Errors
    ///
    /// The error that the function returned.
    fn into_bytes(self) -> Result<Vec<u8>, Error>;
}

impl<'a> Input<'a> for &'a [u8] {
    fn from_bytes(bytes: &'a [u8]) -> Result<Self, Error> {
        Ok(bytes)
    }
}

impl Input<'_> for Vec<u8> {
    fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Ok(bytes.to_owned())
    }
}

impl<'a> Input<'a> for &'a str {
    fn from_bytes(bytes: &'a [u8]) -> Result<Self, Error> {
        core::str::from_utf8(bytes).map_err(|_| Error::new("input is not UTF-8"))
    }
}

impl Input<'_> for String {
    fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        <&str>::from_bytes(bytes).map(str::to_owned)
    }
}

impl Output for Vec<u8> {
    fn into_bytes(self) -> Result<Vec<u8>, Error> {
        Ok(self)
    }
}

impl Output for &[u8] {
    fn into_bytes(self) -> Result<Vec<u8>, Error> {
        Ok(self.to_owned())
    }
}

impl Output for String {
    fn into_bytes(self) -> Result<Vec<u8>, Error> {
        Ok(String::into_bytes(self))
    }
}

impl Output for &str {
    fn into_bytes(self) -> Result<Vec<u8>, Error> {
        Ok(self.as_bytes().to_owned())
    }
}

impl<T: Output, E: Into<Error>> Output for Result<T, E> {
    fn into_bytes(self) -> Result<Vec<u8>, Error> {
        self.map_err(Into::into)?.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a function as the macro does.
    fn call<'a, I: Input<'a>, O: Output>(
        function: fn(I) -> O,
        input: &'a [u8],
    ) -> Result<Vec<u8>, Error> {
        function(I::from_bytes(input)?).into_bytes()
    }

    #[test]
    fn bytes_pass_unchanged() {
        let bytes = [0, 159, 146, 150];
        assert_eq!(call(|input: &[u8]| input, &bytes).unwrap(), bytes);
        assert_eq!(call(|input: Vec<u8>| input, &bytes).unwrap(), bytes);
        assert!(call(|input: &[u8]| input, &[]).unwrap().is_empty());
    }

    #[test]
    fn text_passes_if_it_is_utf8() {
        assert_eq!(
            call(|input: &str| input, "grüß".as_bytes()).unwrap(),
            "grüß".as_bytes()
        );
        assert_eq!(call(|input: String| input, b"").unwrap(), b"");
        let error = Err(Error::new("input is not UTF-8"));
        assert_eq!(
            call(|_: &str| -> String { unreachable!() }, b"a\xff"),
            error
        );
        assert_eq!(
            call(|_: String| -> String { unreachable!() }, b"\xc3"),
            error
        );
    }

    #[test]
    fn results_become_answers_or_errors() {
        fn first(input: &[u8]) -> Result<&[u8], &str> {
            input.get(..1).ok_or("empty")
        }
        assert_eq!(first(b"ab").into_bytes().unwrap(), b"a");
        assert_eq!(first(b"").into_bytes(), Err(Error::new("empty")));
        let nested: Result<Result<String, String>, Error> = Ok(Err("inner".into()));
        assert_eq!(nested.into_bytes(), Err(Error::new("inner")));
    }
}
