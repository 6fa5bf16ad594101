//! ONNX files written node by node: what every operator becomes, and how every broken file is refused.

mod layers;
mod network;
mod visibility;
