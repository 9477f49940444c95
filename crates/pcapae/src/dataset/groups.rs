//! Reading the original's layout: a group per fragment.

use std::ops::Range;

use super::arrays::size;
use super::hdf5_file::Hdf5File;
use super::provenance::{Provenance, Rows};
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
    pub(super) fn open(file: Hdf5File) -> Result<Groups, String> {
        let count = file.groups()?.len();
        let Some(first) = file.array::<u8>("0/data")? else {
            return Err("it has neither the attribute format nor a group 0 with data".into());
        };
        let size = match first.shape() {
            [1, side, other] if side == other => size(side.saturating_mul(*side), Shape::Square)?,
            [1, bytes] => size(*bytes, Shape::Line)?,
            got => return Err(format!("0/data has the shape {got:?}, expected [1, side, side] or [1, size]")),
        };
        if (count as u64).saturating_mul(size.bytes() as u64) > file.bytes() {
            return Err(format!("it has {count} groups, more than {} bytes can hold fragments of", file.bytes()));
        }
        let shape: Vec<Option<usize>> = first.shape().iter().copied().map(Some).collect();
        for i in 0..count {
            file.required_array::<u8>(&format!("{i}/data"))?.expect_shape(&shape)?;
            let label = file.required_array::<i32>(&format!("{i}/label"))?;
            label.expect_shape(&[None, Some(2)])?;
            if label.rows() == 0 {
                return Err(format!("{i}/label has no row"));
            }
        }
        Ok(Groups { file, count, size })
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn read(&self, fragments: Range<usize>, into: &mut Vec<u8>) -> Result<(), String> {
        let held = into.len();
        for i in fragments {
            let read = self.file.required_array::<u8>(&format!("{i}/data")).and_then(|data| data.read(0..1, into));
            if let Err(reason) = read {
                into.truncate(held);
                return Err(reason);
            }
        }
        Ok(())
    }

    pub(super) fn provenance(&self, fragments: Range<usize>) -> Result<Provenance, String> {
        let (first, mut packets, mut ends) = (fragments.start, Vec::new(), Vec::new());
        for i in fragments {
            let values = self.file.required_array::<i32>(&format!("{i}/label"))?.read_all()?;
            let (rows, _) = values.as_chunks();
            for &[packet, label] in rows {
                packets.push(packet_label(packet, label).map_err(|reason| format!("{i}/label has {reason}"))?);
            }
            ends.push(packets.len());
        }
        Ok(Provenance { first, ends, rows: Rows::Packets(packets), times: None, flows: None })
    }
}

fn packet_label(packet: i32, label: i32) -> Result<(u64, Label), String> {
    let number = u64::try_from(packet).ok().filter(|&packet| packet > 0);
    let number = number.ok_or_else(|| format!("the packet number {packet}, expected 1 or more"))?;
    match label {
        -1 => Ok((number, Label::Normal)),
        1 => Ok((number, Label::Anomalous)),
        other => Err(format!("the label {other}, expected -1 or 1")),
    }
}
