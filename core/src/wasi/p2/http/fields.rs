//! `fields`: headers and trailers.

use super::{
    super::{
        super::{errno::Fail, session::Call},
        resources::stop,
        types::{Borrowed, Own},
    },
    entries::{self, HttpEntry},
    types::HeaderError,
};
use crate::{
    base::fuel::fuel_for,
    memory,
    services::http::{REFUSED_HEADERS, is_token, is_value},
};
use alloc::{string::String, vec::Vec};
use core::mem;

/// Most bytes of one `fields`, each entry with [`ENTRY`].
pub(super) const FIELD_BYTES: usize = 64 << 10;

/// Bytes that an entry counts besides its name and value.
const ENTRY: usize = 48;

/// Names and values, in the guest's order.
pub(in crate::wasi) struct Fields {
    list: Vec<(String, Vec<u8>)>,
    bytes: usize,
    immutable: bool,
}

impl Fields {
    /// Returns headers that came from elsewhere, which the guest can't change.
    pub(super) fn received(list: Vec<(String, Vec<u8>)>) -> Self {
        Self {
            bytes: bytes_of(&list),
            list,
            immutable: true,
        }
    }

    /// Returns the bytes that they count.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the fuel for going over all of them.
    pub(super) const fn fuel(&self) -> u64 {
        fuel_for(self.bytes).saturating_add(self.list.len() as u64)
    }

    /// Makes them immutable.
    pub(super) const fn freeze(mut self) -> Self {
        self.immutable = true;
        self
    }

    /// Returns the values of a name.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Vec<u8>> {
        let named = self.list.iter();
        let named = named.filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value)
    }

    /// Returns names and values, without those of the name `but`.
    pub(super) fn into_list_without(mut self, but: &str) -> Vec<(String, Vec<u8>)> {
        self.list
            .retain(|(name, _)| !name.eq_ignore_ascii_case(but));
        self.list
    }

    fn copy(&self, immutable: bool) -> Self {
        Self {
            list: self.list.clone(),
            bytes: self.bytes,
            immutable,
        }
    }

    fn remove(&mut self, name: &str) {
        self.list
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.bytes = bytes_of(&self.list);
    }
}

fn bytes_of(list: &[(String, Vec<u8>)]) -> usize {
    let each = list.iter().map(|(name, value)| entry_bytes(name, value));
    each.fold(0, usize::saturating_add)
}

const fn entry_bytes(name: &str, value: &[u8]) -> usize {
    ENTRY.saturating_add(name.len()).saturating_add(value.len())
}

/// Checks that a guest may set a header of this name.
fn check_name(name: &str) -> Result<(), HeaderError> {
    if !is_token(name) {
        return Err(HeaderError::InvalidSyntax);
    }
    // The length of a body is checked, and set by the client.
    let refused = REFUSED_HEADERS
        .iter()
        .filter(|refused| **refused != CONTENT_LENGTH);
    match { refused }.any(|refused| refused.eq_ignore_ascii_case(name)) {
        true => Err(HeaderError::Forbidden),
        false => Ok(()),
    }
}

/// The header with the length of a body.
pub(super) const CONTENT_LENGTH: &str = "content-length";

/// Checks that a guest may set a header of this name to this value.
fn check(name: &str, value: &[u8]) -> Result<(), HeaderError> {
    check_name(name)?;
    match is_value(value) {
        true => Ok(()),
        false => Err(HeaderError::InvalidSyntax),
    }
}

/// Charges for the names and values that a guest passes, and returns the bytes that they count: stops it if one
/// `fields` can't have so many.
fn charge_for<'a>(
    call: &mut Call<'_>,
    entries: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Result<usize, Fail> {
    let (mut bytes, mut count) = (0_usize, 0_u64);
    for (name, value) in entries {
        bytes = bytes.saturating_add(entry_bytes(name, value));
        count = count.saturating_add(1);
    }
    call.charge(fuel_for(bytes).saturating_add(count))?;
    check_size(bytes)?;
    Ok(bytes)
}

fn check_size(bytes: usize) -> Result<(), Fail> {
    match bytes <= FIELD_BYTES {
        true => Ok(()),
        false => Err(stop(
            "more than 65,536 bytes in one `fields`, in which each entry counts 48 besides its name and value",
        )),
    }
}

/// Returns new fields.
pub(super) fn new(call: &mut Call<'_>, (): &mut ()) -> Result<Own, Fail> {
    let fields = Fields {
        list: Vec::new(),
        bytes: 0,
        immutable: false,
    };
    add(call, fields).map(Own::new)
}

/// Adds fields. Returns their number.
fn add(call: &mut Call<'_>, fields: Fields) -> Result<u32, Fail> {
    entries::need_room(call, fields.bytes)?;
    entries::add(call, HttpEntry::Fields(fields), None)
}

/// Returns fields with these entries, or the error of the first one that is refused.
pub(super) fn from_list(
    call: &mut Call<'_>,
    (list,): &mut (Vec<(String, Vec<u8>)>,),
) -> Result<Result<Own, HeaderError>, Fail> {
    let each = list.iter().map(|(name, value)| (&**name, &**value));
    let bytes = charge_for(call, each)?;
    for (name, value) in &*list {
        if let Err(error) = check(name, value) {
            return Ok(Err(error));
        }
    }
    let fields = Fields {
        list: mem::take(list),
        bytes,
        immutable: false,
    };
    add(call, fields).map(Own::new).map(Ok)
}

