//! Node cases and the archives that hold them.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Seek, Write};

use prost::Message;
use tract_onnx::pb::{ModelProto, NodeProto};
use zip::write::FileOptions;
use zip::{ZipArchive, ZipWriter};

/// Where a wheel of the `onnx` package keeps its node cases.
const IN_THE_WHEEL: &str = "onnx/backend/test/data/node/";
/// The folder of the recorded run; every case has one.
const RUN: &str = "test_data_set_0/";
/// Largest file of a case.
const MOST_BYTES: u64 = 1 << 26;

/// A model, inputs and expected outputs, as they are in their files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Name of its folder.
    pub name: String,
    /// `model.onnx`.
    pub model: Vec<u8>,
    /// `input_0.pb`, `input_1.pb`, ..: encoded tensors, sequences or optionals.
    pub inputs: Vec<Vec<u8>>,
    /// `output_0.pb`, ..: likewise.
    pub outputs: Vec<Vec<u8>>,
}

/// Why an archive or a case cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The archive or one of its files.
    #[error("cannot read the archive: {0}")]
    Archive(#[from] zip::result::ZipError),
    /// Reading or writing.
    #[error("cannot read or write an archive: {0}")]
    Io(#[from] std::io::Error),
    /// A file that is no protocol buffer.
    #[error("case {case}: cannot decode {what}: {source}")]
    Decode {
        /// Name of the case.
        case: String,
        /// Which of its files.
        what: &'static str,
        /// What the decoder said.
        source: prost::DecodeError,
    },
    /// A case without a model or a graph.
    #[error("case {0} has no graph")]
    NoGraph(String),
}

impl Case {
    /// The model.
    ///
    /// # Errors
    /// [`CaseError::Decode`].
    pub fn proto(&self) -> Result<ModelProto, CaseError> {
        ModelProto::decode(&*self.model).map_err(|source| CaseError::Decode {
            case: self.name.clone(),
            what: "model.onnx",
            source,
        })
    }

    /// Bytes of all its files.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let files = self.inputs.iter().chain(&self.outputs);
        self.model.len() + files.map(Vec::len).sum::<usize>()
    }

    /// The nodes of the model; none if it cannot be decoded.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeProto> {
        let graph = self.proto().ok().and_then(|model| model.graph);
        graph.map_or_else(Vec::new, |graph| graph.node)
    }

    fn add(&mut self, file: &str, bytes: Vec<u8>) {
        let numbered = |prefix: &str| -> Option<usize> {
            let name = file.strip_prefix(RUN)?.strip_prefix(prefix)?;
            name.strip_suffix(".pb")?.parse().ok()
        };
        let place = |list: &mut Vec<Vec<u8>>, index: usize, bytes: Vec<u8>| {
            if list.len() <= index {
                list.resize(index + 1, Vec::new());
            }
            list[index] = bytes;
        };
        if file == "model.onnx" {
            self.model = bytes;
        } else if let Some(index) = numbered("input_").filter(|i| *i < 1000) {
            place(&mut self.inputs, index, bytes);
        } else if let Some(index) = numbered("output_").filter(|i| *i < 1000) {
            place(&mut self.outputs, index, bytes);
        }
    }

    fn files(&self) -> Vec<(String, &[u8])> {
        let numbered = |kind: &str, list: &'_ [Vec<u8>]| -> Vec<String> {
            (0..list.len())
                .map(|i| format!("{RUN}{kind}_{i}.pb"))
                .collect()
        };
        let names = numbered("input", &self.inputs)
            .into_iter()
            .chain(numbered("output", &self.outputs));
        let bytes = self.inputs.iter().chain(&self.outputs);
        let mut files = vec![("model.onnx".to_owned(), &*self.model)];
        files.extend(names.zip(bytes.map(Vec::as_slice)));
        files
    }
}

/// The node cases of an archive, by name: of a wheel of the `onnx` package, or of one that [`write`] wrote.
///
/// # Errors
/// [`CaseError::Archive`], [`CaseError::Io`].
pub fn read(archive: impl Read + Seek) -> Result<Vec<Case>, CaseError> {
    let mut archive = ZipArchive::new(archive)?;
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    for index in 0..archive.len() {
        let file = archive.by_index(index)?;
        let path = file.name().to_owned();
        let inner = path.strip_prefix(IN_THE_WHEEL).unwrap_or(&path);
        let Some((name, inside)) = inner
            .split_once('/')
            .filter(|(name, _)| name.starts_with("test_"))
        else {
            continue;
        };
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes)?;
        let case = cases.entry(name.to_owned()).or_insert_with(|| Case {
            name: name.to_owned(),
            model: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        });
        case.add(inside, bytes);
    }
    Ok(cases.into_values().collect())
}

/// An archive of cases; the same cases give the same bytes.
///
/// ```
/// use zkernel_onnx_conformance::case::{Case, read, write};
///
/// let case = Case { name: "test_x".into(), model: vec![1], inputs: vec![vec![2], vec![]], outputs: vec![vec![3]] };
/// let archive = write(&[case.clone()])?;
/// assert_eq!(read(std::io::Cursor::new(archive))?, [case]);
/// # Ok::<(), zkernel_onnx_conformance::CaseError>(())
/// ```
///
/// # Errors
/// [`CaseError::Archive`], [`CaseError::Io`].
pub fn write(cases: &[Case]) -> Result<Vec<u8>, CaseError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = FileOptions::default().last_modified_time(zip::DateTime::default());
    for case in cases {
        for (file, bytes) in case.files() {
            archive.start_file(format!("{}/{file}", case.name), options)?;
            archive.write_all(bytes)?;
        }
    }
    Ok(archive.finish()?.into_inner())
}
