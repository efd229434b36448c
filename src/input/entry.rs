//! The way of records into the spool: held against limits, given their tags, or set apart for a moment.

use std::time::Instant;

use tokio::sync::watch;

use super::apart::{Apart, Aside, Place};
use super::record_log;
use super::settings::Config;
use super::tally::Tally;
use crate::enrich::{Decision, Enricher, Ruling, View};
use crate::ocf::{self, BlockFault, Limits, PlanCache, Scratch};
use crate::spool::{Append, Spool};

/// A block's records, tags added, may have this many times `input-decompressed-bytes-max`.
pub(super) const SPLICE_FACTOR_MAX: usize = 2;

/// What all sources share.
pub(super) struct Rules {
    pub(super) settings: watch::Receiver<Config>,
    pub(super) plans: PlanCache,
    pub(super) enricher: Enricher,
    pub(super) spool: Spool,
    pub(super) apart: Apart,
}

/// What of the settings holds for all that is entered in one turn.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// The bounds on streams.
    pub(super) limits: Limits,
    /// Accepted records are logged.
    is_logged: bool,
}

impl Rules {
    /// The settings as they are now. For a turn or a poll once.
    pub(super) fn terms(&self) -> Terms {
        let settings = self.settings.borrow();
        Terms { limits: settings.limits.clone(), is_logged: settings.record_log }
    }

    /// Whether so many records would be too much by their added tags alone. A count that is over this has records of a few
    /// bytes each, made to cost us: it is refused before anything is decompressed.
    pub(super) fn would_blow_up(&self, terms: &Terms, records: u64) -> bool {
        let view = self.enricher.view();
        let added = view.snapshot.decide(&ocf::Origin::default()).decision.add.bytes().len() as u64;
        let bytes_max = (SPLICE_FACTOR_MAX * terms.limits.decompressed_bytes) as u64;
        records.saturating_mul(added) > bytes_max
    }

    /// Has accepted what `write` enters, or, where that gives an error, nothing of it. What is set apart is part of it.
    pub(super) fn accept(
        &self,
        terms: &Terms,
        now_ms: u64,
        write: impl FnOnce(&mut Entry<'_, '_>) -> Result<(), BlockFault>,
    ) -> (Tally, Result<(), BlockFault>) {
        let view = self.enricher.view();
        let mut aside = Aside::default();
        let (mut tally, result) = self.enter(terms, now_ms, &view, Some(&mut aside), write);
        if result.is_ok() && !aside.is_empty() {
            tally.set_apart = aside.len();
            let late = self.apart.add(aside, Instant::now());
            self.enricher.ask();
            // The wait was over before they were there.
            let (more, _) = self.enter(terms, now_ms, &view, None, |entry| entry.all_of(&late));
            tally.set_apart -= more.appended.records;
            tally.add(more);
        }
        (tally, result)
    }

    /// Records that have waited, or cannot, go on with the tags that are known now.
    pub(super) fn go_on(&self, now_ms: u64, view: &View, bodies: &[Vec<u8>]) -> Tally {
        let enter = |entry: &mut Entry<'_, '_>| bodies.iter().try_for_each(|body| entry.all_of(body));
        // Each was entered before, and held against its limits then.
        self.enter(&self.terms(), now_ms, view, None, enter).0
    }

    fn enter(
        &self,
        terms: &Terms,
        now_ms: u64,
        view: &View,
        aside: Option<&mut Aside>,
        write: impl FnOnce(&mut Entry<'_, '_>) -> Result<(), BlockFault>,
    ) -> (Tally, Result<(), BlockFault>) {
        let mut tally = Tally { now_ms, ..Tally::default() };
        let mut shown = Vec::new();
        let result = self.spool.append(now_ms, |append| {
            let shown = terms.is_logged.then_some(&mut shown);
            let limits = &terms.limits;
            write(&mut Entry { rules: self, limits, view, append, tally: &mut tally, shown, aside })
        });
        if let Ok(appended) = &result {
            tally.appended = *appended;
            if terms.is_logged {
                record_log::log_records(&shown);
            }
        }
        (tally, result.map(drop))
    }
}

/// The way of a block's records into the spool.
pub(super) struct Entry<'a, 'b> {
    rules: &'a Rules,
    limits: &'a Limits,
    view: &'a View,
    append: &'a mut Append<'b>,
    /// Of this block, which may still be refused.
    tally: &'a mut Tally,
    /// The records, tags added, if they are to be logged once the block is accepted.
    shown: Option<&'a mut Vec<u8>>,
    /// Where records are set apart; none: they all go on.
    aside: Option<&'a mut Aside>,
}

