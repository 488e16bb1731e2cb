//! Answers the calls that a waPC plugin makes of its host.

use hostel::{HostAnswer, HostRequest};
use std::{fs, path::PathBuf, str::FromStr};

/// The value of --callback.
#[derive(Clone, Debug)]
pub(super) enum Callback {
    /// The response is the payload.
    Echo,
    /// An error with this text.
    Fail(String),
    /// The response is the contents of a file.
    File(PathBuf),
}

impl FromStr for Callback {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "echo" {
            Ok(Self::Echo)
        } else if let Some(text) = text.strip_prefix("fail:") {
            Ok(Self::Fail(text.to_owned()))
        } else if let Some(path) = text.strip_prefix('@') {
            Ok(Self::File(path.into()))
        } else {
            Err("expected echo, fail:TEXT or @FILE")
        }
    }
}

impl Callback {
    /// Answers one call.
    pub(super) fn answer(&self, request: &HostRequest<'_>) -> HostAnswer {
        match self {
            Self::Echo => Ok(request.payload.to_vec()),
            Self::Fail(text) => Err(text.clone()),
            Self::File(path) => {
                fs::read(path).map_err(|error| format!("can't read {}: {error}", path.display()))
            }
        }
    }
}
