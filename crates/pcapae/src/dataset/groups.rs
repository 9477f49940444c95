//! Reading the original's layout: a group per fragment.

use std::ops::Range;

use super::hdf5_file::Hdf5File;
use super::provenance::{Provenance, Rows};
use crate::error::Fault;
use crate::fragment::{FragmentSize, Shape};
use crate::label::Label;

/// Groups `"0"`, `"1"`, ... of an open file.
pub(super) struct Groups {
    file: Hdf5File,
    count: usize,
    pub(super) size: FragmentSize,
}

impl Groups {
    /// Checks the names of all groups and the types and shapes of what they hold.
    pub(super) fn open(file: Hdf5File) -> Result<Groups, Fault> {
        let count = file.groups()?.len();
        let Some(first) = file.array::<u8>("0/data")? else {
            return Err(Fault::found("neither the attribute format nor the array 0/data", "one of them"));
        };
        let size = match first.shape() {
            [1, side, other] if side == other => FragmentSize::new(side.saturating_mul(*side), Shape::Square)?,
            [1, bytes] => FragmentSize::new(*bytes, Shape::Line)?,
            got => return Err(first.place().found(format!("the shape {got:?}"), "[1, side, side] or [1, size]")),
        };
        if (count as u64).saturating_mul(size.bytes() as u64) > file.bytes() {
            let found = format!("a file of {} bytes", file.bytes());
            return Err(Fault::found(found, format!("{count} fragments of {} bytes", size.bytes())));
        }
        let shape: Vec<Option<usize>> = first.shape().iter().copied().map(Some).collect();
        for i in 0..count {
            file.required_array::<u8>(&format!("{i}/data"))?.expect_shape(&shape)?;
            let label = file.required_array::<i32>(&format!("{i}/label"))?;
            label.expect_shape(&[None, Some(2)])?;
            if label.rows() == 0 {
                return Err(label.place().empty());
            }
        }
        Ok(Groups { file, count, size })
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn read(&self, fragments: Range<usize>, into: &mut Vec<u8>) -> Result<(), Fault> {
        let held = into.len();
        for i in fragments {
            let read = self.file.required_array::<u8>(&format!("{i}/data")).and_then(|data| data.read(0..1, into));
            if let Err(fault) = read {
                into.truncate(held);
                return Err(fault);
            }
        }
        Ok(())
    }

    pub(super) fn provenance(&self, fragments: Range<usize>) -> Result<Provenance, Fault> {
        let (first, mut packets, mut ends) = (fragments.start, Vec::new(), Vec::new());
        for i in fragments {
            let labels = self.file.required_array::<i32>(&format!("{i}/label"))?;
            let values = labels.read_all()?;
            let (rows, _) = values.as_chunks();
            for &[packet, label] in rows {
                packets.push(packet_label(packet, label).map_err(|fault| fault.within(labels.place()))?);
            }
            ends.push(packets.len());
        }
        Ok(Provenance { first, ends, rows: Rows::Packets(packets), times: None, flows: None })
    }
}

fn packet_label(packet: i32, label: i32) -> Result<(u64, Label), Fault> {
    let number = u64::try_from(packet).ok().filter(|&packet| packet > 0);
    let number = number.ok_or_else(|| Fault::found(format!("the packet number {packet}"), "1 or more"))?;
    match label {
        -1 => Ok((number, Label::Normal)),
        1 => Ok((number, Label::Anomalous)),
        other => Err(Fault::found(format!("the label {other}"), "-1 or 1")),
    }
}