impl Entry<'_, '_> {
    /// Enters `records` records of our schema, which are all that is in `body`.
    pub(super) fn native(&mut self, body: &[u8], records: u64) -> Result<(), BlockFault> {
        let mut at = 0;
        for _ in 0..records {
            if at == body.len() {
                return Err(BlockFault::CountMismatch);
            }
            let shape = ocf::walk(body, at).map_err(|_| BlockFault::BadRecord)?;
            at = shape.span.end;
            match shape.check(self.limits) {
                Ok(()) => self.add(body, &shape)?,
                Err(fault) => self.tally.refuse_records(fault, 1),
            }
        }
        if at == body.len() { Ok(()) } else { Err(BlockFault::CountMismatch) }
    }

    /// Enters the same of another schema.
    pub(super) fn project(
        &mut self,
        plan: &ocf::Projection,
        body: &[u8],
        records: u64,
        scratch: &mut Scratch,
        record: &mut Vec<u8>,
    ) -> Result<(), BlockFault> {
        let mut at = 0;
        for _ in 0..records {
            if at == body.len() {
                return Err(BlockFault::CountMismatch);
            }
            record.clear();
            let projected =
                plan.project(&body[at..], self.limits, scratch, record).map_err(|_| BlockFault::BadRecord)?;
            at += projected.consumed;
            match projected.outcome {
                Ok(()) => {
                    let shape = ocf::walk(record, 0).expect("a projection writes whole records");
                    self.add(record, &shape)?;
                }
                Err(fault) => self.tally.refuse_records(fault, 1),
            }
        }
        if at == body.len() { Ok(()) } else { Err(BlockFault::CountMismatch) }
    }

    /// Enters records that were looked at before.
    fn all_of(&mut self, body: &[u8]) -> Result<(), BlockFault> {
        let mut at = 0;
        while at < body.len() {
            let shape = ocf::walk(body, at).map_err(|_| BlockFault::BadRecord)?;
            at = shape.span.end;
            let decision = self.view.snapshot.decide(&shape.origin).decision;
            self.put(body, &shape, decision);
        }
        Ok(())
    }

    /// Puts a record into its topic's frame, or apart. Added tags may make a block of tiny records many times larger, which
    /// is bounded like its codec's output is.
    #[inline]
    fn add(&mut self, bytes: &[u8], shape: &ocf::Shape<'_>) -> Result<(), BlockFault> {
        let view = self.view;
        let Ruling { decision, may_improve } = view.snapshot.decide(&shape.origin);
        if may_improve && view.hope && self.set_apart(bytes, shape) {
            self.tally.worked_bytes += shape.span.len();
        } else {
            self.put(bytes, shape, decision);
        }
        if self.tally.worked_bytes > SPLICE_FACTOR_MAX * self.limits.decompressed_bytes {
            return Err(BlockFault::DecompressedTooLarge);
        }
        Ok(())
    }

    #[cold]
    fn set_apart(&mut self, bytes: &[u8], shape: &ocf::Shape<'_>) -> bool {
        let Some(aside) = &mut self.aside else { return false };
        let key = shape.origin.container_id.unwrap_or_default();
        let record = &bytes[shape.span.clone()];
        match self.rules.apart.place(key, record.len(), aside) {
            Place::Free => {
                aside.push(key, record);
                true
            }
            Place::None => {
                self.tally.no_room += 1;
                false
            }
            Place::NotNeeded => false,
        }
    }

    #[inline]
    fn put(&mut self, bytes: &[u8], shape: &ocf::Shape<'_>, decision: Decision<'_>) {
        let present = shape.origin.present;
        let bytes_max = ocf::spliced_bytes_max(shape, decision.add);
        let mut contradicted = false;
        self.append.record(shape.topic, shape.datapoints, bytes_max, |out| {
            let before = out.len();
            if present.intersects(decision.gives) {
                contradicted = ocf::splice_replacing(bytes, shape, decision.gives, decision.add, out);
            } else {
                ocf::splice(bytes, shape, decision.add, out);
            }
            if let Some(shown) = &mut self.shown {
                shown.extend_from_slice(&out[before..]);
            }
        });
        self.tally.worked_bytes += bytes_max;
        self.tally.tag_clashes += u64::from(contradicted);
        self.tally.enrichment[decision.enrichment(present) as usize] += 1;
    }
}
