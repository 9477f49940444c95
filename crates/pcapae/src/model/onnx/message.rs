//! The protocol buffers of an ONNX file, as far as we write them.
//!
//! Names and numbers of fields are those of ONNX's `onnx.proto`.

use prost::{Message, Oneof};

/// `AttributeProto.FLOAT`.
const FLOAT_ATTRIBUTE: i32 = 1;
/// `AttributeProto.INT`.
const INT_ATTRIBUTE: i32 = 2;
/// `AttributeProto.INTS`.
const INTS_ATTRIBUTE: i32 = 7;
/// `TensorProto.FLOAT`.
pub const FLOAT: i32 = 1;
/// `TensorProto.INT64`.
const INT64: i32 = 7;

/// `ModelProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Model {
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    #[prost(string, tag = "2")]
    pub producer_name: String,
    #[prost(string, tag = "3")]
    pub producer_version: String,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSet>,
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<Entry>,
}

/// `OperatorSetIdProto`; without a domain, ONNX's own operators.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSet {
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// `StringStringEntryProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `GraphProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    #[prost(string, tag = "10")]
    pub doc_string: String,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
}

/// `NodeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
}

/// `AttributeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    pub kind: i32,
}

impl Attribute {
    pub fn float(name: &str, f: f32) -> Attribute {
        Attribute { name: name.to_owned(), f: Some(f), kind: FLOAT_ATTRIBUTE, ..Attribute::default() }
    }

    pub fn int(name: &str, i: i64) -> Attribute {
        Attribute { name: name.to_owned(), i: Some(i), kind: INT_ATTRIBUTE, ..Attribute::default() }
    }

    pub fn ints(name: &str, ints: Vec<i64>) -> Attribute {
        Attribute { name: name.to_owned(), ints, kind: INTS_ATTRIBUTE, ..Attribute::default() }
    }
}

/// `TensorProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(string, tag = "8")]
    pub name: String,
    /// The elements, little-endian.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
}

impl Tensor {
    pub fn floats(name: String, dims: Vec<i64>, values: &[f32]) -> Tensor {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor { dims, data_type: FLOAT, name, raw_data }
    }

    /// A row of integers.
    pub fn integers(name: String, values: &[i64]) -> Tensor {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor { dims: vec![values.len() as i64], data_type: INT64, name, raw_data }
    }
}

/// `ValueInfoProto`.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfo {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub kind: Option<Type>,
}

/// `TypeProto` of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct Type {
    #[prost(message, optional, tag = "1")]
    pub tensor: Option<TensorType>,
}

/// `TypeProto.Tensor`.
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

/// `TensorShapeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// `TensorShapeProto.Dimension`.
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    #[prost(oneof = "Extent", tags = "1, 2")]
    pub extent: Option<Extent>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Extent {
    /// So many.
    #[prost(int64, tag = "1")]
    Value(i64),
    /// As many as the caller gives, under this name.
    #[prost(string, tag = "2")]
    Param(String),
}

impl ValueInfo {
    /// Floats of a batch of windows: its size is the caller's, the other axes are these.
    pub fn of_batch(name: &str, axes: &[i64]) -> ValueInfo {
        let batch = Extent::Param("batch".to_owned());
        let extents = std::iter::once(batch).chain(axes.iter().map(|axis| Extent::Value(*axis)));
        let dim = extents.map(|extent| Dimension { extent: Some(extent) }).collect();
        let tensor = TensorType { elem_type: FLOAT, shape: Some(Shape { dim }) };
        ValueInfo { name: name.to_owned(), kind: Some(Type { tensor: Some(tensor) }) }
    }
}
