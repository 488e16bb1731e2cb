//! Releases: which version of each plugin, and which settings, all workers serve.
//!
//! They are one document, changed by compare-and-swap. A change is first a candidate. Each worker loads it and votes; once
//! all workers that are alive are ready, one of them makes it the active release, and each switches to it. If a worker
//! refuses it, nothing changes.

use crate::{
    connect::{Fleet, is_stale},
    error::FleetError,
    presence::Presence,
};
use futures_util::StreamExt as _;
use hostel_server::is_plugin_name;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::time::timeout;

/// The document's key.
pub(crate) const KEY: &str = "releases";

/// Number of versions of each plugin that can be rolled back to.
const VERSIONS: usize = 10;

/// Time for which a release is a candidate.
const VOTE: Duration = Duration::from_secs(60);

/// Time after which a candidate is withdrawn if no worker runs.
const NOBODY: Duration = Duration::from_secs(6);

/// Time after which a candidate whose author has gone makes way for another one, in milliseconds.
const FORGOTTEN: u64 = 120_000;

/// All that is known of releases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Releases {
    /// The release that all workers serve. Its number is 0 as long as there was none.
    pub active: Release,
    /// The release on which workers vote.
    pub candidate: Option<Release>,
    /// The last release that was refused or withdrawn.
    pub refused: Option<Refused>,
    /// The number of the last release.
    pub last: u64,
    /// The versions of each plugin that were active, in the order in which each last became so.
    pub history: BTreeMap<String, Vec<PluginVersion>>,
}

/// What all workers serve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its number: higher than those of all releases before.
    pub number: u64,
    /// The time at which it was proposed, in milliseconds since 1970.
    pub proposed: u64,
    /// The version of each plugin.
    pub plugins: BTreeMap<String, PluginVersion>,
    /// The SHA-256 of the settings, a `hostel.toml`. Without settings, plugins may log.
    pub settings: Option<String>,
}

/// A version of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginVersion {
    /// Its place in the order of the plugin's versions, from 1.
    pub number: u64,
    /// The SHA-256 of the module.
    pub sha256: String,
}

/// A release that did not become active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its number.
    pub number: u64,
    /// The workers that refused it, with their reasons; none if it was withdrawn.
    pub reasons: Vec<(String, String)>,
}

/// Returns the milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

impl Releases {
    /// Makes the candidate the active release.
    pub(crate) fn activate(&mut self) {
        let Some(release) = self.candidate.take() else {
            return;
        };
        for (name, version) in &release.plugins {
            let versions = self.history.entry(name.clone()).or_default();
            if versions.last() != Some(version) {
                versions.retain(|it| it != version);
                versions.push(version.clone());
                let surplus = versions.len().saturating_sub(VERSIONS);
                versions.drain(..surplus);
            }
        }
        self.active = release;
    }

    /// Gives the candidate up.
    pub(crate) fn refuse(&mut self, reasons: Vec<(String, String)>) {
        if let Some(release) = self.candidate.take() {
            let number = release.number;
            self.refused = Some(Refused { number, reasons });
        }
    }

    /// Makes a candidate of the active release and a change.
    fn propose(&mut self, change: impl FnOnce(&mut Release)) -> Result<u64, FleetError> {
        if let Some(candidate) = &self.candidate {
            if now().saturating_sub(candidate.proposed) < FORGOTTEN {
                return Err(FleetError::Deciding(candidate.number));
            }
            self.refuse(Vec::new());
        }
        let mut release = self.active.clone();
        change(&mut release);
        self.last = self.last.saturating_add(1);
        release.number = self.last;
        release.proposed = now();
        self.candidate = Some(release);
        Ok(self.last)
    }

    /// Returns the version to which a rollback leads.
    fn earlier(&self, name: &str, to: Option<&str>) -> Result<PluginVersion, FleetError> {
        let versions = self.history.get(name).map_or(&[][..], |it| it);
        let found = match to {
            Some(to) => versions
                .iter()
                .find(|it| it.sha256 == to || it.number.to_string() == to),
            None => {
                let loaded = self.active.plugins.get(name);
                let at = versions.iter().rposition(|it| Some(it) == loaded);
                // Of one that was removed, the last one.
                let at = at.unwrap_or(versions.len());
                at.checked_sub(1).and_then(|at| versions.get(at))
            }
        };
        found.cloned().ok_or_else(|| {
            let count = versions.len();
            FleetError::UnknownPlugin(format!(
                "{count} versions of `{name}` are kept, none of which is meant: see `hostel plugins list`"
            ))
        })
    }

