//! What is not known of the registry after a failed commit. The commit may have come through all the same: what it would have
//! changed is looked up in the file when that is open again, and the index in memory brought to it.

use super::RegistryChanges;
use crate::{
    ReadError, ReadTx,
    index::{Kind, LabelIndex, presence},
    removal,
};
use parking_lot::RwLock;
use roaring::RoaringTreemap;
use std::collections::BTreeSet;
use tandem_domain::series::{Series, SeriesId};

/// What failed commits would have changed.
#[derive(Debug, Default)]
pub(crate) struct Doubtful {
    series: BTreeSet<SeriesId>,
    buried: BTreeSet<SeriesId>,
    windows: BTreeSet<(Kind, i64)>,
}

impl Doubtful {
    /// Adds what one more commit would have changed.
    pub(crate) fn add(&mut self, changes: RegistryChanges) {
        self.series.extend(changes.series.into_keys().chain(changes.removed).chain(changes.revived));
        self.buried.extend(changes.buried.into_keys());
        let present = changes.present.into_iter().map(|(kind, window, _)| (kind, window));
        self.windows.extend(present.chain(changes.dropped_windows));
    }

    /// Brings the index to what the file tells of all this; whether that was something new. Asked again, it does the same.
    pub(crate) fn settle(&self, read: &ReadTx, index: &RwLock<LabelIndex>) -> Result<bool, ReadError> {
        let found: Vec<(SeriesId, Option<Series>)> =
            self.series.iter().map(|id| Ok((*id, read.get::<Series>(&id.0)?))).collect::<Result<_, ReadError>>()?;
        let buried: Vec<_> =
            self.buried.iter().map(|id| Ok((*id, removal::buried(read, *id)?))).collect::<Result<_, ReadError>>()?;
        let present = |(kind, window): &(Kind, i64)| -> Result<_, ReadError> {
            let bytes = read.raw_get(kind.table(), &presence::key(*window))?;
            Ok((*kind, *window, bytes.map(|bytes| presence::from_bytes(&bytes)).transpose()?))
        };
        let windows: Vec<_> = self.windows.iter().map(present).collect::<Result<_, ReadError>>()?;

        let mut index = index.write();
        let is_new = |(id, now): &(SeriesId, Option<Series>)| now.is_some() != index.has(*id);
        let changed = found.iter().any(is_new);
        let gone: RoaringTreemap =
            found.iter().filter(|(id, now)| now.is_none() && index.has(*id)).map(|(id, _)| id.0).collect();
        gone.iter().for_each(|id| index.remove(SeriesId(id)));
        found.iter().filter_map(|(_, now)| now.as_ref()).for_each(|series| index.insert(series));
        buried.into_iter().for_each(|(id, stretches)| index.bury(id, stretches));
        for (kind, window, series) in windows {
            match series {
                Some(series) => index.presence_mut(kind).set(window, series),
                None => index.presence_mut(kind).drop_window(window),
            }
        }
        // After the windows, which have it still.
        index.note_removed(&gone);
        Ok(changed)
    }
}
