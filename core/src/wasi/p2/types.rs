//! WIT types of WASI 0.2's interfaces, as Rust types.

pub(super) use super::handles::{Borrowed, Own};

use super::super::{
    errno::Errno,
    files::{Kind, Stat, Time},
};
use crate::{
    component::{
        ComponentType, Lift, LiftParts, Lifting, Lower, LowerParts, Lowering, Parts, Source, Type,
        TypeId, Types, other_type,
    },
    error::CallError,
};
use alloc::{string::String, sync::Arc, vec::Vec};
use core::{fmt, marker::PhantomData, time::Duration};

/// The cases of an enum, the flags of a set, or the fields of a record, in order.
pub(super) trait Names {
    /// The type's name.
    const TYPE: &'static str;
    const NAMES: &'static [&'static str];
}

/// Returns whether the names are those of `N`.
fn same<'a, N: Names>(names: impl Iterator<Item = &'a Arc<str>>) -> bool {
    names.map(|name| &**name).eq(N::NAMES.iter().copied())
}

/// A case of the enum `N`.
pub(super) struct Case<N> {
    pub(super) name: &'static str,
    names: PhantomData<N>,
}

impl<N: Names> Case<N> {
    pub(super) const fn new(name: &'static str) -> Self {
        Self {
            name,
            names: PhantomData,
        }
    }

    /// Returns the case's place in its enum.
    pub(super) fn number(&self) -> usize {
        let case = N::NAMES.iter().position(|name| *name == self.name);
        case.unwrap_or_default()
    }
}

impl<N: Names> ComponentType for Case<N> {
    fn fits(types: &Types, ty: TypeId) -> bool {
        matches!(types.get(ty), Type::Enum(cases) if same::<N>(cases.iter()))
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str(N::TYPE)
    }
}

impl<N: Names> Lift for Case<N> {
    fn lift<S: Source>(_: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        let case = from.discriminant(N::NAMES.len())?;
        let name = N::NAMES.get(case).ok_or_else(other_type)?;
        Ok(Self::new(name))
    }
}

impl<N: Names> Lower for Case<N> {
    fn lower<'v, S: Source>(
        &'v self,
        _: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        to.discriminant(self.number(), N::NAMES.len())
    }
}

/// A set of the flags `N`: the first is bit 0.
pub(super) struct Flags<N> {
    pub(super) bits: u32,
    names: PhantomData<N>,
}

impl<N> Flags<N> {
    pub(super) const fn new(bits: u32) -> Self {
        Self {
            bits,
            names: PhantomData,
        }
    }
}

impl<N: Names> ComponentType for Flags<N> {
    fn fits(types: &Types, ty: TypeId) -> bool {
        matches!(types.get(ty), Type::Flags(flags) if same::<N>(flags.iter()))
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str(N::TYPE)
    }
}

impl<N: Names> Lift for Flags<N> {
    fn lift<S: Source>(_: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        Ok(Self::new(from.flags(N::NAMES.len())?))
    }
}

impl<N: Names> Lower for Flags<N> {
    fn lower<'v, S: Source>(
        &'v self,
        _: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        to.flags(self.bits, N::NAMES.len())
    }
}

/// A record whose fields have the names `N` and the values `P`.
pub(super) struct Record<N, P> {
    pub(super) fields: P,
    names: PhantomData<N>,
}

impl<N, P> Record<N, P> {
    pub(super) const fn new(fields: P) -> Self {
        Self {
            fields,
            names: PhantomData,
        }
    }
}

/// Returns the types of a record's fields.
fn field_types(types: &Types, ty: TypeId) -> Option<heapless::Vec<TypeId, 8>> {
    let Type::Record(fields) = types.get(ty) else {
        return None;
    };
    let mut of = heapless::Vec::new();
    for (_, ty) in fields {
        of.push(*ty).ok()?;
    }
    Some(of)
}

