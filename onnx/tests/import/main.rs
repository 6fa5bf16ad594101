//! ONNX files written node by node: what every operator becomes, and how every broken file is refused.

mod chosen;
mod classic;
mod deciding;
mod dynamic;
mod errors;
mod files;
mod fused;
mod general;
mod layers;
mod linear;
mod network;
mod quantized;
mod ranked;
mod recurrent;
mod refused;
mod rows;
mod runtime;
mod tables;
mod trees;
mod visibility;
mod volumes;
mod wiring;
