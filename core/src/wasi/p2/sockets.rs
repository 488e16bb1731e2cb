//! `wasi:sockets`: hostel grants no sockets. The interfaces link, so that guests which merely import them load,
//! and nothing can be made: each function that would make a socket or resolve a name returns `not-supported`.

use super::{
    super::{errno::Fail, session::Call},
    Interface,
    function::{Answer, Function, Operation, plain},
    resources::{self, Entry, stop},
    types::Own,
};
use crate::{
    component::{FunctionType, Lifting, Lowering, Type, TypeId, Types, Value, other_type},
    error::CallError,
};
use alloc::boxed::Box;

pub(super) static INTERFACES: [Interface; 7] = [
    Interface::new(
        "wasi:sockets/instance-network@0.2.12",
        &[&plain(
            "instance-network",
            "func() -> network",
            instance_network,
        )],
    ),
    refused("wasi:sockets/network@0.2.12", &["network"]),
    refused("wasi:sockets/tcp@0.2.12", &["tcp-socket"]),
    refused("wasi:sockets/tcp-create-socket@0.2.12", &[]),
    refused(
        "wasi:sockets/udp@0.2.12",
        &[
            "udp-socket",
            "incoming-datagram-stream",
            "outgoing-datagram-stream",
        ],
    ),
    refused("wasi:sockets/udp-create-socket@0.2.12", &[]),
    refused(
        "wasi:sockets/ip-name-lookup@0.2.12",
        &["resolve-address-stream"],
    ),
];

/// Returns an interface none of whose functions does anything.
const fn refused(name: &'static str, resources: &'static [&'static str]) -> Interface {
    Interface {
        others: Some(&NotSupported),
        ..Interface::with_resources(name, &[], resources)
    }
}

/// Returns a network, with which nothing can be reached.
fn instance_network(call: &mut Call<'_>, (): &mut ()) -> Result<Own, Fail> {
    resources::add(call, Entry::Network)
}

/// A function of any type, which returns `not-supported`. One whose result has no such error has a socket as
/// parameter, of which there is none.
struct NotSupported;

const ERROR: &str = "not-supported";

impl Function for NotSupported {
    fn name(&self) -> &'static str {
        ""
    }

    fn shown(&self) -> &'static str {
        "func() -> result<_, error-code>"
    }

    fn fits(&self, _: &Types, _: &FunctionType) -> bool {
        true
    }

    fn begin(
        &'static self,
        _: &[TypeId],
        _: &mut Lifting<'_>,
    ) -> Result<Box<dyn Operation>, CallError> {
        Ok(Box::new(Self))
    }
}

impl Operation for NotSupported {
    fn attempt(&mut self, _: &mut Call<'_>) -> Result<Box<dyn Answer>, Fail> {
        Ok(Box::new(Self))
    }
}

impl Answer for NotSupported {
    fn lower<'v>(&'v self, ty: TypeId, to: &mut Lowering<'v, '_>) -> Result<(), CallError> {
        let types = to.types();
        let Type::Result(_, Some(error)) = types.get(ty) else {
            return Err(no_socket());
        };
        let Type::Enum(cases) = types.get(*error) else {
            return Err(no_socket());
        };
        let case = cases.iter().position(|case| **case == *ERROR);
        let case = case.ok_or_else(other_type)?;
        to.variant::<Value>(ty, 1, |to| to.discriminant(case, cases.len()))
    }
}

/// Returns the trap of a call with a socket that does not exist.
fn no_socket() -> CallError {
    match stop("sockets are not supported") {
        Fail::EndCall(error) => error,
        Fail::Errno(_) | Fail::MustWait(_) => CallError::Stopped,
    }
}