impl<N: Names, P: Parts> ComponentType for Record<N, P> {
    fn fits(types: &Types, ty: TypeId) -> bool {
        let Type::Record(fields) = types.get(ty) else {
            return false;
        };
        same::<N>(fields.iter().map(|(name, _)| name))
            && field_types(types, ty).is_some_and(|of| P::fit(types, &of))
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str(N::TYPE)
    }
}

impl<N: Names, P: LiftParts> Lift for Record<N, P> {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        let (from, ty) = S::table(from, ty)?;
        let of = field_types(from.types(), ty).ok_or_else(other_type)?;
        from.parts::<Self, _>(ty, |from| P::lift_each(&*of, from))
            .map(Self::new)
    }
}

impl<N: Names, P: LowerParts> Lower for Record<N, P> {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        let (to, ty) = S::table_to(to, ty)?;
        let of = field_types(to.types(), ty).ok_or_else(other_type)?;
        to.parts::<Self>(ty, |to| self.fields.lower_each(&*of, to))
    }
}

/// Names of `datetime`.
pub(super) struct DatetimeNames;

impl Names for DatetimeNames {
    const TYPE: &'static str = "datetime";
    const NAMES: &'static [&'static str] = &["seconds", "nanoseconds"];
}

/// A time since 1970-01-01 00:00 UTC.
pub(super) type Datetime = Record<DatetimeNames, (u64, u32)>;

impl From<Duration> for Datetime {
    fn from(time: Duration) -> Self {
        Self::new((time.as_secs(), time.subsec_nanos()))
    }
}

impl Datetime {
    /// Returns the time: `Inval` if it is not one.
    fn time(&self) -> Result<Duration, Errno> {
        let (seconds, nanos) = self.fields;
        if nanos >= 1_000_000_000 {
            return Err(Errno::Inval);
        }
        Ok(Duration::new(seconds, nanos))
    }
}

/// `new-timestamp`: a time to set.
pub(super) enum NewTimestamp {
    NoChange,
    Now,
    At(Datetime),
}

impl NewTimestamp {
    /// Returns the time to set, if there is one: `Inval` if it is not a time.
    pub(super) fn time(&self) -> Result<Option<Time>, Errno> {
        Ok(match self {
            Self::NoChange => None,
            Self::Now => Some(Time::Now),
            Self::At(time) => Some(Time::At(time.time()?)),
        })
    }
}

impl ComponentType for NewTimestamp {
    fn fits(types: &Types, ty: TypeId) -> bool {
        let Type::Variant(cases) = types.get(ty) else {
            return false;
        };
        let mut cases = cases.iter().map(|(name, of)| (&**name, *of));
        cases.next() == Some(("no-change", None))
            && cases.next() == Some(("now", None))
            && matches!(cases.next(), Some(("timestamp", Some(of))) if Datetime::fits(types, of))
            && cases.next().is_none()
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("new-timestamp")
    }
}

impl Lift for NewTimestamp {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        let (from, ty) = S::table(from, ty)?;
        let Type::Variant(cases) = from.types().get(ty) else {
            return Err(other_type());
        };
        from.variant::<Self, _>(ty, |from, case| match case {
            0 => Ok(Self::NoChange),
            1 => Ok(Self::Now),
            _ => {
                let of = cases.get(case).and_then(|(_, of)| *of);
                Ok(Self::At(Datetime::lift_optional(of, from)?))
            }
        })
    }
}

/// `stream-error`.
pub(super) enum StreamError {
    /// The operation failed for the reason that this resource tells.
    Failed(Own),
    Closed,
}

impl ComponentType for StreamError {
    fn fits(types: &Types, ty: TypeId) -> bool {
        let Type::Variant(cases) = types.get(ty) else {
            return false;
        };
        let mut cases = cases.iter().map(|(name, of)| (&**name, *of));
        matches!(cases.next(), Some(("last-operation-failed", Some(of))) if Own::fits(types, of))
            && cases.next() == Some(("closed", None))
            && cases.next().is_none()
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("stream-error")
    }
}

