//! Gives back space: of segments whose events are done, and of files that were kept for new ones. A file that somebody
//! has removed by hand has given back its space already.

use std::io;

use super::Log;
use super::spares::Spares;
use crate::acked::Acked;
use crate::folder::{Entry, at, is_out_of_room};
use crate::layout::spare_name;

impl Log {
    /// Gives back the space of sealed segments whose events are all done, which must be durably so: also
    /// behind one with an event that stays open, or that alone would fill the log in time. Their files are
    /// kept for new segments. Of those that are of no use, one is removed each time: removing 64 MiB takes 20
    /// ms, in which nothing can be appended.
    ///
    /// # Errors
    /// I/O errors, naming the file; what could be given back was.
    pub fn purge(&mut self, acked: &Acked) -> io::Result<()> {
        self.purged_below = self.purged_below.max(acked.low());
        if self.purged_below >= self.next && self.is_short_of_room() {
            // It would be given back after the next rotation, for which there is no room.
            self.seal();
            self.longest_refused = 0;
        }
        self.spares.reckon();
        let mut outcome = Ok(());
        let mut index = 0;
        while index < self.sealed.len() {
            if self.is_done(index, acked) {
                let name = self.sealed[index].name();
                let given_back = self
                    .give_back(index)
                    .map_err(|error| at(&*self.folder, &name, &error));
                // One that cannot be given back keeps no other.
                index += usize::from(given_back.is_err());
                outcome = outcome.and(given_back);
            } else {
                index += 1;
            }
        }
        if self.spares.are_too_many() {
            self.remove_spare()?;
        }
        outcome
    }

    /// Whether a purge would give back a segment.
    pub fn can_purge(&self, acked: &Acked) -> bool {
        (0..self.sealed.len()).any(|index| self.is_done(index, acked))
    }

    /// Whether all events of a sealed segment are done.
    fn is_done(&self, index: usize, acked: &Acked) -> bool {
        let next = self.sealed.get(index + 1).or(self.active_segment());
        let end = next.map_or(self.next, |next| next.first);
        let positions = self.sealed[index].first..end;
        acked.open_in(positions).next().is_none()
    }

    fn give_back(&mut self, index: usize) -> io::Result<()> {
        let done = &self.sealed[index];
        let (name, bytes) = (done.name(), done.file_bytes);
        let spare = spare_name(done.generation);
        // A segment that a loss of power brought back stands beside what was written in its place.
        let has_room = !self.room.is_exceeded() && !self.is_disk_full;
        let is_of_use = has_room && Spares::are_of_use(bytes, self.options.segment_bytes);
        if is_of_use && self.is_kept_as(&spare, &name)? {
            self.spares.keep(Entry { name: spare, bytes });
        } else {
            is_there(self.folder.remove(&name))?;
            self.room.replace(bytes, 0);
        }
        self.sealed.remove(index);
        Ok(())
    }

    /// Gives a segment the name of a spare file; whether it is one then. Where there is no room for another name, removing
    /// makes some.
    fn is_kept_as(&self, spare: &str, name: &str) -> io::Result<bool> {
        match self.folder.rename(name, spare) {
            Err(error) if is_out_of_room(&error) => Ok(false),
            outcome => is_there(outcome),
        }
    }

    /// Whether something found no room, or something large would not. A log of one or two segments can be
    /// full of events that are all done.
    fn is_short_of_room(&self) -> bool {
        let options = &self.options;
        let enough = (options.segment_bytes / 2).max(options.max_bytes / 32);
        self.longest_refused > 0 || self.is_disk_full || self.available_bytes() < enough
    }

    /// Whether a purge would give back the space of files that were kept for new segments and are of no use.
    pub fn has_surplus(&self) -> bool {
        self.spares.will_be_too_many()
    }

    /// Whether a new segment can become so long. It is made of a spare file, where there is one, and the others can be
    /// given up for it.
    pub(super) fn has_room_to_rotate(&self, bytes: u64) -> bool {
        bytes <= self.room.left() + self.spares.bytes()
    }

    /// Gives back all segments, the active one too, when all of their events are done: it would be purged after the next
    /// rotation, for which there may never be room.
    pub(super) fn give_up_done(&mut self) {
        if self.purged_below < self.next {
            return;
        }
        self.seal();
        let _no_room_then = self.purge(&Acked::below(self.purged_below));
    }

    /// A spare file that cannot be removed is room that is not there. No event is in it, so nothing is unsure.
    pub(super) fn give_up_spares_while(&mut self, is_needed: impl Fn(&Self) -> bool) {
        let _no_room_then = self.remove_spares_while(is_needed);
    }

    pub(super) fn remove_spares_while(
        &mut self,
        is_needed: impl Fn(&Self) -> bool,
    ) -> io::Result<()> {
        while is_needed(self) && self.spares.next().is_some() {
            self.remove_spare()?;
        }
        Ok(())
    }

    fn remove_spare(&mut self) -> io::Result<()> {
        if let Some(spare) = self.spares.next() {
            is_there(self.folder.remove(&spare.name))
                .map_err(|error| at(&*self.folder, &spare.name, &error))?;
            self.room.replace(spare.bytes, 0);
            self.spares.take();
        }
        Ok(())
    }
}

/// Whether the file that something was done with was there.
fn is_there(outcome: io::Result<()>) -> io::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
