//! The skeleton of every run that makes load: target up, monitors and engine, the load, all of it
//! down again, files. A search, a search that goes on and a ramp say only what differs.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::guard::Guard;
use super::observers::Observers;
use super::prepare::Ready;
use super::session::{self, NotUp, Session};
use super::signals::{self, Signals};
use super::{CommandError, runtime};
use crate::cli::WatchArgs;
use crate::event::Event;
use crate::report::RenderedRecord;
use crate::scenario::Allowed;
use crate::store::Store;
use crate::target::Target;
use crate::term::Terminal;

/// A run that makes load.
pub(super) trait LoadRun {
    /// Its artefact.
    type Record: RenderedRecord + Serialize + DeserializeOwned + Clone;

    /// What was prepared for it.
    fn ready(&self) -> &Ready;

    /// Makes the load on a target that is up. Whatever happens, what was measured comes back in the
    /// record.
    async fn load(
        &mut self,
        session: &mut Session,
        target: &Target,
        signals: &Signals,
        store: &mut Store,
        observers: &mut Observers<'_>,
    ) -> Self::Record;

    /// The record of a run whose target never came up.
    ///
    /// # Errors
    /// Where nothing is to be recorded then.
    fn not_up(&self, why: NotUp, began: Timestamp) -> Result<Self::Record, CommandError>;

    /// What says that it is over, of a run that never began.
    fn finished(record: &Self::Record) -> Event;
}

/// Everything from before the target comes up to the files: the record, and the folder that it was
/// written to.
pub(super) async fn all_of<R: LoadRun>(
    run: &mut R,
    began: Timestamp,
    signals: &Signals,
    mut store: Store,
    observers: &mut Observers<'_>,
) -> Result<(R::Record, PathBuf), CommandError> {
    let mut guard = Guard::of(&run.ready().plan, signals);
    let record = match session::bring_up(run.ready(), signals, observers).await {
        Ok(target) => {
            let up = (&target, &mut guard);
            let record = with_target(run, up, signals, &mut store, observers).await;
            drop(guard);
            session::take_down(target, observers).await;
            record?
        }
        Err(error) => {
            let record = run.not_up(session::not_up(&error, signals), began)?;
            observers.on(&R::finished(&record));
            record
        }
    };
    let dir = session::write(&store, &record, observers)?;
    Ok((record, dir))
}

/// Everything between the target's coming up and its going down.
async fn with_target<R: LoadRun>(
    run: &mut R,
    (target, guard): (&Target, &mut Guard),
    signals: &Signals,
    store: &mut Store,
    observers: &mut Observers<'_>,
) -> Result<R::Record, CommandError> {
    let mut session = Session::start(run.ready(), target, guard, signals, observers).await?;
    let record = run
        .load(&mut session, target, signals, store, observers)
        .await;
    session.stop().await;
    Ok(record)
}

/// Does something that others follow, and lets them read its end.
pub(super) fn observed<T>(
    terminal: &mut Terminal,
    watch: &WatchArgs,
    allowed: &Allowed,
    what: impl AsyncFnOnce(&Signals, &mut Observers<'_>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let runtime = runtime()?;
    let signals = signals::listen(runtime.handle());
    let done = runtime.block_on(async {
        let remote_write = watch.remote_write.as_deref();
        let mut observers = Observers::open(terminal, watch.serve, remote_write, allowed).await?;
        let done = what(&signals, &mut observers).await;
        observers.dismiss().await;
        done
    });
    // Nothing may hold up the end: what still runs there is of no use any more.
    runtime.shutdown_background();
    done
}