/// Charges for a look at all entries.
fn charge_look(call: &mut Call<'_>, number: u32) -> Result<(), Fail> {
    let fuel = entries::fields(call, number)?.fuel();
    call.charge(fuel)
}

/// Returns the values of a name; none if it is not a name.
pub(super) fn get(
    call: &mut Call<'_>,
    (Borrowed(fields), name): &mut (Borrowed, String),
) -> Result<Vec<Vec<u8>>, Fail> {
    charge_look(call, *fields)?;
    let fields = entries::fields(call, *fields)?;
    Ok(fields.values(name).cloned().collect())
}

/// Returns whether there is a value of a name.
pub(super) fn has(
    call: &mut Call<'_>,
    (Borrowed(fields), name): &mut (Borrowed, String),
) -> Result<bool, Fail> {
    charge_look(call, *fields)?;
    let fields = entries::fields(call, *fields)?;
    Ok(fields.values(name).next().is_some())
}

/// Replaces the values of a name.
pub(super) fn set(
    call: &mut Call<'_>,
    (Borrowed(fields), name, values): &mut (Borrowed, String, Vec<Vec<u8>>),
) -> Result<Result<(), HeaderError>, Fail> {
    charge_look(call, *fields)?;
    let added = charge_for(call, values.iter().map(|value| (&**name, &**value)))?;
    let checked = { values.iter() }.try_for_each(|value| check(name, value));
    change(
        call,
        *fields,
        check_name(name).and(checked),
        added,
        |fields| {
            fields.remove(name);
            let each = mem::take(values).into_iter();
            fields.list.extend(each.map(|value| (name.clone(), value)));
            fields.bytes = fields.bytes.saturating_add(added);
        },
    )
}

/// Removes the values of a name.
pub(super) fn delete(
    call: &mut Call<'_>,
    (Borrowed(fields), name): &mut (Borrowed, String),
) -> Result<Result<(), HeaderError>, Fail> {
    charge_look(call, *fields)?;
    change(call, *fields, check_name(name), 0, |fields| {
        fields.remove(name);
    })
}

/// Adds a value of a name.
pub(super) fn append(
    call: &mut Call<'_>,
    (Borrowed(fields), name, value): &mut (Borrowed, String, Vec<u8>),
) -> Result<Result<(), HeaderError>, Fail> {
    let added = charge_for(call, [(&**name, &**value)].into_iter())?;
    change(call, *fields, check(name, value), added, |fields| {
        fields.list.push((mem::take(name), mem::take(value)));
        fields.bytes = fields.bytes.saturating_add(added);
    })
}

/// Changes fields, unless they are immutable or the entries were refused. `added` is the bytes that it adds at most.
fn change(
    call: &mut Call<'_>,
    number: u32,
    checked: Result<(), HeaderError>,
    added: usize,
    work: impl FnOnce(&mut Fields),
) -> Result<Result<(), HeaderError>, Fail> {
    let fields = entries::fields(call, number)?;
    if fields.immutable {
        return Ok(Err(HeaderError::Immutable));
    }
    if let Err(error) = checked {
        return Ok(Err(error));
    }
    let before = fields.bytes;
    check_size(before.saturating_add(added))?;
    entries::need_room(call, added)?;
    let fields = entries::fields(call, number)?;
    // The entries hold no more than `FIELD_BYTES`, and so are their places.
    let reserved = fields.list.try_reserve(added.div_ceil(ENTRY));
    reserved.map_err(|_| Fail::EndCall(memory::no_room(added)))?;
    work(fields);
    let after = fields.bytes;
    entries::recount(call, before, after);
    Ok(Ok(()))
}

/// Returns all names and values.
pub(super) fn list(
    call: &mut Call<'_>,
    (Borrowed(fields),): &mut (Borrowed,),
) -> Result<Vec<(String, Vec<u8>)>, Fail> {
    charge_look(call, *fields)?;
    Ok(entries::fields(call, *fields)?.list.clone())
}

/// Returns a copy that can be changed.
pub(super) fn clone(
    call: &mut Call<'_>,
    (Borrowed(fields),): &mut (Borrowed,),
) -> Result<Own, Fail> {
    charge_look(call, *fields)?;
    let bytes = entries::fields(call, *fields)?.bytes;
    // Before the copy is made.
    entries::need_room(call, bytes)?;
    let copy = entries::fields(call, *fields)?.copy(false);
    add(call, copy).map(Own::new)
}

/// Returns a copy of a message's headers, which can't be changed. `headers` finds them.
pub(super) fn copy_of(
    call: &mut Call<'_>,
    headers: impl for<'c> Fn(&'c mut Call<'_>) -> Result<&'c mut Fields, Fail>,
) -> Result<Own, Fail> {
    let found = headers(call)?;
    let (fuel, bytes) = (found.fuel(), found.bytes());
    call.charge(fuel)?;
    // Before the copy is made.
    entries::need_room(call, bytes)?;
    let copy = headers(call)?.copy(true);
    add(call, copy).map(Own::new)
}
