//! Values that a model keeps in files beside its own, as exporters write them by default.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};

use tract_onnx::pb;

use super::{cap, malformed};
use crate::Error;

/// Brings the values of all tensors into the model, from files in that folder or below it, of `limit` bytes at most in all.
///
/// # Errors
/// [`Error::File`] for a file that cannot be read or lies elsewhere, [`Error::TooLarge`], [`Error::Malformed`].
pub(super) fn inline(proto: &mut pb::ModelProto, folder: &Path, limit: u64) -> Result<(), Error> {
    let mut beside = Beside {
        folder,
        files: BTreeMap::new(),
        total: 0,
        limit,
    };
    if let Some(graph) = &mut proto.graph {
        beside.graph(graph)?;
    }
    let bodies = proto.functions.iter_mut().map(|f| &mut f.node);
    bodies.into_iter().try_for_each(|nodes| beside.nodes(nodes))
}

/// Whether a tensor's values are in another file.
pub(super) fn is_external(tensor: &pb::TensorProto) -> bool {
    tensor.data_location.unwrap_or(0) != 0 || !tensor.external_data.is_empty()
}

/// The files beside a model.
struct Beside<'a> {
    folder: &'a Path,
    /// Open files and their lengths, by their location in the model.
    files: BTreeMap<String, (File, u64)>,
    /// Bytes read so far.
    total: u64,
    limit: u64,
}

impl Beside<'_> {
    fn graph(&mut self, graph: &mut pb::GraphProto) -> Result<(), Error> {
        let mut tensors = graph.initializer.iter_mut();
        tensors.try_for_each(|tensor| self.tensor(tensor))?;
        self.nodes(&mut graph.node)
    }

    fn nodes(&mut self, nodes: &mut [pb::NodeProto]) -> Result<(), Error> {
        for attribute in nodes.iter_mut().flat_map(|node| &mut node.attribute) {
            let mut tensors = attribute.t.iter_mut().chain(&mut attribute.tensors);
            tensors.try_for_each(|tensor| self.tensor(tensor))?;
            let mut graphs = attribute.g.iter_mut().chain(&mut attribute.graphs);
            graphs.try_for_each(|graph| self.graph(graph))?;
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: &mut pb::TensorProto) -> Result<(), Error> {
        if !is_external(tensor) {
            return Ok(());
        }
        let entry = |key: &str| {
            let mut all = tensor.external_data.iter();
            all.find(|entry| entry.key == key).map(|e| e.value.clone())
        };
        let number = |key: &str| match entry(key) {
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|_| malformed(format!("tensor `{}`: its {key} is `{text}`", tensor.name))),
            None => Ok(None),
        };
        let location = entry("location")
            .ok_or_else(|| malformed(format!("tensor `{}` is in no file", tensor.name)))?;
        let (offset, length) = (number("offset")?, number("length")?);
        tensor.raw_data = self.read(&location, offset.unwrap_or(0), length)?;
        tensor.external_data.clear();
        tensor.data_location = None;
        Ok(())
    }

    fn read(&mut self, location: &str, offset: u64, length: Option<u64>) -> Result<Vec<u8>, Error> {
        let path = self.folder.join(location);
        let failed = |problem: String| Error::File {
            path: path.display().to_string(),
            problem,
        };
        if !self.files.contains_key(location) {
            let opened = inside(self.folder, location).and_then(|path| {
                let file = File::open(path).map_err(|e| e.to_string())?;
                let len = file.metadata().map_err(|e| e.to_string())?.len();
                Ok((file, len))
            });
            self.files.insert(location.into(), opened.map_err(&failed)?);
        }
        let Some((file, len)) = self.files.get_mut(location) else {
            return Ok(Vec::new());
        };
        let rest = len.checked_sub(offset);
        let length = length.or(rest).filter(|length| rest >= Some(*length));
        let length = length.ok_or_else(|| {
            failed(format!(
                "it has {len} bytes, and a tensor of the model lies beyond"
            ))
        })?;
        self.total += length;
        cap("data beside the model (bytes)", self.total, self.limit)?;
        let mut bytes = vec![0; length as usize];
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|e| failed(e.to_string()))?;
        Ok(bytes)
    }
}

/// The path of a location that does not lead out of the folder.
fn inside(folder: &Path, location: &str) -> Result<PathBuf, String> {
    let mut parts = Path::new(location).components();
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !parts.all(plain) {
        return Err("it is not in the folder of the model".into());
    }
    let real = |path: &Path| path.canonicalize().map_err(|e| e.to_string());
    let path = real(&folder.join(location))?;
    match path.starts_with(real(folder)?) {
        true => Ok(path),
        false => Err("it is a link that leads out of the folder of the model".into()),
    }
}
