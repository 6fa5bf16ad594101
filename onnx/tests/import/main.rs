//! ONNX files written node by node: what every operator becomes, and how every broken file is refused.

mod deciding;
mod errors;
mod files;
mod general;
mod layers;
mod linear;
mod network;
mod quantized;
mod refused;
mod rows;
mod visibility;
mod wiring;
