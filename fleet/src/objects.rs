//! Modules and settings, kept by their SHA-256.

use crate::{connect::Fleet, error::FleetError};
use async_nats::jetstream::object_store::{GetErrorKind, ObjectStore};
use bytes::Bytes;
use hostel_server::hostel::Version;
use tokio::io::AsyncReadExt as _;

/// Most bytes of an object that is read.
const MOST_BYTES: usize = 256 << 20;

/// Returns the SHA-256 in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let digest = Version::sha256(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Fleet {
    /// Keeps an object, and returns its SHA-256.
    pub(crate) async fn put_object(&self, bytes: &[u8]) -> Result<String, FleetError> {
        let sha256 = digest(bytes);
        // Else an upload of what is there already would replace its pieces while a worker reads them.
        if self.objects.info(&sha256).await.is_err() {
            put(&self.objects, &sha256, bytes).await?;
        }
        Ok(sha256)
    }

    /// Reads an object, and checks that it is the one that is meant.
    pub(crate) async fn object(&self, sha256: &str) -> Result<Bytes, FleetError> {
        let bytes = get(&self.objects, sha256).await?;
        let bytes = bytes.ok_or_else(|| {
            FleetError::Nats(format!("the object {sha256} is not in NATS any more"))
        })?;
        match digest(&bytes) == sha256 {
            true => Ok(bytes),
            false => Err(FleetError::Nats(format!(
                "the object {sha256} was changed: its SHA-256 is another one"
            ))),
        }
    }
}

/// Writes an object.
async fn put(store: &ObjectStore, name: &str, bytes: &[u8]) -> Result<(), FleetError> {
    let mut reader = bytes;
    let put = store.put(name, &mut reader).await;
    put.map(drop)
        .map_err(|error| FleetError::nats("store an object")(error.into()))
}

/// Reads an object; `None` if there is none.
async fn get(store: &ObjectStore, name: &str) -> Result<Option<Bytes>, FleetError> {
    let fail = FleetError::nats("read an object");
    let mut object = match store.get(name).await {
        Ok(object) => object,
        Err(error) if error.kind() == GetErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error.into())),
    };
    let size = object.info().size;
    if size > MOST_BYTES {
        return Err(FleetError::Nats(format!(
            "the object {name} has {size} bytes, {MOST_BYTES} are allowed"
        )));
    }
    let mut bytes = Vec::with_capacity(size);
    match object.read_to_end(&mut bytes).await {
        Ok(_) => Ok(Some(bytes.into())),
        Err(error) => Err(fail(error.into())),
    }
}
