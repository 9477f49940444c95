//! Writing a dataset as arrays over all fragments.

use std::path::{Path, PathBuf};

use rust_hdf5::{H5File, Hdf5Error};

use super::column::Column;
use super::{Description, FORMAT, VERSION, Writer, hdf5};
use crate::Result;
use crate::capture::headers::{Dissection, SkipCounts};
use crate::capture::{Packet, Source};
use crate::fragment::{Fragment, Mode, Receiver, Semantics, Shape};
use crate::label::Label;

/// Writes the layout of [`dataset`](super), chunk by chunk; memory does not grow with the capture but for the chunk index.
pub struct DatasetWriter {
    path: PathBuf,
    file: H5File,
    fragments: Column<u8>,
    segment_offsets: Column<u64>,
    segments: Column<u64>,
    flow: Option<Column<u64>>,
    time_ns: Column<i64>,
    label: Column<i8>,
    length: Column<u32>,
    link_type: Column<u32>,
    segments_written: u64,
}

impl DatasetWriter {
    /// Begins a file at `path`, replacing what is there.
    ///
    /// # Errors
    ///
    /// The file cannot be created.
    pub fn create(path: &Path, description: &Description) -> Result<DatasetWriter> {
        Self::begin(path, description).map_err(hdf5("write", path))
    }

    fn begin(path: &Path, description: &Description) -> Result<DatasetWriter, Hdf5Error> {
        let file = H5File::create(path)?;
        set_attributes(&file, description)?;
        let cutting = description.cutting;
        let root = file.root_group();
        let packets = file.create_group("packets")?;
        let mut segment_offsets = Column::create(&root, "segment_offsets", &[])?;
        segment_offsets.push(&[0])?;
        Ok(DatasetWriter {
            path: path.to_owned(),
            fragments: Column::create(&root, "fragments", &cutting.size.axes())?,
            segment_offsets,
            segments: Column::create(&root, "segments", &[4])?,
            flow: match cutting.mode {
                Mode::Flow => Some(Column::create(&root, "flow", &[])?),
                Mode::Byte | Mode::Packet => None,
            },
            time_ns: Column::create(&packets, "time_ns", &[])?,
            label: Column::create(&packets, "label", &[])?,
            length: Column::create(&packets, "length", &[])?,
            link_type: Column::create(&packets, "link_type", &[])?,
            segments_written: 0,
            file,
        })
    }

    fn append_packet(&mut self, packet: &Packet<'_>, label: Label) -> Result<(), Hdf5Error> {
        self.time_ns.push(&[packet.time_ns])?;
        self.length.push(&[packet.data.len() as u32])?;
        self.link_type.push(&[packet.link.0])?;
        self.label.push(&[label.to_i8()])
    }

    fn append_fragment(&mut self, fragment: Fragment<'_>) -> Result<(), Hdf5Error> {
        self.fragments.push(fragment.bytes)?;
        for segment in fragment.segments {
            let row =
                [segment.packet, segment.packet_offset.into(), segment.fragment_offset.into(), segment.length.into()];
            self.segments.push(&row)?;
        }
        self.segments_written += fragment.segments.len() as u64;
        self.segment_offsets.push(&[self.segments_written])?;
        if let (Some(column), Some(flow)) = (&mut self.flow, fragment.flow) {
            column.push(&[flow])?;
        }
        Ok(())
    }

    fn complete(mut self, sources: &[Source], skipped: &SkipCounts) -> Result<(), Hdf5Error> {
        self.fragments.flush()?;
        self.segment_offsets.flush()?;
        self.segments.flush()?;
        if let Some(column) = &mut self.flow {
            column.flush()?;
        }
        self.time_ns.flush()?;
        self.label.flush()?;
        self.length.flush()?;
        self.link_type.flush()?;
        let json = |value: Result<String, serde_json::Error>| {
            value.map_err(|error| Hdf5Error::InvalidState(error.to_string()))
        };
        self.file.set_attr_string("sources", &json(serde_json::to_string(sources))?)?;
        self.file.set_attr_string("left_out", &json(serde_json::to_string(skipped))?)?;
        self.file.close_no_sync()
    }
}

fn set_attributes(file: &H5File, Description { name, cutting }: &Description) -> Result<(), Hdf5Error> {
    file.set_attr_string("format", FORMAT)?;
    file.set_attr_numeric("version", &VERSION)?;
    file.set_attr_string("name", name)?;
    file.set_attr_string("mode", cutting.mode.name())?;
    file.set_attr_numeric("fragment_size", &(cutting.size.bytes() as u64))?;
    file.set_attr_numeric("one_d", &u8::from(cutting.size.shape() == Shape::Line))?;
    file.set_attr_numeric("compat", &u8::from(cutting.semantics == Semantics::Compat))?;
    file.set_attr_string("mask", &cutting.mask.to_string())?;
    file.set_attr_string("tool", concat!("pcapae ", env!("CARGO_PKG_VERSION")))
}

impl Receiver for DatasetWriter {
    fn packet(&mut self, packet: &Packet<'_>, _masked: &[u8], _headers: &Dissection<'_>, label: Label) -> Result<()> {
        self.append_packet(packet, label).map_err(hdf5("write", &self.path))
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        self.append_fragment(fragment).map_err(hdf5("write", &self.path))
    }
}

impl Writer for DatasetWriter {
    fn finish(self: Box<Self>, sources: &[Source], skipped: &SkipCounts) -> Result<()> {
        let path = self.path.clone();
        self.complete(sources, skipped).map_err(hdf5("write", &path))
    }
}
