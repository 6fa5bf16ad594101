//! What can go wrong on a device.

/// An error of a backend operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// The device or its driver is not there.
    #[error("backend {backend} is not available here: {reason}")]
    Unavailable {
        /// The backend's name.
        backend: String,
        /// Why.
        reason: String,
    },
    /// Arguments disagree in shape.
    #[error("{operation}: {problem}")]
    Shape {
        /// The operation.
        operation: &'static str,
        /// What disagrees.
        problem: String,
    },
    /// The device has too little memory; smaller batches or the CPU may still work.
    #[error("{operation}: out of device memory: {need} bytes needed, {free} free")]
    OutOfMemory {
        /// The operation.
        operation: &'static str,
        /// Bytes needed.
        need: u64,
        /// Bytes free.
        free: u64,
    },
    /// The device is gone; everything on it is lost.
    #[error("the device was lost during {operation}")]
    DeviceLost {
        /// The operation.
        operation: &'static str,
    },
}

impl BackendError {
    /// A shape error.
    #[must_use]
    pub fn shape(operation: &'static str, problem: impl Into<String>) -> Self {
        Self::Shape {
            operation,
            problem: problem.into(),
        }
    }
}