    /// Returns the number of a plugin's next version.
    fn next_version(&self, name: &str, sha256: &str) -> PluginVersion {
        let versions = self.history.get(name).map_or(&[][..], |it| it);
        if let Some(known) = versions.iter().find(|it| it.sha256 == sha256) {
            return known.clone();
        }
        let last = versions.iter().map(|it| it.number).max().unwrap_or(0);
        PluginVersion {
            number: last.saturating_add(1),
            sha256: sha256.to_owned(),
        }
    }
}

impl Fleet {
    /// Reads the releases.
    ///
    /// # Errors
    ///
    /// [`FleetError::Nats`] or [`FleetError::Format`].
    pub async fn releases(&self) -> Result<Releases, FleetError> {
        Ok(self.read_releases().await?.0)
    }

    pub(crate) async fn read_releases(&self) -> Result<(Releases, u64), FleetError> {
        let entry = self.releases.entry(KEY).await;
        let entry = entry.map_err(|error| FleetError::nats("read the releases")(error.into()))?;
        let Some(entry) = entry else {
            return Ok((Releases::default(), 0));
        };
        let releases = serde_json::from_slice(&entry.value);
        let releases = releases.map_err(|_| FleetError::Format("the document of releases"))?;
        Ok((releases, entry.revision))
    }

    /// Changes the releases. `change` may run several times.
    pub(crate) async fn change_releases<R>(
        &self,
        mut change: impl FnMut(&mut Releases) -> Result<R, FleetError>,
    ) -> Result<R, FleetError> {
        loop {
            let (mut releases, revision) = self.read_releases().await?;
            let before = releases.clone();
            let changed = change(&mut releases)?;
            if releases == before {
                return Ok(changed);
            }
            let bytes = serde_json::to_vec(&releases).unwrap_or_default();
            match self.releases.update(KEY, bytes.into(), revision).await {
                Ok(_) => return Ok(changed),
                // Another one was faster; each time one of them gets on.
                Err(error) if is_stale(&error) => {}
                Err(error) => {
                    return Err(FleetError::nats("change the releases")(error.into()));
                }
            }
        }
    }

    /// Loads a module as a new version of a plugin on all workers, and returns when all of them serve it.
    ///
    /// # Errors
    ///
    /// [`FleetError::Refused`] if a worker can't load it: then no worker serves it. [`FleetError::Undecided`] if no worker
    /// runs, or one does not vote within a minute. [`FleetError::Name`] if the name is none for a plugin.
    pub async fn push(&self, name: &str, wasm: &[u8]) -> Result<PluginVersion, FleetError> {
        if !is_plugin_name(name) {
            return Err(FleetError::UnknownPlugin(format!(
                "`{}` is no name for a plugin: expected 1 to 64 letters, digits, `_`, `-` and `.`",
                name.escape_debug()
            )));
        }
        let sha256 = self.put_object(wasm).await?;
        let (number, version) = self
            .change_releases(|releases| {
                let version = releases.next_version(name, &sha256);
                let pushed = version.clone();
                let number = releases.propose(|release| {
                    release.plugins.insert(name.to_owned(), pushed);
                })?;
                Ok((number, version))
            })
            .await?;
        self.decided(number).await?;
        Ok(version)
    }

    /// Serves an earlier version of a plugin on all workers: the one that was active before the active one, or that with this
    /// number or SHA-256. So a second rollback without `to` leads back.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push); [`FleetError::UnknownPlugin`] if there is no such version.
    pub async fn rollback(
        &self,
        name: &str,
        to: Option<&str>,
    ) -> Result<PluginVersion, FleetError> {
        let (number, version) = self
            .change_releases(|releases| {
                let version = releases.earlier(name, to)?;
                let back = version.clone();
                let number = releases.propose(|release| {
                    release.plugins.insert(name.to_owned(), back);
                })?;
                Ok((number, version))
            })
            .await?;
        self.decided(number).await?;
        Ok(version)
    }

    /// Unloads a plugin on all workers. Its versions can be rolled back to.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push); [`FleetError::UnknownPlugin`] if there is no such plugin.
    pub async fn remove(&self, name: &str) -> Result<(), FleetError> {
        let number = self
            .change_releases(|releases| {
                if !releases.active.plugins.contains_key(name) {
                    return Err(FleetError::UnknownPlugin(format!(
                        "the fleet has no plugin `{}`",
                        name.escape_debug()
                    )));
                }
                releases.propose(|release| {
                    release.plugins.remove(name);
                })
            })
            .await?;
        self.decided(number).await
    }

