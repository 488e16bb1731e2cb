//! WIT types of `wasi:http`, as Rust types.

use crate::{
    base::text::text,
    component::{ComponentType, Lift, Lifting, Lower, Lowering, Source, TypeId, Types, derived},
    error::CallError,
    services::http::HttpError,
};
use alloc::string::String;
use core::{fmt, time::Duration};

/// `method`: its name, in upper case unless the guest wrote another one.
#[derive(Clone, Debug)]
pub(super) struct Method(pub(super) String);

impl Method {
    /// The names that are cases of their own, as requests have them.
    const NAMES: [&'static str; 9] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ];

    /// The place of the case for all others.
    const OTHER: usize = Self::NAMES.len();
}

/// The cases of `method`.
const METHODS: &derived::Named = &[
    ("get", None),
    ("head", None),
    ("post", None),
    ("put", None),
    ("delete", None),
    ("connect", None),
    ("options", None),
    ("trace", None),
    ("patch", None),
    ("other", Some(derived::Part::of::<String>())),
];

impl ComponentType for Method {
    fn fits(types: &Types, ty: TypeId) -> bool {
        derived::is_variant(types, ty, METHODS)
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("method")
    }
}

impl Lift for Method {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        from.variant::<Self, _>(ty, |from, case| match Self::NAMES.get(case) {
            Some(name) => Ok(Self((*name).into())),
            None => {
                let of = from.part(ty, Self::OTHER)?;
                String::lift(of, from).map(Self)
            }
        })
    }
}

impl Lower for Method {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        let known = Self::NAMES.iter().position(|name| *name == self.0);
        match known {
            Some(case) => to.variant::<Self>(ty, case, |_| Ok(())),
            None => {
                let of = to.part(ty, Self::OTHER)?;
                to.variant::<Self>(ty, Self::OTHER, |to| self.0.lower(of, to))
            }
        }
    }
}

/// `scheme`.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(crate = crate)]
pub(super) enum Scheme {
    #[component(name = "HTTP")]
    Http,
    #[component(name = "HTTPS")]
    Https,
    Other(String),
}

/// `header-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(crate = crate)]
pub(super) enum HeaderError {
    InvalidSyntax,
    Forbidden,
    Immutable,
}

/// `DNS-error-payload`.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(crate = crate)]
pub(super) struct DnsError {
    rcode: Option<String>,
    info_code: Option<u16>,
}

/// `TLS-alert-received-payload`.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(crate = crate)]
pub(super) struct TlsAlert {
    alert_id: Option<u8>,
    alert_message: Option<String>,
}

/// `field-size-payload`.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(crate = crate)]
pub(super) struct FieldSize {
    field_name: Option<String>,
    field_size: Option<u32>,
}

/// `error-code`.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(crate = crate)]
pub(in crate::wasi) enum ErrorCode {
    #[component(name = "DNS-timeout")]
    DnsTimeout,
    #[component(name = "DNS-error")]
    DnsError(DnsError),
    DestinationNotFound,
    DestinationUnavailable,
    #[component(name = "destination-IP-prohibited")]
    DestinationIpProhibited,
    #[component(name = "destination-IP-unroutable")]
    DestinationIpUnroutable,
    ConnectionRefused,
    ConnectionTerminated,
    ConnectionTimeout,
    ConnectionReadTimeout,
    ConnectionWriteTimeout,
    ConnectionLimitReached,
    #[component(name = "TLS-protocol-error")]
    TlsProtocolError,
    #[component(name = "TLS-certificate-error")]
    TlsCertificateError,
    #[component(name = "TLS-alert-received")]
    TlsAlertReceived(TlsAlert),
    #[component(name = "HTTP-request-denied")]
    RequestDenied,
    #[component(name = "HTTP-request-length-required")]
    RequestLengthRequired,
    #[component(name = "HTTP-request-body-size")]
    RequestBodySize(Option<u64>),
    #[component(name = "HTTP-request-method-invalid")]
    RequestMethodInvalid,
    #[component(name = "HTTP-request-URI-invalid")]
    RequestUriInvalid,
    #[component(name = "HTTP-request-URI-too-long")]
    RequestUriTooLong,
    #[component(name = "HTTP-request-header-section-size")]
    RequestHeaderSectionSize(Option<u32>),
    #[component(name = "HTTP-request-header-size")]
    RequestHeaderSize(Option<FieldSize>),
    #[component(name = "HTTP-request-trailer-section-size")]
    RequestTrailerSectionSize(Option<u32>),
    #[component(name = "HTTP-request-trailer-size")]
    RequestTrailerSize(FieldSize),
    #[component(name = "HTTP-response-incomplete")]
    ResponseIncomplete,
    #[component(name = "HTTP-response-header-section-size")]
    ResponseHeaderSectionSize(Option<u32>),
    #[component(name = "HTTP-response-header-size")]
    ResponseHeaderSize(FieldSize),
    #[component(name = "HTTP-response-body-size")]
    ResponseBodySize(Option<u64>),
    #[component(name = "HTTP-response-trailer-section-size")]
    ResponseTrailerSectionSize(Option<u32>),
    #[component(name = "HTTP-response-trailer-size")]
    ResponseTrailerSize(FieldSize),
    #[component(name = "HTTP-response-transfer-coding")]
    ResponseTransferCoding(Option<String>),
    #[component(name = "HTTP-response-content-coding")]
    ResponseContentCoding(Option<String>),
    #[component(name = "HTTP-response-timeout")]
    ResponseTimeout,
    #[component(name = "HTTP-upgrade-failed")]
    UpgradeFailed,
    #[component(name = "HTTP-protocol-error")]
    ProtocolError,
    LoopDetected,
    ConfigurationError,
    InternalError(Option<String>),
}

impl ErrorCode {
    /// Returns the code for a client's error. `connect` is the time that the guest set for making the connection.
    pub(super) fn of(error: &HttpError, connect: Option<Duration>) -> Self {
        match error {
            HttpError::Invalid { .. } | HttpError::NotAllowed { .. } => Self::RequestDenied,
            HttpError::TooLarge {
                part: "headers",
                limit,
            } => Self::ResponseHeaderSectionSize(u32::try_from(*limit).ok()),
            HttpError::TooLarge { limit, .. } => Self::ResponseBodySize(Some(*limit as u64)),
            HttpError::Timeout { after } if connect == Some(*after) => Self::ConnectionTimeout,
            HttpError::Timeout { .. } => Self::ResponseTimeout,
            HttpError::Busy { .. } => Self::ConnectionLimitReached,
            // No case fits; the guest gets the reason, as an Extism guest's trap has it.
            HttpError::Secret { .. } | HttpError::Withheld { .. } | HttpError::Failed { .. } => {
                Self::InternalError(Some(text(format_args!("{error}")).into()))
            }
        }
    }
}