impl Lower for StreamError {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        let (to, ty) = S::table_to(to, ty)?;
        let Type::Variant(cases) = to.types().get(ty) else {
            return Err(other_type());
        };
        match self {
            Self::Failed(error) => {
                let of = cases.first().and_then(|(_, of)| *of);
                to.variant::<Self>(ty, 0, |to| error.lower_optional(of, to))
            }
            Self::Closed => to.variant::<Self>(ty, 1, |_| Ok(())),
        }
    }
}

/// Names of the filesystem's `error-code`.
pub(super) struct ErrorNames;

impl Names for ErrorNames {
    const TYPE: &'static str = "error-code";
    const NAMES: &'static [&'static str] = &[
        "access",
        "would-block",
        "already",
        "bad-descriptor",
        "busy",
        "deadlock",
        "quota",
        "exist",
        "file-too-large",
        "illegal-byte-sequence",
        "in-progress",
        "interrupted",
        "invalid",
        "io",
        "is-directory",
        "loop",
        "too-many-links",
        "message-size",
        "name-too-long",
        "no-device",
        "no-entry",
        "no-lock",
        "insufficient-memory",
        "insufficient-space",
        "not-directory",
        "not-empty",
        "not-recoverable",
        "unsupported",
        "no-tty",
        "no-such-device",
        "overflow",
        "not-permitted",
        "pipe",
        "read-only",
        "invalid-seek",
        "text-file-busy",
        "cross-device",
    ];
}

/// The filesystem's `error-code`.
pub(super) type ErrorCode = Case<ErrorNames>;

impl From<Errno> for ErrorCode {
    fn from(errno: Errno) -> Self {
        Self::new(match errno {
            Errno::Acces => "access",
            Errno::Again => "would-block",
            Errno::Badf | Errno::Notsock => "bad-descriptor",
            Errno::Busy => "busy",
            // Also for a limit on open files: no code fits better.
            Errno::Dquot | Errno::Mfile | Errno::Nfile => "quota",
            Errno::Exist => "exist",
            Errno::Fbig => "file-too-large",
            Errno::Ilseq => "illegal-byte-sequence",
            Errno::Inval | Errno::Fault => "invalid",
            Errno::Io => "io",
            Errno::Isdir => "is-directory",
            Errno::Loop => "loop",
            Errno::Mlink => "too-many-links",
            Errno::Nametoolong => "name-too-long",
            Errno::Noent => "no-entry",
            Errno::Nomem => "insufficient-memory",
            Errno::Nospc => "insufficient-space",
            Errno::Nosys | Errno::Notsup => "unsupported",
            Errno::Notdir => "not-directory",
            Errno::Notempty => "not-empty",
            Errno::Perm | Errno::Notcapable => "not-permitted",
            Errno::Rofs => "read-only",
            Errno::Spipe => "invalid-seek",
            Errno::Xdev => "cross-device",
        })
    }
}

/// Names of `descriptor-type`.
pub(super) struct TypeNames;

impl Names for TypeNames {
    const TYPE: &'static str = "descriptor-type";
    const NAMES: &'static [&'static str] = &[
        "unknown",
        "block-device",
        "character-device",
        "directory",
        "fifo",
        "symbolic-link",
        "regular-file",
        "socket",
    ];
}

/// `descriptor-type`.
pub(super) type DescriptorType = Case<TypeNames>;

impl From<Kind> for DescriptorType {
    fn from(kind: Kind) -> Self {
        Self::new(match kind {
            Kind::Unknown => "unknown",
            Kind::BlockDevice => "block-device",
            Kind::CharacterDevice => "character-device",
            Kind::Directory => "directory",
            Kind::File => "regular-file",
            Kind::Socket => "socket",
            Kind::SymbolicLink => "symbolic-link",
        })
    }
}

