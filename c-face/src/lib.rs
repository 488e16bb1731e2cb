//! hostel for programs and firmware in C: a static library and its header, `include/hostel.h`.
//!
//! cbindgen generates the header from this crate. Pointers from C enter the host here, and become
//! references in the private module `raw`.
//!
//! For a program on a machine with an operating system, build the crate with default features. For
//! firmware:
//!
//! ```sh
//! cargo build -p hostel-c --release --target thumbv7em-none-eabihf --no-default-features \
//!     --features c-allocator,panic-handler,portable-dispatch,indirect-dispatch
//! ```

#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod code;
mod engine;
mod firmware;
mod grants;
mod instance;
mod message;
mod plugin;
mod raw;

pub use self::{
    code::{HostelCode, hostel_code_name},
    engine::{HostelEngine, HostelPlatform, hostel_engine_free, hostel_engine_new},
    grants::{
        HostelBytesFunction, HostelGrants, HostelLevel, HostelLog, HostelNumbersFunction,
        HostelRecord, hostel_grant_bytes, hostel_grant_config, hostel_grant_log,
        hostel_grant_numbers, hostel_grants_free, hostel_grants_new,
    },
    instance::{
        HostelInstance, hostel_call_bytes, hostel_call_numbers, hostel_fuel_used,
        hostel_instance_free, hostel_instantiate, hostel_is_stopped, hostel_set_budget,
    },
    message::HostelMessage,
    plugin::{HostelPlugin, hostel_load, hostel_unload},
};