    /// Serves all plugins under other settings, a `hostel.toml`, on all workers. `[server]` takes effect when a worker
    /// starts.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push).
    pub async fn set_settings(&self, toml: &str) -> Result<(), FleetError> {
        let sha256 = self.put_object(toml.as_bytes()).await?;
        let number = self
            .change_releases(|releases| {
                releases.propose(|release| release.settings = Some(sha256.clone()))
            })
            .await?;
        self.decided(number).await
    }

    /// Waits until a release is decided and, if it became active, until all workers serve it. One that is not decided in
    /// time is withdrawn.
    async fn decided(&self, number: u64) -> Result<(), FleetError> {
        let began = Instant::now();
        let mut changes = self.releases.watch(KEY).await.ok();
        loop {
            let releases = self.releases().await?;
            if let Some(refused) = &releases.refused
                && refused.number == number
            {
                let reasons = refused.reasons.clone();
                return Err(match reasons.is_empty() {
                    true => FleetError::Undecided(number, Vec::new()),
                    false => FleetError::Refused(number, reasons),
                });
            }
            if releases.active.number >= number {
                return self.switched(number).await;
            }
            let workers = match began.elapsed() {
                elapsed if elapsed > NOBODY => Some(self.presences().await?),
                _ => None,
            };
            // Without a worker there is nobody to wait for.
            let is_over = began.elapsed() > VOTE;
            if let Some(workers) = workers.filter(|workers| is_over || workers.is_empty()) {
                let mut missing = Vec::new();
                for worker in workers {
                    if worker.vote.is_none_or(|vote| vote.release != number) {
                        missing.push(worker.worker);
                    }
                }
                self.change_releases(|releases| {
                    if releases.candidate.as_ref().map(|it| it.number) == Some(number) {
                        releases.refuse(Vec::new());
                    }
                    Ok(())
                })
                .await?;
                return Err(FleetError::Undecided(number, missing));
            }
            // A watch that is lost makes it slower, no more.
            let pause = Duration::from_millis(200);
            match &mut changes {
                Some(changes) => {
                    let _ = timeout(pause, changes.next()).await;
                }
                None => tokio::time::sleep(pause).await,
            }
        }
    }

    /// Waits until all workers serve a release that is active, but no longer than one that is not heard of counts.
    async fn switched(&self, number: u64) -> Result<(), FleetError> {
        let began = Instant::now();
        loop {
            let behind = |worker: &Presence| worker.serves < number;
            if !self.presences().await?.iter().any(behind) {
                return Ok(());
            }
            if began.elapsed() > crate::connect::ALIVE {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(releases: &mut Releases, sha256: &str) {
        let version = releases.next_version("shop", sha256);
        let change = |release: &mut Release| {
            release.plugins.insert("shop".into(), version);
        };
        releases.propose(change).unwrap();
        releases.activate();
    }

    #[test]
    fn versions_are_numbered_and_rolled_back() {
        let mut it = Releases::default();
        for sha256 in ["aa", "bb", "cc", "bb"] {
            push(&mut it, sha256);
        }
        let shop = |it: &Releases| it.active.plugins["shop"].clone();
        assert_eq!((shop(&it).number, it.active.number), (2, 4));
        assert_eq!(it.earlier("shop", None).unwrap().sha256, "cc");
        assert_eq!(it.earlier("shop", Some("3")).unwrap().sha256, "cc");
        assert_eq!(it.earlier("shop", Some("cc")).unwrap().number, 3);
        assert!(it.earlier("shop", Some("4")).is_err());
        assert!(it.earlier("other", None).is_err());
        // A bad version that was rolled back and mended is not gone back to.
        for sha256 in ["bad", "bb", "mended"] {
            push(&mut it, sha256);
        }
        assert_eq!(it.earlier("shop", None).unwrap().sha256, "bb");
        // The versions that were not active for longest are forgotten, never the active one.
        for number in 0..VERSIONS {
            push(&mut it, &number.to_string());
            push(&mut it, "aa");
        }
        assert_eq!(it.history["shop"].len(), VERSIONS);
        assert_eq!(it.earlier("shop", Some("aa")).unwrap().number, 1);
    }

    #[test]
    fn one_release_is_decided_at_a_time() {
        let mut it = Releases::default();
        assert_eq!(it.propose(|_| {}).unwrap(), 1);
        let refused = it.propose(|_| {}).unwrap_err();
        assert!(matches!(refused, FleetError::Deciding(1)));
        it.refuse(vec![("w".into(), "no".into())]);
        assert_eq!(it.active.number, 0);
        assert_eq!(it.propose(|_| {}).unwrap(), 2);
        // One whose author has gone makes way.
        it.candidate.as_mut().unwrap().proposed = 0;
        assert_eq!(it.propose(|_| {}).unwrap(), 3);
        assert_eq!(it.refused.unwrap().number, 2);
    }
}