/// Names of `descriptor-stat`.
pub(super) struct StatNames;

impl Names for StatNames {
    const TYPE: &'static str = "descriptor-stat";
    const NAMES: &'static [&'static str] = &[
        "type",
        "link-count",
        "size",
        "data-access-timestamp",
        "data-modification-timestamp",
        "status-change-timestamp",
    ];
}

/// Values of `descriptor-stat`.
type StatFields = (
    DescriptorType,
    u64,
    u64,
    Option<Datetime>,
    Option<Datetime>,
    Option<Datetime>,
);

/// `descriptor-stat`.
pub(super) type DescriptorStat = Record<StatNames, StatFields>;

impl From<Stat> for DescriptorStat {
    fn from(stat: Stat) -> Self {
        Self::new((
            stat.kind.into(),
            stat.links,
            stat.size,
            Some(stat.accessed.into()),
            Some(stat.modified.into()),
            Some(stat.changed.into()),
        ))
    }
}

/// Names of `directory-entry`.
pub(super) struct EntryNames;

impl Names for EntryNames {
    const TYPE: &'static str = "directory-entry";
    const NAMES: &'static [&'static str] = &["type", "name"];
}

/// `directory-entry`.
pub(super) type DirectoryEntry = Record<EntryNames, (DescriptorType, String)>;

/// Names of `metadata-hash-value`.
pub(super) struct HashNames;

impl Names for HashNames {
    const TYPE: &'static str = "metadata-hash-value";
    const NAMES: &'static [&'static str] = &["lower", "upper"];
}

/// `metadata-hash-value`.
pub(super) type MetadataHash = Record<HashNames, (u64, u64)>;

/// Names of `path-flags`.
pub(super) struct PathNames;

impl Names for PathNames {
    const TYPE: &'static str = "path-flags";
    const NAMES: &'static [&'static str] = &["symlink-follow"];
}

/// `path-flags`.
pub(super) type PathFlags = Flags<PathNames>;

/// Names of `open-flags`, whose bits are those of preview 1's `oflags`.
pub(super) struct OpenNames;

impl Names for OpenNames {
    const TYPE: &'static str = "open-flags";
    const NAMES: &'static [&'static str] = &["create", "directory", "exclusive", "truncate"];
}

/// `open-flags`.
pub(super) type OpenFlags = Flags<OpenNames>;

/// Names of `descriptor-flags`.
pub(super) struct DescriptorNames;

impl Names for DescriptorNames {
    const TYPE: &'static str = "descriptor-flags";
    const NAMES: &'static [&'static str] = &[
        "read",
        "write",
        "file-integrity-sync",
        "data-integrity-sync",
        "requested-write-sync",
        "mutate-directory",
    ];
}

/// `descriptor-flags`.
pub(super) type DescriptorFlags = Flags<DescriptorNames>;

/// Names of `advice`.
pub(super) struct AdviceNames;

impl Names for AdviceNames {
    const TYPE: &'static str = "advice";
    const NAMES: &'static [&'static str] = &[
        "normal",
        "sequential",
        "random",
        "will-need",
        "dont-need",
        "no-reuse",
    ];
}

/// `advice`.
pub(super) type Advice = Case<AdviceNames>;

/// Bytes that a guest passes to be written, in several attempts if need be.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) bytes: Vec<u8>,
    /// Whether it was checked that the guest may write so many.
    pub(super) permitted: bool,
    /// Bytes of them that are written.
    pub(super) done: usize,
}

impl ComponentType for Contents {
    fn fits(types: &Types, ty: TypeId) -> bool {
        Vec::<u8>::fits(types, ty)
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("list<u8>")
    }
}

impl Lift for Contents {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        let (from, ty) = S::table(from, ty)?;
        Ok(Self {
            bytes: Vec::lift(ty, from)?,
            ..Self::default()
        })
    }
}
