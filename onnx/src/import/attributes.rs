//! Attributes of ONNX nodes.

use tract_onnx::pb;

pub(super) fn attribute<'a>(node: &'a pb::NodeProto, name: &str) -> Option<&'a pb::AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

pub(super) fn int(node: &pb::NodeProto, name: &str, default: i64) -> i64 {
    attribute(node, name).map_or(default, |a| a.i)
}

pub(super) fn float(node: &pb::NodeProto, name: &str) -> f32 {
    attribute(node, name).map_or(1.0, |a| a.f)
}

/// A list of integers; empty if absent.
pub(super) fn ints<'a>(node: &'a pb::NodeProto, name: &str) -> &'a [i64] {
    attribute(node, name).map_or(&[], |a| &a.ints)
}

/// A string; empty if absent.
pub(super) fn string<'a>(node: &'a pb::NodeProto, name: &str) -> &'a [u8] {
    attribute(node, name).map_or(&[], |a| &a.s)
}

/// A list of floats; empty if absent.
pub(super) fn floats<'a>(node: &'a pb::NodeProto, name: &str) -> &'a [f32] {
    attribute(node, name).map_or(&[], |a| &a.floats)
}

/// A list of strings; empty if absent.
pub(super) fn strings<'a>(node: &'a pb::NodeProto, name: &str) -> Vec<&'a [u8]> {
    let list = attribute(node, name).map_or(&[][..], |a| &a.strings);
    list.iter().map(AsRef::as_ref).collect()
}
